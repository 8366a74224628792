"""SPDY/3.1 frames: what is encoded decodes to the same, however the bytes are cut."""

import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.streaming.spdy import (
    DICTIONARY,
    Data,
    Decoder,
    Encoder,
    GoAway,
    Ping,
    Reset,
    SpdyError,
    SynReply,
    SynStream,
)

stream = st.integers(1, 2**31 - 1)
name = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=12)
headers = st.dictionaries(name, st.text(max_size=30), max_size=5)
frames = st.one_of(
    st.builds(SynStream, stream, headers, st.booleans()),
    st.builds(SynReply, stream, headers, st.booleans()),
    st.builds(Data, stream, st.binary(max_size=400), st.booleans()),
    st.builds(Reset, stream, st.integers(1, 11)),
    st.builds(Ping, st.integers(0, 2**32 - 1)),
    st.builds(GoAway, stream, st.integers(0, 2)),
)


@given(st.lists(frames, max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_frames_come_back_as_they_went_however_they_are_cut(sent, cuts) -> None:
    encoder, decoder = Encoder(), Decoder()
    wire = b"".join(encoder.encode(frame) for frame in sent)
    came, at, turn = [], 0, 0
    while at < len(wire):
        step = cuts[turn % len(cuts)]
        came += decoder.feed(wire[at : at + step])
        at, turn = at + step, turn + 1
    assert came == sent


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_a_clear_error(noise: bytes) -> None:
    with contextlib.suppress(SpdyError):
        assert all(
            isinstance(frame, SynStream | SynReply | Data | Reset | Ping | GoAway) for frame in Decoder().feed(noise)
        )


def test_the_dictionary_is_the_drafts() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_a_syn_stream_is_laid_out_as_the_draft_says() -> None:
    wire = Encoder().encode(SynStream(1, {"streamtype": "error"}, fin=True))
    version, kind, rest, number = struct.unpack_from("!HHII", wire)
    assert (version, kind, rest >> 24, rest & 0xFFFFFF, number) == (0x8003, 1, 1, len(wire) - 8, 1)
    block = zlib.decompressobj(zdict=DICTIONARY).decompress(wire[18:])
    assert block == struct.pack("!II", 1, 10) + b"streamtype" + struct.pack("!I", 5) + b"error"


def test_a_header_bomb_is_refused_before_it_unfolds() -> None:
    bomb = zlib.compressobj(zdict=DICTIONARY)
    block = bomb.compress(struct.pack("!III", 1, 1, 0) + bytes(10_000_000)) + bomb.flush(zlib.Z_SYNC_FLUSH)
    wire = struct.pack("!HHI", 0x8003, 1, 10 + len(block)) + bytes(10) + block
    with pytest.raises(SpdyError, match="more than"):
        list(Decoder().feed(wire))
