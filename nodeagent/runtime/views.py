"""The runtime's records as CRI messages. Pure."""

from collections.abc import Mapping

from nodeagent.runtime.images.store import Image
from nodeagent.runtime.state import Container, Sandbox
from sampan.cri import api_pb2 as cri

CONTAINER_STATES = {
    "created": cri.ContainerState.CONTAINER_CREATED,
    "running": cri.ContainerState.CONTAINER_RUNNING,
    "exited": cri.ContainerState.CONTAINER_EXITED,
}


def sandbox_state(sandbox: Sandbox) -> cri.PodSandboxState:
    """READY while its namespaces are held."""
    states = cri.PodSandboxState
    return states.SANDBOX_READY if sandbox.state.ready else states.SANDBOX_NOTREADY


def sandbox_status(sandbox: Sandbox) -> cri.PodSandboxStatus:
    """A sandbox in full."""
    config, state = sandbox.config, sandbox.state
    network = cri.PodSandboxNetworkStatus()
    if state.ready and state.ips:
        network.ip = state.ips[0]
        network.additional_ips.extend(cri.PodIP(ip=ip) for ip in state.ips[1:])
    options = config.linux.security_context.namespace_options
    return cri.PodSandboxStatus(
        id=sandbox.id,
        metadata=config.metadata,
        state=sandbox_state(sandbox),
        created_at=state.created_at,
        network=network,
        linux=cri.LinuxPodSandboxStatus(namespaces=cri.Namespace(options=options)),
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=state.runtime_handler,
    )


def sandbox_item(sandbox: Sandbox) -> cri.PodSandbox:
    """A sandbox as lists show it."""
    config = sandbox.config
    return cri.PodSandbox(
        id=sandbox.id,
        metadata=config.metadata,
        state=sandbox_state(sandbox),
        created_at=sandbox.state.created_at,
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=sandbox.state.runtime_handler,
    )


def container_state(container: Container) -> cri.ContainerState:
    """EXITED only once its output is read to the end, so that whoever sees it finds the whole log."""
    if container.state.state == "exited" and not container.ended.is_set():
        return cri.ContainerState.CONTAINER_RUNNING
    return CONTAINER_STATES[container.state.state]


def container_status(container: Container) -> cri.ContainerStatus:
    """A container in full."""
    config, state = container.config, container.state
    exited = container_state(container) == cri.ContainerState.CONTAINER_EXITED
    status = cri.ContainerStatus(
        id=container.id,
        metadata=config.metadata,
        state=container_state(container),
        created_at=state.created_at,
        started_at=state.started_at,
        image=config.image,
        image_ref=state.image_ref,
        image_id=state.image_id,
        labels=config.labels,
        annotations=config.annotations,
        mounts=config.mounts,
        log_path=state.log_path,
        resources=cri.ContainerResources(linux=config.linux.resources),
        stop_signal=config.stop_signal,
    )
    if exited:
        status.finished_at = state.finished_at
        status.exit_code = state.exit_code
        status.reason = state.reason
        status.message = state.message
    if state.user:
        uid, gid, groups = state.user
        status.user.linux.CopyFrom(cri.LinuxContainerUser(uid=uid, gid=gid, supplemental_groups=groups))
    return status


def container_item(container: Container) -> cri.Container:
    """A container as lists show it."""
    config, state = container.config, container.state
    return cri.Container(
        id=container.id,
        pod_sandbox_id=state.sandbox_id,
        metadata=config.metadata,
        image=config.image,
        image_ref=state.image_ref,
        image_id=state.image_id,
        state=container_state(container),
        created_at=state.created_at,
        labels=config.labels,
        annotations=config.annotations,
    )


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether all wanted labels are there with their values."""
    return all(labels.get(key) == value for key, value in wanted.items())


def image_view(image: Image) -> cri.Image:
    """An image of the store. Its user is a number or a name, never both."""
    view = cri.Image(
        id=image.id,
        repo_tags=image.repo_tags,
        repo_digests=image.repo_digests,
        size=max(1, image.size),
        pinned=not image.imported,  # in the parent store, where the node can free nothing
    )
    user = image.config.user.partition(":")[0]
    if user.isascii() and user.isdigit():
        view.uid.value = int(user)
    else:
        view.username = user
    return view
