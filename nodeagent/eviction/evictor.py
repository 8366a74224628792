"""Looks every ten seconds whether the node runs short, and ends a pod at a time until it does not.

Short of disk, it first drops images that nothing uses. The look itself costs two system calls and a file; pods are
measured only when one must go, and their disk where they have a limit of it.
Elsewhere: what is short (signals.py), who goes (rank.py), how a pod ends (plan.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from nodeagent import machine, observed
from nodeagent.containers import log_directory
from nodeagent.eviction.measure import DiskUse, disk_use
from nodeagent.eviction.rank import PodUse, has_limits, over_its_limits, ranked, verdict
from nodeagent.eviction.signals import Available, Pressures, Shortage, Signal, Threshold, shortages
from nodeagent.node_context import NodeContext
from nodeagent.plan import Verdict
from nodeagent.pod import PodWorker
from sampan.cri import api_pb2 as cri
from sampan.errors import SampanError
from sampan.logs import fields

log = logging.getLogger(__name__)

GONE_SECONDS = 30.0
"""How long the next pod waits for the one before it to end."""


class Evictor:
    """The node's own defence. `run` belongs to a TaskGroup; `pressures` are the conditions that hold."""

    def __init__(
        self,
        limits: tuple[Threshold, ...],
        node: NodeContext,
        workers: Callable[[], Iterable[PodWorker]],
        images_in_use: Callable[[], Iterable[str]],
        *,
        state_dir: Path,
        every_seconds: float,
        transition_seconds: float,
        on_change: Callable[[frozenset[str]], None],
    ) -> None:
        self._limits = limits
        self._node = node
        self._workers = workers
        self._images_in_use = images_in_use
        self._state_dir = state_dir
        self._every = every_seconds
        self._felt = Pressures(transition_seconds)
        self._on_change = on_change
        self._image_dir: str | None = None
        self.pressures: frozenset[str] = frozenset()

    async def run(self) -> NoReturn:
        """Look, until cancelled."""
        while True:
            await self.guarded(self.look())
            await self._node.clock.sleep(self._every)

    async def guarded(self, work: Awaitable[object]) -> None:
        """Do it; what goes wrong is logged, and tried again with the next look."""
        try:
            await work
        except (SampanError, OSError, ValueError) as error:
            log.warning("can't look whether the node runs short", extra=fields(error=error))

    async def feel(self) -> list[Shortage]:
        """Only find out what is short, and tell of a change."""
        short = await self._short()
        pressures = self._felt.update(short, self._node.clock.monotonic())
        if pressures != self.pressures:
            log.info("pressure", extra=fields(conditions=",".join(sorted(pressures)) or "none"))
            self.pressures = pressures
            self._on_change(pressures)
        return short

    async def look(self) -> None:
        """One look, and what follows from it."""
        short = await self.feel()
        if await self._over_limits():
            return
        if any(one.signal is not Signal.MEMORY for one in short) and await self._node.images.drop_unused(
            self._images_in_use()
        ):
            short = await self._short()
        if short:
            await self._relieve(short[0])

    async def _short(self) -> list[Shortage]:
        return shortages(self._limits, await self._available())

    async def _available(self) -> Mapping[Signal, Available]:
        memory = machine.load(self._state_dir)
        disk = os.statvfs(self._state_dir)
        if self._image_dir is None:
            self._image_dir = await self._node.runtime.image_directory()
        try:
            images = os.statvfs(self._image_dir or self._state_dir)
        except OSError:  # it is not ours to see: the runtime's mount namespace has it
            images = disk
        return {
            Signal.MEMORY: Available(memory.memory_available, self._node.node_memory),
            Signal.DISK: Available(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize),
            Signal.FILES: Available(disk.f_favail, disk.f_files),
            Signal.IMAGE_DISK: Available(images.f_bavail * images.f_frsize, images.f_blocks * images.f_frsize),
            Signal.IMAGE_FILES: Available(images.f_favail, images.f_files),
        }

    def _candidates(self) -> list[PodWorker]:
        return [one for one in self._workers() if one.may_be_evicted]

    async def _relieve(self, short: Shortage) -> None:
        """End the pod whose turn it is."""
        workers = {one.uid: one for one in self._candidates()}
        if not workers:
            return
        measured = await self._uses(workers.values(), disk=short.signal is not Signal.MEMORY)
        for use in ranked(measured, short.signal.resource):
            worker = workers[use.pod.metadata.uid or ""]
            self._evict(worker, verdict(use, short))
            await self._until_ended(worker)
            return

    async def _over_limits(self) -> bool:
        """End the pods that use more of the disk than they may; whether there was one."""
        workers = {one.uid: one for one in self._candidates() if has_limits(one.pod)}
        if not workers:
            return False
        found = False
        for use in await self._uses(workers.values(), disk=True):
            if (over := over_its_limits(use)) is not None:
                self._evict(workers[use.pod.metadata.uid or ""], over)
                found = True
        return found

    def _evict(self, worker: PodWorker, why: Verdict) -> None:
        log.warning("evicting a pod", extra=fields(uid=worker.uid, message=why.message))
        self._node.say(worker.pod, "Warning", why.reason, why.message)
        worker.condemn(why)

    async def _until_ended(self, worker: PodWorker) -> None:
        try:
            async with asyncio.timeout(GONE_SECONDS):
                while worker.takes_room:
                    await self._node.clock.sleep(1.0)
        except TimeoutError:
            log.warning("an evicted pod has not ended yet", extra=fields(uid=worker.uid))

    async def _uses(self, workers: Iterable[PodWorker], *, disk: bool) -> list[PodUse]:
        stats = {one.attributes.metadata.uid: one for one in await self._node.runtime.pod_stats()}
        return [await self._use(one, stats.get(one.uid, cri.PodSandboxStats()), disk=disk) for one in workers]

    async def _use(self, worker: PodWorker, stats: cri.PodSandboxStats, *, disk: bool) -> PodUse:
        pod = worker.pod
        layers: dict[str, DiskUse] = {}
        memory: dict[str, int] = {}
        for one in stats.linux.containers:
            name = one.attributes.labels.get(observed.CONTAINER_NAME, one.attributes.metadata.name)
            memory[name] = one.memory.working_set_bytes.value
            layers[name] = DiskUse(one.writable_layer.used_bytes.value, one.writable_layer.inodes_used.value)
        if not disk:
            return PodUse(pod, memory)
        logs = log_directory(self._node.log_dir, pod)
        for name in layers:
            layers[name] += await asyncio.to_thread(disk_use, logs / name)
        volumes: dict[str, DiskUse] = {}
        for name, path in self._node.volumes.on_disk(pod):
            volumes[name] = await asyncio.to_thread(disk_use, path)
        return PodUse(
            pod,
            memory,
            {name: use.bytes for name, use in layers.items()},
            {name: use.bytes for name, use in volumes.items()},
            sum(use.inodes for use in (*layers.values(), *volumes.values())),
        )
