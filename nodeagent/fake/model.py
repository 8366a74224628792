"""What fake nodes read of pods and nodes: a small part, so that a hundred thousand pods fit into memory."""

from __future__ import annotations

from sampan.api.base import JSON, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.resource import Resource, Scope


class Container(Object):
    """A container that is asked for."""

    name: str = field("")
    image: str | None = field()
    restart_policy: str | None = field()


class Gate(Object):
    """A readiness gate."""

    condition_type: str = field("")


class Spec(Object):
    """What is asked for."""

    node_name: str | None = field()
    restart_policy: str | None = field()
    host_network: bool | None = field()
    active_deadline_seconds: int | None = field()
    init_containers: list[Container] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    readiness_gates: list[Gate] = field(default_factory=list)


class Condition(Object):
    """A condition."""

    type: str = field("")
    status: str = field("")
    last_transition_time: Time | None = field()


class Running(Object):
    """A container that runs."""

    started_at: Time | None = field()


class Waiting(Object):
    """A container that does not run yet."""

    reason: str | None = field()


class Terminated(Object):
    """A container that ended."""

    finished_at: Time | None = field()


class State(Object):
    """How a container is."""

    running: Running | None = field()
    waiting: Waiting | None = field()
    terminated: Terminated | None = field()


class ContainerStatus(Object):
    """What was reported of a container."""

    name: str = field("")
    restart_count: int = field(0)
    state: State | None = field()
    last_state: JSON = field()


class Status(Object):
    """What was reported."""

    phase: str | None = field()
    start_time: Time | None = field()
    pod_ip: str | None = field()
    conditions: list[Condition] = field(default_factory=list)
    container_statuses: list[ContainerStatus] = field(default_factory=list)


class FakePod(Object):
    """A pod, as far as a fake node cares."""

    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: Spec = field(default_factory=lambda: Spec())
    status: Status = field(default_factory=lambda: Status())


class NodeState(Object):
    """What was reported of a node."""

    conditions: list[Condition] = field(default_factory=list)


class FakeNode(Object):
    """A node, as far as its own agent cares."""

    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    status: NodeState = field(default_factory=lambda: NodeState())

    @property
    def is_ready(self) -> bool:
        """Whether the API says so."""
        return any(one.type == "Ready" and one.status == "True" for one in self.status.conditions)


FAKE_NODES: Resource[FakeNode] = Resource("", "v1", "Node", "nodes", FakeNode, Scope.CLUSTER)
FAKE_PODS: Resource[FakePod] = Resource("", "v1", "Pod", "pods", FakePod)
