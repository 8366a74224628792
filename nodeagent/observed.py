"""What the runtime says of pods, as values. Made at the edge (cri.py), read by the planners (plan.py, status.py).

Times are seconds since the epoch (float), 0.0 for "never". Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
"""Labels on sandboxes and containers: the kubelet's names, so that crictl and others find them."""

HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
MESSAGE_FILE = "sampan.io/termination-message-file"
POD_GRACE = "io.kubernetes.pod.terminationGracePeriod"
BACKOFF = "sampan.io/restart-backoff-seconds"
"""Annotations on containers: what the agent must find again after it was killed."""


class SandboxState(Enum):
    """Whether a sandbox can hold containers."""

    READY = "ready"
    NOT_READY = "not ready"


class ContainerState(Enum):
    """A container as the runtime tells it."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One pod sandbox."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    state: SandboxState
    created_at: float
    ips: tuple[str, ...] = ()
    host_network: bool = False
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def ready(self) -> bool:
        """It can take containers."""
        return self.state is SandboxState.READY


@dataclass(frozen=True, slots=True)
class User:
    """Who a container's first process runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """One container, alive or dead. `exit_code`, `reason` and `message` mean something once it has exited."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: ContainerState
    created_at: float
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_ref: str = ""
    hash: str = ""
    restart_count: int = 0
    backoff: float = 0.0
    grace: int = 30
    log_path: str = ""
    message_file: str = ""
    message_policy: str = "File"
    user: User | None = None
    pod_uid: str = ""
    pod_name: str = ""
    pod_namespace: str = ""

    @property
    def running(self) -> bool:
        """Its process lives."""
        return self.state is ContainerState.RUNNING

    @property
    def exited(self) -> bool:
        """Its process has ended, or never could start."""
        return self.state is ContainerState.EXITED


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last try to start a container, or its sandbox, did not succeed: what status and events show."""

    reason: str
    message: str
    at: float
    retry_at: float = 0.0
    """Not before this, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Health:
    """What probes and hooks know of one running container. None: no verdict yet (or no such probe)."""

    started: bool | None = None
    ready: bool | None = None
    live: bool | None = None
    startup_failed: bool = False
    post_start_failed: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """All that is known of one pod on this node at one moment."""

    sandboxes: tuple[Sandbox, ...] = ()
    """Newest first."""
    containers: tuple[Container, ...] = ()
    """Newest first."""
    health: Mapping[str, Health] = field(default_factory=dict)
    """By container id."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """By container name; the sandbox's under the empty name."""
    busy: frozenset[str] = frozenset()
    """Keys of the steps that are being performed."""
    volumes_ready: bool = False
    volumes_present: bool = False
    """There is something of this pod's on the node's disk that must be taken away in the end."""
    network_ready: bool = True
    waiting_for: str = ""
    """Why nothing may start yet, for the log (the pod's network, say); empty when nothing is in the way."""

    @property
    def sandbox(self) -> Sandbox | None:
        """The newest sandbox."""
        return self.sandboxes[0] if self.sandboxes else None

    def newest(self, name: str, sandbox_id: str | None = None) -> Container | None:
        """The newest container of this name, in any sandbox or in one."""
        for container in self.containers:
            if container.name == name and sandbox_id in (None, container.sandbox_id):
                return container
        return None

    def of_name(self, name: str) -> list[Container]:
        """All containers of a name, newest first."""
        return [container for container in self.containers if container.name == name]

    @property
    def alive(self) -> list[Container]:
        """Containers that run, or may."""
        return [c for c in self.containers if c.state in (ContainerState.RUNNING, ContainerState.UNKNOWN)]
