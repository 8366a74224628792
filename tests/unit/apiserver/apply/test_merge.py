"""Merging applied configurations: laws that hold for any value, and the cases of upstream's documentation."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.apply import types
from apiserver.apply.fieldsets import EMPTY
from apiserver.apply.managers import (
    APPLY,
    KUBECTL,
    LAST_APPLIED,
    Configuration,
    Conflicts,
    Manager,
    apply,
    errors,
    malformed,
    read,
    settled,
    write,
)
from apiserver.apply.merge import merge, prune
from apiserver.apply.values import changes, paths_of
from sampan.api.apps_v1 import Deployment
from sampan.api.core_v1 import ConfigMap, Pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "scalar": {"type": "integer"},
        "record": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "atomic": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "keyed": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name", "port"],
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "port": {"type": "integer", "default": 80},
                    "value": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
TYPE = types.of_schema(SCHEMA)
WORDS = st.sampled_from(["a", "b", "c"])
TABLES = st.dictionaries(WORDS, WORDS, max_size=3)
VALUES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "scalar": st.integers(0, 3),
        "record": st.fixed_dictionaries({}, optional={"a": WORDS, "b": WORDS}),
        "whole": TABLES,
        "map": TABLES,
        "atomic": st.lists(WORDS, max_size=3),
        "set": st.lists(WORDS, max_size=3, unique=True),
        "keyed": st.lists(
            st.fixed_dictionaries(
                {"name": WORDS}, optional={"port": st.sampled_from([80, 81]), "value": WORDS, "labels": TABLES}
            ),
            max_size=3,
            unique_by=lambda one: (one["name"], one.get("port", 80)),
        ),
        "free": st.dictionaries(WORDS, st.one_of(WORDS, TABLES, st.lists(WORDS, max_size=2)), max_size=3),
    },
)


@given(VALUES, VALUES)
def test_merging_sets_all_that_is_applied_and_keeps_the_rest(live: Any, applied: Any) -> None:
    before = copy.deepcopy((live, applied))
    made = merge(live, applied, TYPE)
    assert (live, applied) == before
    assert not changes(merge(made, applied, TYPE), made, TYPE).taken
    assert merge(made, applied, TYPE) == made
    everything, wanted = paths_of(made, TYPE, whole=True), paths_of(applied, TYPE)
    assert not wanted.difference(everything)
    found = changes(live, made, TYPE)
    assert not found.taken.difference(paths_of(applied, TYPE, whole=True))
    assert not found.removed.without(wanted)


@given(VALUES, VALUES)
def test_changes_are_none_for_the_same_and_turn_round(one: Any, other: Any) -> None:
    assert changes(one, copy.deepcopy(one), TYPE) == (EMPTY, EMPTY, EMPTY)
    there, back = changes(one, other, TYPE), changes(other, one, TYPE)
    assert (there.added, there.modified, there.removed) == (back.removed, back.modified, back.added)
    assert any(there) == (merge({}, one, TYPE) != merge({}, other, TYPE)) or sorted(map(str, one)) == sorted(
        map(str, other)
    )


@given(VALUES, VALUES)
def test_pruning_takes_only_what_nobody_keeps(value: Any, last: Any) -> None:
    mine = paths_of(last, TYPE)
    assert prune(value, mine, mine, TYPE) == value
    assert prune(value, EMPTY, EMPTY, TYPE) == value
    left = prune(value, mine, EMPTY, TYPE)
    if last:
        assert not paths_of(left, TYPE).intersection(mine)
    assert not changes(value, left, TYPE).taken


def config(value: dict[str, Any], manager: str = "a", *, force: bool = False) -> Configuration:
    return Configuration(value, TYPE, Manager(manager, APPLY), "example.com/v1", force)


def applied(live: dict[str, Any] | None, value: dict[str, Any], manager: str = "a", *, force: bool = False) -> Any:
    outcome = apply(live, config(value, manager, force=force), NOW)
    metadata = outcome.value.get("metadata", {}) | {"managedFields": write(outcome.managers)}
    return outcome.value | {"metadata": metadata}


def bare(value: dict[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key != "metadata"}


@given(VALUES, VALUES)
def test_one_manager_alone_gets_what_it_applies(first: Any, second: Any) -> None:
    """What it no longer applies goes, whatever it was."""
    live = applied(applied(None, first), second)
    assert not any(changes(bare(live), second, TYPE))


@given(VALUES, VALUES, VALUES)
def test_what_another_applied_stays(mine: Any, theirs: Any, later: Any) -> None:
    live = applied(applied(None, theirs, "b"), mine, force=True)
    owned = read(live["metadata"]["managedFields"]).get(Manager("b", APPLY))
    kept = owned.fields if owned else EMPTY
    left = applied(live, later, force=True)
    assert not kept.difference(paths_of(bare(left), TYPE, whole=True)).without(paths_of(later, TYPE))
    assert not kept.intersection(changes(bare(live), bare(left), TYPE).removed).without(paths_of(later, TYPE))


@given(VALUES, VALUES)
def test_an_apply_conflicts_just_when_it_changes_what_another_applied(theirs: Any, mine: Any) -> None:
    live = applied(None, theirs, "b")
    owned = paths_of(theirs, TYPE)
    taken = changes(theirs, merge(theirs, mine, TYPE), TYPE).taken.intersection(owned)
    if taken:
        with pytest.raises(Conflicts) as caught:
            applied(live, mine)
        assert {path for _, path in caught.value.found} == set(taken.paths())
    else:
        assert not any(changes(bare(applied(live, mine)), merge(theirs, mine, TYPE), TYPE))


@given(VALUES, VALUES)
def test_applying_again_changes_nothing(live: Any, value: Any) -> None:
    once = applied(live or None, value, force=True)
    twice = applied(once, value)
    assert twice == once or bare(twice) == bare(once)
    assert read(twice["metadata"]["managedFields"]).keys() == read(once["metadata"]["managedFields"]).keys()


def test_elements_keep_their_places() -> None:
    live = {"set": ["x", "a", "y", "b", "z"]}
    assert merge(live, {"set": ["a", "n", "b", "m"]}, TYPE)["set"] == ["x", "a", "y", "n", "b", "z", "m"]
    assert merge(live, {"set": ["b", "a"]}, TYPE)["set"] == ["x", "y", "b", "a", "z"]
    assert merge({"set": ["other"]}, {"set": ["mine"]}, TYPE)["set"] == ["other", "mine"]


def test_the_same_value_is_shared_and_stays_until_the_last_lets_go() -> None:
    live = applied(applied(None, {"scalar": 1, "map": {"a": "a"}}, "a"), {"scalar": 1}, "b")
    live = applied(live, {"map": {"a": "a"}}, "a")
    assert bare(live) == {"scalar": 1, "map": {"a": "a"}}
    live = applied(live, {}, "b")
    assert bare(live) == {"map": {"a": "a"}}
    assert [one["manager"] for one in live["metadata"]["managedFields"]] == ["a"]


def test_a_conflict_is_told_as_upstream_tells_it() -> None:
    live = {"scalar": 1, "record": {"a": "a", "b": "b"}}
    updater = Manager("x", api_version="v1")
    live["metadata"] = {"managedFields": write(settled(None, live, TYPE, {}, updater, NOW))}
    with pytest.raises(Conflicts) as caught:
        applied(live, {"scalar": 2})
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "x" using v1: .scalar'
    assert caught.value.causes == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "x" using v1', "field": ".scalar"}
    ]
    with pytest.raises(Conflicts) as caught:
        applied(live, {"scalar": 2, "record": {"a": "z"}})
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "x" using v1:\n- .record.a\n- .scalar'
    )
    forced = applied(live, {"scalar": 2}, force=True)
    assert forced["scalar"] == 2
    assert not changes(applied(forced, {"scalar": 2}), forced, TYPE).removed


def test_an_element_that_only_its_applier_owned_goes_with_all_it_has() -> None:
    live = applied(None, {"keyed": [{"name": "a", "value": "1"}, {"name": "b"}]})
    live["keyed"][0]["labels"] = {"by": "somebody"}
    assert applied(live, {"keyed": [{"name": "b"}]})["keyed"] == [{"name": "b"}]


def test_a_missing_key_has_its_default() -> None:
    live = applied(None, {"keyed": [{"name": "a", "port": 80, "value": "1"}]})
    live = applied(live, {"keyed": [{"name": "a", "value": "2"}]})
    assert [(one["name"], one["value"]) for one in live["keyed"]] == [("a", "2")]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"nope": 1}, ".nope: field not declared in schema"),
        ({"record": {"c": "x"}}, ".record.c: field not declared in schema"),
        ({"set": ["a", "a"]}, '.set: duplicate entries for key [="a"]'),
        ({"keyed": [{"port": 1}]}, None),
        ({"keyed": [{"value": "x", "name": "a"}, {"name": "a", "port": 80}]}, ".keyed: duplicate entries for key"),
        ({"keyed": ["a"]}, ".keyed: element 0: associative list with keys may not have non-map elements"),
        ({"set": [{}]}, ".set: element 0: expected a set of scalars"),
        ({"free": {"any": {"thing": [1]}}}, None),
        ({"nope": 1, "more": 2}, "errors:\n  .nope: field not declared in schema\n  .more: field not declared"),
    ],
)
def test_configurations_that_do_not_fit_are_told(value: dict[str, Any], told: str | None) -> None:
    found = malformed(value, TYPE)
    assert found.startswith(told) if told else not found


def test_a_configuration_nested_without_end_is_told() -> None:
    value: Any = {}
    for _ in range(250):
        value = {"a": value}
    assert "nested more than" in malformed({"free": value}, TYPE)


def test_models_say_how_they_merge() -> None:
    pod = types.of_model(Pod)
    containers = pod.fields["spec"].type.fields["containers"].type
    assert (containers.list_type, containers.keys) == ("map", ("name",))
    ports = containers.items.fields["ports"].type
    assert ports.items.fields["protocol"].default == "TCP"
    spec = {"containers": [{"name": "c", "ports": [{"containerPort": 80}], "args": ["x"]}], "nodeSelector": {"a": "b"}}
    assert paths_of({"spec": spec}, pod).encode() == {
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:args": {},
                    "f:name": {},
                    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                }
            },
            "f:nodeSelector": {},
        }
    }
    deployment = types.of_model(Deployment)
    assert deployment.fields["spec"].type.fields["selector"].type.atomic


def test_a_quantity_may_be_a_number() -> None:
    pod = types.of_model(Pod)
    old, new = ({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": one}}}]}} for one in ("1", 1))
    assert not any(changes(old, new, pod))


def test_what_was_there_before_the_first_apply_is_owned_by_it() -> None:
    live = {"metadata": {"name": "m", "uid": "u"}, "data": {"a": "1", "b": "2"}}
    wanted = Configuration({"data": {"a": "1"}}, types.of_model(ConfigMap), Manager("x", APPLY), "v1")
    outcome = apply(live, wanted, NOW)
    entries = write(outcome.managers)
    assert [(one["manager"], one["operation"]) for one in entries] == [("x", "Apply"), ("before-first-apply", "Update")]
    assert entries[1]["fieldsV1"] == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}


def test_kubectl_takes_over_from_its_client_side() -> None:
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"1"}}'
    live = {"metadata": {"annotations": {LAST_APPLIED: text}}, "data": {"a": "1", "b": "2"}}

    def wanted(name: str, data: dict[str, str]) -> Configuration:
        return Configuration({"data": data}, types.of_model(ConfigMap), Manager(name, APPLY), "v1")

    outcome = apply(live, wanted(KUBECTL, {"a": "9"}), NOW)
    assert outcome.value["data"] == {"a": "9", "b": "2"}
    assert '"a":"9"' in outcome.value["metadata"]["annotations"][LAST_APPLIED]
    with pytest.raises(Conflicts) as caught:
        apply(live, wanted(KUBECTL, {"a": "9", "b": "9"}), NOW)
    assert [cause["field"] for cause in caught.value.causes] == [".data.b"]
    with pytest.raises(Conflicts):
        apply(live, wanted("other", {"a": "9"}), NOW)


def test_many_updaters_become_one() -> None:
    managers: Any = {}
    old: dict[str, Any] = {"free": {}}
    for number in range(14):
        new = {"free": old["free"] | {f"k{number}": "x"}}
        managers = settled(
            old, new, TYPE, managers, Manager(f"m{number}", api_version="v1"), NOW + timedelta(seconds=number)
        )
        old = new
    names = {one.name for one in managers}
    assert len(names) <= 11
    assert "ancient-changes" in names
    assert "m13" in names
    everything = EMPTY
    for owned in managers.values():
        everything = everything.union(owned.fields)
    assert {f"f:k{number}" for number in range(14)} == everything.below("f:free").children.keys()


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"operation": "Merge"}, "metadata.managedFields[0].operation"),
        ({"operation": "Apply", "fieldsType": "V2"}, "metadata.managedFields[0].fieldsType"),
        ({"operation": "Apply", "manager": "x" * 200}, "metadata.managedFields[0].manager"),
        ({"operation": "Apply", "fieldsV1": {"x": 1}}, "metadata.managedFields[0].fieldsV1"),
    ],
)
def test_entries_that_make_no_sense_are_told(entry: dict[str, Any], place: str) -> None:
    assert [error.path for error in errors([entry])] == [place]


def test_metadata_stays_when_its_last_managed_field_goes() -> None:
    live = {"metadata": {"name": "m", "uid": "u"}, "data": {"a": "1"}}
    of = types.of_model(ConfigMap)
    wanted = Configuration({"metadata": {"labels": {"a": "b"}}}, of, Manager("x", APPLY), "v1")
    outcome = apply(live, wanted, NOW)
    live = outcome.value | {"metadata": outcome.value["metadata"] | {"managedFields": write(outcome.managers)}}
    assert live["metadata"]["labels"] == {"a": "b"}
    left = apply(live, Configuration({}, of, Manager("x", APPLY), "v1"), NOW).value
    assert left == {"metadata": {"name": "m", "uid": "u"}, "data": {"a": "1"}}
