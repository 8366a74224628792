"""Frames survive any cut of the stream, and are found again after any damage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.shell.frames import MOST_PAYLOAD, PADDING, Decoder, Frame, Kind, encode
from deploy.shell.session import Command

FRAMES = st.lists(
    st.builds(Frame, st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.binary(max_size=300)), max_size=10
)


def decoded(decoder: Decoder, data: bytes, sizes: list[int]) -> list[Frame]:
    found: list[Frame] = []
    while data:
        size = sizes.pop() if sizes else len(data)
        found += decoder.feed(data[:size])
        data = data[size:]
    return found


@given(FRAMES, st.lists(st.integers(1, 50)))
def test_however_the_stream_is_cut_the_frames_are_the_same(frames: list[Frame], sizes: list[int]) -> None:
    assert decoded(Decoder(), b"".join(encode(*one) for one in frames), sizes) == frames


@given(FRAMES, st.data())
def test_padding_ends_whatever_was_broken_off(frames: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(encode(*one) for one in [*frames, Frame(Kind.OUTPUT, 1, bytes(MOST_PAYLOAD))])
    cut = data.draw(st.integers(0, len(stream)))
    reset = Frame(Kind.RESET, 0, b"nonce")
    assert decoded(Decoder(), stream[:cut] + PADDING + encode(*reset), [])[-1] == reset


@given(st.binary(max_size=500), st.lists(st.integers(1, 50)))
def test_garbage_is_passed_over(garbage: bytes, sizes: list[int]) -> None:
    frame = Frame(Kind.HELLO, 0, b"n")
    found = decoded(Decoder(), garbage + PADDING + encode(*frame), sizes)
    assert found[-1] == frame


def test_a_payload_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode(Kind.INPUT, 1, bytes(MOST_PAYLOAD + 1))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"words": 3, "tty": False, "size": [1, 2], "environment": {}},
        {"words": ["a\0b"], "tty": False, "size": [1, 2], "environment": {}},
        {"words": [], "tty": False, "size": [1], "environment": {}},
        {"words": [], "tty": False, "size": ["x", 2], "environment": {}},
        {"words": [], "tty": False, "size": [1, 2], "environment": []},
    ],
)
def test_what_is_no_command_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Command.from_json(value)


def test_a_command_travels_whole() -> None:
    command = Command(("a", "b c"), True, 10, 20, {"TERM": "vt100"})
    assert Command.from_json(command.to_json()) == command
