"""After a start of the runtime, or of its fork server: what is there is found again and gone on with.

Always: what is on disk and what the fork server follows decides; a process that no record knows is ended.
"""

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING

from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.forks import Ended, ForkError
from nodeagent.runtime.state import Container, Sandbox
from sampan.logs import fields

if TYPE_CHECKING:
    from nodeagent.runtime.runtime import Runtime

log = logging.getLogger("sampan.runtime")

_DISCARD_TRIES, _DISCARD_SECONDS = 50, 0.1
_UNKNOWN_EXIT = 255


async def adopt(runtime: "Runtime") -> None:
    """Compare the records with what the fork server follows, and go on with the containers that are there."""
    followed = {answer.body["process"]["name"]: answer for answer in await runtime.forks.listed()}
    for name, answer in followed.items():
        container = runtime.containers.get(name)
        if container is None or container.state.state == "exited":
            for fd in answer.fds:
                os.close(fd)
            if container is None:
                runtime.spawn(_discard(runtime, name, str(answer.body["process"]["cgroup"])))
            continue
        await _adopt_one(runtime, container, answer.body["process"], answer.fds)
    for container in list(runtime.containers.values()):
        if container.running and container.id not in followed:
            _lost(runtime, container)
        elif container.state.state == "exited" and not container.state.drained:
            runtime.copy_logs(container)
            runtime.spawn(runtime.drain(container))
    for sandbox in runtime.sandboxes.values():
        if sandbox.state.ready and not _holds(sandbox):
            log.warning("sandbox has lost its namespaces", extra=fields(sandbox=sandbox.id))
            sandbox.state.ready = False
            sandbox.save()


async def _discard(runtime: "Runtime", name: str, cgroup: str) -> None:
    """End a process that no record knows: its container's was damaged, or removed while we died."""
    log.warning("a process without a record is ended", extra=fields(process=name))
    await runtime.forks.call("kill", id=name, signal=signal.SIGKILL)
    for _ in range(_DISCARD_TRIES):
        with contextlib.suppress(ForkError):
            await runtime.forks.call("forget", id=name)
            break
        await asyncio.sleep(_DISCARD_SECONDS)
    if cgroup:
        await asyncio.to_thread(runtime.remove_cgroup, cgroup)


async def _adopt_one(runtime: "Runtime", container: Container, process: dict[str, object], fds: list[int]) -> None:
    ended = process["exit"]
    known = container.pidfd
    if fds and known < 0:
        container.pidfd = fds.pop()
    for fd in fds:
        os.close(fd)
    container.pid = int(str(process["pid"]))
    if container.state.state == "created":  # we died between the start and its record
        container.state.state = "running"
        container.state.started_at = container.state.started_at or runtime.now()
        container.state.user = process["user"] if isinstance(process["user"], list) else []
        container.save()
    if container.config.tty:
        if container.console >= 0:
            await runtime.forks.call("console", (container.console,), id=container.id)
        elif ended is None:
            with contextlib.suppress(ForkError):
                container.console = (await runtime.forks.call("console", id=container.id)).fds[0]
    runtime.copy_logs(container)
    if isinstance(ended, dict):
        runtime.exited(container.id, Ended.of(ended))


def _lost(runtime: "Runtime", container: Container) -> None:
    ended = Ended(_UNKNOWN_EXIT, 0, False, runtime.now(), False)
    runtime.exited(container.id, ended)


def _holds(sandbox: Sandbox) -> bool:
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
