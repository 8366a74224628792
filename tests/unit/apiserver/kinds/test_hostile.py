"""Objects as no sensible client would send them lead to complaints, never to a crash."""

from __future__ import annotations

import types
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiserver.kind import AnyKind, Context, User
from apiserver.kinds import ALL
from sampan.api.base import Object
from sampan.api.rules import check
from sampan.errors import InvalidError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY: Any = SimpleNamespace(peek=lambda *_: None, peek_all=lambda *_: [])
CONTEXT: Any = Context(EMPTY, user=User("somebody"), namespace="d", now=NOW)
TEXTS = [
    "",
    "a",
    "web",
    "None",
    "Always",
    "10.96.0.1",
    "::1",
    "../x",
    "/",
    "100%",
    "-1",
    "1Gi",
    "1e9",
    "é",
    "\x00",
    "%",
    "x" * 300,
]
texts = st.sampled_from(TEXTS)
numbers = st.sampled_from([0, 1, -1, 80, 65536, 2**31 - 1])
DEEPEST = 6
LIKELY = {"spec", "template", "containers", "initContainers", "volumes", "ports", "selector", "strategy", "endpoints"}
"""Members that lead to most of the rules: there more often than others."""


def of_type(annotation: Any, depth: int) -> st.SearchStrategy[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return of_type(get_args(annotation)[0], depth)
    if origin in (Union, types.UnionType):
        return st.one_of([of_type(one, depth) for one in get_args(annotation) if one is not type(None)])
    if origin is list:
        return st.lists(of_type(get_args(annotation)[0], depth), max_size=2)
    if origin is dict:
        return st.dictionaries(texts, of_type(get_args(annotation)[1], depth), max_size=2)
    if annotation is str:
        return texts
    if annotation is int:
        return numbers
    if annotation is bool:
        return st.booleans()
    if annotation is datetime:
        return st.just("2026-01-01T00:00:00Z")
    if isinstance(annotation, type) and issubclass(annotation, Object):
        return of_model(annotation, depth - 1) if depth else st.just({})
    return st.none()


@cache
def of_model(model: type[Object], depth: int = DEEPEST) -> st.SearchStrategy[Any]:
    """Some members of a model, each with any value that its parser takes."""
    if not model.__pydantic_fields_complete__:
        model.model_rebuild()
    skipped = ("apiVersion", "kind", "metadata")
    fields = model.model_fields.values()
    aliases = {str(info.alias): info.annotation for info in fields if info.alias not in skipped}
    likely = sorted(LIKELY & aliases.keys())

    def chosen(picked: tuple[list[str], bool]) -> st.SearchStrategy[Any]:
        names = dict.fromkeys([*picked[0], *(likely if picked[1] else ())])
        return st.fixed_dictionaries({name: of_type(aliases[name], depth) for name in names})

    if not aliases:
        return st.just({})
    some = st.lists(st.sampled_from(sorted(aliases)), max_size=4, unique=True)
    return st.tuples(some, st.booleans()).flatmap(chosen)


STORED = [kind for kind in ALL if kind.stored]


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.resource.group_resource + "/" + kind.resource.version)
def test_any_object_is_accepted_or_refused(kind: AnyKind) -> None:
    model: type[Object] = kind.resource.model
    strategy = kind.strategy

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(of_model(model), of_model(model))
    def check_them(first: Any, second: Any) -> None:
        meta = {"name": "x", "namespace": "d", "uid": "u"}
        old: Any = model.from_json({**first, "metadata": meta})
        new: Any = model.from_json({**second, "metadata": meta})
        try:
            strategy.prepare_create(old, CONTEXT)
            strategy.prepare_create(new, CONTEXT)
        except InvalidError:
            return
        for one in (old, new):
            texts = [str(error) for error in [*check(one), *strategy.validate(one)]]
            assert all(text.partition(":")[0] for text in texts)
        again: Any = model.from_json(old.to_json())
        strategy.prepare_update(again, old, CONTEXT)
        if not [*check(old), *strategy.validate(old)]:
            assert [str(error) for error in strategy.validate_update(again, old)] == []
        strategy.prepare_update(new, old, CONTEXT)
        list(strategy.validate_update(new, old))
        strategy.prepare_status(new, old, CONTEXT)
        list(strategy.validate_status(new, old))
        for column in kind.columns:
            column.value(new.to_json())
        for field in strategy.selectable.values():
            assert isinstance(field(new.to_json()), str)

    check_them()
