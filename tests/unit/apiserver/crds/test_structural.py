"""Pruning and defaulting by structural schemas."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apiserver.crds.structural import fill, of_json, prune

names = st.sampled_from(["a", "b", "c", "d"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(names, inner, max_size=3).map(
        lambda properties: {"type": "object", "properties": properties}
    )


schemas: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "default": "x"},
            {"type": "integer", "nullable": True, "default": 1},
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            {"type": "object", "default": {}, "properties": {"a": {"type": "integer", "default": 7}}},
            {"type": "object", "additionalProperties": True},
        ]
    ),
    lambda inner: st.one_of(
        _object(inner),
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda extra: {"type": "object", "additionalProperties": extra}),
    ),
    max_leaves=8,
)


def pruned(value: Any, raw: Any) -> tuple[Any, list[str]]:
    made = copy.deepcopy(value)
    unknown: list[str] = []
    changed = prune(made, of_json(raw), unknown.append)
    assert changed is (made != value) is bool(unknown)
    return made, unknown


def filled(value: Any, raw: Any) -> Any:
    made = copy.deepcopy(value)
    changed = fill(made, of_json(raw))
    assert changed or made == value
    return made


@given(values, schemas)
def test_what_was_pruned_and_filled_once_stays(value: Any, raw: Any) -> None:
    once = filled(pruned(value, raw)[0], raw)
    again, unknown = pruned(once, raw)
    assert not unknown
    assert filled(again, raw) == once


@given(values, schemas)
def test_nothing_is_invented_by_pruning(value: Any, raw: Any) -> None:
    def leaves(one: Any, path: str = "") -> dict[str, Any]:
        if isinstance(one, dict):
            return {k: v for key, inner in one.items() for k, v in leaves(inner, f"{path}.{key}").items()} | {path: 0}
        if isinstance(one, list):
            return {k: v for at, inner in enumerate(one) for k, v in leaves(inner, f"{path}[{at}]").items()} | {path: 1}
        return {path: one}

    made, unknown = pruned(value, raw)
    before, after = leaves(value), leaves(made)
    assert after.items() <= before.items()
    assert all(any(gone.removeprefix(".").startswith(one) for one in unknown) for gone in before.keys() - after.keys())


def test_unknown_fields_go_and_are_told_with_their_paths() -> None:
    raw = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                    "free": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                        "properties": {"strict": {"type": "object", "properties": {"b": {"type": "string"}}}},
                    },
                    "template": {
                        "type": "object",
                        "x-kubernetes-embedded-resource": True,
                        "properties": {"spec": {"type": "object"}},
                    },
                },
            }
        },
    }
    value = {
        "apiVersion": "a/v1",
        "kind": "K",
        "metadata": {"name": "n", "nam": "x"},
        "other": 1,
        "spec": {
            "list": [{"a": "1", "x": 1}, {"y": 2}],
            "free": {"any": {"thing": 1}, "strict": {"b": "", "c": 1}},
            "template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {}, "z": 1}, "spec": {}, "w": 1},
        },
    }
    unknown: list[str] = []
    prune(value, of_json(raw), unknown.append, root=True)
    assert sorted(unknown) == [
        "metadata.nam",
        "other",
        "spec.free.strict.c",
        "spec.list[0].x",
        "spec.list[1].y",
        "spec.template.metadata.z",
        "spec.template.w",
    ]
    assert value["spec"]["free"] == {"any": {"thing": 1}, "strict": {"b": ""}}  # type: ignore[index]  # plain JSON


def test_nulls_give_way_to_defaults_or_go() -> None:
    raw = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "default": "x"},
            "b": {"type": "string", "default": "x", "nullable": True},
            "c": {"type": "string"},
            "d": {"type": "string", "nullable": True},
            "e": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    value = {"a": None, "b": None, "c": None, "d": None, "e": {"k": None, "l": "v"}}
    assert filled(value, raw) == {"a": "x", "b": None, "d": None, "e": {"l": "v"}}
    assert filled({}, raw) == {"a": "x", "b": "x"}


def test_defaults_are_not_shared() -> None:
    schema = of_json({"type": "object", "properties": {"a": {"type": "object", "default": {"b": []}}}})
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    fill(one, schema)
    one["a"]["b"].append(1)
    fill(other, schema)
    assert other == {"a": {"b": []}}
