"""A node image is named by its inputs, so the same inputs must make the same bytes: two whole builds are compared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.vm import image

FILES = ("disk.raw", "vmlinuz", "initrd", "contents.json")
BLOCK = 4096


@pytest.mark.skipif(os.environ.get("SAMPAN_TEST_VM") != "image", reason="run by make test-image")
def test_two_builds_of_the_same_inputs_are_the_same_bytes(tmp_path: Path) -> None:
    lines = image.inputs()
    builds = [tmp_path / name for name in ("one", "another")]
    for directory in builds:
        directory.mkdir()
        image.build(directory, lines, lambda what, _: print(what, flush=True))
    differ = {name: list(differences(*(one / name for one in builds)))[:20] for name in FILES}
    assert differ == {name: [] for name in FILES}


def differences(one: Path, another: Path) -> Iterator[int]:
    """The numbers of the blocks that are not the same."""
    with one.open("rb") as left, another.open("rb") as right:
        number = 0
        while True:
            pair = left.read(BLOCK), right.read(BLOCK)
            if pair[0] != pair[1]:
                yield number
            if not any(pair):
                return
            number += 1
