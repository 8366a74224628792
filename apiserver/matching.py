"""Which objects a list or a watch is about, and how a kind sees stored objects.

Elsewhere: the selectors' grammar and meaning (sampan.selectors).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from apiserver.decode import bad
from apiserver.kind import AnyKind, Json
from apiserver.ring import Item
from sampan.selectors import SelectorError, parse, parse_fields


def converts(kind: AnyKind) -> bool:
    """Whether the kind's objects are stored in another form than they are served in."""
    return kind.from_stored is not None or kind.stored_as is not None


def value_of(kind: AnyKind, stored: Json) -> Json:
    """A stored value as the kind serves it; the argument is left alone."""
    if kind.from_stored is not None:
        return kind.from_stored(stored)
    if kind.stored_as is not None:
        return stored | {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
    return stored


def view(kind: AnyKind, item: Item) -> Item:
    """An item as the kind serves it."""
    if not converts(kind):
        return item
    value = value_of(kind, item.value)
    if value is item.value:
        return item
    return Item.of_value(item.path, value, item.revision, item.version)


class Match:
    """The label and field selector of a request, and its namespace."""

    def __init__(self, kind: AnyKind, namespace: str, label_selector: str, field_selector: str) -> None:
        self._kind = kind
        self.prefix = f"{namespace}/" if namespace and kind.resource.namespaced else ""
        selectable = kind.strategy.selectable
        try:
            self._labels = parse(label_selector) if label_selector else None
            fields = parse_fields(field_selector) if field_selector else None
        except SelectorError as error:
            raise bad(str(error)) from error
        self.name = ""
        self._fields: list[tuple[Callable[[Mapping[str, Any]], str], str, bool]] = []
        for one in fields.requirements if fields else ():
            if one.field == "metadata.name":
                if one.equal:
                    self.name = one.value
                self._fields.append((_name, one.value, one.equal))
            elif one.field == "metadata.namespace":
                if one.equal and not self.prefix and kind.resource.namespaced and one.value:
                    self.prefix = f"{one.value}/"
                self._fields.append((_namespace, one.value, one.equal))
            elif one.field in selectable:
                self._fields.append((selectable[one.field], one.value, one.equal))
            else:
                raise bad(f"field label not supported: {one.field}")

    @property
    def everything(self) -> bool:
        """No selector; only the namespace narrows."""
        return self._labels is None and not self._fields

    def selects(self, item: Item | None) -> bool:
        """Whether a stored item is meant. None is not."""
        if item is None or (self.prefix and not item.path.startswith(self.prefix)):
            return False
        if self.everything:
            return True
        value = value_of(self._kind, item.value)
        if self._labels is not None and not self._labels.matches(value["metadata"].get("labels") or {}):
            return False
        return all((read(value) == wanted) is equal for read, wanted, equal in self._fields)


def _name(value: Mapping[str, Any]) -> str:
    return str(value["metadata"].get("name", ""))


def _namespace(value: Mapping[str, Any]) -> str:
    return str(value["metadata"].get("namespace", ""))


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return orjson.dumps(value)
