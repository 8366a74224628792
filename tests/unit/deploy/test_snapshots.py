"""Snapshots on disk: nothing half made is listed, a restore that dies anywhere is finished, room is looked at first."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from deploy.places import Places
from deploy.snapshots import contents, exchange, store
from deploy.snapshots.store import Snapshot
from sampan.errors import ClusterError


class Killed(BaseException):
    """What SIGKILL is to the code that runs."""


def state(places: Places, *, of: str, at: Path | None = None) -> None:
    root = at or places.state
    (root / "etcd/member").mkdir(parents=True)
    (root / "nodes/n1").mkdir(parents=True)
    for name in ("cluster.yaml", "etcd/member/db", "nodes/n1/file"):
        (root / name).write_text(of)


def every_file(places: Places) -> dict[str, str]:
    return {str(path.relative_to(places.state)): path.read_text() for path in places.state.rglob("*") if path.is_file()}


@pytest.mark.parametrize("step", range(20))
def test_a_restore_that_is_killed_at_any_step_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    places = Places("c", tmp_path / "state", tmp_path / "run")
    state(places, of="old")
    coming, ready = exchange.names(places)
    state(places, of="new", at=coming)
    ready.touch()
    left = step
    for name in ("rename", "mkdir", "unlink"):
        real = getattr(Path, name)

        def dying(path: Path, *more: object, real: object = real, **others: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(path, *more, **others)  # type: ignore[operator]  # a method of Path

        monkeypatch.setattr(Path, name, dying)
    try:
        exchange.finish(places)
    except Killed:
        monkeypatch.undo()
        exchange.finish_interrupted(places)
    monkeypatch.undo()
    assert every_file(places) == dict.fromkeys(("cluster.yaml", "etcd/member/db", "nodes/n1/file"), "new")
    assert not any(path.exists() for path in exchange.names(places))


def test_a_restore_that_was_killed_while_it_copied_changes_nothing(tmp_path: Path) -> None:
    places = Places("c", tmp_path / "state", tmp_path / "run")
    state(places, of="old")
    state(places, of="half", at=exchange.names(places)[0])
    exchange.finish_interrupted(places)
    assert set(every_file(places).values()) == {"old"}


def test_only_whole_snapshots_are_listed(tmp_path: Path) -> None:
    places = Places("c", tmp_path / "state", tmp_path / "run")
    state(places, of="x")
    root = store.directory(places)
    for tag, created in (("second", 2.0), ("first", 1.0)):
        made = root / store.UNFINISHED
        made.mkdir(parents=True)
        store.finish(root, made, Snapshot(tag, created, 1, ("n1",)))
    (root / store.UNFINISHED).mkdir()
    (root / "broken").mkdir()
    (root / "broken" / store.RECORD).write_text("{")
    (root / "empty").mkdir()
    assert [one.tag for one in store.every(places)] == ["first", "second"]
    assert store.find(places, None).tag == "second"
    with pytest.raises(ClusterError, match="its snapshots are: first, second"):
        store.find(places, "third")
    store.delete(places, "second")
    assert store.find(places, None).tag == "first"


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    places = Places("c", tmp_path / "state", tmp_path / "run")
    places.state.mkdir()
    with store.locked(places), pytest.raises(ClusterError, match="another snapshot"), store.locked(places):
        pass
    with store.locked(places):
        pass


@pytest.mark.parametrize("tag", ["", ".", "..", "../x", "a/b", "A", "x" * 64, "-x", "x\n", "\0"])
def test_a_tag_can_not_lead_anywhere(tag: str) -> None:
    with pytest.raises(ClusterError, match="not 1 to 63"):
        store.check_tag(tag)


def test_too_little_room_is_told_in_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, 300 << 20))
    contents.check_room(tmp_path, 40 << 20)
    with pytest.raises(ClusterError, match=r"100\.0 MiB are needed, and 256\.0 MiB to spare; 300\.0 MiB are free"):
        contents.check_room(tmp_path, 100 << 20)


def test_a_copy_keeps_links_holes_and_fifos(tmp_path: Path) -> None:
    import os

    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x")
    os.link(source / "file", source / "same")
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    with (source / "hole").open("wb") as out:
        out.truncate(64 << 20)
    contents.copy(source, tmp_path / "target")
    target = tmp_path / "target"
    assert (target / "file").stat().st_ino == (target / "same").stat().st_ino
    assert os.readlink(target / "link") == "/etc/passwd"
    assert (target / "pipe").is_fifo()
    assert contents.size(target) < 1 << 20
    with pytest.raises(ClusterError, match="can't be copied"):
        contents.copy(tmp_path / "nowhere", tmp_path / "other")
