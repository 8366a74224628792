"""Who owns whom: all objects of the cluster by UID, with their owners and dependents. Pure.

Always: `dependents` is the exact inverse of `owners`; an owner that was named but never seen is there as a virtual
node, until a live look finds it or shows that it does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sampan.api.base import Object
from sampan.api.meta_v1 import OwnerReference
from sampan.objects import Key, key_of, meta
from sampan.resource import Resource

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True)
class Identity:
    """What is known of an object: enough to look it up. `resource` is None while no kind of that name is served."""

    uid: str
    api_version: str
    kind: str
    key: Key
    resource: Resource[Any] | None = None


@dataclass
class Node:
    """One object in the graph."""

    identity: Identity
    owners: Sequence[OwnerReference] = ()
    dependents: set[str] = field(default_factory=set)
    deleting: bool = False
    finalizers: frozenset[str] = frozenset()
    virtual: bool = False

    @property
    def waits_for_dependents(self) -> bool:
        """Whether it is being deleted in the foreground."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        """Whether it is being deleted and its dependents are to be spared."""
        return self.deleting and ORPHAN in self.finalizers

    def blocks(self, owner: str) -> bool:
        """Whether it holds up the foreground deletion of an owner."""
        return any(one.uid == owner and one.block_owner_deletion for one in self.owners)


class Graph:
    """The graph. Each change returns the UIDs that should be looked at because of it."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def observe(self, resource: Resource[Any], obj: Object) -> set[str]:
        """An object is there, or has changed."""
        m = meta(obj)
        uid = m.uid or ""
        identity = Identity(uid, resource.api_version, resource.kind, key_of(obj), resource)
        node = self.nodes.get(uid)
        look: set[str] = set()
        fresh = node is None or node.virtual
        if node is None:
            node = self.nodes[uid] = Node(identity)
        node.identity = identity
        if node.virtual:
            # Dependents came first: they may name it under another namespace or kind, which the look decides.
            look |= node.dependents
            node.virtual = False
        before = {one.uid for one in node.owners}
        after = {one.uid for one in m.owner_references}
        was_blocking = {one.uid for one in node.owners if one.block_owner_deletion}
        node.owners = tuple(m.owner_references)
        for one in before - after:
            self._detach(one, uid)
        for reference in m.owner_references:
            owner = self.nodes.get(reference.uid)
            if owner is None:
                owner = self.nodes[reference.uid] = _virtual(reference, identity.key.namespace)
            owner.dependents.add(uid)
            if owner.virtual or (owner.waits_for_dependents and fresh) or not _is_same(owner.identity, reference):
                look.add(uid)
        for one in (before - after) | {u for u in was_blocking if not node.blocks(u)}:
            owner = self.nodes.get(one)
            if owner is not None and owner.waits_for_dependents:
                look.add(one)
        was_waiting, was_orphaning = node.waits_for_dependents, node.orphans_dependents
        node.deleting = m.deletion_timestamp is not None
        node.finalizers = frozenset(m.finalizers)
        if node.waits_for_dependents and not was_waiting:
            look |= {uid, *node.dependents}
        if node.orphans_dependents and not was_orphaning:
            look.add(uid)
        return look

    def remove(self, uid: str) -> set[str]:
        """An object is no more: its dependents lose an owner, and an owner in foreground deletion one dependent."""
        node = self.nodes.pop(uid, None)
        if node is None:
            return set()
        node.dependents.discard(uid)  # it may have named itself
        look = set(node.dependents)
        for reference in node.owners:
            self._detach(reference.uid, uid)
            owner = self.nodes.get(reference.uid)
            if owner is not None and owner.waits_for_dependents:
                look.add(reference.uid)
        if node.dependents:
            # It stays as a virtual node, so that dependents that are added later are looked at as well.
            self.nodes[uid] = Node(replace(node.identity), dependents=node.dependents, virtual=True)
        return look

    def blocking(self, uid: str) -> list[Node]:
        """The dependents that hold up an object's foreground deletion."""
        node = self.nodes.get(uid)
        found = (self.nodes.get(one) for one in sorted(node.dependents)) if node is not None else ()
        return [one for one in found if one is not None and one.blocks(uid)]

    def dependents(self, uid: str) -> list[Node]:
        """All dependents of an object."""
        node = self.nodes.get(uid)
        found: Iterable[Node | None] = (self.nodes.get(one) for one in sorted(node.dependents)) if node else ()
        return [one for one in found if one is not None]

    def is_well_owned(self, uid: str) -> bool:
        """Whether every owner of an object has been seen, is what the object says it is, and is not going."""
        node = self.nodes[uid]
        for reference in node.owners:
            owner = self.nodes.get(reference.uid)
            if owner is None or owner.virtual or owner.deleting or not _is_same(owner.identity, reference):
                return False
            if owner.identity.key.namespace not in ("", node.identity.key.namespace):
                return False
        return True

    def _detach(self, owner: str, dependent: str) -> None:
        node = self.nodes.get(owner)
        if node is None:
            return
        node.dependents.discard(dependent)
        if node.virtual and not node.dependents:
            del self.nodes[owner]


def _virtual(reference: OwnerReference, namespace: str) -> Node:
    key = Key(namespace, reference.name)
    return Node(Identity(reference.uid, reference.api_version, reference.kind, key), virtual=True)


def _is_same(identity: Identity, reference: OwnerReference) -> bool:
    return identity.kind == reference.kind and identity.key.name == reference.name
