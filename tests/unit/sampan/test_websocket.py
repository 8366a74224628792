"""WebSocket framing (RFC 6455)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.websocket import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Decoder,
    Message,
    WebSocketError,
    accept_key,
    encode,
)

messages = st.lists(
    st.one_of(
        st.builds(Message, st.sampled_from([TEXT, BINARY]), st.binary(max_size=300)),
        st.builds(Message, st.sampled_from([PING, CLOSE]), st.binary(max_size=125)),
    ),
    max_size=6,
)


@given(messages, st.one_of(st.just(b""), st.binary(min_size=4, max_size=4)), st.integers(1, 50))
def test_messages_come_back_as_they_went_however_they_are_cut(sent, mask: bytes, step: int) -> None:
    wire = b"".join(encode(message.opcode, message.data, mask) for message in sent)
    decoder, came = Decoder(from_client=bool(mask)), []
    for at in range(0, len(wire), step):
        came += decoder.feed(wire[at : at + step])
    assert came == sent


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_messages_or_a_clear_error(noise: bytes, from_client: bool) -> None:
    with contextlib.suppress(WebSocketError):
        assert all(len(message.data) <= 1000 for message in Decoder(1000, from_client=from_client).feed(noise))


def test_long_messages_use_the_longer_lengths() -> None:
    for size in (125, 126, 65535, 65536):
        [message] = Decoder().feed(encode(BINARY, bytes(size), b"abcd"))
        assert len(message.data) == size


def test_a_message_in_fragments_with_a_ping_in_the_middle() -> None:
    def frame(first: int, data: bytes) -> bytes:
        return bytes((first, 0x80 | len(data), 0, 0, 0, 0)) + data

    wire = frame(BINARY, b"one ") + frame(0x80 | PING, b"?") + frame(0, b"two ") + frame(0x80, b"three")
    assert list(Decoder().feed(wire)) == [Message(PING, b"?"), Message(BINARY, b"one two three")]


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (encode(BINARY, b"x"), "not masked"),
        (bytes((0x82 | 0x40, 0x80)), "unknown kind"),
        (bytes((0x83, 0x80)), "unknown kind"),
        (bytes((0x80, 0x80, 0, 0, 0, 0)), "out of order"),
        (bytes((0x09, 0x80, 0, 0, 0, 0)), "fragmented"),
        (bytes((0x89, 0xFE, 1, 0)), "longer than 125"),
        (bytes((0x82, 0xFF)) + (1 << 62).to_bytes(8, "big"), "longer than"),
    ],
)
def test_what_breaks_the_protocol_is_named(wire: bytes, text: str) -> None:
    with pytest.raises(WebSocketError, match=text):
        list(Decoder().feed(wire))


def test_a_server_masks_nothing() -> None:
    with pytest.raises(WebSocketError, match="a server's frame is masked"):
        list(Decoder(from_client=False).feed(encode(BINARY, b"x", b"abcd")))


def test_the_rfcs_examples() -> None:
    server = Decoder(from_client=False)
    assert list(server.feed(bytes.fromhex("810548656c6c6f"))) == [Message(TEXT, b"Hello")]  # RFC 6455, section 5.7
    assert list(server.feed(bytes.fromhex("010348656c80026c6f"))) == [Message(TEXT, b"Hello")]
    assert encode(TEXT, b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")


def test_the_handshakes_example() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3
