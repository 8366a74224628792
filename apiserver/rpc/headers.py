"""HPACK (RFC 7541) without a dynamic table: ours is announced as empty, and what we send refers to none. Pure."""

from __future__ import annotations

from collections.abc import Iterator

STATUSES = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}
"""What the static table has of `:status`; no other entry of it says anything about a call."""
STATIC_ENTRIES = 61
LONGEST_NUMBER = 2**31
_UPPER_HALF = (
    "20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 "
    "22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 "
    "26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 "
    "20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26"
)
_LOWER_HALF = (
    "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 "
    "6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 "
    "13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 "
    "15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28"
)
CODE_LENGTHS = tuple(int(one) for one in f"{_LOWER_HALF} {_UPPER_HALF}".split())
"""Bits of each byte's Huffman code (appendix B); the codes follow, for equal lengths ascend with the byte."""
END_OF_STRING = 30
"""Bits of the code that never stands in a text: all ones."""


class HeaderError(ValueError):
    """A header block that is not HPACK, or needs the table that we announced as empty."""


def _codes() -> dict[tuple[int, int], int]:
    """(bits, code) -> byte, of the canonical code."""
    made: dict[tuple[int, int], int] = {}
    code, last = 0, 0
    for bits, byte in sorted((bits, byte) for byte, bits in enumerate(CODE_LENGTHS)):
        code <<= bits - last
        made[bits, code] = byte
        code, last = code + 1, bits
    return made


_BYTES = _codes()


def unsqueeze(data: bytes) -> bytes:
    """A text out of its Huffman code. Raises HeaderError."""
    made = bytearray()
    bits = code = 0
    for octet in data:
        for shift in range(7, -1, -1):
            code = code << 1 | (octet >> shift & 1)
            bits += 1
            byte = _BYTES.get((bits, code))
            if byte is not None:
                made.append(byte)
                bits = code = 0
            elif bits >= END_OF_STRING:
                raise HeaderError("a Huffman code that stands for nothing")
    if bits > 7 or code != (1 << bits) - 1:
        raise HeaderError("a Huffman coded text does not end in ones")
    return bytes(made)


def number(value: int, prefix: int, flags: int = 0) -> bytes:
    """An integer with a prefix of so many bits (section 5.1), under the flags above it."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes((flags | value,))
    made = bytearray((flags | most,))
    value -= most
    while value >= 128:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def read_number(data: bytes, at: int, prefix: int) -> tuple[int, int]:
    """An integer, and where it ends. Raises HeaderError."""
    most = (1 << prefix) - 1
    value = data[at] & most
    at += 1
    if value < most:
        return value, at
    shift = 0
    while True:
        if at >= len(data) or value > LONGEST_NUMBER:
            raise HeaderError("an integer does not end")
        octet = data[at]
        at += 1
        value += (octet & 127) << shift
        shift += 7
        if octet < 128:
            return value, at


def text(value: bytes) -> bytes:
    """A text as it is, after its length."""
    return number(len(value), 7) + value


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    if at >= len(data):
        raise HeaderError("a text is missing")
    squeezed = data[at] & 128
    length, at = read_number(data, at, 7)
    raw = data[at : at + length]
    if len(raw) < length:
        raise HeaderError("a text is cut short")
    return (unsqueeze(raw) if squeezed else raw).decode("latin-1"), at + length


def literal(name: bytes, value: bytes) -> bytes:
    """A field that is entered in no table."""
    return b"\0" + text(name) + text(value)


def fields(block: bytes) -> Iterator[tuple[str, str]]:
    """Name and value of each field, in order; the name is empty for static ones other than `:status`.

    Raises HeaderError.
    """
    at = 0
    while at < len(block):
        first = block[at]
        if first & 0x80:
            index, at = read_number(block, at, 7)
            if not 0 < index <= STATIC_ENTRIES:
                raise HeaderError(f"field {index} of a table that is empty")
            yield (":status", STATUSES[index]) if index in STATUSES else ("", "")
            continue
        if first & 0xE0 == 0x20:
            size, at = read_number(block, at, 5)
            if size:
                raise HeaderError(f"a table of {size} bytes, where none is allowed")
            continue
        index, at = read_number(block, at, 6 if first & 0x40 else 4)
        if index > STATIC_ENTRIES:
            raise HeaderError(f"the name of field {index} of a table that is empty")
        name = ""
        if not index:
            name, at = _read_text(block, at)
        elif index in STATUSES:
            name = ":status"
        value, at = _read_text(block, at)
        yield name, value
