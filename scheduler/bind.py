"""Telling the API server what was decided: bindings, statuses, evictions. Each call is a task; failures come back.

Always: a placement is assumed from the moment it is made until the watch confirms it or the API server refuses it.
Elsewhere: the decisions (place.py, preempt.py), what becomes of a pod whose binding failed (scheduler.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, NoReturn

import orjson

from sampan.api.core_v1 import Pod, PodCondition
from sampan.client import Client, PatchKind, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError, SampanError
from sampan.kinds import PODS
from sampan.logs import fields
from scheduler.columns import Placed
from scheduler.place import Placement, Waiting

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Calls in flight."""
ASK_AGAIN_SECONDS = 1.0
MOST_OUTSTANDING = 1024
"""Placements that may wait for their call; then the scheduler waits too."""
SENDERS = 2
MOST_TOGETHER = 64
"""Bindings in one request."""
TOGETHER_PATH = "/sampan/bindings"
"""Where Sampan's API server takes many bindings in one request (apiserver/binds.py)."""


class Calls:
    """Runs calls concurrently, bounded. Use as an async context manager: leaving it cancels what is left."""

    def __init__(self, at_once: int = AT_ONCE, outstanding: int = MOST_OUTSTANDING) -> None:
        self._gate = asyncio.Semaphore(at_once)
        self._room = asyncio.Semaphore(outstanding)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Calls:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def start(self, call: Coroutine[Any, Any, None]) -> None:
        """Run a call that handles its own errors; waits while too many are outstanding."""
        try:
            await self._room.acquire()
        except BaseException:
            call.close()
            raise
        task = asyncio.create_task(self._run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, call: Coroutine[Any, Any, None]) -> None:
        try:
            async with self._gate:
                await call
        except Exception:  # the edge of one call: a bug in it must not stop the others
            log.exception("a call failed")
        finally:
            call.close()
            self._room.release()


class Binder:
    """Sends bindings, many in one request when many wait. Own `run` in a TaskGroup.

    `bound` hears of each placement that the API server has taken, with the seconds that it took; `failed` of each
    other one. `calm` is set while nothing waits and nothing is on its way.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        bound: Callable[[Placement, float], None],
        failed: Callable[[Placement, SampanError], None],
    ) -> None:
        self._client, self._clock = client, clock
        self._bound, self._failed = bound, failed
        self._waiting: deque[tuple[Placement, float]] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Semaphore(MOST_OUTSTANDING)
        self._outstanding = 0
        self._together = True
        """Whether this API server takes many at once; another one than Sampan's does not."""
        self.calm = asyncio.Event()
        self.calm.set()

    async def put(self, placement: Placement) -> None:
        """Have a placement bound; waits while too many are outstanding."""
        await self._room.acquire()
        self._outstanding += 1
        self.calm.clear()
        self._waiting.append((placement, self._clock.monotonic()))
        self._news.set()

    async def run(self) -> NoReturn:
        """Send until cancelled. Run several: while one waits for its answer, another gathers what comes."""
        while True:
            await self._news.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]
            if not self._waiting:
                self._news.clear()
            if not batch:
                continue
            try:
                await self._send(batch)
            except Exception:  # the edge of one request: a bug in it must not stop the others
                log.exception("bindings failed")
                for placement, _ in batch:
                    self._failed(placement, SampanError("a fault of the scheduler's own, see its log"))
            finally:
                self._outstanding -= len(batch)
                for _ in batch:
                    self._room.release()
                if not self._outstanding:
                    self.calm.set()

    async def _send(self, batch: list[tuple[Placement, float]]) -> None:
        if len(batch) > 1 and self._together:
            errors = await self._at_once([placement for placement, _ in batch])
        if len(batch) == 1 or not self._together:
            errors = await asyncio.gather(*(self._one(placement) for placement, _ in batch))
        for (placement, began), error in zip(batch, errors, strict=True):
            if error is None:
                self._bound(placement, self._clock.monotonic() - began)
            else:
                self._failed(placement, error)

    async def _one(self, placement: Placement) -> SampanError | None:
        pod = placement.pod
        try:
            path = PODS.path(pod.namespace, pod.name, "binding")
            await self._client.request("POST", path, body=orjson.dumps(_binding(placement)))
        except SampanError as error:
            return await self._truth(placement, error)
        return None

    async def _at_once(self, placements: list[Placement]) -> list[SampanError | None]:
        body = orjson.dumps({"items": [_binding(one) for one in placements]})
        found: list[SampanError | None]
        try:
            items = orjson.loads(await self._client.request("POST", TOGETHER_PATH, body=body))["items"]
        except SampanError as error:
            if isinstance(error, ApiError) and error.code in (403, 404, 405):
                self._together = False
                return []
            found = [error] * len(placements)
        else:
            found = [None if one["status"] == "Success" else ApiError.from_status(one) for one in items]
        return await asyncio.gather(*(map(self._truth, placements, found)))

    async def _truth(self, placement: Placement, error: SampanError | None) -> SampanError | None:
        """What became of a binding: after some errors nobody knows whether it was carried out, so one has to look."""
        unknown = isinstance(error, Unreachable) or (isinstance(error, ApiError) and error.code >= 500)
        if unknown and await _is_bound(self._client, placement, self._clock):
            return None
        return error


