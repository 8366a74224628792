"""Decompression of layers as a stream, with the compressed and the plain digest and a guard against bombs.

What a layer is compressed with is told by its first bytes, as Docker and containerd do; its media type may only forbid.
"""

from __future__ import annotations

import zlib

from nodeagent.runtime.images.digests import Readable
from nodeagent.runtime.images.errors import FormatError, UnsafeLayer

CHUNK = 1 << 18
_REFUSED = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x04\x22\x4d\x18": "lz4"}


class Plain:
    """The bytes of a stream that is gzip (any number of members) or not compressed. Raises FormatError, UnsafeLayer."""

    def __init__(
        self, source: Readable, where: str, *, media_type: str = "", most: int, ratio: int, ratio_from: int
    ) -> None:
        self._source = source
        self._where = where
        self._most = most
        self._ratio = ratio
        self._ratio_from = ratio_from
        self._taken = 0
        self._given = 0
        self._gzip: zlib._Decompress | None = None
        self._between = False
        if "encrypted" in media_type or media_type.endswith("+zstd"):
            raise FormatError(where, f"media type {media_type!r} is not supported", "push it with gzip layers")
        self._input = self._take()
        while 0 < len(self._input) < 6 and (more := self._take()):
            self._input += more
        for magic, name in _REFUSED.items():
            if self._input.startswith(magic):
                raise FormatError(
                    where, f"is compressed with {name}, which is not supported", "push it with gzip layers"
                )
        self.compressed = self._input.startswith(b"\x1f\x8b")
        if self.compressed:
            self._gzip = zlib.decompressobj(31)

    def _take(self) -> bytes:
        chunk = self._source.read(CHUNK)
        self._taken += len(chunk)
        return chunk

    def read(self, size: int = CHUNK, /) -> bytes:
        chunk = self._inflate(size) if self.compressed else self._copy(size)
        self._given += len(chunk)
        if self._given > self._most:
            raise UnsafeLayer(self._where, f"unpacks to more than {self._most} bytes")
        if self._given > self._ratio_from and self._given > self._ratio * self._taken:
            raise UnsafeLayer(
                self._where,
                f"unpacks to more than {self._ratio} times its size (so far {self._given} from {self._taken} bytes)",
            )
        return chunk

    def _copy(self, size: int) -> bytes:
        if not self._input:
            self._input = self._take()
        chunk, self._input = self._input[:size], self._input[size:]
        return chunk

    def _inflate(self, size: int) -> bytes:
        while self._gzip is not None:
            if not self._input:
                self._input = self._take()
                if not self._input:
                    if self._between:
                        self._gzip = None
                        break
                    raise FormatError(self._where, "its gzip stream ends too early", "it is truncated: fetch it again")
            if self._between:
                self._input = self._input.lstrip(b"\0")  # gzip pads to tape blocks with zeros
                if not self._input:
                    continue
                self._gzip, self._between = zlib.decompressobj(31), False
            try:
                chunk = self._gzip.decompress(self._input, size)
            except zlib.error as error:
                raise FormatError(self._where, f"its gzip stream is broken ({error})") from None
            if self._gzip.eof:
                self._input, self._between = self._gzip.unused_data, True
            else:
                self._input = self._gzip.unconsumed_tail
            if chunk:
                return chunk
        return b""
