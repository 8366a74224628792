"""How pods spread when they say nothing about it: away from the pods of the same services and replica set.

Source: "Pod Topology Spread Constraints", internal default constraints: over hosts (maxSkew 3) and zones (5), both
as preferences.
"""

from __future__ import annotations

from sampan.api.apps_v1 import ReplicaSet
from sampan.api.core_v1 import Pod, Service
from sampan.informer import Change
from sampan.selectors import Selector, of_map
from scheduler.terms import compile_selector

MOST_REMEMBERED = 4096


class DefaultSpread:
    """Which pods a pod belongs with, from the services and replica sets as informers tell of them."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, dict[str, str]]] = {}
        self._replica_sets: dict[str, Selector] = {}
        self._remembered: dict[object, Selector | None] = {}

    def on_service(self, change: Change[Service]) -> None:
        """A service came, went or changed."""
        service = change.object
        namespace, name = service.metadata.namespace or "", service.metadata.name or ""
        wanted = dict(change.new.spec.selector) if change.new is not None else {}
        known = self._services.setdefault(namespace, {})
        if known.get(name, {}) == wanted:
            return
        if wanted:
            known[name] = wanted
        else:
            known.pop(name, None)
        self._remembered.clear()

    def on_replica_set(self, change: Change[ReplicaSet]) -> None:
        """A replica set came, went or changed."""
        uid = change.object.metadata.uid or ""
        selector = compile_selector(change.new.spec.selector) if change.new is not None else None
        if self._replica_sets.get(uid) == selector:
            return
        if selector is None:
            self._replica_sets.pop(uid, None)
        else:
            self._replica_sets[uid] = selector
        self._remembered.clear()

    def selector(self, pod: Pod) -> Selector | None:
        """The pods that a pod should be spread among; None if it belongs to nothing, or says itself what it wants."""
        if pod.spec.topology_spread_constraints:
            return None
        meta = pod.metadata
        owner = next((one.uid for one in meta.owner_references if one.controller and one.kind == "ReplicaSet"), "")
        key = (meta.namespace, owner, tuple(meta.labels.items()))
        if key not in self._remembered:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = self._find(meta.namespace or "", owner, meta.labels)
        return self._remembered[key]

    def _find(self, namespace: str, owner: str, labels: dict[str, str]) -> Selector | None:
        merged: dict[str, str] = {}
        for wanted in self._services.get(namespace, {}).values():
            if wanted.items() <= labels.items():
                merged |= wanted
        requirements = list(of_map(merged).requirements)
        replica_set = self._replica_sets.get(owner)
        if replica_set is not None:
            requirements += [one for one in replica_set.requirements if one not in requirements]
        return Selector(tuple(requirements)) if requirements else None
