"""CRI v1 over gRPC: each call a line or two, each error a status code.

Elsewhere: what the calls do (runtime.py, sessions.py, stats.py), images (image_service.py).
"""

import asyncio
import functools
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio

from nodeagent.runtime import errors, syscalls, views
from nodeagent.runtime.forks import ForkError
from nodeagent.runtime.images.errors import ImageError
from nodeagent.runtime.runtime import Runtime
from nodeagent.runtime.sessions import Sessions
from nodeagent.runtime.stats import Stats
from sampan.cri import api_pb2 as cri
from sampan.cri import api_pb2_grpc
from sampan.logs import fields
from sampan.version import VERSION

log = logging.getLogger("sampan.runtime")

Context: TypeAlias = grpc.aio.ServicerContext
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

_CODES: dict[type[Exception], grpc.StatusCode] = {
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyThere: grpc.StatusCode.ALREADY_EXISTS,
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Precondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.TookTooLong: grpc.StatusCode.DEADLINE_EXCEEDED,
    ForkError: grpc.StatusCode.UNAVAILABLE,
}


def code_of(error: Exception) -> grpc.StatusCode:
    """The gRPC code that says what kind of error it is."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)


def answers(
    method: Callable[[Any, _Request, Context], Awaitable[_Response]],
) -> Callable[[Any, _Request, Context], Awaitable[_Response]]:
    """The edge of a unary call: our errors become a status, a bug is logged whole and told as INTERNAL."""

    @functools.wraps(method)
    async def call(self: Any, request: _Request, context: Context) -> _Response:
        try:
            return await method(self, request, context)
        except (errors.RuntimeFault, ForkError, ImageError) as error:
            await context.abort(code_of(error), str(error))
            raise AssertionError("abort raises") from error
        except (grpc.aio.AbortError, grpc.RpcError):
            raise
        except Exception as error:  # the edge: one call's bug is that call's
            log.exception("call failed", extra=fields(method=method.__name__))
            await context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
            raise AssertionError("abort raises") from error

    return call


_under_way: set[asyncio.Future[Any]] = set()


async def to_its_end(work: Coroutine[Any, Any, _Response]) -> _Response:
    """Do what must not stay half done when the caller goes away, which cancels a call: its next life will look."""
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_abandoned)
        raise


def _abandoned(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("a call whose caller has gone failed", extra=fields(error=error))


class RuntimeService(api_pb2_grpc.RuntimeServiceServicer):
    """The RuntimeService of CRI v1."""

    def __init__(self, runtime: Runtime, sessions: Sessions, stats: Stats) -> None:
        self._runtime = runtime
        self._sessions = sessions
        self._stats = stats

    @answers
    async def Version(self, request: cri.VersionRequest, context: Context) -> cri.VersionResponse:  # noqa: N802
        return cri.VersionResponse(
            version="0.1.0", runtime_name="sampan", runtime_version=VERSION, runtime_api_version="v1"
        )

    @answers
    async def Status(self, request: cri.StatusRequest, context: Context) -> cri.StatusResponse:  # noqa: N802
        connected = self._runtime.forks.connected
        ready = cri.RuntimeCondition(type="RuntimeReady", status=connected)
        if not connected:
            ready.reason, ready.message = "ForkServerGone", f"no fork server at {self._runtime.forks.path}"
        network = cri.RuntimeCondition(type="NetworkReady", status=True)
        if self._runtime.network.needs_cidr and not self._runtime.pod_cidr:
            network.status, network.reason = False, "NetworkNotReady"
            network.message = "the node has no pod CIDR yet"
        features = cri.RuntimeHandlerFeatures(
            recursive_read_only_mounts=True, user_namespaces=syscalls.has_user_namespaces()
        )
        response = cri.StatusResponse(
            status=cri.RuntimeStatus(conditions=[ready, network]),
            runtime_handlers=[cri.RuntimeHandler(name=name, features=features) for name in ("", "sampan")],
            features=cri.RuntimeFeatures(supplemental_groups_policy=True),
        )
        if request.verbose:
            response.info["config"] = json.dumps(
                {
                    "cgroups": self._runtime.cgroups.version,
                    "podCIDR": self._runtime.pod_cidr,
                    "imageStore": str(self._runtime.config.image_store),
                    "stateDir": str(self._runtime.config.state_dir),
                }
            )
        return response

    @answers
    async def RuntimeConfig(  # noqa: N802
        self, request: cri.RuntimeConfigRequest, context: Context
    ) -> cri.RuntimeConfigResponse:
        linux = cri.LinuxRuntimeConfiguration(cgroup_driver=cri.CgroupDriver.CGROUPFS)
        return cri.RuntimeConfigResponse(linux=linux)

    @answers
    async def UpdateRuntimeConfig(  # noqa: N802
        self, request: cri.UpdateRuntimeConfigRequest, context: Context
    ) -> cri.UpdateRuntimeConfigResponse:
        self._runtime.set_pod_cidr(request.runtime_config.network_config.pod_cidr)
        return cri.UpdateRuntimeConfigResponse()

    # Sandboxes

    @answers
    async def RunPodSandbox(  # noqa: N802
        self, request: cri.RunPodSandboxRequest, context: Context
    ) -> cri.RunPodSandboxResponse:
        id = await to_its_end(self._runtime.run_sandbox(request.config, request.runtime_handler))
        return cri.RunPodSandboxResponse(pod_sandbox_id=id)

    @answers
    async def StopPodSandbox(  # noqa: N802
        self, request: cri.StopPodSandboxRequest, context: Context
    ) -> cri.StopPodSandboxResponse:
        await self._runtime.stop_sandbox(request.pod_sandbox_id)
        return cri.StopPodSandboxResponse()

    @answers
    async def RemovePodSandbox(  # noqa: N802
        self, request: cri.RemovePodSandboxRequest, context: Context
    ) -> cri.RemovePodSandboxResponse:
        await to_its_end(self._runtime.remove_sandbox(request.pod_sandbox_id))
        return cri.RemovePodSandboxResponse()

    @answers
    async def PodSandboxStatus(  # noqa: N802
        self, request: cri.PodSandboxStatusRequest, context: Context
    ) -> cri.PodSandboxStatusResponse:
        sandbox = self._runtime.sandbox(request.pod_sandbox_id)
        response = cri.PodSandboxStatusResponse(
            status=views.sandbox_status(sandbox),
            containers_statuses=[views.container_status(c) for c in self._runtime.containers_of(sandbox.id)],
            timestamp=self._runtime.now(),
        )
        if request.verbose:
            response.info["info"] = json.dumps({"namespaces": sandbox.state.namespaces, "timings": sandbox.timings})
        return response

    @answers
    async def ListPodSandbox(  # noqa: N802
        self, request: cri.ListPodSandboxRequest, context: Context
    ) -> cri.ListPodSandboxResponse:
        wanted = request.filter
        return cri.ListPodSandboxResponse(
            items=[
                views.sandbox_item(sandbox)
                for sandbox in self._runtime.sandboxes.values()
                if sandbox.id.startswith(wanted.id)
                and (not wanted.HasField("state") or views.sandbox_state(sandbox) == wanted.state.state)
                and views.has_labels(sandbox.config.labels, wanted.label_selector)
            ]
        )

    @answers
    async def UpdatePodSandboxResources(  # noqa: N802
        self, request: cri.UpdatePodSandboxResourcesRequest, context: Context
    ) -> cri.UpdatePodSandboxResourcesResponse:
        self._runtime.sandbox(request.pod_sandbox_id)  # the pod's cgroup is the agent's, who has resized it already
        return cri.UpdatePodSandboxResourcesResponse()

    # Containers

    @answers
    async def CreateContainer(  # noqa: N802
        self, request: cri.CreateContainerRequest, context: Context
    ) -> cri.CreateContainerResponse:
        id = await to_its_end(
            self._runtime.create_container(request.pod_sandbox_id, request.config, request.sandbox_config)
        )
        return cri.CreateContainerResponse(container_id=id)

    @answers
    async def StartContainer(  # noqa: N802
        self, request: cri.StartContainerRequest, context: Context
    ) -> cri.StartContainerResponse:
        await to_its_end(self._runtime.start_container(self._runtime.container(request.container_id)))
        return cri.StartContainerResponse()

    @answers
    async def StopContainer(  # noqa: N802
        self, request: cri.StopContainerRequest, context: Context
    ) -> cri.StopContainerResponse:
        try:
            container = self._runtime.container(request.container_id)
        except errors.NotFound:
            return cri.StopContainerResponse()
        await self._runtime.stop_container(container, request.timeout)
        return cri.StopContainerResponse()

    @answers
    async def RemoveContainer(  # noqa: N802
        self, request: cri.RemoveContainerRequest, context: Context
    ) -> cri.RemoveContainerResponse:
        try:
            container = self._runtime.container(request.container_id)
        except errors.NotFound:
            return cri.RemoveContainerResponse()
        await to_its_end(self._runtime.remove_container(container))
        return cri.RemoveContainerResponse()

    @answers
    async def ListContainers(  # noqa: N802
        self, request: cri.ListContainersRequest, context: Context
    ) -> cri.ListContainersResponse:
        wanted = request.filter
        return cri.ListContainersResponse(
            containers=[
                views.container_item(container)
                for container in self._runtime.containers.values()
                if container.id.startswith(wanted.id)
                and container.state.sandbox_id.startswith(wanted.pod_sandbox_id)
                and (not wanted.HasField("state") or views.container_state(container) == wanted.state.state)
                and views.has_labels(container.config.labels, wanted.label_selector)
            ]
        )

    @answers
    async def ContainerStatus(  # noqa: N802
        self, request: cri.ContainerStatusRequest, context: Context
    ) -> cri.ContainerStatusResponse:
        container = self._runtime.container(request.container_id)
        response = cri.ContainerStatusResponse(status=views.container_status(container))
        if request.verbose:
            response.info["info"] = json.dumps(
                {"pid": container.pid, "sandboxID": container.state.sandbox_id, "cgroup": container.state.cgroup}
            )
        return response

    @answers
    async def UpdateContainerResources(  # noqa: N802
        self, request: cri.UpdateContainerResourcesRequest, context: Context
    ) -> cri.UpdateContainerResourcesResponse:
        container = self._runtime.container(request.container_id)
        self._runtime.update_resources(container, request.linux)
        return cri.UpdateContainerResourcesResponse()

    @answers
    async def ReopenContainerLog(  # noqa: N802
        self, request: cri.ReopenContainerLogRequest, context: Context
    ) -> cri.ReopenContainerLogResponse:
        self._runtime.reopen_log(self._runtime.container(request.container_id))
        return cri.ReopenContainerLogResponse()

    # Sessions

    @answers
    async def ExecSync(self, request: cri.ExecSyncRequest, context: Context) -> cri.ExecSyncResponse:  # noqa: N802
        container = self._runtime.container(request.container_id)
        result = await self._sessions.exec_sync(container, list(request.cmd), request.timeout)
        return cri.ExecSyncResponse(stdout=result.stdout, stderr=result.stderr, exit_code=result.code)

    @answers
    async def Exec(self, request: cri.ExecRequest, context: Context) -> cri.ExecResponse:  # noqa: N802
        container = self._runtime.container(request.container_id)
        return cri.ExecResponse(url=self._sessions.exec_url(container, request))

    @answers
    async def Attach(self, request: cri.AttachRequest, context: Context) -> cri.AttachResponse:  # noqa: N802
        container = self._runtime.container(request.container_id)
        return cri.AttachResponse(url=self._sessions.attach_url(container, request))

    @answers
    async def PortForward(  # noqa: N802
        self, request: cri.PortForwardRequest, context: Context
    ) -> cri.PortForwardResponse:
        sandbox = self._runtime.sandbox(request.pod_sandbox_id)
        return cri.PortForwardResponse(url=self._sessions.port_forward_url(sandbox, list(request.port)))

    # Figures

    @answers
    async def ContainerStats(  # noqa: N802
        self, request: cri.ContainerStatsRequest, context: Context
    ) -> cri.ContainerStatsResponse:
        container = self._runtime.container(request.container_id)
        return cri.ContainerStatsResponse(stats=await self._stats.container(container))

    @answers
    async def ListContainerStats(  # noqa: N802
        self, request: cri.ListContainerStatsRequest, context: Context
    ) -> cri.ListContainerStatsResponse:
        wanted = request.filter
        chosen = [
            container
            for container in self._runtime.containers.values()
            if container.running
            and container.id.startswith(wanted.id)
            and container.state.sandbox_id.startswith(wanted.pod_sandbox_id)
            and views.has_labels(container.config.labels, wanted.label_selector)
        ]
        return cri.ListContainerStatsResponse(stats=[await self._stats.container(container) for container in chosen])

    @answers
    async def PodSandboxStats(  # noqa: N802
        self, request: cri.PodSandboxStatsRequest, context: Context
    ) -> cri.PodSandboxStatsResponse:
        sandbox = self._runtime.sandbox(request.pod_sandbox_id)
        return cri.PodSandboxStatsResponse(stats=await self._stats.sandbox(sandbox))

    @answers
    async def ListPodSandboxStats(  # noqa: N802
        self, request: cri.ListPodSandboxStatsRequest, context: Context
    ) -> cri.ListPodSandboxStatsResponse:
        wanted = request.filter
        chosen = [
            sandbox
            for sandbox in self._runtime.sandboxes.values()
            if sandbox.state.ready
            and sandbox.id.startswith(wanted.id)
            and views.has_labels(sandbox.config.labels, wanted.label_selector)
        ]
        return cri.ListPodSandboxStatsResponse(stats=[await self._stats.sandbox(sandbox) for sandbox in chosen])

    # Events

    async def GetContainerEvents(  # noqa: N802
        self, request: cri.GetEventsRequest, context: Context
    ) -> AsyncIterator[cri.ContainerEventResponse]:
        queue = self._runtime.events.subscribe()
        try:
            while (event := await queue.get()) is not None:
                id, kind, at, sandbox, containers = event
                yield cri.ContainerEventResponse(
                    container_id=id,
                    container_event_type=kind,
                    created_at=at,
                    pod_sandbox_status=sandbox,
                    containers_statuses=containers,
                )
        finally:
            self._runtime.events.unsubscribe(queue)


class ImageService(api_pb2_grpc.ImageServiceServicer):
    """The ImageService of CRI v1, over the machine's image store."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @answers
    async def ListImages(self, request: cri.ListImagesRequest, context: Context) -> cri.ListImagesResponse:  # noqa: N802
        if request.filter.image.image:
            image = await self._runtime.images.status(request.filter.image.image)
            return cri.ListImagesResponse(images=[views.image_view(image)] if image else [])
        return cri.ListImagesResponse(images=[views.image_view(image) for image in await self._runtime.images.images()])

    @answers
    async def ImageStatus(  # noqa: N802
        self, request: cri.ImageStatusRequest, context: Context
    ) -> cri.ImageStatusResponse:
        if not request.image.image:
            raise errors.Invalid("the image's name is empty")
        image = await self._runtime.images.status(request.image.image)
        return cri.ImageStatusResponse(image=views.image_view(image) if image else None)

    @answers
    async def PullImage(self, request: cri.PullImageRequest, context: Context) -> cri.PullImageResponse:  # noqa: N802
        from nodeagent.runtime.images.auth import Credentials

        wish = request.auth
        auth = None
        if wish.auth and not wish.username:
            auth = Credentials.from_basic(wish.auth)
        elif any((wish.username, wish.password, wish.identity_token, wish.registry_token)):
            auth = Credentials(
                username=wish.username,
                password=wish.password,
                identity_token=wish.identity_token,
                registry_token=wish.registry_token,
            )
        return cri.PullImageResponse(image_ref=await self._runtime.images.pull(request.image.image, auth))

    @answers
    async def RemoveImage(  # noqa: N802
        self, request: cri.RemoveImageRequest, context: Context
    ) -> cri.RemoveImageResponse:
        image = await self._runtime.images.status(request.image.image)
        if image is not None and image.imported:
            self._runtime.images.remove(image.id)
        return cri.RemoveImageResponse()

    @answers
    async def ImageFsInfo(  # noqa: N802
        self, request: cri.ImageFsInfoRequest, context: Context
    ) -> cri.ImageFsInfoResponse:
        used, inodes = self._runtime.images.usage()
        usage = cri.FilesystemUsage(
            timestamp=time.time_ns(),
            fs_id=cri.FilesystemIdentifier(mountpoint=str(self._runtime.config.image_store)),
            used_bytes=cri.UInt64Value(value=used),
            inodes_used=cri.UInt64Value(value=inodes),
        )
        return cri.ImageFsInfoResponse(image_filesystems=[usage], container_filesystems=[usage])
