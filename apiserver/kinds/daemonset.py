"""Daemon sets."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Context, Kind, Strategy
from apiserver.kinds.cells import container_columns, labels, look, number, selector_column
from apiserver.kinds.pod_defaults import default_spec
from apiserver.kinds.templates import (
    check_lasting,
    check_matches,
    check_percent,
    check_same_selector,
    check_selector,
    is_zero,
)
from sampan.api.apps_v1 import DaemonSet, DaemonSetUpdateStrategy, RollingUpdateDaemonSet
from sampan.api.defaults import fill
from sampan.errors import FieldError
from sampan.kinds import DAEMON_SETS


def begin(one: DaemonSet, context: Context) -> None:
    """A new one."""
    fill(one)
    default_spec(one.spec.template.spec)
    if one.spec.update_strategy is None:
        one.spec.update_strategy = DaemonSetUpdateStrategy()
    if one.spec.update_strategy.type == "RollingUpdate" and one.spec.update_strategy.rolling_update is None:
        one.spec.update_strategy.rolling_update = RollingUpdateDaemonSet()


def change(new: DaemonSet, old: DaemonSet, context: Context) -> None:
    """A changed one."""
    begin(new, context)


def validate(one: DaemonSet) -> Iterator[FieldError]:
    """Selector and template, and how an update goes."""
    yield from check_selector(one.spec.selector, "daemonset")
    yield from check_matches(one.spec.selector, one.spec.template)
    yield from check_lasting(one.spec.template, "DaemonSet")
    strategy = one.spec.update_strategy
    rolling = strategy.rolling_update if strategy is not None and strategy.type == "RollingUpdate" else None
    if rolling is None:
        return
    path = "spec.updateStrategy.rollingUpdate"
    unavailable, surge = not is_zero(rolling.max_unavailable), not is_zero(rolling.max_surge)
    if unavailable and surge:
        yield FieldError.invalid(
            f"{path}.maxSurge", rolling.max_surge, "may not be set when maxUnavailable is non-zero"
        )
    elif not unavailable and not surge:
        yield FieldError.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    yield from check_percent(rolling.max_unavailable, f"{path}.maxUnavailable")
    yield from check_percent(rolling.max_surge, f"{path}.maxSurge")


def validate_update(new: DaemonSet, old: DaemonSet) -> Iterator[FieldError]:
    """The selector stays."""
    yield from check_same_selector(new.spec.selector, old.spec.selector)


DAEMON_SET = Kind(
    DAEMON_SETS,
    columns=(
        NAME,
        Column("Desired", number("status", "desiredNumberScheduled"), type="integer"),
        Column("Current", number("status", "currentNumberScheduled"), type="integer"),
        Column("Ready", number("status", "numberReady"), type="integer"),
        Column("Up-to-date", number("status", "updatedNumberScheduled"), type="integer"),
        Column("Available", number("status", "numberAvailable"), type="integer"),
        Column("Node Selector", lambda o: labels(look(o, "spec", "template", "spec", "nodeSelector"))),
        AGE,
        *container_columns("spec", "template", "spec"),
        selector_column(),
    ),
    strategy=Strategy[DaemonSet](
        prepare_create=begin,
        prepare_update=change,
        validate=validate,
        validate_update=validate_update,
        tracks_generation=True,
    ),
    status=True,
)
