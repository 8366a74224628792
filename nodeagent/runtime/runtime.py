"""The runtime's life of sandboxes and containers, in CRI's terms but free of gRPC.

Always: what is on disk and what the fork server follows is the truth; memory is rebuilt from both at every start and at
every new connection to a fork server. A container's exit is taken from the fork server's record, never guessed while
that can be asked.
Elsewhere: what a config means (plan.py), records (state.py), output (logs.py), exec and port-forward (sessions.py).
"""

import asyncio
import contextlib
import errno
import json
import logging
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TypeVar

from nodeagent.runtime import defaults, idmaps, plan
from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.cgroups.resources import CgroupError, Cgroups
from nodeagent.runtime.config import Config
from nodeagent.runtime.errors import (
    AlreadyThere,
    Invalid,
    NotFound,
    Precondition,
    RuntimeFault,
    TookTooLong,
    Unsupported,
)
from nodeagent.runtime.forks import Ended, ForkClient, ForkError
from nodeagent.runtime.images.node_images import NodeImages
from nodeagent.runtime.images.parent import Parent, files_of
from nodeagent.runtime.images.store import Image, ImageStore
from nodeagent.runtime.logs import LogCopier
from nodeagent.runtime.podnet import SandboxNetwork, network_of
from nodeagent.runtime.state import (
    Container,
    ContainerState,
    Sandbox,
    SandboxState,
    load_containers,
    load_sandboxes,
    replace_file,
)
from sampan.cri import api_pb2 as cri

log = logging.getLogger("sampan.runtime")

_KILL_SECONDS = 20.0
_DRAIN_SECONDS = 10.0
_DISCARD_TRIES, _DISCARD_SECONDS = 50, 0.1
_EVENT_BACKLOG = 1000
_UNKNOWN_EXIT = 255

