"""What ConfigMaps and Secrets share: their keys become file names, and they may be closed to changes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping

from sampan import names
from sampan.errors import FieldError

MOST_BYTES = 1024 * 1024
"""Most bytes of all values together."""


def check_keys(data: Mapping[str, str], path: str) -> Iterator[FieldError]:
    """Every key is a file name."""
    for key in data:
        for complaint in names.config_key(key):
            yield FieldError.invalid(f"{path}[{key}]", key, complaint)


def decoded_size(text: str) -> int | None:
    """Bytes that a base64 text stands for; None if it is none."""
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def check_binary(data: Mapping[str, str], path: str) -> Iterator[FieldError]:
    """Every value is base64."""
    for key, text in data.items():
        if decoded_size(text) is None:
            yield FieldError.invalid(f"{path}[{key}]", "<value omitted>", "illegal base64 data")


def check_closed(
    new: tuple[bool | None, Mapping[str, Mapping[str, str]]], old: tuple[bool | None, Mapping[str, Mapping[str, str]]]
) -> Iterator[FieldError]:
    """An immutable object stays as it is, for good."""
    if not old[0]:
        return
    if not new[0]:
        yield FieldError.forbidden("immutable", "field is immutable when `immutable` is set")
    for member, before in old[1].items():
        if new[1][member] != before:
            yield FieldError.forbidden(member, "field is immutable when `immutable` is set")
