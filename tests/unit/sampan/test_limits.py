"""An error of a limit names the setting and a value."""

from __future__ import annotations

import errno
import os

import pytest

from sampan.limits import LIMITS, Doing, named


@pytest.mark.parametrize(
    ("code", "doing", "setting"),
    [
        (errno.EMFILE, Doing.OPEN, "ulimit -n 65536"),
        (errno.ENFILE, Doing.OPEN, "sysctl -w fs.file-max="),
        (errno.EMFILE, Doing.WATCH_START, "sysctl -w fs.inotify.max_user_instances=1024"),
        (errno.ENOSPC, Doing.WATCH_ADD, "sysctl -w fs.inotify.max_user_watches=524288"),
        (errno.EAGAIN, Doing.FORK, "sysctl -w kernel.pid_max="),
        (errno.EAGAIN, Doing.FORK, "pids.max"),
        (errno.ENOBUFS, Doing.NEIGHBOUR, "sysctl -w net.ipv4.neigh.default.gc_thresh3=8192"),
        (errno.EDQUOT, Doing.KEY, "sysctl -w kernel.keys.root_maxkeys="),
        (errno.ENOSPC, Doing.NAMESPACE, "sysctl -w user.max_net_namespaces="),
    ],
)
def test_the_setting_and_a_value_are_named(code: int, doing: Doing, setting: str) -> None:
    error = named(OSError(code, os.strerror(code)), doing)
    assert error.errno == code
    assert str(error.strerror).startswith(os.strerror(code))
    assert setting in str(error.strerror)


@pytest.mark.parametrize("doing", list(Doing))
def test_another_error_stays_as_it_is(doing: Doing) -> None:
    error = OSError(errno.ENOENT, "no such thing")
    assert named(error, doing) is error
    assert named(OSError(errno.ENOSPC, "disk full"), Doing.OPEN).strerror == "disk full"


def test_every_limit_says_how_it_is_raised() -> None:
    assert all(one.remedy for one in LIMITS)
    assert len({one.name for one in LIMITS}) == len(LIMITS)
