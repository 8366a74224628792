"""A test run that is told to end, by a time limit say, takes down what it made before it does."""

from __future__ import annotations

import signal


def pytest_sessionstart() -> None:
    """SIGTERM is as good as Ctrl-C: fixtures are torn down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
