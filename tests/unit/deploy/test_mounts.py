"""Which directories may be mounted where, and what delete does about those that were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import ledger, mounts
from deploy.ledger import Entry, Made
from deploy.places import Places
from deploy.spec import Mount, NodeSpec
from sampan.errors import ClusterError


@pytest.fixture
def places(tmp_path: Path) -> Places:
    state = tmp_path / "home" / "clusters" / "c"
    state.mkdir(parents=True)
    return Places("c", state, tmp_path / "run")


def refused(places: Places, *pairs: tuple[str, str]) -> str:
    with pytest.raises(ClusterError) as caught:
        mounts.check("n1", [Mount(host=host, guest=guest) for host, guest in pairs], places)
    return str(caught.value)


@pytest.mark.parametrize(
    "guest",
    [
        "/",
        "/etc",
        "/usr",
        "/usr/local",
        "/proc/1",
        "/dev/shm",
        "/run/x",
        "/var",
        "/home",
        "//etc",
        "/bin/x",
        "/mnt/../usr",
    ],
)
def test_what_the_node_needs_is_not_hidden(places: Places, tmp_path: Path, guest: str) -> None:
    if ".." in guest:
        with pytest.raises(ValueError, match="absolute"):
            Mount(host=str(tmp_path), guest=guest)
    else:
        assert "it would hide" in refused(places, (str(tmp_path), guest))


def test_the_clusters_own_directories_are_neither_mounted_nor_mounted_on(places: Places, tmp_path: Path) -> None:
    assert "it would hide" in refused(places, (str(tmp_path), str(places.state / "etcd")))
    (places.state / "mine").mkdir()
    assert "goes with the cluster" in refused(places, (str(places.state / "mine"), "/mnt/x"))


def test_what_is_not_there_or_no_directory_is_named(places: Places, tmp_path: Path) -> None:
    assert "there is no /nowhere on this machine; mkdir -p /nowhere" in refused(places, ("/nowhere", "/mnt/x"))
    (tmp_path / "file").touch()
    assert "is not a directory" in refused(places, (str(tmp_path / "file"), "/mnt/x"))


def test_two_mounts_do_not_overlap(places: Places, tmp_path: Path) -> None:
    host = str(tmp_path)
    assert "overlaps the mount at /mnt/a" in refused(places, (host, "/mnt/a"), (host, "/mnt/a/b"))
    mounts.check("n1", [Mount(host=host, guest="/mnt/a"), Mount(host=host, guest="/mnt/ab")], places)


def test_a_directory_that_was_made_is_removed_if_it_is_empty(places: Places, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    node = NodeSpec(name="n1", mounts=[Mount(host="/", guest=f"{there}/a/b"), Mount(host="/", guest=f"{there}/c")])
    mounts.make_targets(node, places)
    mounts.make_targets(node, places)
    (there / "c" / "somebodys").touch()
    ledger.note(places.ledger, Entry(Made.MOUNT_POINT, "/"))
    mounts.remove_targets(places)
    assert sorted(one.name for one in there.iterdir()) == ["c"]
