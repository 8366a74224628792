"""metadata.managedFields on the write path: what every write to an object that was applied does to them.

Elsewhere: the rules themselves (managers.py), applying (verb.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from apiserver.apply import types
from apiserver.apply.managers import LONGEST_NAME, Manager, bare, errors, read, write
from apiserver.apply.managers import settled as settle
from apiserver.kind import AnyKind, Context
from sampan.api.meta_v1 import ManagedFieldsEntry
from sampan.errors import InvalidError


def settled(
    kind: AnyKind,
    old: Any,
    new: Any,
    given: Sequence[ManagedFieldsEntry],
    subresource: str,
    context: Context,
) -> list[ManagedFieldsEntry]:
    """The entries after a write of a typed object (old None: it is new).

    `given` are the entries that the client sent; without any the old ones are gone on from. Raises InvalidError.
    """
    before = given or (old.metadata.managed_fields if old is not None else ())
    entries = [entry.to_json() for entry in before]
    if given and (old is None or given != old.metadata.managed_fields):
        wrong = list(errors(entries))
        if wrong:
            raise InvalidError(kind.resource.kind, kind.resource.group, new.metadata.name or "", wrong)
    manager = Manager(name_of(context), api_version=kind.resource.api_version, subresource=subresource)
    managers = settle(
        bare(old.to_json()) if old is not None else None,
        bare(new.to_json()),
        types.of_kind(kind),
        read(entries),
        manager,
        context.now,
    )
    return [ManagedFieldsEntry.from_json(entry) for entry in write(managers)]


def name_of(context: Context) -> str:
    """Who writes: fieldManager, or the first word of the User-Agent, or the user."""
    if context.manager:
        return context.manager
    word = context.agent.split("/", 1)[0] or context.user.name
    return "".join(char for char in word if char.isprintable())[:LONGEST_NAME] or "unknown"


def is_reset(proposed: Mapping[str, Any]) -> bool:
    """Whether a client asks to forget all managers: by an empty list, or one empty entry."""
    return (proposed.get("metadata") or {}).get("managedFields") in ([], [{}])


def stamped(entries: Sequence[ManagedFieldsEntry], manager: Manager, now: datetime) -> list[ManagedFieldsEntry]:
    """The entries in order, with the applier's set to now."""
    managers = read([entry.to_json() for entry in entries])
    if manager in managers:
        managers[manager] = replace(managers[manager], time=now.replace(microsecond=0))
    return [ManagedFieldsEntry.from_json(entry) for entry in write(managers)]
