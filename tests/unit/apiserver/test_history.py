"""The record of times and revisions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apiserver.history import KEPT_SECONDS, MOST_KEPT, MOST_POINTS, History

CHANGES = st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(1, 5)), min_size=1, max_size=60)


def told(changes: list[tuple[float, int]]) -> tuple[History, list[tuple[float, int]]]:
    """A record of changes (seconds after the last, revisions forward), and the changes as (time, revision)."""
    record, now, revision, all_of_them = History(), 1000.0, 0, []
    for after, forward in changes:
        now, revision = now + after, revision + forward
        record.note(now, revision)
        all_of_them.append((now, revision))
    return record, all_of_them


@given(CHANGES, st.floats(0.0, 2000.0))
def test_the_revision_at_a_time_is_the_newest_of_then_to_within_a_second(
    changes: list[tuple[float, int]], after: float
) -> None:
    record, all_of_them = told(changes)
    when = 1000.0 + after
    found = record.at(when)
    exact = max((revision for at, revision in all_of_them if at <= when), default=0)
    a_second_ago = max((revision for at, revision in all_of_them if at <= when - 1.0), default=0)
    assert a_second_ago <= found <= exact


@given(CHANGES)
def test_what_is_written_down_is_remembered_by_the_next(changes: list[tuple[float, int]]) -> None:
    record, _ = told(changes)
    points = record.kept()
    assert len(points) <= MOST_KEPT
    assert all(later[0] - earlier[0] >= KEPT_SECONDS for earlier, later in pairwise(points))
    fresh = History()
    fresh.note(10_000.0, 10_000)
    fresh.remember(points)
    for at, revision in points:
        assert fresh.at(at) == revision
    assert fresh.at(10_000.0) == 10_000


def test_it_is_bounded_and_forgets_what_is_compacted() -> None:
    record = History()
    for n in range(1, 3 * MOST_POINTS):
        record.note(1000.0 + 2 * n, n)
    assert len({record.at(1000.0 + 2 * n) for n in range(3 * MOST_POINTS)}) <= MOST_POINTS + 2
    record.forget(9000)
    assert record.at(1000.0 + 2 * 9000 - 500) == 0
    assert record.at(1000.0 + 2 * 9100) >= 9000


def test_a_clock_that_is_put_back_does_not_put_revisions_back() -> None:
    record = History()
    record.note(1000.0, 5)
    record.note(400.0, 6)
    assert record.at(1001.0) == 6
    assert record.at(500.0) == 0