_T = TypeVar("_T")
Event = tuple[str, cri.ContainerEventType, int, cri.PodSandboxStatus | None, list[cri.ContainerStatus]]


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
        self.forks = ForkClient(str(config.forkserver_socket), on_exit=self._exited_event, on_connected=self._reconcile)
        self._adopted = asyncio.Event()
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._names: set[object] = set()

    # -- start and adoption

    def load(self) -> None:
        """Read the records. A damaged one is set aside."""
        for folder in (self._sandbox_root, self._container_root, self.config.run_dir / "sandboxes"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for sandbox in load_sandboxes(self._sandbox_root):
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
        log.warning("record set aside directory=%s to=%s error=%s", directory, aside, error)
        with contextlib.suppress(OSError):
            os.rename(directory, aside / f"{directory.parent.name}-{directory.name}-{self.now()}")

    async def run(self) -> None:
        """Keep the connection to the fork server until cancelled."""
        await self.forks.run()

    async def adopted(self) -> None:
        """Wait until the fork server has been asked for what it follows."""
        await self._adopted.wait()

    async def _reconcile(self) -> None:
        try:
            await self._adopt()
        except ForkError as error:
            log.warning("adoption failed error=%s", error)
        else:
            self._adopted.set()

    async def _adopt(self) -> None:
        """Compare the records with what the fork server follows, and go on with the containers that are there."""
        followed = {answer.body["process"]["name"]: answer for answer in await self.forks.listed()}
        for name, answer in followed.items():
            container = self.containers.get(name)
            if container is None or container.state.state == "exited":
                for fd in answer.fds:
                    os.close(fd)
                if container is None:
                    self._spawn(self._discard(name, str(answer.body["process"]["cgroup"])))
                continue
            await self._adopt_one(container, answer.body["process"], answer.fds)
        for container in list(self.containers.values()):
            if container.running and container.id not in followed:
                self._lost(container)
            elif container.state.state == "exited" and not container.state.drained:
                self._copy_logs(container)
                self._spawn(self._drain(container))
        for sandbox in self.sandboxes.values():
            if sandbox.state.ready and not self._holds(sandbox):
                log.warning("sandbox has lost its namespaces id=%s", sandbox.id)
                sandbox.state.ready = False
                sandbox.save()

    async def _discard(self, name: str, cgroup: str) -> None:
        """End a process that no record knows: its container's was damaged, or removed while we died."""
        log.warning("a process without a record is ended id=%s", name)
        await self.forks.call("kill", id=name, signal=signal.SIGKILL)
        for _ in range(_DISCARD_TRIES):
            with contextlib.suppress(ForkError):
                await self.forks.call("forget", id=name)
                break
            await asyncio.sleep(_DISCARD_SECONDS)
        if cgroup:
            await asyncio.to_thread(self._remove_cgroup, cgroup)

    async def _adopt_one(self, container: Container, process: dict[str, object], fds: list[int]) -> None:
        ended = process["exit"]
        known = container.pidfd
        if fds and known < 0:
            container.pidfd = fds.pop()
        for fd in fds:
            os.close(fd)
        container.pid = int(str(process["pid"]))
        if container.state.state == "created":  # we died between the start and its record
            container.state.state = "running"
            container.state.started_at = container.state.started_at or self.now()
            container.state.user = process["user"] if isinstance(process["user"], list) else []
            container.save()
        if container.config.tty:
            if container.console >= 0:
                await self.forks.call("console", (container.console,), id=container.id)
            elif ended is None:
                with contextlib.suppress(ForkError):
                    container.console = (await self.forks.call("console", id=container.id)).fds[0]
        self._copy_logs(container)
        if isinstance(ended, dict):
            self._exited_event(container.id, Ended.of(ended))

    def _lost(self, container: Container) -> None:
        ended = Ended(_UNKNOWN_EXIT, 0, False, self.now(), False)
        self._exited_event(container.id, ended)

    def _holds(self, sandbox: Sandbox) -> bool:
        for path in sandbox.state.namespaces.values():
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False
            try:
                if sc.filesystem_type(fd) != sc.NSFS_MAGIC:
                    return False
            finally:
                os.close(fd)
        return True

    async def stop(self) -> None:
        """End our own work; containers stay as they are."""
        for copier in self.copiers.values():
            copier.abandon()
        for queue in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for container in self.containers.values():
            container.close()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed error=%r", task.exception())

    @property
    def _sandbox_root(self) -> Path:
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
        if handler not in ("", "sampan"):
            raise Invalid(f"runtime handler {handler!r} is unknown; there is only the default one")
        if not config.metadata.name or not config.metadata.uid:
            raise Invalid("sandbox metadata must have a name and a uid")
        options = config.linux.security_context.namespace_options
        kinds = plan.sandbox_namespaces(options)
        resolv_conf = plan.resolv_conf(config.dns_config)
        if "net" in kinds and self.network.needs_cidr and not self.pod_cidr:
            raise Precondition("the pod network is not ready: the node has no pod CIDR yet (UpdateRuntimeConfig)")
        id = os.urandom(32).hex()
        run = self.config.run_dir / "sandboxes" / id
        state = SandboxState(
            created_at=self.now(),
            namespaces={kind: str(run / kind) for kind in kinds},
            shm=str(run / "shm") if "ipc" in kinds else "",
            runtime_handler=handler,
            cgroup_parent=config.linux.cgroup_parent or self.config.cgroup_parent,
        )
        sandbox = Sandbox(id, self._sandbox_root / id, config, state)
        if sandbox.key in {other.key for other in self.sandboxes.values()} | self._names:
            raise AlreadyThere(f"a sandbox {'/'.join(map(str, sandbox.key))} is there already")
        self._names.add(sandbox.key)
        try:
            async with sandbox.lock:
                await self._build_sandbox(sandbox, run, resolv_conf)
        except BaseException as error:
            self.sandboxes.pop(id, None)
            await asyncio.shield(self._take_down(sandbox, quietly=True))
            if isinstance(error, ForkError | OSError):
                raise RuntimeFault(f"sandbox {config.metadata.name}: {error}") from error
            raise
        finally:
            self._names.discard(sandbox.key)
        return id

    async def _build_sandbox(self, sandbox: Sandbox, run: Path, resolv_conf: str) -> None:
        config, state = sandbox.config, sandbox.state
        sandbox.directory.mkdir(mode=0o700)
        run.mkdir(mode=0o700)
        replace_file(sandbox.directory / "config.pb", config.SerializeToString())
        sandbox.save()  # before anything is made, so that a start after a crash can take it down
        if resolv_conf:
            (sandbox.directory / "resolv.conf").write_text(resolv_conf)
            (sandbox.directory / "resolv.conf").chmod(0o644)
        if config.hostname:
            (sandbox.directory / "hostname").write_text(config.hostname + "\n")
            (sandbox.directory / "hostname").chmod(0o644)
        maps = idmaps.maps_of(config.linux.security_context.namespace_options)
        users: dict[str, object] = {}
        if maps is not None:
            users = {"uid_map": _lines(maps.uids), "gid_map": _lines(maps.gids), "root": maps.root}
        answer = await self.forks.call(
            "hold_sandbox",
            **users,
            id=sandbox.id,
            namespaces=state.namespaces,
            hostname=config.hostname if "uts" in state.namespaces else "",
            sysctls=dict(config.linux.sysctls),
            shm=state.shm,
            shm_bytes=defaults.SHM_BYTES,
        )
        for warning in answer.body["warnings"]:
            log.warning("sandbox %s: %s", sandbox.id, warning)
        if "net" in state.namespaces:
            state.networked = True
            sandbox.save()
            began = self.now()
            state.ips = await self._attach_network(sandbox)
            sandbox.timings["network"] = (began, self.now())
        state.ready = True
        sandbox.save()
        self.sandboxes[sandbox.id] = sandbox
        self._tell(sandbox.id, cri.ContainerEventType.CONTAINER_CREATED_EVENT)
        self._tell(sandbox.id, cri.ContainerEventType.CONTAINER_STARTED_EVENT)

    async def _attach_network(self, sandbox: Sandbox) -> list[str]:
        try:
            uid = sandbox.config.metadata.uid
            return await self.network.add(sandbox.id, sandbox.state.namespaces["net"], self.pod_cidr, uid)
        except Exception as error:  # the network's own errors are not ours to know
            raise RuntimeFault(f"sandbox {sandbox.config.metadata.name}: network: {error}") from error

    async def stop_sandbox(self, id: str) -> None:
        """Kill its containers and let its network and namespaces go. Repeatable; unknown is no error."""
        with contextlib.suppress(NotFound):
            sandbox = self.sandbox(id)
            for container in self.containers_of(sandbox.id):
                await self.stop_container(container, 0)
            async with sandbox.lock:
                was_ready = sandbox.state.ready
                sandbox.state.ready = False
                sandbox.save()
                await self._take_down(sandbox, quietly=False)
            if was_ready:
                self._tell(sandbox.id, cri.ContainerEventType.CONTAINER_STOPPED_EVENT)

    async def _take_down(self, sandbox: Sandbox, *, quietly: bool) -> None:
        """Network and namespaces away. quietly: the files too, and trouble is only logged."""
        try:
            if sandbox.state.networked:
                await self.network.remove(sandbox.id)
                sandbox.state.networked = False
            await self.forks.call(
                "release_sandbox", id=sandbox.id, namespaces=sandbox.state.namespaces, shm=sandbox.state.shm
            )
        except Exception as error:  # the edge to the network again
            if not quietly:
                raise RuntimeFault(f"sandbox {sandbox.id}: {error}") from error
            log.warning("sandbox is not fully taken down id=%s error=%s", sandbox.id, error)
        if quietly:
            shutil.rmtree(sandbox.directory, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(self.config.run_dir / "sandboxes" / sandbox.id)

    async def remove_sandbox(self, id: str) -> None:
        """Remove it with its containers. Repeatable; unknown is no error."""
        try:
            sandbox = self.sandbox(id)
        except NotFound:
            return
        await self.stop_sandbox(sandbox.id)
        for container in self.containers_of(sandbox.id):
            await self.remove_container(container)
        async with sandbox.lock:
            if self.sandboxes.pop(sandbox.id, None) is None:
                return
            self._tell(sandbox.id, cri.ContainerEventType.CONTAINER_DELETED_EVENT)
            run = self.config.run_dir / "sandboxes" / sandbox.id
            await asyncio.to_thread(shutil.rmtree, sandbox.directory, True)
            with contextlib.suppress(OSError):
                os.rmdir(run)

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
        if container.key in {other.key for other in self.containers.values()} | self._names:
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
        self._names.add(container.key)
        try:
            await self._build_container(container, image)
        except BaseException as error:
            self.containers.pop(id, None)
            await asyncio.shield(asyncio.to_thread(self._erase, container))
            if isinstance(error, OSError | CgroupError):
                raise RuntimeFault(f"container {config.metadata.name}: {error}") from error
            raise
        finally:
            self._names.discard(container.key)
        return id

    async def _build_container(self, container: Container, image: Image) -> None:
        config, state, directory = container.config, container.state, container.directory
        rules, _ = plan.device_rules(config, _look_at_device)
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
            log.warning("container %s: %s", container.id, warning)
        self.containers[container.id] = container
        self._tell(container.state.sandbox_id, cri.ContainerEventType.CONTAINER_CREATED_EVENT, container.id)

    async def start_container(self, container: Container) -> None:
        """Start it. Raises Precondition unless it is created; RuntimeFault in the fork server's words."""
        async with container.lock:
            if container.state.state != "created":
                raise Precondition(f"container {container.id} is {container.state.state}, not created")
            sandbox = self.sandbox(container.state.sandbox_id)
            if not sandbox.state.ready:
                raise Precondition(f"sandbox {sandbox.id} is not ready")
            stdio: list[int] = []
            try:
                stdio = self._stdio(container)
                self._copy_logs(container)
                answer = await self.forks.call("start", stdio, **self._start_request(container, sandbox))
            except (ForkError, CgroupError, OSError) as error:
                self._failed_to_start(container, str(error))
                raise RuntimeFault(f"failed to start container {container.config.metadata.name}: {error}") from error
            finally:
                for fd in stdio:
                    os.close(fd)
            self._started(container, answer.body, answer.fds)

    def _start_request(self, container: Container, sandbox: Sandbox) -> dict[str, object]:
        config, state = container.config, container.state
        _, nodes = plan.device_rules(config, _look_at_device)
        if config.linux.security_context.privileged:
            nodes = [*_all_devices(), *nodes]
        setup = plan.setup_of(
            config,
            self.paths_of(sandbox),
            plan.Root(
                tuple(state.layers),
                str(container.directory / "upper"),
                str(container.directory / "work"),
                str(container.directory / "root"),
            ),
            procs_files=self.cgroups.procs_files(state.cgroup),
            nodes=nodes,
            cgroup_version=self.cgroups.version,
            cgroup_mounts=self.cgroups.container_mounts(),
            image_layers={},
        )
        request: dict[str, object] = {
            "id": container.id,
            "setup": setup,
            "process": state.process,
            "cgroup": state.cgroup,
            "oom_file": self.cgroups.oom_file(state.cgroup),
            "procs_files": self.cgroups.procs_files(state.cgroup),
        }
        if "user" in sandbox.state.namespaces:
            request["user"] = sandbox.state.namespaces["user"]
            request["usher"] = plan.entering(
                config, self.paths_of(sandbox), procs_files=self.cgroups.procs_files(state.cgroup)
            )
        options = config.linux.security_context.namespace_options
        match options.pid:
            case cri.NamespaceMode.POD if "pid" in sandbox.state.namespaces:
                request["pid"] = sandbox.state.namespaces["pid"]
            case cri.NamespaceMode.NODE:
                request["pid"] = "node"
            case cri.NamespaceMode.TARGET:
                target = self.container(options.target_id)
                if target.state.sandbox_id != sandbox.id:
                    raise Invalid(f"target container {target.id} is in another sandbox")
                request |= {"pid": "node", "target": target.id}
            case _:
                request["pid"] = "new"
        return request

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

    def _stdio(self, container: Container) -> list[int]:
        """What becomes the container's 0, 1 and 2. It holds its FIFOs open both ways: no reader, no SIGPIPE."""
        if container.config.tty:
            return []
        fds: list[int] = []
        try:
            stdin = container.directory / "stdin"
            writers = []
            if container.config.stdin:
                writers = [os.open(stdin, os.O_RDWR | os.O_CLOEXEC)]  # without it the next open would wait for one
                fds.append(os.open(stdin, os.O_RDONLY | os.O_CLOEXEC))
            else:
                fds.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
            fds += [os.open(container.directory / name, os.O_RDWR | os.O_CLOEXEC) for name in ("stdout", "stderr")]
            fds += writers  # the fork server holds it until it is told to close it
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return fds

    def _started(self, container: Container, told: dict[str, object], fds: list[int]) -> None:
        state = container.state
        if told.get("console"):
            container.console = fds.pop(0)
        if fds:
            container.pidfd = fds.pop(0)
        for warning in told["warnings"] if isinstance(told["warnings"], list) else ():
            log.warning("container %s: %s", container.id, warning)
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
        self._copy_logs(container)
        self._tell(state.sandbox_id, cri.ContainerEventType.CONTAINER_STARTED_EVENT, container.id)

    def _failed_to_start(self, container: Container, text: str) -> None:
        copier = self.copiers.pop(container.id, None)
        if copier is not None:
            copier.abandon()
        state = container.state
        state.state, state.reason, state.message = "exited", "StartError", text
        state.exit_code, state.finished_at, state.drained = 128, self.now(), True
        container.save()
        container.ended.set()

    def _copy_logs(self, container: Container) -> None:
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

    def _exited_event(self, id: str, ended: Ended) -> None:
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
        self._spawn(self._drain(container))

    async def _drain(self, container: Container) -> None:
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
            self._tell(container.state.sandbox_id, cri.ContainerEventType.CONTAINER_STOPPED_EVENT, container.id)
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
            self._tell(container.state.sandbox_id, cri.ContainerEventType.CONTAINER_DELETED_EVENT, container.id)

    def _remove_cgroup(self, cgroup: str) -> None:
        try:
            self.cgroups.kill(cgroup)
            for _ in range(100):
                if self.cgroups.remove(cgroup):
                    return
                time.sleep(0.02)  # in a thread of its own; the kernel lets a killed process go within milliseconds
            log.warning("cgroup is still in use cgroup=%s", cgroup)
        except CgroupError as error:
            log.warning("cgroup is not removed: %s", error)

    def _erase(self, container: Container) -> None:
        self._remove_cgroup(container.state.cgroup)
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
            log.info("pod range set cidr=%s", cidr)

    # -- events

    def subscribe(self) -> asyncio.Queue[Event | None]:
        """Events from now on; None ends them. One that falls behind is ended."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_EVENT_BACKLOG)
        self._listeners.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event | None]) -> None:
        self._listeners.discard(queue)

    def _tell(self, sandbox_id: str, kind: cri.ContainerEventType, container_id: str = "") -> None:
        if not self._listeners:
            return
        from nodeagent.runtime import views

        sandbox = self.sandboxes.get(sandbox_id)
        status = views.sandbox_status(sandbox) if sandbox is not None else None
        statuses = [views.container_status(c) for c in self.containers_of(sandbox_id)]
        event: Event = (container_id or sandbox_id, kind, self.now(), status, statuses)
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)


def _by_prefix(known: dict[str, _T], id: str, what: str) -> _T:
    if id in known:
        return known[id]
    found = [key for key in known if id and key.startswith(id)]
    if len(found) != 1:
        raise NotFound(f"{what} {id!r} is not known here" if not found else f"{what} {id!r} means {len(found)} of them")
    return known[found[0]]


def _lines(ranges: Sequence[idmaps.Range]) -> list[list[int]]:
    return [[one.inside, one.outside, one.length] for one in ranges]


def _log_path(directory: str, path: str) -> str:
    if not directory or not path:
        return ""
    joined = os.path.normpath(os.path.join(directory, path))
    if os.path.isabs(path) or not joined.startswith(os.path.normpath(directory) + "/"):
        raise Invalid(f"log_path {path!r} leads out of {directory}")
    return joined


def _look_at_device(path: str) -> plan.DeviceNode:
    try:
        return plan.device_node(path, os.stat(path))
    except OSError as error:
        raise Invalid(f"device {path}: {os.strerror(error.errno or errno.EIO)}") from error


def _all_devices() -> list[plan.DeviceNode]:
    """Every device node of the machine, for privileged containers, but for terminals and shared memory."""
    found = []
    for folder, names, files in os.walk("/dev"):
        names[:] = [name for name in names if os.path.join(folder, name) not in ("/dev/pts", "/dev/shm", "/dev/mqueue")]
        for name in files:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError, Invalid):
                status = os.lstat(path)
                if (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)) and path not in (
                    "/dev/console",
                    "/dev/ptmx",
                ):
                    found.append(plan.device_node(path, status))
    return found
