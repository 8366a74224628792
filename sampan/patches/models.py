"""Merge schemas of the API models: what the fields declare with `merge_key` and `patch`."""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from sampan.patches.schema import UNTYPED, UNTYPED_RULE, MapOf, MergeRule, MergeSchema


class OfModel:
    """The schema of a pydantic model, read once."""

    def __init__(self, model: type[BaseModel]) -> None:
        if not model.__pydantic_fields_complete__:
            model.model_rebuild()
        self.rules: dict[str, MergeRule] = {}
        for name, info in model.model_fields.items():
            extra = info.json_schema_extra
            declared: dict[str, Any] = dict(extra) if isinstance(extra, dict) else {}
            self.rules[info.alias or name] = MergeRule(
                Later(info.annotation),
                merge_key=declared.get("x-kubernetes-patch-merge-key", ""),
                strategies=frozenset(declared.get("x-kubernetes-patch-strategy", "").split(",")) - {""},
            )

    def rule(self, key: str) -> MergeRule:
        """A member that the model does not have is untyped."""
        return self.rules.get(key, UNTYPED_RULE)


class Later:
    """The schema of a type, looked at when it is needed; types may contain themselves."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def rule(self, key: str) -> MergeRule:
        """Ask the type itself."""
        return of_type(self.annotation).rule(key)


@cache
def of_model(model: type[BaseModel]) -> MergeSchema:
    """The merge schema of a model."""
    return OfModel(model)


def of_type(annotation: Any) -> MergeSchema:
    """The merge schema of a field's type; of a list's element, where it is a list."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return of_type(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        known = [one for one in get_args(annotation) if one is not type(None)]
        return of_type(known[0]) if len(known) == 1 else UNTYPED
    if origin is list:
        return of_type(get_args(annotation)[0])
    if origin is dict:
        return MapOf(of_type(get_args(annotation)[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return of_model(annotation)
    return UNTYPED
