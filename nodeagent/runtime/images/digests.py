"""Content digests (OCI image-spec, descriptor.md): `sha256:` and 64 lower-case hexadecimal digits, nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Protocol

from nodeagent.runtime.images.errors import DigestMismatch, FormatError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.match(text) is not None


def parse_digest(text: object, where: str) -> str:
    """`text`, if it is a digest that we can verify. Raises FormatError."""
    if not isinstance(text, str) or not _DIGEST.match(text):
        raise FormatError(where, f"digest {text!r} is not sha256:<64 hexadecimal digits>")
    return text


def hex_of(digest: str) -> str:
    """The hexadecimal part, safe as a file name because the digest was parsed."""
    return digest.removeprefix("sha256:")


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def chain_ids(diff_ids: Iterable[str]) -> tuple[str, ...]:
    """The chain ID of each layer, bottom first (OCI image-spec, config.md, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class DigestingReader:
    """Passes bytes through and keeps their digest and count; raises DigestMismatch from `finish`."""

    def __init__(self, source: Readable, on_read: Callable[[int], None] | None = None) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self._on_read = on_read
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._source.read(size)
        self._hash.update(chunk)
        self.count += len(chunk)
        if self._on_read is not None:
            self._on_read(len(chunk))
        return chunk

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()

    def finish(self, expected: str, where: str) -> None:
        if self.digest != expected:
            raise DigestMismatch(where, f"content has digest {self.digest}, promised was {expected}")
