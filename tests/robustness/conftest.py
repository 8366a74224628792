"""Tests of faults. They take long in full: by default each takes a few of its many cases, chosen by a seed that is
printed. `SAMPAN_ROBUSTNESS=all` takes every one (make test-robustness), `SAMPAN_SEED` repeats a printed one."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")
Sample = Callable[[Sequence[T], int], list[T]]
EVERYTHING = os.environ.get("SAMPAN_ROBUSTNESS") == "all"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives real processes of whole clusters."""
    for item in items:
        if "robustness" in item.path.parts:
            item.add_marker(pytest.mark.robustness)
            item.add_marker(pytest.mark.root)


@pytest.fixture
def sample() -> Sample[T]:
    """Some of the cases, in their order; all of them in a full run."""
    seed = int(os.environ.get("SAMPAN_SEED", random.SystemRandom().randrange(1 << 32)))

    def choose(cases: Sequence[T], few: int) -> list[T]:
        if EVERYTHING or len(cases) <= few:
            return list(cases)
        print(f"SAMPAN_SEED={seed}")
        chosen = set(random.Random(seed).sample(range(len(cases)), few))
        return [case for place, case in enumerate(cases) if place in chosen]

    return choose


@pytest.fixture
def seeds() -> Callable[[int, int], list[int]]:
    """Seeds of random runs: a few, or many in a full run; with $SAMPAN_SEED that one."""

    def choose(few: int, many: int) -> list[int]:
        if (given := os.environ.get("SAMPAN_SEED")) is not None:
            return [int(given)]
        return [random.SystemRandom().randrange(1 << 32) for _ in range(many if EVERYTHING else few)]

    return choose
