"""The ledger: what is written is read again, whatever a crash did to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import ledger
from deploy.ledger import Entry, Made
from deploy.places import Places
from sampan.errors import ClusterError

ENTRIES = (Entry(Made.CGROUP, "/sampan/dev"), Entry(Made.DIRECTORY, "/somewhere"))


def test_entries_are_noted_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger.note(path, *ENTRIES)
    ledger.note(path, *ENTRIES)
    assert tuple(ledger.read(path)) == ENTRIES


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_torn_last_line_loses_only_itself(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger.note(path, *ENTRIES)
    path.write_bytes(path.read_bytes()[:-cut])
    assert tuple(ledger.read(path))[:1] == ENTRIES[:1]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-a", "a-", "x" * 31, "a b", "a\n", "1a"])
def test_a_name_that_could_leave_the_directory_is_refused(name: str) -> None:
    with pytest.raises(ClusterError):
        Places.of(name)
