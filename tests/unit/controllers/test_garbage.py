"""The graph of owners: the exact inverse of what objects say, whatever the order in which they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.garbage.graph import Graph
from sampan.api.core_v1 import ConfigMap
from sampan.kinds import CONFIG_MAPS


def thing(uid: int, owners: frozenset[int] = frozenset(), *finalizers: str, going: bool = False) -> ConfigMap:
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": f"c{one}", "uid": f"u{one}", "blockOwnerDeletion": True}
        for one in sorted(owners)
    ]
    meta = {"namespace": "ns", "name": f"c{uid}", "uid": f"u{uid}", "ownerReferences": references}
    meta["finalizers"] = list(finalizers)
    if going:
        meta["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    return ConfigMap.from_json({"metadata": meta})


numbers = st.integers(0, 6)
changes = st.lists(st.tuples(numbers, st.one_of(st.none(), st.frozensets(numbers, max_size=3))), max_size=40)


@given(changes)
def test_dependents_are_the_inverse_of_owners(history: list[tuple[int, frozenset[int] | None]]) -> None:
    graph = Graph()
    there: dict[int, frozenset[int]] = {}
    for uid, owners in history:
        if owners is None:
            there.pop(uid, None)
            lost = graph.remove(f"u{uid}")
            assert lost >= {f"u{one}" for one, named in there.items() if uid in named}
        else:
            there[uid] = owners
            looked = graph.observe(CONFIG_MAPS, thing(uid, owners))
            assert bool(owners - there.keys()) <= (f"u{uid}" in looked)
        for one in range(7):
            dependents = {node.identity.uid for node in graph.dependents(f"u{one}")}
            assert dependents == {f"u{other}" for other, named in there.items() if one in named}
        known = {uid for uid, node in graph.nodes.items() if not node.virtual}
        assert known == {f"u{one}" for one in there}
        named = {f"u{one}" for owners in there.values() for one in owners}
        assert {uid for uid, node in graph.nodes.items() if node.virtual} == named - known
        for one, owners in there.items():
            assert graph.is_well_owned(f"u{one}") is owners.issubset(there.keys())


def test_an_owner_in_foreground_deletion_has_its_dependents_looked_at_and_is_told_of_their_end() -> None:
    graph = Graph()
    graph.observe(CONFIG_MAPS, thing(1))
    graph.observe(CONFIG_MAPS, thing(2, frozenset({1})))
    looked = graph.observe(CONFIG_MAPS, thing(1, frozenset(), "foregroundDeletion", going=True))
    assert looked == {"u1", "u2"}
    assert [node.identity.uid for node in graph.blocking("u1")] == ["u2"]
    assert graph.remove("u2") == {"u1"}
    assert graph.blocking("u1") == []
