"""Values that schemas refuse, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.crds import formats
from apiserver.crds.validation import check


def told(value: Any, schema: Any) -> list[str]:
    return [str(error) for error in check(value, schema, "spec.x")]


X = "spec.x: Invalid value: "
ONE_ONLY = "must validate one and only one schema"
BODY = "spec.x in body"
CASES: list[tuple[Any, Any, list[str]]] = [
    ({"type": "integer"}, "a", [f'{X}"string": {BODY} must be of type integer: "string"']),
    ({"type": "integer"}, 1.5, [f'{X}"number": {BODY} must be of type integer: "number"']),
    ({"type": "integer"}, 2.0, []),
    ({"type": "integer"}, True, [f'{X}"boolean": {BODY} must be of type integer: "boolean"']),
    ({"type": "number"}, 1, []),
    ({"type": "string"}, None, [f'{X}"null": {BODY} must be of type string: "null"']),
    ({"type": "string", "nullable": True}, None, []),
    ({"x-kubernetes-int-or-string": True}, [], [f'{X}"array": {BODY} must be of type integer,string: "array"']),
    ({"x-kubernetes-int-or-string": True}, "50%", []),
    ({"type": "integer", "minimum": 1}, 0, [f"{X}0: {BODY} should be greater than or equal to 1"]),
    (
        {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
        1,
        [f"{X}1: {BODY} should be greater than 1"],
    ),
    ({"type": "number", "maximum": 1.5}, 2, [f"{X}2: {BODY} should be less than or equal to 1.5"]),
    ({"type": "number", "maximum": 2, "exclusiveMaximum": True}, 2, [f"{X}2: {BODY} should be less than 2"]),
    ({"type": "integer", "multipleOf": 5}, 7, [f"{X}7: {BODY} should be a multiple of 5"]),
    ({"type": "integer", "multipleOf": 5}, 10**30, []),
    ({"type": "string", "maxLength": 2}, "abc", ["spec.x: Too long: may not be more than 2 bytes"]),
    ({"type": "string", "minLength": 2}, "a", [f'{X}"a": {BODY} should be at least 2 chars long']),
    ({"type": "string", "pattern": "^a+$"}, "b", [f"{X}\"b\": {BODY} should match '^a+$'"]),
    ({"type": "string", "enum": ["a", "b"]}, "c", ['spec.x: Unsupported value: "c": supported values: "a", "b"']),
    ({"enum": [1, True]}, 1, []),
    ({"type": "integer", "enum": [1, 2]}, 3, ['spec.x: Unsupported value: 3: supported values: "1", "2"']),
    ({"type": "string", "format": "date-time"}, "now", [f'{X}"now": {BODY} must be of type date-time: "now"']),
    ({"type": "string", "format": "something-else"}, "now", []),
    ({"type": "array", "minItems": 1, "items": {}}, [], [f"{X}0: {BODY} should have at least 1 items"]),
    ({"type": "array", "maxItems": 1, "items": {}}, [1, 2], ["spec.x: Too many: 2: must have at most 1 items"]),
    (
        {"type": "array", "items": {"type": "string"}},
        ["a", 1],
        ['spec.x[1]: Invalid value: "integer": spec.x[1] in body must be of type string: "integer"'],
    ),
    (
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        ["a", "b", "a", "a"],
        ['spec.x[2]: Duplicate value: "a"'],
    ),
    (
        {
            "type": "array",
            "items": {"type": "object"},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
        [{"name": "a", "v": 1}, {"name": "b"}, {"name": "a"}],
        ['spec.x[2]: Duplicate value: {"name":"a"}'],
    ),
    ({"type": "array", "items": {}, "uniqueItems": True}, [1, 1], [f"{X}[1,1]: {BODY} shouldn't contain duplicates"]),
    ({"type": "object", "required": ["a"]}, {}, ["spec.x.a: Required value"]),
    ({"type": "object", "minProperties": 1}, {}, [f"{X}0: {BODY} should have at least 1 properties"]),
    (
        {"type": "object", "maxProperties": 1},
        {"a": 1, "b": 2},
        ["spec.x: Too many: 2: must have at most 1 items"],
    ),
    (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"a": "b"},
        ['spec.x.a: Invalid value: "string": spec.x.a in body must be of type integer: "string"'],
    ),
    (
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"a": 1, "b": 1},
        [f'<nil>: Invalid value: "": "spec.x" {ONE_ONLY} (oneOf). Found 2 valid alternatives'],
    ),
    (
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {},
        [
            "spec.x.a: Required value",
            '<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found none valid',
        ],
    ),
    (
        {"anyOf": [{"minimum": 5}, {"maximum": 1}]},
        3,
        [
            f"{X}3: {BODY} should be greater than or equal to 5",
            '<nil>: Invalid value: "": "spec.x" must validate at least one schema (anyOf)',
        ],
    ),
    (
        {"allOf": [{"minimum": 5}]},
        3,
        [
            f"{X}3: {BODY} should be greater than or equal to 5",
            '<nil>: Invalid value: "": "spec.x" must validate all the schemas (allOf)',
        ],
    ),
    ({"not": {"enum": [3]}}, 3, ['<nil>: Invalid value: "": "spec.x" must not validate the schema (not)']),
    (
        {"type": "object", "x-kubernetes-embedded-resource": True},
        {"kind": "Pod"},
        ["spec.x.apiVersion: Required value: must not be empty"],
    ),
]


@pytest.mark.parametrize(("schema", "value", "errors"), CASES)
def test_a_value_is_refused_in_upstreams_words(schema: Any, value: Any, errors: list[str]) -> None:
    assert told(value, schema) == errors


def test_what_an_update_does_not_change_is_not_held_against_it() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "maximum": 1},
            "b": {"type": "integer", "maximum": 1},
            "c": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["n"],
                "items": {
                    "type": "object",
                    "properties": {"n": {"type": "string"}, "v": {"type": "integer", "maximum": 1}},
                },
            },
        },
    }
    before = {"a": 5, "b": 1, "c": [{"n": "x", "v": 9}]}
    after = {"a": 5, "b": 7, "c": [{"n": "y", "v": 8}, {"n": "x", "v": 9}]}
    assert [error.path for error in check(after, schema, "", before)] == ["b", "c[0].v"]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from([schema for schema, _, _ in CASES]),
)
def test_any_value_is_accepted_or_refused(value: Any, schema: Any) -> None:
    for error in check(value, schema, "spec.x"):
        assert error.path.startswith("spec.x") or error.path == "<nil>"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "fe80::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("mac", "00:1b:44:11:3a:b7", "00:1b:44:11:3a"),
        ("uuid", "7f1c3f7e-7a5e-4b0e-9a39-0a1c5b7d2f11", "7f1c"),
        ("uuid4", "7f1c3f7e-7a5e-4b0e-9a39-0a1c5b7d2f11", "7f1c3f7e-7a5e-1b0e-9a39-0a1c5b7d2f11"),
        ("date", "2026-02-28", "2026-02-30"),
        ("date-time", "2026-01-01T10:00:00.5Z", "2026-01-01"),
        ("duration", "1h30m", "1 fortnight"),
        ("byte", "aGk=", "aGk"),
        ("email", "a@example.com", "a.example.com"),
        ("hostname", "a.example.com", "-a"),
        ("uri", "http://example.com/a", "no uri"),
        ("isbn10", "0-306-40615-2", "0-306-40615-3"),
        ("isbn13", "978-0-306-40615-7", "978-0-306-40615-8"),
        ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("hexcolor", "#fff", "#ffz"),
        ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"),
        ("k8s-short-name", "web", "Web"),
    ],
)
def test_formats(name: str, good: str, bad: str) -> None:
    assert formats.fits(name, good)
    assert not formats.fits(name, bad)
