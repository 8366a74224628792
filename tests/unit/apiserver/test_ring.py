"""The event ring: positions, revisions, and what a slow reader is told."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.ring import FEWEST_EVENTS, KEEP_EVENTS, KEEP_SECONDS, MOST_BYTES, Event, Item, Ring, splice


def event(revision: int, at: float = 0.0, size: int = 10) -> Event:
    item = Item(f"ns/{revision}", b'{"kind":"K","metadata":{"name":"a"},"d":"' + b"x" * size + b'"}', revision, 1)
    return Event(item, None, item, at)


def test_the_revision_is_spliced_into_the_outermost_metadata() -> None:
    stored = b'{"kind":"K","apiVersion":"v1","metadata":{"name":"a"},"spec":{"metadata":{"name":"b"}}}'
    assert splice(stored, 7) == (
        b'{"kind":"K","apiVersion":"v1","metadata":{"resourceVersion":"7","name":"a"},"spec":{"metadata":{"name":"b"}}}'
    )


@given(st.lists(st.integers(1, 5), min_size=1, max_size=60), st.integers(0, 400))
def test_a_position_is_after_a_revision_and_before_all_later_ones(steps: list[int], asked: int) -> None:
    ring = Ring(since=100)
    revisions, last = [], 100
    for step in steps:
        last += step
        revisions.append(last)
        ring.add(event(last))
    position = ring.position(asked)
    if asked < 100:
        assert position is None
    else:
        assert position is not None
        read = ring.read(position) or []
        assert [one.revision for one in read] == [revision for revision in revisions if revision > asked]


@given(st.integers(1, KEEP_EVENTS + 900), st.floats(0, KEEP_SECONDS))
@settings(max_examples=15, deadline=None)
def test_young_events_and_enough_of_the_old_are_kept(count: int, gap: float) -> None:
    ring = Ring(since=0)
    for revision in range(1, count + 1):
        ring.add(event(revision, revision * gap))
    kept = ring.end - ring.first
    young = min(count, int(KEEP_SECONDS / gap) if gap > 0.001 else count)
    assert kept >= min(count, max(KEEP_EVENTS, young - 1))
    assert ring.position(ring.since) == ring.first
    assert ring.since == 0 or ring.position(ring.since - 1) is None


def test_big_events_are_bounded_by_their_bytes() -> None:
    ring = Ring(since=0)
    for revision in range(1, 101):
        ring.add(event(revision, size=1_000_000))
    assert FEWEST_EVENTS <= ring.end - ring.first <= MOST_BYTES // 1_000_000 + 1


async def test_a_reader_whose_position_was_dropped_is_told() -> None:
    ring = Ring(since=0)
    for revision in range(1, 101):
        ring.add(event(revision, size=1_000_000))
    assert ring.read(0) is None
    ring.forget()
    assert ring.read(ring.end) is None


async def test_a_reader_is_woken_and_gets_batches_under_load() -> None:
    ring = Ring(since=0)
    loop = asyncio.get_running_loop()
    reader = asyncio.create_task(ring.wait(0, loop.time() + 10))
    await asyncio.sleep(0)
    ring.add(event(1))
    ring.notify()
    await asyncio.wait_for(reader, 1)
    second = asyncio.create_task(ring.wait(1, loop.time() + 10))
    await asyncio.sleep(0)
    for revision in (2, 3, 4):
        ring.add(event(revision))
        ring.notify()
    assert not second.done()
    await asyncio.wait_for(second, 1)
    assert [one.revision for one in ring.read(1) or []] == [2, 3, 4]


async def test_a_wait_ends_at_its_time() -> None:
    ring = Ring(since=0)
    await asyncio.wait_for(ring.wait(0, asyncio.get_running_loop().time() + 0.01), 1)
