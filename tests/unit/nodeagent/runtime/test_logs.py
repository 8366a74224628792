"""CRI log lines, and the copier's promises."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.logs import LogCopier, entries, timestamp

AT = timestamp(1_700_000_000_123_456_789)


def test_a_timestamp_has_nanoseconds() -> None:
    assert AT == b"2023-11-14T22:13:20.123456789Z"


def joined(lines: list[bytes]) -> bytes:
    found = b""
    for line in lines:
        _, _, tag, text = line[:-1].split(b" ", 3)
        found += text + (b"\n" if tag == b"F" else b"")
    return found


@given(st.lists(st.binary(max_size=100) | st.just(b"\n") | st.just(b"x" * 40_000), max_size=8))
def test_entries_lose_and_add_nothing(chunks: list[bytes]) -> None:
    lines = [line for chunk in chunks for line in entries("stdout", chunk, AT)]
    assert joined(lines) == b"".join(chunks)
    assert all(line.count(b"\n") == 1 for line in lines)
    assert all(len(line) <= 16 * 1024 + 60 for line in lines)


async def test_output_is_copied_and_drained_after_the_end(tmp_path: Path) -> None:
    read, write = os.pipe2(os.O_NONBLOCK)
    log = tmp_path / "pod/c.log"
    copier = LogCopier(str(log), {"stdout": read}, lambda: 0)
    heard: list[bytes] = []
    copier.listeners.add(lambda stream, data: heard.append(data))
    os.write(write, b"one\ntw")
    os.write(write, b"o\n")
    copier.end()
    async with asyncio.timeout(5):
        await copier.drained.wait()
    os.close(write)
    assert joined(log.read_bytes().splitlines(keepends=True)) == b"one\ntwo\n" == b"".join(heard)


async def test_a_log_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    read, write = os.pipe2(os.O_NONBLOCK)
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        LogCopier(str(tmp_path / "log"), {"stdout": read}, lambda: 0)
    os.close(read)
    os.close(write)
    assert not (tmp_path / "victim").exists()
