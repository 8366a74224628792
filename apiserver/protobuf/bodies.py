"""Protobuf bodies, read only: kubectl's typed commands (create, drain, auth) send nothing else.

Field numbers come from numbers.json, which tools/protobuf_numbers.py reads out of a kubectl binary. Answers are JSON
always: every client takes it.
Source: "Kubernetes Protobuf encoding" of the API concepts; the protobuf wire format.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any

import orjson

from apiserver.decode import bad

Json = dict[str, Any]
Field = tuple[str, str, str, bool]
MAGIC = b"k8s\0"
DEEPEST = 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def numbers() -> dict[str, dict[int, Field]]:
    """Type -> field number -> (JSON name, `one`, `list` or `map`, what, is a pointer)."""
    text = resources.files("apiserver.protobuf").joinpath("numbers.json").read_bytes()
    return {
        name: {int(number): tuple(field) for number, field in fields.items()}
        for name, fields in orjson.loads(text).items()
    }


def type_of(api_version: str, kind: str) -> str:
    """The table's name of a kind: `v1` Pod is `core/v1.Pod`, any DeleteOptions is `meta/v1.DeleteOptions`."""
    if kind in ("DeleteOptions", "Status"):
        return f"meta/v1.{kind}"
    group, _, version = api_version.rpartition("/")
    return f"{group.split('.')[0] or 'core'}/{version}.{kind}"


def loads(data: bytes) -> Json:
    """An object from its protobuf envelope. Raises ApiError 400."""
    if not data.startswith(MAGIC):
        raise bad("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = dict(_fields(data[4:]))
        head = {number: value.decode() for number, value in _fields(_bytes(envelope.get(1, b"")))}
        api_version, kind = head.get(1, ""), head.get(2, "")
        name = type_of(api_version, kind)
        if name not in numbers():
            raise bad(f'no kind "{kind}" is registered for version "{api_version}" in protobuf: send JSON')
        value = message(_bytes(envelope.get(2, b"")), name, 0)
    except (ValueError, IndexError, struct.error, OverflowError, AttributeError, TypeError) as error:
        raise bad(f"malformed protobuf body: {error}") from error
    return {"apiVersion": api_version, "kind": kind} | value


def message(data: bytes, name: str, depth: int) -> Json:
    """A message as JSON. Zero values of fields that are no pointers are left out, as Go's omitempty does."""
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    known = numbers().get(name, {})
    made: Json = {}
    for number, raw in _fields(data):
        field = known.get(number)
        if field is None:
            continue
        key, shape, what, pointer = field
        if shape == "map":
            pair = dict(_fields(_bytes(raw)))
            entry = pair.get(2, b"")
            made.setdefault(key, {})[_bytes(pair.get(1, b"")).decode()] = one(entry, what, depth)
        elif shape == "list":
            made.setdefault(key, []).extend(_packed(raw, what, depth))
        else:
            value = one(raw, what, depth)
            if not key:
                made.update(value)
            elif pointer or value not in (None, "", 0, False, {}):
                made[key] = value
    return made


def _packed(raw: Any, what: str, depth: int) -> Iterator[Any]:
    if what in ("int", "bool") and isinstance(raw, bytes):
        at = 0
        while at < len(raw):
            value, at = _varint(raw, at)
            yield one(value, what, depth)
    else:
        yield one(raw, what, depth)


def one(raw: Any, what: str, depth: int) -> Any:
    """One value of a field."""
    if what == "string":
        return _bytes(raw).decode()
    if what == "int":
        value = int(raw or 0)
        return value - 2**64 if value >= 2**63 else value
    if what == "bool":
        return bool(raw)
    if what == "float":
        return struct.unpack("<d", raw)[0]
    if what == "base64":
        return base64.b64encode(_bytes(raw)).decode()
    special = SPECIAL.get(what)
    return special(dict(_fields(_bytes(raw)))) if special else message(_bytes(raw), what, depth + 1)


def _time(fields: dict[int, Any]) -> str | None:
    if 1 not in fields:
        return None
    seconds = one(fields[1], "int", 0)
    if seconds < -62135596800 + 1:
        return None
    when = EPOCH + timedelta(seconds=seconds, microseconds=int(fields.get(2, 0)) // 1000)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if when.microsecond else when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _int_or_string(fields: dict[int, Any]) -> int | str:
    return _bytes(fields.get(3, b"")).decode() if fields.get(1) else int(one(fields.get(2, 0), "int", 0))


def _raw(fields: dict[int, Any]) -> Any:
    return orjson.loads(_bytes(fields[1])) if fields.get(1) else None


SPECIAL = {
    "time": _time,
    "duration": lambda fields: f"{one(fields.get(1, 0), 'int', 0)}ns",
    "quantity": lambda fields: _bytes(fields.get(1, b"")).decode(),
    "int-or-string": _int_or_string,
    "raw": _raw,
}


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field has the wrong wire type")
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, int or bytes) of every field of a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field is longer than its message")
            yield tag >> 3, data[at : at + size]
            at += size
        elif kind == 1:
            yield tag >> 3, data[at : at + 8]
            at += 8
        elif kind == 5:
            yield tag >> 3, data[at : at + 4]
            at += 4
        else:
            raise ValueError(f"unknown wire type {kind}")
