"""A test run that is told to end, by a time limit say, takes down what it made before it does."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("sampan", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("sampan")


def pytest_sessionstart() -> None:
    """SIGTERM is as good as Ctrl-C: fixtures are torn down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
