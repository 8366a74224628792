"""Which containers are started again, and when: restart policies and CrashLoopBackOff. Pure.

The delay is a property of the dead container: it carries, in an annotation, the delay that was in force when it was
created. So an agent that was killed knows it again.
Source: the Kubernetes documentation, "Pod Lifecycle" (container restarts, sidecar containers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from nodeagent.observed import Container
from sampan.api import core_v1

FIRST_DELAY = 10.0
MOST_DELAY = 300.0
HEALTHY_SECONDS = 600.0
"""A container that ran for longer than this starts with a clean slate."""


class Kind(Enum):
    """What a container is to its pod."""

    INIT = "init"
    SIDECAR = "sidecar"
    """An init container with restartPolicy Always."""
    REGULAR = "regular"
    EPHEMERAL = "ephemeral"


Spec = core_v1.Container | core_v1.EphemeralContainer


@dataclass(frozen=True, slots=True)
class Member:
    """A container of a pod's spec."""

    spec: Spec
    kind: Kind

    @property
    def name(self) -> str:
        """Its name, unique within the pod."""
        return self.spec.name


def members(pod: core_v1.Pod) -> Iterator[Member]:
    """All containers of a pod: init containers and sidecars in their order, regular ones, ephemeral ones."""
    for spec in pod.spec.init_containers:
        yield Member(spec, Kind.SIDECAR if spec.restart_policy == "Always" else Kind.INIT)
    for spec in pod.spec.containers:
        yield Member(spec, Kind.REGULAR)
    for ephemeral in pod.spec.ephemeral_containers:
        yield Member(ephemeral, Kind.EPHEMERAL)


def restarts(pod: core_v1.Pod, member: Member, exit_code: int) -> bool:
    """Whether a container that ended with `exit_code` is started again."""
    if member.kind is Kind.EPHEMERAL:
        return False
    for rule in member.spec.restart_policy_rules:
        codes = rule.exit_codes
        if codes is None or rule.action != "Restart":
            continue
        if (exit_code in codes.values) == (codes.operator == "In"):
            return True
    policy = member.spec.restart_policy or pod.spec.restart_policy or "Always"
    if member.kind is Kind.INIT and exit_code == 0:
        return False
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def delay_after(dead: Container) -> float:
    """How long after its end a container stays down, in seconds."""
    return 0.0 if dead.finished_at - dead.created_at > HEALTHY_SECONDS else min(dead.backoff, MOST_DELAY)


def next_backoff(dead: Container | None) -> float:
    """What the successor of a dead container carries; 0 for the first of its name."""
    if dead is None:
        return 0.0
    return min(max(2 * delay_after(dead), FIRST_DELAY), MOST_DELAY)
