"""Starting and stopping sandboxes and containers: the steps of the plan that take several calls.

Elsewhere: when (plan.py), what the configurations say (containers.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nodeagent.containers import container_config, sandbox_config
from nodeagent.cri import CriError
from nodeagent.environment import ConfigError, environment, secret_bytes
from nodeagent.hooks import HookError, run_hook
from nodeagent.images import ImageError
from nodeagent.names import dns_config, hosts_file
from nodeagent.node_context import NodeContext
from nodeagent.observed import Observed, Sandbox
from nodeagent.plan import LEAST_GRACE_SECONDS, CreateSandbox, KillContainer, StartContainer
from nodeagent.probes.dial import ProbeError
from nodeagent.restart import Member
from nodeagent.security import SecurityError
from nodeagent.volumes.errors import VolumeError
from sampan.api import core_v1
from sampan.cri import api_pb2 as cri
from sampan.errors import SampanError


class StartFailure(SampanError):
    """A container could not be started. `reason` is what its status shows; `container_id` if one was made."""

    def __init__(self, reason: str, message: str, container_id: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.container_id = container_id

    @property
    def container_exists(self) -> bool:
        """The runtime has a record of it, whose exit counts."""
        return bool(self.container_id)


def sandbox_of(node: NodeContext, pod: core_v1.Pod, attempt: int) -> cri.PodSandboxConfig:
    """The sandbox configuration of a pod on this node. Raises SecurityError, NoUsersLeft."""
    return sandbox_config(
        pod,
        attempt,
        log_dir=node.log_dir,
        cgroup_root=node.cgroup_root,
        dns=dns_config(pod, node.cluster_dns, node.cluster_domain, node.resolver),
        cluster_domain=node.cluster_domain,
        users=node.users.of(pod),
    )


async def start_sandbox(node: NodeContext, pod: core_v1.Pod, step: CreateSandbox) -> None:
    """Stop the old sandboxes, make a new one. Raises CriError, SecurityError, PodCgroupError, OSError."""
    for old in step.stop:
        await node.runtime.stop_sandbox(old)
    if pod.spec.runtime_class_name:
        raise SecurityError(f"runtimeClassName {pod.spec.runtime_class_name!r} is not supported by this node")
    if pod.spec.host_users is False and not node.user_namespaces:
        raise SecurityError("hostUsers: false: the container runtime of this node does not support user namespaces")
    config = sandbox_of(node, pod, step.attempt)
    Path(config.log_directory).mkdir(parents=True, exist_ok=True, mode=0o755)
    await node.cgroups.hold(pod)
    await node.runtime.run_sandbox(config, "")


async def start_container(
    node: NodeContext,
    pod: core_v1.Pod,
    member: Member,
    step: StartContainer,
    sandbox: Sandbox,
    seen: Observed,
    *,
    pulled: Callable[[], None],
    created: Callable[[str], None],
    started: Callable[[str], None],
) -> str:
    """Image, configuration, create, start, postStart. Returns the container's id. Raises StartFailure."""

    def say(type_: str, reason: str, message: str) -> None:
        node.say(pod, type_, reason, message, container=member)

    ips = node.facts.host_ips if pod.spec.host_network else sandbox.ips
    container_id = step.made or await _create(node, pod, member, step, sandbox, seen, ips, say, pulled)
    created(container_id)
    try:
        await node.runtime.start_container(container_id)
    except CriError as error:
        say("Warning", "Failed", f"Error: {error.detail}")
        raise StartFailure("RunContainerError", error.detail, container_id) from None
    say("Normal", "Started", f"Started container {member.name}")
    started(container_id)
    hook = member.spec.lifecycle.post_start if member.spec.lifecycle is not None else None
    if hook is not None:
        ip = ips[0] if ips else ""
        try:
            await run_hook(
                hook,
                runtime=node.runtime,
                container_id=container_id,
                spec=member.spec,
                pod_ip=ip,
                clock=node.clock,
            )
        except (HookError, ProbeError, TimeoutError) as error:
            say("Warning", "FailedPostStartHook", f"PostStartHook failed: {error}")
            raise StartFailure("PostStartHookError", f"PostStartHook failed: {error}", container_id) from None
    return container_id


