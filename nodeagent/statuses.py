"""Pods' statuses on their way into the API: only what differs, the newest only, through pods/status.

Elsewhere: what a status says (status.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NoReturn

from sampan.api import core_v1
from sampan.client import Client, PatchKind, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.kinds import PODS
from sampan.logs import fields
from sampan.objects import version_of

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.25
"""A pod whose image is there runs before that: its way there is not told, and does not keep `Running` waiting."""
MOST_CONFLICTS = 5

OTHERS = ("nominatedNodeName", "resourceClaimStatuses", "extendedResourceClaimStatus", "resize")
"""Fields of a status that the agent leaves alone."""


class Latest:
    """One pod as the API last said, by its watch or in answer to our own writes."""

    def __init__(self, pod: core_v1.Pod, removed: bool = False) -> None:
        self.pod = pod
        self.removed = removed
        """It is not in the API any more."""

    @property
    def label(self) -> str:
        """`namespace/name`, for the log."""
        return f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"

    def take(self, pod: core_v1.Pod) -> core_v1.Pod | None:
        """Take a newer version; returns the one before it, or None when this is not newer."""
        if pod.metadata.uid != self.pod.metadata.uid or version_of(pod) <= version_of(self.pod):
            return None
        old, self.pod = self.pod, pod
        return old


def patch_of(uid: str, old: core_v1.PodStatus, new: core_v1.PodStatus) -> dict[str, Any] | None:
    """The strategic merge patch from one status to another; None when nothing differs. Pure.

    It names the uid, so that it can't hit a later pod of the same name.
    """
    before, after = old.to_json(), new.to_json()
    change: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        if key in OTHERS or before.get(key) == after.get(key):
            continue
        match key:
            case "conditions":
                known = {one["type"]: one for one in before.get(key, ())}
                # a merge keeps what it is not told to drop: a message that is no more has to be said
                changed = [
                    dict.fromkeys(known.get(one["type"], {})) | one
                    for one in after.get(key, ())
                    if known.get(one["type"]) != one
                ]
                if changed:
                    change[key] = changed
            case "podIPs" | "hostIPs":
                gone = [one for one in before.get(key, ()) if one not in after.get(key, ())]
                dropped = [{"$patch": "delete", "ip": one["ip"]} for one in gone]
                change[key] = [*after.get(key, ()), *dropped]
            case _:
                change[key] = after.get(key)
    return {"metadata": {"uid": uid}, "status": change} if change else None


def is_urgent(old: core_v1.PodStatus, new: core_v1.PodStatus) -> bool:
    """Whether somebody may be waiting for this change: anything but a pod on its way to its first container."""
    if old.phase not in (None, "Pending") or new.phase != "Pending":
        return True
    return any(
        (state := one.state) is not None
        and (
            state.terminated is not None
            or (state.waiting is not None and state.waiting.reason not in ("ContainerCreating", "PodInitializing"))
        )
        for one in (*new.container_statuses, *new.init_container_statuses)
    )


class StatusWriter:
    """Brings one pod's newest status into the API. Own `run` in a TaskGroup.

    `begun` is called when the API has the pod's start time, from which its deadline counts.
    """

    def __init__(self, client: Client, clock: Clock, latest: Latest, begun: Callable[[], object]) -> None:
        self._begun = begun
        self._client = client
        self._clock = clock
        self._latest = latest
        self._status: core_v1.PodStatus | None = None
        self._refused: dict[str, Any] | None = None
        self._changed = asyncio.Event()
        self._written = asyncio.Event()

    def put(self, status: core_v1.PodStatus) -> None:
        """Report this from now on."""
        self._status = status
        patch = self._patch(status)
        if patch is None or patch == self._refused:
            self._written.set()
        else:
            self._written.clear()
            self._changed.set()

    async def flushed(self) -> None:
        """Wait until the last status is in the API, or the pod is not."""
        while not self._written.is_set() and not self._latest.removed:
            self._changed.set()
            try:
                async with asyncio.timeout(1.0):
                    await self._written.wait()
            except TimeoutError:
                continue

    async def run(self) -> NoReturn:
        """Write what is put, until cancelled; while that fails, wait longer each time."""
        failures = 0
        while True:
            await self._changed.wait()
            if not failures:
                await self._coalesced()
            self._changed.clear()
            try:
                await self._write()
                failures = 0
            except (ApiError, Unreachable) as error:
                failures += 1
                gone = isinstance(error, ApiError) and (
                    error.is_not_found or (error.is_conflict and failures > MOST_CONFLICTS)
                )
                if gone:  # another pod has the name, or none; the informer will say so
                    self._written.set()
                    failures = 0
                    continue
                log.warning("can't report a pod's status", extra=fields(pod=self._latest.label, error=error))
                await self._clock.sleep(min(30.0, 0.2 * 2 ** min(failures, 8)))
                self._changed.set()

    def _patch(self, status: core_v1.PodStatus) -> dict[str, Any] | None:
        return patch_of(self._latest.pod.metadata.uid or "", self._latest.pod.status, status)

    async def _coalesced(self) -> None:
        """Wait a moment for a status that says more, unless somebody may be waiting for this one."""
        try:
            async with asyncio.timeout(COALESCE_SECONDS):
                while self._status is not None and not is_urgent(self._latest.pod.status, self._status):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    async def _write(self) -> None:
        status = self._status
        patch = self._patch(status) if status is not None and not self._latest.removed else None
        if status is None or patch is None:
            self._written.set()
            return
        meta = self._latest.pod.metadata
        answer = await self._client.patch(
            PODS,
            meta.name or "",
            patch,
            namespace=meta.namespace or "",
            kind=PatchKind.STRATEGIC,
            subresource="status",
        )
        old = self._latest.take(answer)
        if old is not None and old.status.start_time is None:
            self._begun()
        self._refused = None
        if (left := self._patch(status)) is not None and left == patch:
            log.warning("the API does not take a status as it is", extra=fields(pod=self._latest.label, patch=left))
            self._refused = patch
        if self._status is status:
            self._written.set()
        else:
            self._changed.set()
