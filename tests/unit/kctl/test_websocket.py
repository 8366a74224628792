"""The WebSocket client's frames: the examples of RFC 6455, any cut of the stream, and a peer that breaks the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kctl.http import ConnectionFailed
from kctl.websocket import BINARY, CLOSE, PING, TEXT, Decoder, Message, encode


def frame(opcode: int, data: bytes, *, final: bool = True) -> bytes:
    """A server's frame: not masked."""
    length = len(data)
    size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
    return bytes([(0x80 if final else 0) | opcode]) + size + data


def test_the_rfc_s_examples() -> None:
    assert list(Decoder().feed(bytes.fromhex("810548656c6c6f"))) == [Message(TEXT, b"Hello")]
    assert list(Decoder().feed(bytes.fromhex("010348656c80026c6f"))) == [Message(TEXT, b"Hello")]
    assert encode(TEXT, b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
def test_a_mask_comes_off_at_every_length(length: int) -> None:
    mask, data = b"\x01\x02\x03\x04", bytes(range(256)) * (length // 256 + 1)
    data = data[:length]
    sent = encode(BINARY, data, mask)
    body = sent[len(sent) - length :]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)) == data


@given(st.lists(st.binary(max_size=300), max_size=6), st.data())
def test_messages_survive_any_cut(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frame(BINARY, one) for one in messages)
    decoder = Decoder()
    found: list[Message] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += decoder.feed(stream[:size])
        stream = stream[size:]
    assert found == [Message(BINARY, one) for one in messages]


def test_a_control_frame_may_stand_between_fragments() -> None:
    stream = frame(BINARY, b"a", final=False) + frame(PING, b"p") + frame(0, b"b")
    assert list(Decoder().feed(stream)) == [Message(PING, b"p"), Message(BINARY, b"ab")]
    assert list(Decoder().feed(frame(CLOSE, b""))) == [Message(CLOSE, b"")]


@pytest.mark.parametrize(
    "stream",
    [
        frame(0, b"a"),
        frame(BINARY, b"a", final=False) + frame(BINARY, b"b"),
        b"\xc2\x01a",
        b"\x82\x81\0\0\0\0a",
        b"\x82\x7f" + (1 << 40).to_bytes(8, "big"),
    ],
)
def test_a_broken_protocol_ends_the_connection(stream: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        list(Decoder().feed(stream))
