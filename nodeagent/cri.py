"""The agent's client of a container runtime: CRI v1 over gRPC, in the agent's own types.

Any CRI runtime will do: nodeagent.runtime, containerd, CRI-O. Protobuf stays in here, except for the configurations
of sandboxes and containers, which containers.py builds as messages.
Elsewhere: what to do about what this reports (plan.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from nodeagent import observed
from sampan.cri import api_pb2 as cri
from sampan.cri import api_pb2_grpc
from sampan.errors import SampanError

CALL_SECONDS = 120.0
STOP_MARGIN_SECONDS = 30.0
NANO = 1e9
MOST_MESSAGE_BYTES = 16 * 1024 * 1024
MOST_REMEMBERED = 1000

T = TypeVar("T")


class CriError(SampanError):
    """The runtime refused a call, or could not be asked. `code` is the gRPC status code's name."""

    def __init__(self, call: str, code: str, detail: str) -> None:
        super().__init__(f"{call}: rpc error: code = {code} desc = {detail}")
        self.call = call
        self.code = code
        self.detail = detail

    @property
    def is_not_found(self) -> bool:
        """There is no such container, sandbox or image (any more)."""
        return self.code == "NOT_FOUND"

    @property
    def is_unimplemented(self) -> bool:
        """This runtime does not offer the call."""
        return self.code == "UNIMPLEMENTED"

    @property
    def is_unavailable(self) -> bool:
        """Nobody answers at the socket."""
        return self.code == "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Version:
    """Which runtime this is."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Handler:
    """A way in which the runtime runs pods, and what it can do; the default one has no name."""

    name: str
    recursive_read_only_mounts: bool
    user_namespaces: bool


@dataclass(frozen=True, slots=True)
class Conditions:
    """Whether the runtime and its pod network work, and why not."""

    runtime_ready: bool
    network_ready: bool
    runtime_message: str = ""
    network_message: str = ""
    handlers: tuple[Handler, ...] = ()
    supplemental_groups_policy: bool = False

    @property
    def user_namespaces(self) -> bool:
        """Whether its default way of running pods knows user namespaces."""
        return any(handler.user_namespaces for handler in self.handlers if not handler.name)


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the runtime holds."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    uid: int | None
    username: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class PodEvent:
    """Something happened to a container or sandbox of this pod: look at it."""

    uid: str


class Runtime:
    """One CRI endpoint. Use as `async with Runtime.connect(socket) as runtime`."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._runtime = api_pb2_grpc.RuntimeServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self._images = api_pb2_grpc.ImageServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.name = "sampan"
        """What containerID is prefixed with; `version()` corrects it."""
        # What a look needs no second call for: a sandbox that is ready, a container that runs or has ended, do not
        # change but for their state, which every list tells.
        self._sandboxes: dict[str, observed.Sandbox] = {}
        self._containers: dict[str, observed.Container] = {}

    @classmethod
    def connect(cls, socket: Path) -> Self:
        """A client of the runtime at a unix socket. Connects when first used, and again after a loss."""
        options = [
            ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
            ("grpc.enable_http_proxy", 0),
            # CRI servers that check the authority reject a percent-encoded socket path, as containerd's does
            ("grpc.default_authority", "localhost"),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        return cls(grpc.aio.insecure_channel(f"unix://{socket}", options=options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def _call(self, method: Callable[..., Awaitable[T]], request: Any, timeout: float = CALL_SECONDS) -> T:
        try:
            return await method(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            name = type(request).__name__.removesuffix("Request")
            raise CriError(name, error.code().name, error.details() or "") from None

    # --- the runtime itself

    async def version(self) -> Version:
        """Name and version of the runtime."""
        answer = await self._call(self._runtime.Version, cri.VersionRequest(version="v1"))
        self.name = answer.runtime_name or self.name
        return Version(answer.runtime_name, answer.runtime_version)

    async def conditions(self) -> Conditions:
        """RuntimeReady and NetworkReady, as the runtime sees them."""
        answer = await self._call(self._runtime.Status, cri.StatusRequest(), 10.0)
        found = {condition.type: condition for condition in answer.status.conditions}
        runtime, network = found.get("RuntimeReady"), found.get("NetworkReady")
        return Conditions(
            runtime_ready=runtime is not None and runtime.status,
            network_ready=network is not None and network.status,
            runtime_message=_why_not(runtime, "RuntimeReady"),
            network_message=_why_not(network, "NetworkReady"),
            handlers=tuple(
                Handler(one.name, one.features.recursive_read_only_mounts, one.features.user_namespaces)
                for one in answer.runtime_handlers
            ),
            supplemental_groups_policy=answer.features.supplemental_groups_policy,
        )

    async def set_pod_cidr(self, pod_cidr: str) -> None:
        """Tell the runtime which addresses this node's pods get."""
        config = cri.RuntimeConfig(network_config=cri.NetworkConfig(pod_cidr=pod_cidr))
        await self._call(self._runtime.UpdateRuntimeConfig, cri.UpdateRuntimeConfigRequest(runtime_config=config))

    async def events(self) -> AsyncIterator[PodEvent]:
        """What happens to containers, as it happens. Raises CriError (unimplemented: relist instead).

        That one was created is not told: only this agent creates them, and looks when the call has returned.
        """
        try:
            async for event in self._runtime.GetContainerEvents(cri.GetEventsRequest()):
                if event.container_event_type != cri.ContainerEventType.CONTAINER_CREATED_EVENT:
                    yield PodEvent(event.pod_sandbox_status.metadata.uid)
        except grpc.aio.AioRpcError as error:
            raise CriError("GetContainerEvents", error.code().name, error.details() or "") from None

    # --- what there is

    async def pod(self, uid: str) -> tuple[tuple[observed.Sandbox, ...], tuple[observed.Container, ...]]:
        """Sandboxes and containers of one pod, newest first."""
        selector = {observed.POD_UID: uid}
        listed_sandboxes, listed_containers = await asyncio.gather(
            self._call(
                self._runtime.ListPodSandbox,
                cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=selector)),
            ),
            self._call(
                self._runtime.ListContainers,
                cri.ListContainersRequest(filter=cri.ContainerFilter(label_selector=selector)),
            ),
        )
        sandboxes = await asyncio.gather(*(self._sandbox(item) for item in listed_sandboxes.items))
        containers = await asyncio.gather(*(self._container(item) for item in listed_containers.containers))
        return (
            tuple(sorted((s for s in sandboxes if s), key=lambda s: (s.attempt, s.created_at), reverse=True)),
            tuple(sorted((c for c in containers if c), key=lambda c: (c.attempt, c.created_at), reverse=True)),
        )

    async def uids(self) -> dict[str, tuple[str, str]]:
        """Every pod that has a sandbox or a container here: uid -> (namespace, name)."""
        sandboxes = await self._call(self._runtime.ListPodSandbox, cri.ListPodSandboxRequest())
        containers = await self._call(self._runtime.ListContainers, cri.ListContainersRequest())
        found: dict[str, tuple[str, str]] = {}
        for item in (*containers.containers, *sandboxes.items):
            if uid := item.labels.get(observed.POD_UID, ""):
                found[uid] = (item.labels.get(observed.POD_NAMESPACE, ""), item.labels.get(observed.POD_NAME, ""))
        return found

    async def sandbox_info(self, sandbox_id: str) -> dict[str, str]:
        """What the runtime tells for debugging; each runtime has words of its own. Raises CriError."""
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id, verbose=True)
        return dict((await self._call(self._runtime.PodSandboxStatus, request)).info)

    async def states(self) -> dict[str, frozenset[tuple[str, int]]]:
        """What a relist compares: uid -> ids and states of all its sandboxes and containers."""
        sandboxes = await self._call(self._runtime.ListPodSandbox, cri.ListPodSandboxRequest())
        containers = await self._call(self._runtime.ListContainers, cri.ListContainersRequest())
        found: dict[str, set[tuple[str, int]]] = {}
        for item in (*containers.containers, *sandboxes.items):
            if uid := item.labels.get(observed.POD_UID, ""):
                found.setdefault(uid, set()).add((item.id, int(item.state)))
        return {uid: frozenset(states) for uid, states in found.items()}

    async def all_containers(self) -> list[observed.Container]:
        """Every container of the agent's, in detail."""
        listed = await self._call(self._runtime.ListContainers, cri.ListContainersRequest())
        ours = [item for item in listed.containers if observed.POD_UID in item.labels]
        return [c for c in await asyncio.gather(*(self._container(item) for item in ours)) if c]

    async def _sandbox(self, item: cri.PodSandbox) -> observed.Sandbox | None:
        known = self._sandboxes.get(item.id)
        if known is not None and item.state == cri.PodSandboxState.SANDBOX_READY:
            return known
        try:
            answer = await self._call(
                self._runtime.PodSandboxStatus, cri.PodSandboxStatusRequest(pod_sandbox_id=item.id)
            )
        except CriError as error:
            if error.is_not_found:
                return None
            raise
        status = answer.status
        ips = [status.network.ip, *(one.ip for one in status.network.additional_ips)]
        network = status.linux.namespaces.options.network
        sandbox = observed.Sandbox(
            id=status.id,
            name=status.metadata.name,
            namespace=status.metadata.namespace,
            uid=status.metadata.uid,
            attempt=status.metadata.attempt,
            state=observed.SandboxState.READY
            if status.state == cri.PodSandboxState.SANDBOX_READY
            else observed.SandboxState.NOT_READY,
            created_at=status.created_at / NANO,
            ips=tuple(ip for ip in ips if ip),
            host_network=network == cri.NamespaceMode.NODE,
            labels=dict(status.labels),
        )
        if sandbox.ready:
            _remember(self._sandboxes, sandbox.id, sandbox)
        return sandbox

    async def _container(self, item: cri.Container) -> observed.Container | None:
        known = self._containers.get(item.id)
        if known is not None and known.state is _STATES.get(item.state):
            return known
        try:
            answer = await self._call(self._runtime.ContainerStatus, cri.ContainerStatusRequest(container_id=item.id))
        except CriError as error:
            if error.is_not_found:
                return None
            raise
        container = container_of(answer.status, item.pod_sandbox_id)
        if container.running or container.exited:
            _remember(self._containers, container.id, container)
        return container

    # --- sandboxes

    async def run_sandbox(self, config: cri.PodSandboxConfig, handler: str = "") -> str:
        """Make a sandbox with its network. Returns its id."""
        request = cri.RunPodSandboxRequest(config=config, runtime_handler=handler)
        return str((await self._call(self._runtime.RunPodSandbox, request)).pod_sandbox_id)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """End everything in it and give its network back. Fine to repeat."""
        await self._unless_gone(self._runtime.StopPodSandbox, cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Forget it and its containers. Fine to repeat."""
        await self._unless_gone(self._runtime.RemovePodSandbox, cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))
        self._sandboxes.pop(sandbox_id, None)

    # --- containers

    async def create_container(
        self, sandbox_id: str, config: cri.ContainerConfig, sandbox_config: cri.PodSandboxConfig
    ) -> str:
        """Make a container, not yet running. Returns its id."""
        request = cri.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config)
        return str((await self._call(self._runtime.CreateContainer, request)).container_id)

    async def start_container(self, container_id: str) -> None:
        """Start its process."""
        await self._call(self._runtime.StartContainer, cri.StartContainerRequest(container_id=container_id))

    async def stop_container(self, container_id: str, timeout: int) -> None:
        """Stop signal, then after `timeout` seconds SIGKILL; returns when it has ended. Fine to repeat."""
        request = cri.StopContainerRequest(container_id=container_id, timeout=timeout)
        await self._unless_gone(self._runtime.StopContainer, request, timeout + STOP_MARGIN_SECONDS)

    async def remove_container(self, container_id: str) -> None:
        """Forget a container. Fine to repeat."""
        await self._unless_gone(self._runtime.RemoveContainer, cri.RemoveContainerRequest(container_id=container_id))
        self._containers.pop(container_id, None)

    async def reopen_log(self, container_id: str) -> None:
        """The log file was renamed: begin a new one."""
        await self._call(self._runtime.ReopenContainerLog, cri.ReopenContainerLogRequest(container_id=container_id))

    async def update_resources(self, container_id: str, resources: cri.LinuxContainerResources) -> None:
        """Change a running container's limits."""
        request = cri.UpdateContainerResourcesRequest(container_id=container_id, linux=resources)
        await self._call(self._runtime.UpdateContainerResources, request)

    async def exec_sync(self, container_id: str, command: list[str], timeout: float) -> tuple[int, bytes]:
        """Run a command in a container: its exit code and output. Raises CriError, DEADLINE_EXCEEDED included."""
        request = cri.ExecSyncRequest(container_id=container_id, cmd=command, timeout=max(1, round(timeout)))
        answer = await self._call(self._runtime.ExecSync, request, timeout + 1.0)
        return answer.exit_code, answer.stdout + answer.stderr

    # --- streams

    async def exec_url(
        self, container_id: str, command: list[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        """Where the runtime serves this exec."""
        request = cri.ExecRequest(
            container_id=container_id, cmd=command, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
        )
        return str((await self._call(self._runtime.Exec, request)).url)

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        """Where the runtime serves this attach."""
        request = cri.AttachRequest(container_id=container_id, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
        return str((await self._call(self._runtime.Attach, request)).url)

    async def port_forward_url(self, sandbox_id: str, ports: list[int]) -> str:
        """Where the runtime serves this port-forward."""
        request = cri.PortForwardRequest(pod_sandbox_id=sandbox_id, port=ports)
        return str((await self._call(self._runtime.PortForward, request)).url)

    # --- images

    async def image(self, name: str) -> Image | None:
        """An image by any of its names, or None."""
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=name))
        answer = await self._call(self._images.ImageStatus, request)
        return _image(answer.image) if answer.HasField("image") and answer.image.id else None

    async def images(self) -> list[Image]:
        """Every image."""
        return [_image(one) for one in (await self._call(self._images.ListImages, cri.ListImagesRequest())).images]

    async def pull(self, name: str, auth: cri.AuthConfig | None, sandbox: cri.PodSandboxConfig | None) -> str:
        """Fetch an image. Returns what containers may be made from."""
        request = cri.PullImageRequest(
            image=cri.ImageSpec(image=name, user_specified_image=name), auth=auth, sandbox_config=sandbox
        )
        return str((await self._call(self._images.PullImage, request, 3600.0)).image_ref)

    async def remove_image(self, image_id: str) -> None:
        """Drop an image. Fine to repeat."""
        await self._unless_gone(self._images.RemoveImage, cri.RemoveImageRequest(image=cri.ImageSpec(image=image_id)))

    async def image_bytes(self) -> int:
        """What images take on disk."""
        answer = await self._call(self._images.ImageFsInfo, cri.ImageFsInfoRequest())
        return sum(one.used_bytes.value for one in answer.image_filesystems)

    async def image_directory(self) -> str:
        """Where images lie on the machine, empty if the runtime does not say."""
        answer = await self._call(self._images.ImageFsInfo, cri.ImageFsInfoRequest())
        return next((one.fs_id.mountpoint for one in answer.image_filesystems), "")

    # --- use of resources

    async def pod_stats(self) -> list[cri.PodSandboxStats]:
        """CPU, memory and network use of every sandbox."""
        return list((await self._call(self._runtime.ListPodSandboxStats, cri.ListPodSandboxStatsRequest())).stats)

    async def container_stats(self) -> list[cri.ContainerStats]:
        """CPU and memory use of every container."""
        return list((await self._call(self._runtime.ListContainerStats, cri.ListContainerStatsRequest())).stats)

    async def _unless_gone(
        self, method: Callable[..., Awaitable[Any]], request: Any, timeout: float = CALL_SECONDS
    ) -> None:
        try:
            await self._call(method, request, timeout)
        except CriError as error:
            if not error.is_not_found:
                raise


_STATES = {
    cri.ContainerState.CONTAINER_CREATED: observed.ContainerState.CREATED,
    cri.ContainerState.CONTAINER_RUNNING: observed.ContainerState.RUNNING,
    cri.ContainerState.CONTAINER_EXITED: observed.ContainerState.EXITED,
    cri.ContainerState.CONTAINER_UNKNOWN: observed.ContainerState.UNKNOWN,
}


def _remember(cache: dict[str, T], id: str, value: T) -> None:
    """Keep a value; the oldest goes when there are too many of pods long gone."""
    if len(cache) >= MOST_REMEMBERED:
        cache.pop(next(iter(cache)))
    cache[id] = value


def container_of(status: cri.ContainerStatus, sandbox_id: str = "") -> observed.Container:
    """A container from its CRI status, labels and annotations. Foreign or spoilt annotations count as absent."""
    notes, labels = status.annotations, status.labels
    user = status.user.linux if status.HasField("user") and status.user.HasField("linux") else None
    return observed.Container(
        id=status.id,
        sandbox_id=sandbox_id,
        name=labels.get(observed.CONTAINER_NAME, status.metadata.name),
        attempt=status.metadata.attempt,
        state=_STATES.get(status.state, observed.ContainerState.UNKNOWN),
        created_at=status.created_at / NANO,
        started_at=max(0.0, status.started_at / NANO),
        finished_at=max(0.0, status.finished_at / NANO),
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
        image=status.image.user_specified_image or status.image.image,
        image_ref=status.image_ref or status.image_id,
        hash=notes.get(observed.HASH, ""),
        restart_count=_number(notes.get(observed.RESTART_COUNT, ""), status.metadata.attempt),
        backoff=float(_number(notes.get(observed.BACKOFF, ""), 0)),
        grace=_number(notes.get(observed.POD_GRACE, ""), 30),
        log_path=status.log_path,
        message_file=notes.get(observed.MESSAGE_FILE, ""),
        message_policy=notes.get(observed.MESSAGE_POLICY, "File"),
        user=observed.User(user.uid, user.gid, tuple(user.supplemental_groups)) if user else None,
        pod_uid=labels.get(observed.POD_UID, ""),
        pod_name=labels.get(observed.POD_NAME, ""),
        pod_namespace=labels.get(observed.POD_NAMESPACE, ""),
    )


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() else otherwise


def _why_not(condition: cri.RuntimeCondition | None, name: str) -> str:
    if condition is None:
        return f"the runtime reports no {name}"
    if condition.status:
        return ""
    return f"{name}=false reason:{condition.reason} message:{condition.message}"


def _image(image: cri.Image) -> Image:
    return Image(
        id=image.id,
        tags=tuple(image.repo_tags),
        digests=tuple(image.repo_digests),
        size=image.size,
        uid=image.uid.value if image.HasField("uid") else None,
        username=image.username,
        pinned=image.pinned,
    )
