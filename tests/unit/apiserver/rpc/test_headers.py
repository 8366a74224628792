"""HPACK without a table, against the examples of RFC 7541 and for any input."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apiserver.rpc.frames import ANSWERS, Broken, Code, ending
from apiserver.rpc.headers import CODE_LENGTHS, HeaderError, fields, literal, number, read_number, text, unsqueeze

EXAMPLES = {  # RFC 7541, appendix C.4 and C.6
    "f1e3c2e5f23a6ba0ab90f4ff": b"www.example.com",
    "a8eb10649cbf": b"no-cache",
    "9d29ad171863c78f0b97c8e9ae82ae43d3": b"https://www.example.com",
    "d07abe941054d444a8200595040b8166e082a62d1bff": b"Mon, 21 Oct 2013 20:13:21 GMT",
}


def squeezed(data: bytes) -> bytes:
    """The Huffman code of a text, by the definition: codes of a length ascend, then one bit more."""
    codes: dict[int, str] = {}
    code = last = 0
    for bits, byte in sorted((bits, byte) for byte, bits in enumerate(CODE_LENGTHS)):
        code <<= bits - last
        codes[byte] = f"{code:0{bits}b}"
        code, last = code + 1, bits
    bits_of_all = "".join(codes[byte] for byte in data)
    bits_of_all += "1" * (-len(bits_of_all) % 8)
    return bytes(int(bits_of_all[at : at + 8], 2) for at in range(0, len(bits_of_all), 8))


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_examples_of_the_rfc_are_read(code: str) -> None:
    assert unsqueeze(bytes.fromhex(code)) == EXAMPLES[code]


def test_the_codes_fill_the_space_of_codes() -> None:
    assert sum(2.0**-bits for bits in CODE_LENGTHS) + 2.0**-30 == 1.0


@given(some.binary(max_size=64))
def test_any_text_survives_its_huffman_code(data: bytes) -> None:
    assert unsqueeze(squeezed(data)) == data


@given(some.integers(0, 2**30), some.integers(4, 7))
def test_any_number_is_read_back(value: int, prefix: int) -> None:
    made = number(value, prefix)
    assert read_number(made, 0, prefix) == (value, len(made))


@given(some.lists(some.tuples(some.binary(min_size=1, max_size=200), some.binary(max_size=200)), max_size=5))
def test_fields_are_read_back(given_fields: list[tuple[bytes, bytes]]) -> None:
    block = b"".join(literal(name, value) for name, value in given_fields)
    assert list(fields(block)) == [(name.decode("latin-1"), value.decode("latin-1")) for name, value in given_fields]


@given(some.binary(max_size=100))
def test_any_bytes_are_fields_or_one_error(block: bytes) -> None:
    with suppress(HeaderError):
        assert all(isinstance(name, str) and isinstance(value, str) for name, value in fields(block))


def test_a_reference_into_the_table_that_is_empty_is_refused() -> None:
    with pytest.raises(HeaderError, match="field 62 of a table that is empty"):
        list(fields(b"\xbe"))


def test_a_status_is_read_with_its_message() -> None:
    block = b"\x88" + literal(b"grpc-status", b"14") + b"\0" + text(b"grpc-message")
    block += (
        b"\x8c"[:0] + bytes((0x80 | len(squeezed(b"etcdserver: no%20leader")),)) + squeezed(b"etcdserver: no%20leader")
    )
    found = ending(block)
    assert (found.code, found.details) == (Code.UNAVAILABLE, "etcdserver: no leader")


@pytest.mark.parametrize("status", ANSWERS)
def test_an_http_error_without_a_status_is_one(status: str) -> None:
    assert ending(literal(b":status", status.encode())).code is ANSWERS[status]


def test_headers_that_cannot_be_read_break_the_connection() -> None:
    with pytest.raises(Broken, match="cannot be read"):
        ending(b"\x40")
