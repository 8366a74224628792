"""The codec: what is written can be read, and nothing that is read can hurt."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.network.dns.message import (
    AAAA,
    CNAME,
    SOA,
    SRV,
    A,
    Address,
    Authority,
    Edns,
    Message,
    MessageError,
    Question,
    Raw,
    Record,
    ServiceTarget,
    Target,
    decode,
    encode,
    name_of,
    wire_length,
)

LIGHT = settings(max_examples=60, deadline=None)

u8, u16, u32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))
labels = st.binary(min_size=1, max_size=63)
# Few labels, so that names share endings and compression has something to do.
names = st.one_of(
    st.lists(st.sampled_from([b"a", b"b", b"Web", b"svc", b"cluster"]), max_size=6).map(tuple),
    st.lists(labels, max_size=8).map(tuple).filter(lambda name: wire_length(name) <= 255),
)
data = st.one_of(
    st.tuples(st.just(A), st.ip_addresses(v=4).map(lambda ip: Address(str(ip)))),
    st.tuples(st.just(AAAA), st.ip_addresses(v=6).map(lambda ip: Address(str(ip)))),
    st.tuples(st.sampled_from([2, CNAME, 12]), names.map(Target)),
    st.tuples(st.just(SRV), st.builds(ServiceTarget, u16, u16, u16, names)),
    st.tuples(st.just(SOA), st.builds(Authority, names, names, u32, u32, u32, u32, u32)),
    st.tuples(st.sampled_from([16, 13, 99]), st.binary(max_size=300).map(Raw)),
)
records = st.builds(lambda name, ttl, typed, cls: Record(name, typed[0], ttl, typed[1], cls), names, u32, data, u16)
sections = st.lists(records, max_size=4).map(tuple)
edns = st.builds(Edns, u16, u8, st.booleans(), st.lists(st.tuples(u16, st.binary(max_size=20)), max_size=2).map(tuple))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    extra = draw(st.none() | edns)
    return Message(
        id=draw(u16),
        question=draw(st.none() | st.builds(Question, names, u16, u16)),
        response=draw(st.booleans()),
        opcode=draw(st.integers(0, 15)),
        authoritative=draw(st.booleans()),
        truncated=draw(st.booleans()),
        recursion_desired=draw(st.booleans()),
        recursion_available=draw(st.booleans()),
        rcode=draw(st.integers(0, 4095 if extra else 15)),
        answers=draw(sections),
        authorities=draw(sections),
        additionals=draw(sections),
        edns=extra,
    )


@LIGHT
@given(messages())
def test_a_message_survives_its_encoding(message: Message) -> None:
    assert decode(encode(message)) == message


@LIGHT
@given(messages(), st.integers(512, 4096))
def test_a_limited_message_fits_and_says_what_it_lacks(message: Message, limit: int) -> None:
    wire = encode(message, limit)
    assert len(wire) <= max(limit, 512)
    read = decode(wire)
    assert message.answers[: len(read.answers)] == read.answers
    assert read.edns == message.edns
    lacks = (read.answers, read.authorities) != (message.answers, message.authorities)
    assert read.truncated == (message.truncated or lacks)


@LIGHT
@given(st.binary(max_size=600))
def test_random_bytes_are_read_or_refused(wire: bytes) -> None:
    try:
        message = decode(wire)
    except MessageError:
        return
    decode(encode(message))


@LIGHT
@given(messages(), st.data())
def test_damaged_messages_are_read_or_refused(message: Message, data: st.DataObject) -> None:
    wire = bytearray(encode(message))
    for _ in range(3):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(u8)
    with suppress(MessageError):
        decode(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"\xc0\x0c", "leads forward"),  # to itself
        (b"\x01a\xc0\x0c", "leads forward"),  # round and round
        (b"\xc0\xff", "leads forward"),
        (b"\x40a", "unknown kind"),
        (b"\x80a", "unknown kind"),
        (b"\x3fa", "over the message's end"),
        (b"\x3f" + b"a" * 63, "over the message's end"),
        ((b"\x3f" + b"a" * 63) * 5 + b"\0", "255 bytes"),
    ],
)
def test_evil_names_are_refused(name: bytes, why: str) -> None:
    header = bytes.fromhex("000101000001000000000000")
    with pytest.raises(MessageError, match=why):
        decode(header + name)


def test_the_worst_message_is_read_in_no_time() -> None:
    """Records whose names are long chains of pointers, as many as fit."""
    wire = bytearray(bytes.fromhex("0001010000010000ffff0000"))
    wire += b"\x01a" * 120 + b"\0" + bytes(4)
    previous = 12
    while len(wire) < 65000:
        here = len(wire)
        wire += (0xC000 | previous).to_bytes(2, "big") + bytes(10)
        previous = here if here < 0x4000 and here % 100 else 12
    start = time.process_time()
    with pytest.raises(MessageError):
        decode(bytes(wire))
    assert time.process_time() - start < 2


def test_two_questions_are_refused() -> None:
    with pytest.raises(MessageError, match="2 questions"):
        decode(bytes.fromhex("000101000002000000000000") + b"\x01a\0\0\1\0\1" * 2)


def test_names_are_read_from_text() -> None:
    assert name_of("Web.shop.") == (b"web", b"shop")
    for bad in ("a" * 64, ".".join(["abcdefghi"] * 30), "ü.example"):
        with pytest.raises(ValueError, match=r"."):
            name_of(bad)
