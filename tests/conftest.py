"""For all tests: the cluster that they share, and an end that takes down what they made, even by a time limit."""

from __future__ import annotations

import signal

from hypothesis import settings

from shared_cluster import cluster as cluster

settings.register_profile("sampan", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("sampan")


def pytest_sessionstart() -> None:
    """SIGTERM is as good as Ctrl-C: fixtures are torn down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