async def _create(
    node: NodeContext,
    pod: core_v1.Pod,
    member: Member,
    step: StartContainer,
    sandbox: Sandbox,
    seen: Observed,
    ips: tuple[str, ...],
    say: Callable[[str, str, str], None],
    pulled: Callable[[], None],
) -> str:
    config = sandbox_of(node, pod, sandbox.attempt)
    try:
        image = await node.images.ensure(
            member.spec.image or "", member.spec.image_pull_policy, _pull_secrets(node, pod), config, say
        )
    except ImageError as error:
        say("Warning", "Failed", f"Error: {error.reason}")
        raise StartFailure(error.reason, str(error)) from None
    pulled()
    try:
        if not node.services_known() and pod.spec.enable_service_links is not False:
            raise ConfigError("services have not yet been read at least once, cannot construct envvars")
        variables = environment(pod, member, node.references, node.services(), node.here(ips))
        for message in variables.skipped:
            say("Warning", "InvalidEnvironmentVariableNames", message)
        mounts = node.volumes.mounts(pod, member, variables.variables)
        hosts = hosts_file(pod, ips, node.cluster_domain, node.node_hosts)
        mounts += node.volumes.hosts_mount(pod, member, hosts)
        made = container_config(
            pod,
            member,
            step,
            image_ref=image.ref,
            image_user=image.user,
            variables=variables.variables,
            mounts=mounts,
            message_file=node.volumes.message_file(pod.metadata.uid or "", member.name, step.restart_count),
            node_memory=node.node_memory,
            unified=node.cgroups.unified,
            target_id=_target(member, seen),
            users=node.users.of(pod),
        )
    except (ConfigError, SecurityError, VolumeError, OSError) as error:
        say("Warning", "Failed", f"Error: {error}")
        raise StartFailure("CreateContainerConfigError", str(error)) from None
    try:
        container_id = await node.runtime.create_container(sandbox.id, made, config)
    except CriError as error:
        say("Warning", "Failed", f"Error: {error.detail}")
        raise StartFailure("CreateContainerError", error.detail) from None
    say("Normal", "Created", f"Created container: {member.name}")
    return container_id


def _pull_secrets(node: NodeContext, pod: core_v1.Pod) -> list[bytes]:
    """The texts of the pod's pull secrets; one that is missing or of another type is passed over, as upstream does."""
    found = []
    for reference in pod.spec.image_pull_secrets:
        secret = node.references.secret(pod.metadata.namespace or "", reference.name or "")
        for key in (".dockerconfigjson", ".dockercfg"):
            if secret is not None and key in secret.data:
                try:
                    found.append(secret_bytes(secret, key))
                except ConfigError:
                    continue
    return found


def _target(member: Member, seen: Observed) -> str:
    """The container whose processes an ephemeral container sees."""
    name = member.spec.target_container_name if isinstance(member.spec, core_v1.EphemeralContainer) else None
    if not name:
        return ""
    target = seen.newest(name)
    return target.id if target is not None and target.running else ""


async def kill(
    node: NodeContext,
    pod: core_v1.Pod,
    member: Member | None,
    step: KillContainer,
    pod_ip: str,
    *,
    with_hook: bool,
) -> None:
    """preStop, then the stop signal, then SIGKILL: all within the grace. Raises CriError."""
    ends = node.clock.monotonic() + step.grace
    lifecycle = member.spec.lifecycle if member is not None else None
    if with_hook and member is not None and lifecycle is not None and lifecycle.pre_stop is not None:
        try:
            await run_hook(
                lifecycle.pre_stop,
                runtime=node.runtime,
                container_id=step.container.id,
                spec=member.spec,
                pod_ip=pod_ip,
                clock=node.clock,
                timeout=float(step.grace),
            )
        except TimeoutError:
            pass  # it has eaten the grace: the signal comes now
        except (HookError, ProbeError) as error:
            node.say(pod, "Warning", "FailedPreStopHook", f"PreStopHook failed: {error}", container=member)
    left = max(LEAST_GRACE_SECONDS, round(ends - node.clock.monotonic()))
    await node.runtime.stop_container(step.container.id, left)
