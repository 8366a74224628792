"""The runtime's life of sandboxes and containers, in CRI's terms but free of gRPC.

Always: what is on disk and what the fork server follows is the truth; memory is rebuilt from both at every start and at
every new connection to a fork server. A container's exit is taken from the fork server's record, never guessed while
that can be asked.
Elsewhere: sandboxes (sandbox_life.py), finding containers again (adoption.py), what a config means (plan.py,
starting.py), records (state.py), output (logs.py), exec and port-forward (sessions.py).
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from nodeagent.runtime import idmaps, plan
from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.adoption import adopt
from nodeagent.runtime.cgroups.resources import CgroupError, Cgroups
from nodeagent.runtime.config import Config
from nodeagent.runtime.devices import look_at_device
from nodeagent.runtime.errors import (
    AlreadyThere,
    Invalid,
    NotFound,
    Precondition,
    RuntimeFault,
    TookTooLong,
    Unsupported,
)
from nodeagent.runtime.events import Events
from nodeagent.runtime.forks import Ended, ForkClient, ForkError, ForkServerGone
from nodeagent.runtime.images.node_images import NodeImages
from nodeagent.runtime.images.parent import Parent, files_of
from nodeagent.runtime.images.store import Image, ImageStore
from nodeagent.runtime.logs import LogCopier
from nodeagent.runtime.podnet import SandboxNetwork, network_of
from nodeagent.runtime.sandbox_life import SandboxLife
from nodeagent.runtime.starting import start_request, stdio_of
from nodeagent.runtime.state import (
    Container,
    ContainerState,
    Sandbox,
    load_containers,
    load_sandboxes,
    replace_file,
)
from sampan.cri import api_pb2 as cri
from sampan.logs import fields

log = logging.getLogger("sampan.runtime")

_KILL_SECONDS = 20.0
_START_TRIES = 5
"""Each time the fork server has died meanwhile."""
_DRAIN_SECONDS = 10.0

_T = TypeVar("_T")


class Runtime:
    """All sandboxes and containers of one node. `start()` before anything else; `run()` belongs to a TaskGroup."""

    def __init__(self, config: Config, cgroups: Cgroups, *, now: Callable[[], int] = time.time_ns) -> None:
        self.config = config
        self.cgroups = cgroups
        self.now = now
        self.images = NodeImages(
            ImageStore(config.image_store, insecure_registries=config.insecure_registries),
            Parent(files_of(config.parent_store), config.parent_store) if config.parent_store else None,
        )
        self.network: SandboxNetwork = network_of(config)
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}
        self.copiers: dict[str, LogCopier] = {}
        self.pod_cidr = ""
        self._adopted = asyncio.Event()
        self.forks = ForkClient(
            str(config.forkserver_socket),
            on_exit=self.exited,
            on_connected=self._reconcile,
            on_gone=self._adopted.clear,
        )
        self.events = Events(lambda id: (self.sandboxes.get(id), self.containers_of(id)), now)
        self._sandbox_life = SandboxLife(self)
        self._tasks: set[asyncio.Task[None]] = set()
        self.names: set[object] = set()

    # -- start and adoption

    def load(self) -> None:
        """Read the records. A damaged one is set aside."""
        for folder in (self.sandbox_root, self._container_root, self.config.run_dir / "sandboxes"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for sandbox in load_sandboxes(self.sandbox_root):
            if isinstance(sandbox, Sandbox):
                self.sandboxes[sandbox.id] = sandbox
            else:
                self._set_aside(*sandbox)
        for container in load_containers(self._container_root):
            if isinstance(container, Container):
                self.containers[container.id] = container
            else:
                self._set_aside(*container)
        with contextlib.suppress(OSError, ValueError, KeyError):
            self.pod_cidr = str(json.loads((self.config.state_dir / "runtime.json").read_bytes())["pod_cidr"])

    def _set_aside(self, directory: Path, error: Exception) -> None:
        aside = self.config.state_dir / "damaged"
        aside.mkdir(exist_ok=True)
        log.warning("record set aside", extra=fields(directory=directory, to=aside, error=error))
        with contextlib.suppress(OSError):
            os.rename(directory, aside / f"{directory.parent.name}-{directory.name}-{self.now()}")

    async def run(self) -> None:
        """Keep the connection to the fork server until cancelled."""
        await self.forks.run()

    async def adopted(self) -> None:
        """Wait until the fork server, the one that there is now, has been asked for what it follows."""
        await self._adopted.wait()

    async def _reconcile(self) -> None:
        try:
            await adopt(self)
        except ForkError as error:
            log.warning("adoption failed", extra=fields(error=error))
        else:
            self._adopted.set()

    async def stop(self) -> None:
        """End our own work; containers stay as they are."""
        for copier in self.copiers.values():
            copier.abandon()
        self.events.end()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for container in self.containers.values():
            container.close()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Do something on the side; `stop` ends it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", extra=fields(error=repr(task.exception())))

    @property
    def sandbox_root(self) -> Path:
        """Where the records of sandboxes lie."""
        return self.config.state_dir / "sandboxes"

    @property
    def _container_root(self) -> Path:
        return self.config.state_dir / "containers"

    # -- sandboxes

    def sandbox(self, id: str) -> Sandbox:
        """By ID or an unambiguous start of it. Raises NotFound."""
        return _by_prefix(self.sandboxes, id, "sandbox")

    def container(self, id: str) -> Container:
        """By ID or an unambiguous start of it. Raises NotFound."""
        return _by_prefix(self.containers, id, "container")

    async def run_sandbox(self, config: cri.PodSandboxConfig, handler: str) -> str:
        """Make a sandbox, ready. Raises RuntimeFault; nothing is left then."""
        return await self._sandbox_life.run(config, handler)

    async def stop_sandbox(self, id: str) -> None:
        """Kill its containers and let its network and namespaces go. Repeatable; unknown is no error."""
        await self._sandbox_life.stop(id)

    async def remove_sandbox(self, id: str) -> None:
        """Remove it with its containers. Repeatable; unknown is no error."""
        await self._sandbox_life.remove(id)

    def containers_of(self, sandbox_id: str) -> list[Container]:
        """A sandbox's containers."""
        return [c for c in self.containers.values() if c.state.sandbox_id == sandbox_id]

    # -- containers

    async def create_container(
        self, sandbox_id: str, config: cri.ContainerConfig, sandbox_config: cri.PodSandboxConfig
    ) -> str:
        """Make a container, not started: its image pinned, its cgroup and files there. Raises RuntimeFault."""
        sandbox = self.sandbox(sandbox_id)
        if not sandbox.state.ready:
            raise Precondition(f"sandbox {sandbox.id} is not ready")
        if not config.metadata.name:
            raise Invalid("container metadata must have a name")
        image = await self.images.have(config.image.image)
        if image is None:
            raise NotFound(f"image {config.image.image!r} is not in the store")
        id = os.urandom(32).hex()
        directory = self._container_root / id
        process = plan.process_of(config, image.config, sandbox.config.hostname)
        state = ContainerState(
            sandbox_id=sandbox.id,
            created_at=self.now(),
            image_id=image.id,
            image_ref=image.repo_digests[0] if image.repo_digests else image.id,
            layers=list(image.layers),
            log_path=_log_path(sandbox_config.log_directory or sandbox.config.log_directory, config.log_path),
            cgroup=f"{sandbox.state.cgroup_parent}/{id}",
            stop_signal=plan.stop_signal_of(config, image.config),
            process=process,
        )
        container = Container(id, directory, config, state)
        if container.key in {other.key for other in self.containers.values()} | self.names:
            raise AlreadyThere(
                f"a container {config.metadata.name} (attempt {config.metadata.attempt}) is there already"
            )
        security = config.linux.security_context
        own, whole = security.namespace_options, sandbox.config.linux.security_context.namespace_options
        idmaps.must_be_the_sandbox_s(own, whole)
        if config.CDI_devices:
            names = ", ".join(device.name for device in config.CDI_devices)
            raise Unsupported(f"CDI device injection failed: unresolvable CDI devices {names}: no CDI specs are read")
        if security.apparmor.profile_type == cri.SecurityProfile.ProfileType.Localhost:
            raise Invalid(f"AppArmor profile {security.apparmor.localhost_ref!r}: this runtime has no AppArmor")
        self.names.add(container.key)
        try:
            await self._build_container(container, image)
        except BaseException as error:
            self.containers.pop(id, None)
            await asyncio.shield(asyncio.to_thread(self._erase, container))
            if isinstance(error, OSError | CgroupError):
                raise RuntimeFault(f"container {config.metadata.name}: {error}") from error
            raise
        finally:
            self.names.discard(container.key)
        return id

    async def _build_container(self, container: Container, image: Image) -> None:
        config, state, directory = container.config, container.state, container.directory
        rules, _ = plan.device_rules(config, look_at_device)
        directory.mkdir(mode=0o700)
        self.images.pin(image.id, f"container-{container.id}", while_exists=directory)
        for name in ("upper", "work", "root"):
            (directory / name).mkdir(mode=0o755)
            (directory / name).chmod(0o755)
        if not config.tty:
            os.mkfifo(directory / "stdout", 0o600)
            os.mkfifo(directory / "stderr", 0o600)
            if config.stdin:
                os.mkfifo(directory / "stdin", 0o600)
            maps = idmaps.maps_of(config.linux.security_context.namespace_options)
            if maps is not None:
                for fifo in directory.glob("std*"):  # so that its root may open /dev/stdout
                    os.chown(fifo, *maps.root)
        replace_file(directory / "config.pb", config.SerializeToString())
        container.save()
        for warning in self.cgroups.create(state.cgroup, plan.limits_of(config.linux.resources), rules):
            log.warning(warning, extra=fields(container=container.id))
        self.containers[container.id] = container
        self.events.tell(container.state.sandbox_id, cri.ContainerEventType.CONTAINER_CREATED_EVENT, container.id)

    async def start_container(self, container: Container) -> None:
        """Start it. Raises Precondition unless it is created; RuntimeFault in the fork server's words."""
        async with container.lock:
            if container.state.state != "created":
                raise Precondition(f"container {container.id} is {container.state.state}, not created")
            sandbox = self.sandbox(container.state.sandbox_id)
            if not sandbox.state.ready:
                raise Precondition(f"sandbox {sandbox.id} is not ready")
            try:
                await self._start(container, sandbox)
            except (ForkError, CgroupError, OSError) as error:
                self._failed_to_start(container, str(error))
                raise RuntimeFault(f"failed to start container {container.config.metadata.name}: {error}") from error

    async def _start(self, container: Container, sandbox: Sandbox) -> None:
        for tries in itertools.count(1):
            stdio: list[int] = []
            try:
                stdio = stdio_of(container)
                self.copy_logs(container)
                answer = await self.forks.call("start", stdio, **start_request(self, container, sandbox))
            except ForkServerGone:
                await self.adopted()  # which has found the container running, or as it was
                if container.state.state != "created":
                    return
                if tries == _START_TRIES:
                    raise
            else:
                self._started(container, answer.body, answer.fds)
                return
            finally:
                for fd in stdio:
                    os.close(fd)

    def paths_of(self, sandbox: Sandbox) -> plan.SandboxPaths:
        """What a sandbox's containers mount and join."""
        resolv, name = sandbox.directory / "resolv.conf", sandbox.directory / "hostname"
        return plan.SandboxPaths(
            sandbox.state.namespaces,
            sandbox.state.shm,
            str(resolv) if resolv.exists() else "",
            str(name) if name.exists() else "",
            sandbox.config.hostname,
            idmaps.maps_of(sandbox.config.linux.security_context.namespace_options),
        )

    def _started(self, container: Container, told: dict[str, object], fds: list[int]) -> None:
        state = container.state
        if told.get("console"):
            container.console = fds.pop(0)
        if fds:
            container.pidfd = fds.pop(0)
        for warning in told["warnings"] if isinstance(told["warnings"], list) else ():
            log.warning(warning, extra=fields(container=container.id))
        container.pid = int(str(told["pid"]))
        state.started_at = int(str(told["started"]))
        state.user = told["user"] if isinstance(told["user"], list) else []
        if state.state == "exited":  # a short life: its end was heard before this answer was read
            container.save()
            if container.ended.is_set():
                container.close()
            return
        state.state = "running"
        container.save()
        self.copy_logs(container)
        self.events.tell(state.sandbox_id, cri.ContainerEventType.CONTAINER_STARTED_EVENT, container.id)

    def _failed_to_start(self, container: Container, text: str) -> None:
        copier = self.copiers.pop(container.id, None)
        if copier is not None:
            copier.abandon()
        state = container.state
        state.state, state.reason, state.message = "exited", "StartError", text
        state.exit_code, state.finished_at, state.drained = 128, self.now(), True
        container.save()
        container.ended.set()

    def copy_logs(self, container: Container) -> None:
        """Copy its output from now on, unless that is being done."""
        if container.id in self.copiers or container.state.drained:
            return
        if container.config.tty:
            if container.console < 0:
                return
            streams = {"stdout": os.dup(container.console)}
            os.set_blocking(container.console, False)
        else:
            # our end is open both ways too, so that the container's end never reads as the end of its output
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
            streams = {name: os.open(container.directory / name, flags) for name in ("stdout", "stderr")}
        self.copiers[container.id] = LogCopier(container.state.log_path, streams, self.now)

    def exited(self, id: str, ended: Ended) -> None:
        """A container's process has ended. The first to say so counts."""
        container = self.containers.get(id)
        if container is None or container.state.state == "exited":
            return
        if not ended.known and container.pidfd >= 0:
            status = sc.exit_status_of_orphan(container.pidfd)  # the fork server was away when it ended; we were not
            if status is not None:
                number = status & 0x7F
                ended = Ended(128 + number if number else status >> 8, number, ended.oom, ended.finished, True)
        state = container.state
        state.state, state.exit_code, state.finished_at = "exited", ended.code, ended.finished
        if not ended.known:
            state.reason = "Unknown"
            state.message = "nobody saw how the container ended: its fork server and the machine were away"
        elif ended.oom and ended.code != 0:
            state.reason = "OOMKilled"
        else:
            state.reason = "Completed" if ended.code == 0 else "Error"
        if not state.started_at:
            state.started_at = state.created_at
        container.save()
        self.spawn(self.drain(container))

    async def drain(self, container: Container) -> None:
        """Read what is left of its output, then say that it has ended."""
        copier = self.copiers.get(container.id)
        if copier is not None:
            copier.end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await copier.drained.wait()
            self.copiers.pop(container.id, None)
            copier.abandon()
        container.state.drained = True
        container.save()
        first = not container.ended.is_set()
        container.ended.set()
        container.close()
        if first:
            self.events.tell(container.state.sandbox_id, cri.ContainerEventType.CONTAINER_STOPPED_EVENT, container.id)
        with contextlib.suppress(ForkError):
            await self.forks.call("release", id=container.id)
            await self.forks.call("forget", id=container.id)

    async def stop_container(self, container: Container, timeout_seconds: float) -> None:
        """Its stop signal, then SIGKILL after the timeout. Repeatable. Returns once it has ended."""
        if container.state.state == "created":
            async with container.lock:
                if container.state.state == "created":
                    self._failed_to_start(container, "stopped before it was started")
                    container.state.exit_code, container.state.reason = 0, "Completed"
                    container.save()
                    return
        try:
            if container.running and timeout_seconds > 0:
                await self.forks.call("kill", id=container.id, signal=container.state.stop_signal)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout_seconds):
                        await container.ended.wait()
            if not container.ended.is_set():
                if container.running:
                    await self.forks.call("kill", id=container.id, signal=signal.SIGKILL)
                async with asyncio.timeout(_KILL_SECONDS):
                    await container.ended.wait()
        except ForkError as error:
            raise RuntimeFault(f"container {container.id}: {error}") from error
        except TimeoutError:
            raise TookTooLong(
                f"container {container.id} (process {container.pid}) has not ended {_KILL_SECONDS:.0f} s after SIGKILL"
            ) from None

    async def remove_container(self, container: Container) -> None:
        """Kill it if it runs, and remove all that is of it."""
        if container.state.state != "exited" or not container.ended.is_set():
            await self.stop_container(container, 0)
        async with container.lock:
            if self.containers.pop(container.id, None) is None:
                return
            with contextlib.suppress(ForkError):
                await self.forks.call("forget", id=container.id)
            container.close()
            await asyncio.to_thread(self._erase, container)
            self.events.tell(container.state.sandbox_id, cri.ContainerEventType.CONTAINER_DELETED_EVENT, container.id)

    def remove_cgroup(self, cgroup: str) -> None:
        """Kill what is in a cgroup and take it away, which may take two seconds: call it in a thread."""
        try:
            self.cgroups.kill(cgroup)
            for _ in range(100):
                if self.cgroups.remove(cgroup):
                    return
                time.sleep(0.02)  # in a thread of its own; the kernel lets a killed process go within milliseconds
            log.warning("cgroup is still in use", extra=fields(cgroup=cgroup))
        except CgroupError as error:
            log.warning("cgroup is not removed", extra=fields(cgroup=cgroup, error=error))

    def _erase(self, container: Container) -> None:
        self.remove_cgroup(container.state.cgroup)
        shutil.rmtree(container.directory, ignore_errors=True)
        self.images.unpin(container.state.image_id, f"container-{container.id}")

    def update_resources(self, container: Container, resources: cri.LinuxContainerResources) -> None:
        """Set the limits that are given, and remember them. Raises RuntimeFault."""
        try:
            self.cgroups.update(container.state.cgroup, plan.limits_of(resources))
        except CgroupError as error:
            raise RuntimeFault(f"container {container.id}: {error}") from error
        for field, value in resources.ListFields():
            if not field.is_repeated:
                setattr(container.config.linux.resources, field.name, value)
        replace_file(container.directory / "config.pb", container.config.SerializeToString())

    def reopen_log(self, container: Container) -> None:
        """Go on in a new log file. Raises Precondition unless it runs."""
        copier = self.copiers.get(container.id)
        if copier is None or not container.running:
            raise Precondition(f"container {container.id} is not running")
        try:
            copier.reopen()
        except OSError as error:
            raise RuntimeFault(f"container {container.id}: reopen {container.state.log_path}: {error}") from error

    def set_pod_cidr(self, cidr: str) -> None:
        """Take the node's pod range, for sandboxes to come."""
        if cidr and cidr != self.pod_cidr:
            self.pod_cidr = cidr
            replace_file(self.config.state_dir / "runtime.json", json.dumps({"pod_cidr": cidr}).encode())
            log.info("pod range set", extra=fields(cidr=cidr))


def _by_prefix(known: dict[str, _T], id: str, what: str) -> _T:
    if id in known:
        return known[id]
    found = [key for key in known if id and key.startswith(id)]
    if len(found) != 1:
        raise NotFound(f"{what} {id!r} is not known here" if not found else f"{what} {id!r} means {len(found)} of them")
    return known[found[0]]


def _log_path(directory: str, path: str) -> str:
    if not directory or not path:
        return ""
    joined = os.path.normpath(os.path.join(directory, path))
    if os.path.isabs(path) or not joined.startswith(os.path.normpath(directory) + "/"):
        raise Invalid(f"log_path {path!r} leads out of {directory}")
    return joined
