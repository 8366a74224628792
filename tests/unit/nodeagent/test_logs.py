"""Reading CRI log files: entries, tails across rotated files, limits, following."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict

from nodeagent.messages import last_words
from nodeagent.observed import Container, ContainerState
from nodeagent.server.app import log_options, may_ask
from nodeagent.server.logs import LogOptions, count_back, files_of, moment, parse, read_log

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(text: str, *, stream: str = "stdout", tag: str = "F", second: int = 0) -> str:
    return f"2026-01-01T00:00:{second:02}.123456789Z {stream} {tag} {text}\n"


async def read(path: Path, **options: object) -> str:
    parts = [
        part
        async for part in read_log(
            path,
            LogOptions(**options),  # type: ignore[arg-type]  # a test's shorthand
            alive=lambda: False,
            on_change=lambda _: lambda: None,
        )
    ]
    return b"".join(parts).decode()


async def test_streams_and_partial_lines(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text(entry("a ", tag="P") + entry("b") + entry("err", stream="stderr") + "garbage\n" + entry(""))
    assert await read(log) == "a b\nerr\n\n"
    assert await read(log, stream="Stderr") == "err\n"
    assert (await read(log, timestamps=True)).splitlines()[0] == "2026-01-01T00:00:00.123456789Z a b"
    assert await read(log, limit=5) == "a b\ne"


async def test_a_tail_reaches_into_rotated_files(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    with gzip.open(tmp_path / "0.log.20260101-000000.gz", "wb") as old:
        old.write("".join(entry(f"old{n}") for n in range(3)).encode())
    (tmp_path / "0.log.20260101-000001").write_text(entry("mid0") + entry("mid1"))
    log.write_text(entry("new0") + entry("new1"))
    assert [path.name for path in files_of(log)] == ["0.log.20260101-000000.gz", "0.log.20260101-000001", "0.log"]
    assert (await read(log)).split() == ["old0", "old1", "old2", "mid0", "mid1", "new0", "new1"]
    assert (await read(log, tail=3)).split() == ["mid1", "new0", "new1"]
    assert (await read(log, tail=5)).split() == ["old2", "mid0", "mid1", "new0", "new1"]
    assert (await read(log, tail=99)).split()[0] == "old0"
    assert await read(log, tail=0) == ""
    assert (await read(log, tail=2, follow=True)).split() == ["new0", "new1"]


async def test_since(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text(entry("early", second=1) + entry("late", second=9))
    assert await read(log, since=datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)) == "late\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab", max_size=70_000 // 8).map(lambda text: text * 8), max_size=6), st.integers(0, 8))
def test_counting_from_the_end_agrees_with_reading_it_all(lines: list[str], wanted: int) -> None:
    import io

    data = "".join(line + "\n" for line in lines).encode()
    start, found = count_back(io.BytesIO(data), wanted)
    assert data[start:].decode().split("\n")[:-1] == (lines[-wanted:] if wanted else [])
    assert found == min(wanted, len(lines))


async def test_a_follower_sees_growth_rotation_and_the_end(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text(entry("one"))
    alive = True
    pokes: list[Callable[[], None]] = []
    seen: list[str] = []
    arrived = asyncio.Event()

    def register(poke: Callable[[], None]) -> Callable[[], None]:
        pokes.append(poke)
        return pokes.clear

    async def follow() -> None:
        async for part in read_log(
            log,
            LogOptions(follow=True),
            alive=lambda: alive,
            on_change=register,
        ):
            seen.extend(part.decode().split())
            arrived.set()

    async def until(word: str) -> None:
        async with asyncio.timeout(5):
            while word not in seen:
                arrived.clear()
                await arrived.wait()

    task = asyncio.create_task(follow())
    await until("one")
    with log.open("a") as file:
        file.write(entry("two"))
    await until("two")
    os.rename(log, tmp_path / "0.log.20260101-000000")
    with (tmp_path / "0.log.20260101-000000").open("a") as file:
        file.write(entry("late"))
    log.write_text(entry("three"))
    await until("three")
    with log.open("a") as file:
        file.write(entry("last"))
    alive = False
    pokes[0]()
    async with asyncio.timeout(5):
        await task
    assert seen == ["one", "two", "late", "three", "last"]


async def test_a_follower_may_come_before_the_file(tmp_path: Path) -> None:
    log = tmp_path / "c" / "0.log"
    reading = read_log(log, LogOptions(follow=True), alive=lambda: True, on_change=lambda _: lambda: None)
    first = asyncio.ensure_future(anext(reading))
    await asyncio.sleep(0)  # as far as it gets by itself: it waits for the file
    assert log.parent.exists()
    log.write_text(entry("here"))
    async with asyncio.timeout(5):
        assert await first == b"here\n"
    await reading.aclose()


@given(st.binary(max_size=60))
def test_any_bytes_are_an_entry_or_none(raw: bytes) -> None:
    line = parse(raw.replace(b"\n", b""))
    assert line is None or line.stream in (b"stdout", b"stderr")
    if line is not None:
        moment(line.time)


@pytest.mark.parametrize(
    "query",
    [{"tailLines": "-1"}, {"tailLines": "x"}, {"sinceTime": "yesterday"}, {"limitBytes": "0"}, {"stream": "Both"}],
)
def test_a_wrong_query_is_a_400_that_names_it(query: dict[str, str]) -> None:
    with pytest.raises(web.HTTPBadRequest) as error:
        log_options(MultiDict(query), NOW)
    assert next(iter(query)) in (error.value.text or "")


def test_only_the_api_server_and_administrators_may_ask() -> None:
    def subject(**names: str) -> dict[str, object]:
        return {"subject": tuple(((key, value),) for key, value in names.items())}

    assert may_ask(subject(organizationName="system:masters", commonName="admin"))
    assert may_ask(subject(commonName="kube-apiserver-kubelet-client"))
    assert not may_ask(subject(commonName="system:node:n1", organizationName="system:nodes"))
    assert not may_ask({})


# --- last words


def dead(message_file: Path, log: Path, policy: str = "File", code: int = 1) -> Container:
    return Container(
        "x", "s", "c", 0, ContainerState.EXITED, 1, exit_code=code, message="runtime's", message_file=str(message_file),
        message_policy=policy, log_path=str(log),
    )  # fmt: skip


def test_last_words_come_from_the_file_then_the_log_then_the_runtime(tmp_path: Path) -> None:
    words, log = tmp_path / "words", tmp_path / "0.log"
    words.write_text("")
    log.write_text("".join(entry(f"line {n}") for n in range(200)))
    assert last_words(dead(words, log)) == "runtime's"
    fallback = last_words(dead(words, log, "FallbackToLogsOnError"))
    assert fallback.endswith("line 199\n")
    assert len(fallback) <= 2048
    assert last_words(dead(words, log, "FallbackToLogsOnError", code=0)) == "runtime's"
    words.write_text("x" * 9999)
    assert last_words(dead(words, log)) == "x" * 4096


def test_a_container_can_not_point_its_last_words_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "words").symlink_to(tmp_path / "secret")
    assert last_words(dead(tmp_path / "words", tmp_path / "none")) == "runtime's"
    os.mkfifo(tmp_path / "fifo")
    assert last_words(dead(tmp_path / "fifo", tmp_path / "none")) == "runtime's"
