"""What preflight makes of what it read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import checks
from deploy.checks import Check, State
from deploy.machine import preflight
from deploy.machine.preflight import V1_CONTROLLERS, V2_CONTROLLERS

ALL = (1 << 41) - 1


def test_root_without_the_right_to_make_namespaces_is_not_enough() -> None:
    assert preflight.judge_root(0, ALL).state is State.OK
    assert preflight.judge_root(1000, ALL).result == "running as user 1000"
    assert preflight.judge_root(0, ALL & ~(1 << 21)).result == "without CAP_SYS_ADMIN"


@pytest.mark.parametrize(
    ("v1", "v2", "state", "result"),
    [
        ((), V2_CONTROLLERS, State.OK, "v2"),
        (V1_CONTROLLERS, None, State.OK, "v1"),
        (V1_CONTROLLERS, (), State.OK, "hybrid (v1 is used)"),
        ((), ("cpu", "pids"), State.FAILED, "v2 without memory"),
        (("memory", "cpu"), None, State.FAILED, "v1 without cpuacct, pids, devices, freezer"),
        ((), None, State.FAILED, "none are mounted"),
    ],
)
def test_cgroups_of_any_layout_are_told_apart(
    v1: tuple[str, ...], v2: tuple[str, ...] | None, state: State, result: str
) -> None:
    found = preflight.judge_cgroups(v1, v2)
    assert (found.state, found.result) == (state, result)
    assert bool(found.remedy) is (state is State.FAILED)


@given(st.integers(0, 1 << 45))
def test_an_amount_fails_below_the_least_and_warns_below_what_is_fine(amount: int) -> None:
    found = preflight.judge_amount("memory", amount, 1 << 20, 1 << 30, "buy more")
    expected = State.FAILED if amount < 1 << 20 else State.WARNING if amount < 1 << 30 else State.OK
    assert found.state is expected
    assert bool(found.remedy) is (expected is not State.OK)


def test_an_attempt_that_failed_says_what_to_load() -> None:
    assert preflight.judge_kernel("overlayfs", "").state is State.OK
    assert preflight.judge_kernel("veth", "no such device") == Check(
        "veth", State.FAILED, "no such device", "modprobe veth"
    )
    assert preflight.judge_kernel("overlayfs", None).state is State.WARNING


def test_what_an_earlier_node_left_is_to_be_cleaned_first() -> None:
    assert preflight.judge_remains([]).state is State.OK
    found = preflight.judge_remains(["interface sampan-pods"])
    assert (found.state, found.remedy) == (State.FAILED, "run: sampan leave --force")


def test_only_failures_that_are_not_ignored_count() -> None:
    found = [checks.good("a", "fine"), checks.failed("b", "bad", "mend it"), Check("c", State.WARNING, "so so")]
    assert not checks.passed(found)
    assert not checks.passed(found, ["a"])
    assert checks.passed(found, ["b"])
    assert checks.passed(found, ["all"])


def test_the_table_lines_up() -> None:
    lines = checks.table([checks.good("a", "fine"), checks.failed("longer", "bad", "mend it")]).splitlines()
    assert lines[0].index("RESULT") == lines[1].index("fine") == lines[2].index("bad")
    assert lines[2].endswith("mend it")
