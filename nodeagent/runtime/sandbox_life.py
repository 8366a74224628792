"""A sandbox's life: its namespaces, its network, and their end.

Always: it is on disk before anything of it is made, so that a start after a crash can take it down; a failed run leaves
nothing. Elsewhere: the containers in it (runtime.py).
"""

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nodeagent.runtime import defaults, idmaps, plan
from nodeagent.runtime.errors import AlreadyThere, Invalid, NotFound, Precondition, RuntimeFault
from nodeagent.runtime.forks import ForkError
from nodeagent.runtime.state import Sandbox, SandboxState, replace_file
from sampan.cri import api_pb2 as cri
from sampan.logs import fields

if TYPE_CHECKING:
    from nodeagent.runtime.runtime import Runtime

log = logging.getLogger("sampan.runtime")


class SandboxLife:
    """Makes and ends the sandboxes of a runtime."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    async def run(self, config: cri.PodSandboxConfig, handler: str) -> str:
        """Make a sandbox, ready. Raises RuntimeFault; nothing is left then."""
        if handler not in ("", "sampan"):
            raise Invalid(f"runtime handler {handler!r} is unknown; there is only the default one")
        if not config.metadata.name or not config.metadata.uid:
            raise Invalid("sandbox metadata must have a name and a uid")
        options = config.linux.security_context.namespace_options
        kinds = plan.sandbox_namespaces(options)
        resolv_conf = plan.resolv_conf(config.dns_config)
        if "net" in kinds and self._runtime.network.needs_cidr and not self._runtime.pod_cidr:
            raise Precondition("the pod network is not ready: the node has no pod CIDR yet (UpdateRuntimeConfig)")
        id = os.urandom(32).hex()
        run = self._runtime.config.run_dir / "sandboxes" / id
        state = SandboxState(
            created_at=self._runtime.now(),
            namespaces={kind: str(run / kind) for kind in kinds},
            shm=str(run / "shm") if "ipc" in kinds else "",
            runtime_handler=handler,
            cgroup_parent=config.linux.cgroup_parent or self._runtime.config.cgroup_parent,
        )
        sandbox = Sandbox(id, self._runtime.sandbox_root / id, config, state)
        if sandbox.key in {other.key for other in self._runtime.sandboxes.values()} | self._runtime.names:
            raise AlreadyThere(f"a sandbox {'/'.join(map(str, sandbox.key))} is there already")
        self._runtime.names.add(sandbox.key)
        try:
            async with sandbox.lock:
                await self._build(sandbox, run, resolv_conf)
        except BaseException as error:
            self._runtime.sandboxes.pop(id, None)
            await asyncio.shield(self._take_down(sandbox, quietly=True))
            if isinstance(error, ForkError | OSError):
                raise RuntimeFault(f"sandbox {config.metadata.name}: {error}") from error
            raise
        finally:
            self._runtime.names.discard(sandbox.key)
        return id

    async def _build(self, sandbox: Sandbox, run: Path, resolv_conf: str) -> None:
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
        answer = await self._runtime.forks.call(
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
            log.warning(warning, extra=fields(sandbox=sandbox.id))
        if "net" in state.namespaces:
            state.networked = True
            sandbox.save()
            began = self._runtime.now()
            state.ips = await self._attach_network(sandbox)
            sandbox.timings["network"] = (began, self._runtime.now())
        state.ready = True
        sandbox.save()
        self._runtime.sandboxes[sandbox.id] = sandbox
        self._runtime.events.tell(sandbox.id, cri.ContainerEventType.CONTAINER_CREATED_EVENT)
        self._runtime.events.tell(sandbox.id, cri.ContainerEventType.CONTAINER_STARTED_EVENT)

    async def _attach_network(self, sandbox: Sandbox) -> list[str]:
        try:
            netns, uid = sandbox.state.namespaces["net"], sandbox.config.metadata.uid
            return await self._runtime.network.add(sandbox.id, netns, self._runtime.pod_cidr, uid)
        except Exception as error:  # the network's own errors are not ours to know
            raise RuntimeFault(f"sandbox {sandbox.config.metadata.name}: network: {error}") from error

    async def stop(self, id: str) -> None:
        """Kill its containers and let its network and namespaces go. Repeatable; unknown is no error."""
        with contextlib.suppress(NotFound):
            sandbox = self._runtime.sandbox(id)
            for container in self._runtime.containers_of(sandbox.id):
                await self._runtime.stop_container(container, 0)
            async with sandbox.lock:
                was_ready = sandbox.state.ready
                sandbox.state.ready = False
                sandbox.save()
                await self._take_down(sandbox, quietly=False)
            if was_ready:
                self._runtime.events.tell(sandbox.id, cri.ContainerEventType.CONTAINER_STOPPED_EVENT)

    async def _take_down(self, sandbox: Sandbox, *, quietly: bool) -> None:
        """Network and namespaces away. quietly: the files too, and trouble is only logged."""
        try:
            if sandbox.state.networked:
                await self._runtime.network.remove(sandbox.id)
                sandbox.state.networked = False
            await self._runtime.forks.call(
                "release_sandbox", id=sandbox.id, namespaces=sandbox.state.namespaces, shm=sandbox.state.shm
            )
        except Exception as error:  # the edge to the network again
            if not quietly:
                raise RuntimeFault(f"sandbox {sandbox.id}: {error}") from error
            log.warning("sandbox is not fully taken down", extra=fields(sandbox=sandbox.id, error=error))
        if quietly:
            shutil.rmtree(sandbox.directory, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(self._runtime.config.run_dir / "sandboxes" / sandbox.id)

    async def remove(self, id: str) -> None:
        """Remove it with its containers. Repeatable; unknown is no error."""
        try:
            sandbox = self._runtime.sandbox(id)
        except NotFound:
            return
        await self.stop(sandbox.id)
        for container in self._runtime.containers_of(sandbox.id):
            await self._runtime.remove_container(container)
        async with sandbox.lock:
            if self._runtime.sandboxes.pop(sandbox.id, None) is None:
                return
            self._runtime.events.tell(sandbox.id, cri.ContainerEventType.CONTAINER_DELETED_EVENT)
            run = self._runtime.config.run_dir / "sandboxes" / sandbox.id
            await asyncio.to_thread(shutil.rmtree, sandbox.directory, True)
            with contextlib.suppress(OSError):
                os.rmdir(run)


def _lines(ranges: Sequence[idmaps.Range]) -> list[list[int]]:
    return [[one.inside, one.outside, one.length] for one in ranges]
