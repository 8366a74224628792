"""What a strategic merge has to know of a type, as data: which lists merge, and by which key.

It comes from the models (sampan.patches.models) or from a published OpenAPI v3 document, so kctl needs no model.
Elsewhere: applying (strategic.py), computing (three_way.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class MergeSchema(Protocol):
    """The type of a JSON object."""

    def rule(self, key: str) -> MergeRule:
        """How the member `key` merges."""


@dataclass(frozen=True)
class MergeRule:
    """How one member of an object merges."""

    child: MergeSchema
    """The type of its value, or of its elements if it is a list."""
    merge_key: str = ""
    strategies: frozenset[str] = frozenset()
    """merge, replace, retainKeys, as x-kubernetes-patch-strategy has them."""

    @property
    def merges(self) -> bool:
        """Whether a list merges with what is there."""
        return "merge" in self.strategies

    @property
    def replaces(self) -> bool:
        """Whether an object is replaced as a whole."""
        return "replace" in self.strategies

    @property
    def retains_keys(self) -> bool:
        """Whether members that are not given go away (a union, such as a volume's source)."""
        return "retainKeys" in self.strategies


@dataclass(frozen=True)
class Untyped:
    """A type nobody knows: objects merge, lists are replaced."""

    def rule(self, key: str) -> MergeRule:
        """Every member is as unknown."""
        return UNTYPED_RULE


UNTYPED = Untyped()
UNTYPED_RULE = MergeRule(UNTYPED)


@dataclass(frozen=True)
class MapOf:
    """A map whose values are all of one type."""

    child: MergeSchema

    def rule(self, key: str) -> MergeRule:
        """The same for every key."""
        return MergeRule(self.child)


class OpenApi:
    """A schema in an OpenAPI v3 document; references are followed when they are needed."""

    def __init__(self, schemas: Mapping[str, Any], node: Mapping[str, Any]) -> None:
        """`schemas` is the document's components.schemas; `node` the schema, or a reference to it."""
        self.schemas = schemas
        self.node = self.resolved(node)
        self.rules: dict[str, MergeRule] = {}

    def resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow `$ref`, alone or in an `allOf` of one."""
        for _ in range(16):
            reference = node.get("$ref") or next(
                (one["$ref"] for one in node.get("allOf", ()) if isinstance(one, Mapping) and "$ref" in one), None
            )
            if not isinstance(reference, str):
                break
            node = self.schemas.get(reference.rpartition("/")[2], {})
        return node

    def rule(self, key: str) -> MergeRule:
        """What the member's schema and its x-kubernetes- extensions say."""
        found = self.rules.get(key)
        if found is None:
            found = self.rules[key] = self.read(key)
        return found

    def read(self, key: str) -> MergeRule:
        """Look the member up."""
        outer = self.node.get("properties", {}).get(key)
        if outer is None:
            extra = self.node.get("additionalProperties")
            return MergeRule(OpenApi(self.schemas, extra)) if isinstance(extra, Mapping) else UNTYPED_RULE
        strategy = outer.get("x-kubernetes-patch-strategy", "")
        inner = self.resolved(outer)
        items = inner.get("items")
        return MergeRule(
            OpenApi(self.schemas, items if isinstance(items, Mapping) else inner),
            merge_key=outer.get("x-kubernetes-patch-merge-key", ""),
            strategies=frozenset(part for part in strategy.split(",") if part),
        )