def _binding(placement: Placement) -> dict[str, Any]:
    pod = placement.pod
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": placement.node},
    }


async def _is_bound(client: Client, placement: Placement, clock: Clock) -> bool:
    """Ask until there is an answer: until then the room must count as taken."""
    while True:
        try:
            found = await client.get(PODS, placement.pod.name, placement.pod.namespace)
        except ApiError as error:
            if error.is_not_found:
                return False
        except SampanError:
            pass
        else:
            return found.metadata.uid == placement.pod.uid and found.spec.node_name == placement.node
        await clock.sleep(ASK_AGAIN_SECONDS)


def unscheduled_patch(pod: Pod, message: str, nominated: str | None, now: datetime) -> dict[str, Any] | None:
    """The status patch that says why a pod has no node, None when the pod says so already.

    `nominated`: the node on which room is being made; "" clears it, None leaves it as it is.
    """
    status: dict[str, Any] = {}
    old = next((one for one in pod.status.conditions if one.type == "PodScheduled"), None)
    if old is None or (old.status, old.reason, old.message) != ("False", "Unschedulable", message):
        same = old is not None and old.status == "False" and old.last_transition_time is not None
        since = old.last_transition_time if same and old is not None else now
        condition = PodCondition(
            type="PodScheduled",
            status="False",
            reason="Unschedulable",
            message=message,
            last_transition_time=since,
            observed_generation=pod.metadata.generation,
        )
        status["conditions"] = [condition.to_json()]
    if nominated is not None and nominated != (pod.status.nominated_node_name or ""):
        status["nominatedNodeName"] = nominated or None
    return {"metadata": {"uid": pod.metadata.uid}, "status": status} if status else None


async def patch_status(client: Client, pod: Waiting, patch: dict[str, Any]) -> bool:
    """Patch a pod's status. A pod that is gone is no error; other failures are logged and given up."""
    try:
        await client.patch(
            PODS, pod.name, patch, namespace=pod.namespace, kind=PatchKind.STRATEGIC, subresource="status"
        )
        return True
    except SampanError as error:
        if not (isinstance(error, ApiError) and (error.is_not_found or error.is_conflict)):
            log.warning("can't write a pod's status", extra=fields(pod=f"{pod.namespace}/{pod.name}", error=error))
        return False


async def evict(client: Client, victim: Placed, scheduler: str, clock: Clock) -> bool:
    """Delete a victim with its grace period, saying why in its DisruptionTarget condition (KEP-3329).

    Returns whether it is going, or gone.
    """
    condition = PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="PreemptionByScheduler",
        message=f"{scheduler}: preempting to accommodate a higher priority pod",
        last_transition_time=clock.now(),
    )
    patch = {"metadata": {"uid": victim.uid}, "status": {"conditions": [condition.to_json()]}}
    try:
        await client.patch(
            PODS, victim.name, patch, namespace=victim.namespace, kind=PatchKind.STRATEGIC, subresource="status"
        )
        await client.delete(PODS, victim.name, victim.namespace, uid=victim.uid)
    except ApiError as error:
        if error.is_not_found or error.is_conflict:
            return True
        log.warning("can't evict a pod", extra=fields(pod=f"{victim.namespace}/{victim.name}", error=error))
        return False
    except SampanError as error:
        log.warning("can't evict a pod", extra=fields(pod=f"{victim.namespace}/{victim.name}", error=error))
        return False
    return True
