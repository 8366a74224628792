"""A pod's sandbox and containers as CRI configurations. Pure: all that must be looked up is given.

Labels and annotations are the kubelet's, so that crictl shows them and a restarted agent finds all again.
Elsewhere: variables (environment.py), users and capabilities (security.py), cgroups (resources.py), mounts (volumes/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nodeagent import names, observed, resources, security
from nodeagent.environment import ConfigError, expanded
from nodeagent.plan import StartContainer, container_hash, spec_grace
from nodeagent.restart import Member
from sampan.api import core_v1
from sampan.cri import api_pb2 as cri

PROTOCOLS = {"TCP": cri.Protocol.TCP, "UDP": cri.Protocol.UDP, "SCTP": cri.Protocol.SCTP}
MESSAGE_PATH = "/dev/termination-log"


def log_directory(root: Path, pod: core_v1.Pod) -> Path:
    """Where a pod's logs are: `<root>/<namespace>_<name>_<uid>`."""
    meta = pod.metadata
    return root / f"{meta.namespace}_{meta.name}_{meta.uid}"


def log_path(name: str, restart_count: int) -> str:
    """A container's log, under its pod's directory."""
    return f"{name}/{restart_count}.log"


def sandbox_config(
    pod: core_v1.Pod,
    attempt: int,
    *,
    log_dir: Path,
    cgroup_root: str,
    dns: cri.DNSConfig,
    cluster_domain: str,
    users: cri.UserNamespace | None = None,
) -> cri.PodSandboxConfig:
    """The configuration of a pod's sandbox. Raises SecurityError."""
    meta = pod.metadata
    ports = [
        cri.PortMapping(
            protocol=PROTOCOLS.get(port.protocol or "TCP", cri.Protocol.TCP),
            container_port=port.container_port,
            host_port=port.host_port or 0,
            host_ip=port.host_ip or "",
        )
        for spec in (*pod.spec.init_containers, *pod.spec.containers)
        for port in spec.ports
    ]
    context = pod.spec.security_context
    made = cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=meta.name or "", namespace=meta.namespace or "", uid=meta.uid or "", attempt=attempt
        ),
        log_directory=str(log_directory(log_dir, pod)),
        dns_config=dns,
        port_mappings=() if pod.spec.host_network else ports,
        labels=dict(meta.labels) | _labels(pod),
        annotations=dict(meta.annotations),
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=resources.cgroup_parent(cgroup_root, pod),
            security_context=security.sandbox_security(pod, users),
            sysctls={one.name: one.value for one in context.sysctls} if context is not None else {},
            overhead=resources.overhead(pod),
            resources=resources.pod_resources(pod),
        ),
    )
    if not pod.spec.host_network:
        made.hostname = names.kernel_hostname(pod, cluster_domain)
    return made


def container_config(
    pod: core_v1.Pod,
    member: Member,
    step: StartContainer,
    *,
    image_ref: str,
    image_user: security.ImageUser,
    variables: Mapping[str, str],
    mounts: Sequence[cri.Mount],
    message_file: Path | None,
    node_memory: int,
    unified: Mapping[str, str],
    target_id: str = "",
    users: cri.UserNamespace | None = None,
) -> cri.ContainerConfig:
    """The configuration of a container; in a user namespace all its mounts are shown through the pod's map.

    Raises ConfigError, SecurityError.
    """
    spec = member.spec
    if spec.volume_devices:
        raise ConfigError("volumeDevices: block volumes are not supported by this node")
    if spec.resources is not None and spec.resources.claims:
        raise ConfigError("resources.claims: dynamic resource allocation is not supported by this node")
    inside = spec.termination_message_path or MESSAGE_PATH
    made = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=spec.name, attempt=step.restart_count),
        image=cri.ImageSpec(image=image_ref, user_specified_image=spec.image or ""),
        command=expanded(spec.command, variables),
        args=expanded(spec.args, variables),
        working_dir=spec.working_dir or "",
        mounts=mounts,
        labels=_labels(pod) | {observed.CONTAINER_NAME: spec.name},
        annotations={
            observed.HASH: container_hash(member),
            observed.RESTART_COUNT: str(step.restart_count),
            observed.BACKOFF: str(int(step.backoff)),
            observed.MESSAGE_PATH: inside,
            observed.MESSAGE_POLICY: spec.termination_message_policy or "File",
            observed.POD_GRACE: str(spec_grace(pod)),
        },
        log_path=log_path(spec.name, step.restart_count),
        stdin=bool(spec.stdin),
        stdin_once=bool(spec.stdin_once),
        tty=bool(spec.tty),
        linux=cri.LinuxContainerConfig(
            resources=resources.container_resources(pod, member, node_memory, unified),
            security_context=security.container_security(pod, member, image_user, target_id, users),
        ),
    )
    for name, value in variables.items():
        try:
            made.envs.append(cri.KeyValue(key=name, value=value))
        except ValueError:
            raise ConfigError(f"environment variable {name}: its value is not UTF-8") from None
    if message_file is not None:
        made.annotations[observed.MESSAGE_FILE] = str(message_file)
        made.mounts.append(cri.Mount(container_path=inside, host_path=str(message_file)))
    if users is not None:
        for mount in made.mounts:
            mount.uidMappings.extend(users.uids)
            mount.gidMappings.extend(users.gids)
    if spec.lifecycle is not None and spec.lifecycle.stop_signal:
        try:
            made.stop_signal = cri.Signal(cri.Signal.Value(spec.lifecycle.stop_signal))
        except ValueError:
            raise ConfigError(f"lifecycle.stopSignal: unknown signal {spec.lifecycle.stop_signal}") from None
    return made


def _labels(pod: core_v1.Pod) -> dict[str, str]:
    return {
        observed.POD_NAME: pod.metadata.name or "",
        observed.POD_NAMESPACE: pod.metadata.namespace or "",
        observed.POD_UID: pod.metadata.uid or "",
    }
