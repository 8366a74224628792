"""ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Kind, Strategy
from apiserver.kinds.cells import Plain
from apiserver.kinds.data import MOST_BYTES, check_binary, check_closed, check_keys, decoded_size
from sampan.api.core_v1 import ConfigMap
from sampan.errors import FieldError
from sampan.kinds import CONFIG_MAPS


def count(o: Plain) -> int:
    """How many keys there are."""
    return len(o.get("data") or ()) + len(o.get("binaryData") or ())


def validate(one: ConfigMap) -> Iterator[FieldError]:
    """Keys are file names, and each stands once."""
    yield from check_keys(one.data, "data")
    for key in one.data:
        if key in one.binary_data:
            yield FieldError.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    yield from check_keys(one.binary_data, "binaryData")
    yield from check_binary(one.binary_data, "binaryData")
    size = sum(len(text.encode()) for text in one.data.values())
    size += sum(decoded_size(text) or 0 for text in one.binary_data.values())
    if size > MOST_BYTES:
        yield FieldError.too_long("[]", MOST_BYTES)


def validate_update(new: ConfigMap, old: ConfigMap) -> Iterator[FieldError]:
    """An immutable one stays as it is."""
    yield from check_closed(
        (new.immutable, {"data": new.data, "binaryData": new.binary_data}),
        (old.immutable, {"data": old.data, "binaryData": old.binary_data}),
    )


CONFIG_MAP = Kind(
    CONFIG_MAPS,
    columns=(NAME, Column("Data", count, type="integer", description="How many keys it has."), AGE),
    strategy=Strategy[ConfigMap](validate=validate, validate_update=validate_update),
)
