"""How much time counts for a cluster that others keep waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.patience import fair_seconds

SECONDS = st.floats(0, 1e4)


@given(SECONDS, SECONDS, SECONDS)
def test_never_more_than_the_walls_time_and_never_less_than_none(wall: float, ran: float, waited: float) -> None:
    assert 0 <= fair_seconds(wall, ran, waited) <= wall


@pytest.mark.parametrize(
    ("ran", "waited", "counts"),
    [
        (0, 0, 10),  # it hangs, and all of it counts
        (10, 0, 10),  # it has a processor to itself
        (1, 9, 1),  # it gets a tenth of what it wants
        (0, 10, 0),  # it gets nothing
        (-3, 0, 10),  # its processes have ended
    ],
)
def test_who_waits_for_a_processor_is_waited_for(ran: float, waited: float, counts: float) -> None:
    assert fair_seconds(10, ran, waited) == counts
