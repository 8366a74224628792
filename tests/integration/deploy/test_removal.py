"""Deleting a cluster's files leaves alone what somebody mounted among them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import removal


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A cluster's directory with a user's folder bind mounted deep inside, at a name with a space."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").write_text("data")
    root = tmp_path / "cluster"
    point = root / "nodes" / "my data"
    point.mkdir(parents=True)
    (root / "nodes" / "ours").write_text("x")
    subprocess.run(["mount", "--bind", theirs, point], check=True)
    yield root, theirs
    subprocess.run(["umount", point], check=True)


@pytest.mark.root
def test_a_bind_mount_is_neither_followed_nor_unmounted(mounted: tuple[Path, Path]) -> None:
    root, theirs = mounted
    assert removal.remove_tree(root) == [root / "nodes" / "my data"]
    assert (theirs / "precious").read_text() == "data"
    assert not (root / "nodes" / "ours").exists()
    assert (root / "nodes" / "my data" / "precious").exists()


def test_a_symbolic_link_is_removed_and_its_target_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").write_text("data")
    root = tmp_path / "cluster"
    root.mkdir()
    (root / "link").symlink_to(theirs)
    assert removal.remove_tree(root) == []
    assert not root.exists()
    assert (theirs / "precious").exists()


def test_removing_nothing_is_no_error(tmp_path: Path) -> None:
    assert removal.remove_tree(tmp_path / "absent") == []
