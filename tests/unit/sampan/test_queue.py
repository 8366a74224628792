"""The queue's promises, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.clock import Clock, LoopClock
from sampan.queue import KeyQueue

pytestmark = pytest.mark.looptime
START = datetime(2030, 1, 1, tzinfo=UTC)


async def taken(queue: KeyQueue[str]) -> str:
    async with asyncio.timeout(1000), queue.take() as key:
        return key


async def test_first_come_first_served_and_each_key_once() -> None:
    queue: KeyQueue[str] = KeyQueue(LoopClock(START))
    for key in ("a", "b", "a", "c", "b"):
        queue.add(key)
    assert [await taken(queue) for _ in range(3)] == ["a", "b", "c"]
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_comes_again_and_only_then() -> None:
    queue: KeyQueue[str] = KeyQueue(LoopClock(START))
    queue.add("a")
    async with queue.take() as key:
        queue.add(key)
        queue.add(key)
        assert len(queue) == 0
    assert await taken(queue) == "a"
    assert len(queue) == 0


async def test_a_failed_key_waits_ever_longer_until_it_succeeds() -> None:
    clock = LoopClock(START)
    queue: KeyQueue[str] = KeyQueue(clock, first=1, most=60)
    waits = []
    queue.add("a")
    for _ in range(8):
        before = clock.monotonic()
        assert await taken(queue) == "a"
        waits.append(clock.monotonic() - before)
        queue.retry("a")
    assert waits[0] == 0
    for wait, wanted in zip(waits[1:], (1, 2, 4, 8, 16, 32, 60), strict=True):
        assert 0.79 * wanted <= wait <= 1.21 * wanted
    queue.forget("a")
    assert queue.retry("a") <= 1.2


async def test_of_several_times_the_earliest_counts_and_once() -> None:
    clock = LoopClock(START)
    queue: KeyQueue[str] = KeyQueue(clock)
    for seconds in (50, 10, 30):
        queue.add_after("a", seconds)
    assert await taken(queue) == "a"
    assert clock.monotonic() == pytest.approx(10, abs=0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(100), queue.take():
            pass


async def test_a_moved_clock_makes_due_what_is_due() -> None:
    clock = Clock()
    queue: KeyQueue[str] = KeyQueue(clock)
    queue.add_after("a", 3600)
    clock.offset = timedelta(hours=2)
    queue.clock_moved()
    async with asyncio.timeout(1), queue.take() as key:
        assert key == "a"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=30), st.integers(1, 4))
def test_a_key_is_never_with_two_workers_and_none_is_lost(adds: list[tuple[str, int]], workers: int) -> None:
    async def history() -> None:
        queue: KeyQueue[str] = KeyQueue(Clock())
        held: set[str] = set()
        dirty: set[str] = set()

        async def work() -> None:
            while True:
                async with queue.take() as key:
                    assert key not in held
                    held.add(key)
                    dirty.discard(key)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    held.discard(key)

        running = [asyncio.ensure_future(work()) for _ in range(workers)]
        for key, pause in adds:
            dirty.add(key)
            queue.add(key)
            for _ in range(pause):
                await asyncio.sleep(0)
        for _ in range(200):
            await asyncio.sleep(0)
        assert not dirty
        for task in running:
            assert not task.done()
            task.cancel()

    asyncio.new_event_loop().run_until_complete(history())
