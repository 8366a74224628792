"""A file is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sampan.files import write_whole


def test_the_new_content_takes_the_place_of_the_old_with_the_rights_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_whole(path, b"one", 0o644)
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_what_a_killed_writer_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "key.new").write_bytes(b"ha")
    write_whole(tmp_path / "key", b"whole")
    assert (tmp_path / "key").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["key"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_whole(path, b"old")
    with pytest.raises(TypeError):
        write_whole(path, None)  # type: ignore[arg-type]  # as a full disk would end the write
    assert path.read_bytes() == b"old"
