"""Sets of field paths keep the laws of sets, and survive FieldsV1."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.apply.fieldsets import EMPTY, FieldSet, decode, decode_root, of_paths, shown

STEPS = st.sampled_from(
    ["f:a", "f:b", "f:x.y/z", 'k:{"name":"a"}', 'k:{"name":"b","port":80}', 'v:"x"', "v:1", "v:true", "i:0"]
)
PATHS = st.frozensets(st.lists(STEPS, min_size=1, max_size=4).map(tuple), max_size=8)


def paths(fields: FieldSet) -> frozenset[tuple[str, ...]]:
    return frozenset(fields.paths())


@given(PATHS, PATHS)
def test_operations_agree_with_those_of_plain_sets(left: frozenset[Any], right: frozenset[Any]) -> None:
    one, other = of_paths(*left), of_paths(*right)
    assert paths(one) == left
    assert paths(one.union(other)) == left | right
    assert paths(one.intersection(other)) == left & right
    assert paths(one.difference(other)) == left - right
    below = {path for path in left if any(path[: len(other)] == other for other in right)}
    assert paths(one.without(other)) == left - below
    assert bool(one) == bool(left)
    assert bool(one.difference(other)) == bool(left - right)


@given(PATHS)
def test_a_set_survives_fields_v1(some: frozenset[Any]) -> None:
    fields = of_paths(*some)
    assert decode_root(fields.encode()) == fields


def test_fields_v1_is_upstreams() -> None:
    port = ("f:ports", 'k:{"containerPort":80,"protocol":"TCP"}')
    fields = of_paths(port, (*port, "f:name"), ("f:finalizers", 'v:"x"'))
    assert fields.encode() == {
        "f:finalizers": {'v:"x"': {}},
        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:name": {}}},
    }


def test_keys_are_compared_in_one_order() -> None:
    assert decode({'k:{"protocol": "TCP", "port": 1}': {}}) == of_paths(('k:{"port":1,"protocol":"TCP"}',))


@pytest.mark.parametrize(
    "value", [[], {"name": {}}, {"f:a": 1}, {"k:[]": {}}, {"k:{}": {}}, {"v:{": {}}, {"i:x": {}}, {"": {}}]
)
def test_what_is_no_fields_v1_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"path element|no JSON|expected|keys of|invalid literal"):
        decode(value)


def test_depth_is_limited() -> None:
    value: Any = {}
    for _ in range(300):
        value = {"f:a": value}
    with pytest.raises(ValueError, match="more than 200 levels"):
        decode(value)


def test_paths_are_shown_as_in_conflicts() -> None:
    assert shown(("f:spec", 'k:{"name":"a","port":80}', "f:image")) == '.spec[name="a",port=80].image'
    assert shown(("f:finalizers", 'v:"x"')) == '.finalizers[="x"]'


def test_the_empty_set_has_no_path() -> None:
    assert decode_root({}) == EMPTY
    assert list(EMPTY.paths()) == []
