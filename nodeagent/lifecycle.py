"""The lives of a pod and of a container on one node, as tables.

    pod        STARTING -> RUNNING -> ENDING -> REMOVING -> GONE
               a pod may end from any stage before; it never comes back from ENDING
    container  CREATED -> RUNNING -> EXITED, or CREATED -> EXITED when its process could not start

A move that is in no table is a bug, or a runtime that contradicts itself, and raises.
Elsewhere: who decides on a move (plan.py for pods, the runtime for containers).
"""

from __future__ import annotations

from enum import Enum

from nodeagent.observed import ContainerState
from sampan.errors import SampanError


class IllegalMove(SampanError):
    """Something went from one state to another that it can't reach."""


class Stage(Enum):
    """Where a pod is in its life on this node."""

    STARTING = "starting"
    """No container of it has run yet."""
    RUNNING = "running"
    """It is kept as its spec says."""
    ENDING = "ending"
    """Its containers are being stopped, or have been: nothing of it starts again."""
    REMOVING = "removing"
    """All has ended and been reported; what is left of it is taken away."""
    GONE = "gone"
    """Nothing of it is left here."""


POD_MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.STARTING: frozenset({Stage.STARTING, Stage.RUNNING, Stage.ENDING, Stage.REMOVING, Stage.GONE}),
    Stage.RUNNING: frozenset({Stage.RUNNING, Stage.ENDING, Stage.REMOVING, Stage.GONE}),
    Stage.ENDING: frozenset({Stage.ENDING, Stage.REMOVING, Stage.GONE}),
    # a container that was being created when the end came may turn up late
    Stage.REMOVING: frozenset({Stage.REMOVING, Stage.ENDING, Stage.GONE}),
    Stage.GONE: frozenset({Stage.GONE}),
}

CONTAINER_MOVES: dict[ContainerState, frozenset[ContainerState]] = {
    ContainerState.CREATED: frozenset(ContainerState),
    ContainerState.RUNNING: frozenset({ContainerState.RUNNING, ContainerState.EXITED, ContainerState.UNKNOWN}),
    ContainerState.EXITED: frozenset({ContainerState.EXITED}),
    ContainerState.UNKNOWN: frozenset(
        {ContainerState.UNKNOWN, ContainerState.RUNNING, ContainerState.EXITED, ContainerState.CREATED}
    ),
}


def move_pod(old: Stage, new: Stage) -> Stage:
    """The new stage. Raises IllegalMove."""
    if new not in POD_MOVES[old]:
        raise IllegalMove(f"a pod can't go from {old.value} to {new.value}")
    return new


def move_container(old: ContainerState, new: ContainerState) -> ContainerState:
    """The new state. Raises IllegalMove."""
    if new not in CONTAINER_MOVES[old]:
        raise IllegalMove(f"a container can't go from {old.value} to {new.value}")
    return new
