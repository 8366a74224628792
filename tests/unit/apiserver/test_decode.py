"""Bodies: nulls, unknown and doubled fields, types, YAML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver import decode
from apiserver.protobuf import bodies
from sampan.api.core_v1 import ConfigMap, Pod
from sampan.errors import ApiError

KEYS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def refusal(read: Callable[..., Any], *arguments: Any) -> int:
    """The status of a refusal, 0 if there was none."""
    try:
        read(*arguments)
    except ApiError as error:
        return error.code
    return 0


@given(st.dictionaries(st.sampled_from(["kind", "metadata", "data", "immutable", "nothing"]), VALUES))
def test_any_json_is_read_or_refused_with_400(value: dict[str, Any]) -> None:
    data = orjson.dumps(value)
    read, text, _ = decode.loads(data)
    complaints = decode.clean(read, ConfigMap, text)
    assert ('unknown field "nothing"' in complaints) is ("nothing" in value)
    assert not any(one.startswith("duplicate") for one in complaints)
    assert refusal(decode.typed, read, ConfigMap) in (0, 400)


@given(KEYS, KEYS)
def test_a_doubled_key_is_always_found(key: str, value: str) -> None:
    shown, text = orjson.dumps(key), orjson.dumps(value)
    data = b'{"metadata":{"name":"a"},"data":{%b:%b,"other": "x", %b :%b}}' % (shown, text, shown, text)
    read, raw, _ = decode.loads(data)
    expected = {f'duplicate field "data.{key}"'}
    assert set(decode.clean(read, ConfigMap, raw)) >= (expected if key != "other" else set())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"spec":{"containers":[{"name":5}]}}',
            "number into Go struct field Container.spec.containers.name of type string",
        ),
        (b'{"spec":{"hostNetwork":"yes"}}', "string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        (
            b'{"metadata":{"labels":{"a":true}}}',
            "bool into Go struct field ObjectMeta.metadata.labels.a of type string",
        ),
    ],
)
def test_type_errors_name_struct_and_field(body: bytes, message: str) -> None:
    value, _, _ = decode.loads(body)
    with pytest.raises(ApiError) as caught:
        decode.typed(value, Pod)
    assert caught.value.message == f"json: cannot unmarshal {message}"


def test_nulls_count_as_absent() -> None:
    value, text, _ = decode.loads(b'{"metadata":{"name":"a","creationTimestamp":null},"data":{"a":null}}')
    assert decode.clean(value, ConfigMap, text) == []
    assert value == {"metadata": {"name": "a"}, "data": {"a": ""}}


def test_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ApiError, match="aliases count"):
        decode.from_yaml("\n".join(lines).encode())


def test_yaml_is_read_as_go_reads_it() -> None:
    value, complaints = decode.from_yaml(b"a: y\nb: 2020-01-01\n1: x\na: no\n---\nc: 1")
    assert value == {"a": False, "b": "2020-01-01", "1": "x"}
    assert complaints == ['yaml: unmarshal errors:\n  line 4: key "a" already set in map']


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def test_a_protobuf_object_is_read() -> None:
    entry = field(1, b"x") + field(2, b"1")
    meta = field(1, b"a") + field(3, b"ns") + field(8, b"\x08\x80\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01")
    raw = field(1, meta) + field(2, entry) + bytes([4 << 3, 1])
    envelope = b"k8s\0" + field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, raw)
    value = bodies.loads(envelope)
    assert value == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "ns"},
        "data": {"x": "1"},
        "immutable": True,
    }
    assert decode.clean(value, ConfigMap, None) == []


@given(st.binary(max_size=200))
def test_malformed_protobuf_is_400(data: bytes) -> None:
    head = b"k8s\0" + field(1, field(1, b"v1") + field(2, b"Pod"))
    for body in (data, head + data, head + field(2, data[:120])):
        assert refusal(bodies.loads, body) in (0, 400)


def test_the_numbers_know_every_field_of_our_models() -> None:
    known = {field[0] for field in bodies.numbers()["core/v1.PodSpec"].values()}
    assert set(decode.shape(Pod).fields["spec"][1].fields) <= known
