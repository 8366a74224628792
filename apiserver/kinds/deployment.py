"""Deployments."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Context, Kind, Scale, Strategy
from apiserver.kinds.cells import Plain, container_columns, look, number, selector_column
from apiserver.kinds.pod_defaults import default_spec
from apiserver.kinds.templates import (
    check_lasting,
    check_matches,
    check_percent,
    check_same_selector,
    check_selector,
    is_zero,
)
from sampan.api.apps_v1 import Deployment, DeploymentStrategy, RollingUpdateDeployment
from sampan.api.defaults import fill
from sampan.errors import FieldError
from sampan.kinds import DEPLOYMENTS


def default(deployment: Deployment) -> None:
    """Fill in what depends on other fields."""
    fill(deployment)
    spec = deployment.spec
    default_spec(spec.template.spec)
    if spec.strategy is None:
        spec.strategy = DeploymentStrategy()
    if spec.strategy.type == "RollingUpdate" and spec.strategy.rolling_update is None:
        spec.strategy.rolling_update = RollingUpdateDeployment()


def begin(deployment: Deployment, context: Context) -> None:
    """A new one."""
    default(deployment)


def change(new: Deployment, old: Deployment, context: Context) -> None:
    """A changed one."""
    default(new)


def validate(deployment: Deployment) -> Iterator[FieldError]:
    """Selector and template, and how an update goes."""
    spec = deployment.spec
    yield from check_selector(spec.selector, "deployment")
    yield from check_matches(spec.selector, spec.template)
    yield from check_lasting(spec.template, "ReplicaSet")
    path = "spec.strategy.rollingUpdate"
    rolling = spec.strategy.rolling_update if spec.strategy is not None else None
    if spec.strategy is not None and spec.strategy.type == "Recreate" and rolling is not None:
        yield FieldError.forbidden(path, "may not be specified when strategy `type` is 'Recreate'")
    elif rolling is not None:
        if is_zero(rolling.max_unavailable) and is_zero(rolling.max_surge):
            yield FieldError.invalid(
                f"{path}.maxUnavailable", rolling.max_unavailable, "may not be 0 when `maxSurge` is 0"
            )
        yield from check_percent(rolling.max_unavailable, f"{path}.maxUnavailable")
    deadline = spec.progress_deadline_seconds
    if deadline is not None and deadline <= (spec.min_ready_seconds or 0):
        yield FieldError.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def validate_update(new: Deployment, old: Deployment) -> Iterator[FieldError]:
    """The selector stays."""
    yield from check_same_selector(new.spec.selector, old.spec.selector)


def ready(o: Plain) -> str:
    """The READY column."""
    wanted = look(o, "spec", "replicas")
    return f"{look(o, 'status', 'readyReplicas') or 0}/{1 if wanted is None else wanted}"


DEPLOYMENT = Kind(
    DEPLOYMENTS,
    columns=(
        NAME,
        Column("Ready", ready, description="How many pods are ready, of how many."),
        Column("Up-to-date", number("status", "updatedReplicas"), type="integer", description="Pods of its template."),
        Column("Available", number("status", "availableReplicas"), type="integer", description="Pods in service."),
        AGE,
        *container_columns("spec", "template", "spec"),
        selector_column(),
    ),
    strategy=Strategy[Deployment](
        prepare_create=begin,
        prepare_update=change,
        validate=validate,
        validate_update=validate_update,
        tracks_generation=True,
    ),
    status=True,
    scale=Scale(),
)
