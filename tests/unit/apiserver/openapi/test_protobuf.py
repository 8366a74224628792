"""The OpenAPI v2 document in protobuf says what its JSON says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.kinds import ALL as KINDS
from apiserver.openapi.documents import whole_v2
from apiserver.openapi.protobuf import document, varint


def read(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, bytes or number) of a message, by the wire format alone."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(data):
        key = number()
        if key & 7 == 2:
            size = number()
            yield key >> 3, data[at : at + size]
            at += size
        elif key & 7 == 1:
            yield key >> 3, data[at : at + 8]
            at += 8
        else:
            yield key >> 3, number()


def of(data: bytes, *path: int) -> list[Any]:
    """All values at a path of field numbers."""
    found: list[Any] = [data]
    for step in path:
        found = [value for one in found for number, value in read(one) if number == step]
    return found


@given(st.integers(0, 2**63))
def test_numbers_survive(value: int) -> None:
    assert list(read(b"\x08" + varint(value))) == [(1, value)]


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, Any], bytes]:
    value = whole_v2(tuple(KINDS))
    return value, document(value)


def test_paths_and_definitions_are_all_there(both: tuple[dict[str, Any], bytes]) -> None:
    value, data = both
    assert [name.decode() for name in of(data, 8, 2, 1)] == list(value["paths"])
    assert [name.decode() for name in of(data, 9, 1, 1)] == list(value["definitions"])


def test_a_client_sees_which_patch_takes_which_parameters(both: tuple[dict[str, Any], bytes]) -> None:
    _, data = both
    patches = [patch for one in of(data, 8, 2, 2) for patch in of(one, 8)]
    kinds = {}
    for patch in patches:
        extensions = dict(zip(of(patch, 13, 1), of(patch, 13, 2, 2), strict=True))
        kind = orjson.loads(extensions[b"x-kubernetes-group-version-kind"])
        kinds[kind["group"], kind["kind"]] = {name.decode() for name in of(patch, 8, 1, 2, 3, 4)}
    assert {"dryRun", "fieldValidation", "fieldManager"} <= kinds["", "Namespace"]
    assert "fieldValidation" in kinds["apps", "Deployment"]


def test_a_schema_keeps_types_references_and_extensions(both: tuple[dict[str, Any], bytes]) -> None:
    _, data = both
    schemas = dict(zip(of(data, 9, 1, 1), of(data, 9, 1, 2), strict=True))
    pod = schemas[b"io.k8s.api.core.v1.PodSpec"]
    properties = dict(zip(of(pod, 25, 1, 1), of(pod, 25, 1, 2), strict=True))
    containers = properties[b"containers"]
    assert of(containers, 22, 1) == [b"array"]
    assert of(containers, 23, 1, 1) == [b"#/definitions/io.k8s.api.core.v1.Container"]
    assert (b"x-kubernetes-patch-merge-key", b'"name"') in zip(
        of(containers, 31, 1), of(containers, 31, 2, 2), strict=True
    )
    assert b"containers" in of(pod, 19)
