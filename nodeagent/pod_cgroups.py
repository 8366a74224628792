"""The cgroups above a node's containers: `kubepods`, one for each quality-of-service class, one for each pod.

The runtime makes and limits the cgroups of containers; these are the agent's, whichever runtime it talks to. A class's
share of the CPU is what its pods ask for together, so a Burstable pod never starves a Guaranteed one, and BestEffort
pods get what is left. Always: a pod's cgroup is limited before anything runs in it, and gone after its last process.
Source: the Kubernetes documentation, "Reserve Compute Resources" (enforceNodeAllocatable=pods); "Pod Quality of
Service Classes". Elsewhere: which numbers (resources.py), how they are written (runtime/cgroups/).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from nodeagent import resources
from nodeagent.resources import QosClass
from nodeagent.runtime.cgroups.resources import CgroupError, Cgroups, Limits
from sampan import quantity
from sampan.api import core_v1
from sampan.errors import SampanError
from sampan.logs import fields

log = logging.getLogger(__name__)

EVERY_CONTAINER = {"memory.oom.group": "1", "memory.swap.max": "0"}
"""On cgroup v2: out of memory, a container ends as a whole (kubelet's singleProcessOOMKill is false there), and it
never swaps (its NoSwap)."""


class PodCgroupError(SampanError):
    """A pod's cgroup can't be made as its resources ask: names the file and the errno."""


def limits_of_node(capacity: Mapping[str, str]) -> Limits:
    """What all pods together may use. Pure."""
    return Limits(
        cpu_shares=resources.shares(resources.milli(capacity.get("cpu"))),
        memory_bytes=resources.amount(capacity.get("memory")),
    )


def limits_of_pod(pod: core_v1.Pod, pids: int) -> Limits:
    """What a pod's containers together may use. Pure."""
    wanted = resources.pod_resources(pod)
    hugepages: dict[str, int] = {}
    for spec in pod.spec.containers:
        for name, text in (spec.resources.limits if spec.resources is not None else {}).items():
            if name.startswith(resources.HUGEPAGES):
                size = resources.page_size(name)
                hugepages[size] = hugepages.get(size, 0) + quantity.value(text)
    return Limits(
        cpu_shares=wanted.cpu_shares,
        cpu_quota=wanted.cpu_quota,
        cpu_period=wanted.cpu_period if wanted.cpu_quota else 0,
        memory_bytes=wanted.memory_limit_in_bytes,
        pids=pids,
        hugepages=hugepages,
    )


class PodCgroups:
    """One node's. `capacity` is what the Node says it has, `pids` the most processes of a pod (-1: no limit)."""

    def __init__(self, root: str, cgroups: Cgroups, capacity: Mapping[str, str], *, pids: int = -1) -> None:
        self._root = root
        self._cgroups = cgroups
        self._capacity = capacity
        self._pids = pids
        self._lock = asyncio.Lock()
        self._asked: dict[str, int] = {}
        """What each Burstable pod asks for, in thousandths of a CPU."""
        self._share = 0
        self._prepared = False
        self.unified: Mapping[str, str] = {}
        """What every container gets on cgroup v2."""

    async def prepare(self) -> None:
        """Make the classes' cgroups. Raises PodCgroupError; it is tried again with each pod."""
        await self._write(self._prepare)

    def know(self, pod: core_v1.Pod) -> None:
        """Count a pod in that is here, or comes. Does no I/O."""
        if resources.qos_class(pod) is QosClass.BURSTABLE and pod.status.phase not in ("Succeeded", "Failed"):
            self._asked[pod.metadata.uid or ""] = resources.pod_total(pod, "cpu") // 1000

    async def tidy(self, uids: Collection[str]) -> None:
        """Give the classes their shares, and remove cgroups of pods other than these, unless something runs there."""
        try:
            await self._write(lambda: self._tidy(uids))
        except PodCgroupError as error:
            log.warning("can't tidy the pods' cgroups", extra=fields(error=error))

    async def hold(self, pod: core_v1.Pod) -> None:
        """Make the pod's cgroup, limited, and give its class its share. Raises PodCgroupError."""
        self.know(pod)
        await self._write(lambda: self._hold(pod))

    async def release(self, uid: str) -> None:
        """The pod has ended: remove its cgroup unless something still runs there. Repeatable."""
        self._asked.pop(uid, None)
        try:
            await self._write(lambda: self._release(uid))
        except PodCgroupError as error:  # nothing depends on it, and the node's removal takes it along
            log.warning("a pod's cgroup is not removed", extra=fields(uid=uid, error=error))

    async def _write(self, work: Callable[[], None]) -> None:
        try:
            async with self._lock:
                await asyncio.to_thread(work)
        except (CgroupError, OSError) as error:
            raise PodCgroupError(str(error)) from error

    def _prepare(self) -> None:
        pods = resources.class_cgroup(self._root, QosClass.GUARANTEED)
        self._cgroups.create(pods, limits_of_node(self._capacity))
        least = Limits(cpu_shares=resources.LEAST_SHARES)
        self._cgroups.create(resources.class_cgroup(self._root, QosClass.BEST_EFFORT), least)
        self.unified = {name: value for name, value in EVERY_CONTAINER.items() if self._cgroups.has(pods, name)}
        self._cgroups.create(resources.class_cgroup(self._root, QosClass.BURSTABLE), Limits())
        self._prepared = True

    def _hold(self, pod: core_v1.Pod) -> None:
        if not self._prepared:
            self._prepare()
        self._divide()
        self._cgroups.create(resources.cgroup_parent(self._root, pod), limits_of_pod(pod, self._pids))

    def _release(self, uid: str) -> None:
        for qos in QosClass:  # an orphan's class is not known
            self._cgroups.remove(f"{resources.class_cgroup(self._root, qos)}/pod{uid}", keep_if_used=True)
        self._divide()

    def _tidy(self, uids: Collection[str]) -> None:
        self._divide()
        for qos in QosClass:
            path = resources.class_cgroup(self._root, qos)
            for name in self._cgroups.children(path):
                if name.startswith("pod") and name.removeprefix("pod") not in uids:
                    self._cgroups.remove(f"{path}/{name}", keep_if_used=True)

    def _divide(self) -> None:
        share = resources.shares(sum(tuple(self._asked.values())))
        if share != self._share:
            self._cgroups.create(resources.class_cgroup(self._root, QosClass.BURSTABLE), Limits(cpu_shares=share))
            self._share = share
