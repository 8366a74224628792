"""What every pod's worker shares: the node's runtime, client, volumes, images, references, and who is told what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.cri import Runtime
from nodeagent.downward import Here
from nodeagent.images import Images
from nodeagent.names import Resolver
from nodeagent.pod_cgroups import PodCgroups
from nodeagent.references import References
from nodeagent.restart import Kind, Member
from nodeagent.status import NodeFacts
from nodeagent.tokens import Tokens
from nodeagent.user_namespaces import UserNamespaces
from nodeagent.volumes.pod_volumes import PodVolumes
from sampan.api import core_v1
from sampan.client import Client
from sampan.clock import Clock
from sampan.events import EventRecorder
from sampan.kinds import PODS
from sampan.objects import reference_to


@dataclass
class NodeContext:
    """One node, as its pods' workers see it."""

    name: str
    client: Client
    runtime: Runtime
    clock: Clock
    events: EventRecorder
    references: References
    tokens: Tokens
    volumes: PodVolumes
    users: UserNamespaces
    images: Images
    facts: NodeFacts
    log_dir: Path
    cgroup_root: str
    cgroups: PodCgroups
    cluster_domain: str
    cluster_dns: tuple[str, ...]
    resolver: Resolver
    node_memory: int
    allocatable: Callable[[], dict[str, str]]
    services: Callable[[], Iterable[core_v1.Service]]
    services_known: Callable[[], bool]
    network_ready: bool = False
    user_namespaces: bool = False
    """Whether the runtime can give pods users of their own."""
    node_hosts: str = field(default="")

    def here(self, pod_ips: tuple[str, ...]) -> Here:
        """What a pod with these addresses may learn of itself and its node."""
        return Here(self.name, self.facts.host_ips, self.allocatable(), pod_ips)

    def say(self, pod: core_v1.Pod, type_: str, reason: str, message: str, *, container: Member | None = None) -> None:
        """Record an event about a pod, or about one of its containers."""
        about = reference_to(pod, PODS)
        if container is not None:
            place = {Kind.INIT: "initContainers", Kind.SIDECAR: "initContainers", Kind.REGULAR: "containers"}
            where = place.get(container.kind, "ephemeralContainers")
            about = about.model_copy(update={"field_path": f"spec.{where}{{{container.name}}}"})
        self.events.record(about, type_, reason, message)
