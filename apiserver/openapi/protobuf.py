"""A Swagger 2.0 document in protobuf, as kubectl asks for it when it is given a List. Pure.

Field numbers are those of gnostic's OpenAPIv2.proto. A message is a table: JSON key -> (field number, what it holds).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson

MEDIA = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWERED = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
Encode = Callable[[Any], bytes]
"""The bytes of a field's value, length included where it has one."""
Table = Mapping[str, tuple[int, Encode]]


def varint(value: int) -> bytes:
    """Base 128, the low digits first. Negative numbers as 64-bit two's complement."""
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def delimited(data: bytes) -> bytes:
    """With its length in front."""
    return varint(len(data)) + data


def string(value: Any) -> bytes:
    """Text."""
    return delimited(str(value).encode())


def boolean(value: Any) -> bytes:
    """true is 1."""
    return varint(1 if value else 0)


def whole(value: Any) -> bytes:
    """An int64."""
    return varint(int(value))


def double(value: Any) -> bytes:
    """Eight bytes."""
    return struct.pack("<d", float(value))


def anything(value: Any) -> bytes:
    """An Any: its field 2 is YAML, of which JSON is a part."""
    return delimited(field(2, string, orjson.dumps(value).decode()))


WIRES: Mapping[Encode, int] = {boolean: 0, whole: 0, double: 1}
"""Wire types of what has no length in front."""


def field(number: int, encode: Encode, value: Any) -> bytes:
    """A field with its key."""
    wire = WIRES.get(encode, 2)
    return varint(number << 3 | wire) + encode(value)


def fields(table: Table, value: Mapping[str, Any], extensions: int = 0) -> bytes:
    """The fields of a message. Lists become repeated fields; `x-...` keys go to the field number `extensions`."""
    parts: list[bytes] = []
    for key, inner in value.items():
        found = table.get(key)
        if found is not None:
            number, encode = found
            parts += [field(number, encode, one) for one in (inner if isinstance(inner, list) else [inner])]
        elif extensions and key.startswith("x-"):
            parts.append(varint(extensions << 3 | 2) + delimited(pair(anything)((key, inner))))
    return b"".join(parts)


def pair(encode: Encode) -> Callable[[tuple[str, Any]], bytes]:
    """A name and its value."""
    return lambda item: field(1, string, item[0]) + field(2, encode, item[1])


def named(encode: Encode, number: int = 1) -> Encode:
    """A message whose one repeated field are names and values: how maps are told."""
    one = pair(encode)
    return lambda value: delimited(b"".join(varint(number << 3 | 2) + delimited(one(item)) for item in value.items()))


def wrapped(number: int, encode: Encode) -> Encode:
    """A message of one field."""
    return lambda value: delimited(field(number, encode, value))


def schema(value: Any) -> bytes:
    """A Schema."""
    return delimited(fields(SCHEMA, value, extensions=31))


def additional(value: Any) -> bytes:
    """A schema, or whether anything goes."""
    return delimited(field(2, boolean, value) if isinstance(value, bool) else field(1, schema, value))


def parameter(value: Any) -> bytes:
    """A ParametersItem that holds a Parameter that holds the one of its place."""
    if value["in"] == "body":
        return delimited(field(1, wrapped(1, lambda one: delimited(fields(BODY, one, extensions=6))), value))
    number, table, extensions = (3, QUERY, 23) if value["in"] == "query" else (4, PATH, 22)
    inner = wrapped(number, lambda one: delimited(fields(table, one, extensions=extensions)))
    return delimited(field(1, wrapped(2, inner), value))


def response(value: Any) -> bytes:
    """A ResponseValue."""
    return delimited(field(1, lambda one: delimited(fields(RESPONSE, one, extensions=5)), value))


def operation(value: Any) -> bytes:
    """An Operation."""
    return delimited(fields(OPERATION, value, extensions=13))


def item(value: Any) -> bytes:
    """A PathItem."""
    return delimited(fields(ITEM, value, extensions=10))


def security(value: Any) -> bytes:
    """A SecurityRequirement: what is required, and which scopes of it."""
    scopes: Encode = lambda one: delimited(b"".join(field(1, string, scope) for scope in one))  # noqa: E731
    return named(scopes)(value)


SCHEMA: Table = {
    "$ref": (1, string), "format": (2, string), "title": (3, string), "description": (4, string),
    "default": (5, anything), "multipleOf": (6, double), "maximum": (7, double), "exclusiveMaximum": (8, boolean),
    "minimum": (9, double), "exclusiveMinimum": (10, boolean), "maxLength": (11, whole), "minLength": (12, whole),
    "pattern": (13, string), "maxItems": (14, whole), "minItems": (15, whole), "uniqueItems": (16, boolean),
    "maxProperties": (17, whole), "minProperties": (18, whole), "required": (19, string), "enum": (20, anything),
    "additionalProperties": (21, additional), "type": (22, wrapped(1, string)), "items": (23, wrapped(1, schema)),
    "allOf": (24, schema), "properties": (25, named(schema)), "readOnly": (27, boolean), "example": (30, anything),
}  # fmt: skip
BODY: Table = {
    "description": (1, string), "name": (2, string), "in": (3, string), "required": (4, boolean), "schema": (5, schema),
}  # fmt: skip
QUERY: Table = {
    "required": (1, boolean), "in": (2, string), "description": (3, string), "name": (4, string), "type": (6, string),
    "format": (7, string), "uniqueItems": (20, boolean),
}  # fmt: skip
PATH: Table = {
    "required": (1, boolean), "in": (2, string), "description": (3, string), "name": (4, string), "type": (5, string),
    "format": (6, string), "uniqueItems": (19, boolean),
}  # fmt: skip
RESPONSE: Table = {"description": (1, string), "schema": (2, wrapped(1, schema))}
OPERATION: Table = {
    "tags": (1, string), "summary": (2, string), "description": (3, string), "operationId": (5, string),
    "produces": (6, string), "consumes": (7, string), "parameters": (8, parameter), "responses": (9, named(response)),
    "schemes": (10, string), "deprecated": (11, boolean),
}  # fmt: skip
ITEM: Table = {
    "$ref": (1, string), "get": (2, operation), "put": (3, operation), "post": (4, operation), "delete": (5, operation),
    "options": (6, operation), "head": (7, operation), "patch": (8, operation), "parameters": (9, parameter),
}  # fmt: skip
API_KEY: Table = {"type": (1, string), "name": (2, string), "in": (3, string), "description": (4, string)}
DOCUMENT: Table = {
    "swagger": (1, string),
    "info": (2, lambda value: delimited(fields({"title": (1, string), "version": (2, string)}, value))),
    "paths": (8, named(item, 2)),
    "definitions": (9, named(schema)),
    "security": (12, security),
    "securityDefinitions": (13, named(wrapped(2, lambda value: delimited(fields(API_KEY, value))))),
}


def document(value: Mapping[str, Any]) -> bytes:
    """The whole document."""
    return fields(DOCUMENT, value, extensions=16)
