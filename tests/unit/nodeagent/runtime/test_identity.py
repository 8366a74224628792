"""Users and groups from an image's files."""

import os
from pathlib import Path

import pytest

from nodeagent.runtime.identity import Identity, UnknownUser, resolve

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbroken\nbad:x:NaN:0::/:/\n"
GROUP = "root:x:0:\nweb:x:33:app,other\nextra:x:44:app\n"


@pytest.fixture
def etc(tmp_path: Path) -> str:
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, Identity(0, 0, (0,), "/root")),
        ({"user": "app"}, Identity(1000, 1001, (1001, 33, 44), "/home/app")),
        ({"user": "1000"}, Identity(1000, 1001, (1001, 33, 44), "/home/app")),
        ({"user": "app:web"}, Identity(1000, 33, (33, 44), "/home/app")),
        ({"user": "7:8"}, Identity(7, 8, (8,), "")),
        ({"uid": 5, "gid": 6, "groups": [9, 6]}, Identity(5, 6, (6, 9), "")),
        ({"user": "app", "merge": False, "groups": [2]}, Identity(1000, 1001, (1001, 2), "/home/app")),
        ({"user": "app", "uid": 0}, Identity(0, 0, (0,), "/root")),
    ],
)
def test_wishes_become_numbers(etc: str, wish: dict, expected: Identity) -> None:
    assert resolve(wish, etc) == expected


@pytest.mark.parametrize("user", ["nobody-here", "app:nogroup", "bad", "-1", "99999999999"])
def test_unknown_names_are_named(etc: str, user: str) -> None:
    with pytest.raises(UnknownUser, match="unable to find"):
        resolve({"user": user}, etc)


def test_numbers_need_no_files(tmp_path: Path) -> None:
    assert resolve({"user": "12:34"}, str(tmp_path)) == Identity(12, 34, (34,), "")


def test_a_pipe_in_the_place_of_a_file_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "passwd")
    with pytest.raises(UnknownUser):
        resolve({"user": "app"}, str(tmp_path))
