"""Which containers of a pod are probed just now, and what is held true of each.

Elsewhere: one probe's row of answers (worker.py), what follows from health (plan.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from nodeagent.node_context import NodeContext
from nodeagent.observed import Container, Health, Observed
from nodeagent.probes.verdict import ProbeKind
from nodeagent.probes.worker import Probed, keep_asking
from nodeagent.restart import Member, members
from nodeagent.statuses import Latest
from sampan.api import core_v1
from sampan.logs import fields

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


def pod_ip(pod: core_v1.Pod, seen: Observed, host_ips: tuple[str, ...]) -> str:
    """Where the pod's servers are dialled."""
    ips = host_ips if pod.spec.host_network else seen.sandbox.ips if seen.sandbox is not None else ()
    return ips[0] if ips else ""


class Prober:
    """The probes of one pod. `changed` is called when a container's health is another."""

    def __init__(self, node: NodeContext, latest: Latest, spawn: Spawn, changed: Callable[[], object]) -> None:
        self._node = node
        self._latest = latest
        self._spawn = spawn
        self._changed = changed
        self._results: dict[tuple[str, ProbeKind], bool | None] = {}
        self._probes: dict[tuple[str, ProbeKind], asyncio.Task[None]] = {}
        self.starting: set[str] = set()
        """Containers whose start, postStart included, is not over."""
        self.post_start_failed: set[str] = set()

    @property
    def tasks(self) -> Iterable[asyncio.Task[None]]:
        """The probes under way."""
        return self._probes.values()

    def health(self, container: Container) -> Health:
        """What is held true of a running container."""
        member = next((one for one in members(self._latest.pod) if one.name == container.name), None)
        if member is None:
            return Health()
        spec = member.spec
        known = self._reported(container)
        startup = self._results.get((container.id, ProbeKind.STARTUP))
        if startup is None and known is not None and known.started and spec.startup_probe is not None:
            startup = self._results[(container.id, ProbeKind.STARTUP)] = True
        started = container.id not in self.starting and (spec.startup_probe is None or startup is True)
        key = (container.id, ProbeKind.READINESS)
        ready: bool | None = True
        if spec.readiness_probe is not None:
            if key not in self._results and known is not None and known.ready:
                self._results[key] = True  # an earlier life of this agent had found it so
            ready = self._results.get(key)
        return Health(
            started=started,
            ready=started and bool(ready),
            live=self._results.get((container.id, ProbeKind.LIVENESS)),
            startup_failed=startup is False,
            post_start_failed=container.id in self.post_start_failed,
        )

    def _reported(self, container: Container) -> core_v1.ContainerStatus | None:
        """What the API has of this very container."""
        status = self._latest.pod.status
        reports = (*status.container_statuses, *status.init_container_statuses)
        suffix = f"://{container.id}"
        return next((one for one in reports if one.container_id and one.container_id.endswith(suffix)), None)

    def attend(self, seen: Observed, *, ending: bool) -> None:
        """Probe what runs and nothing else; of a pod that ends, only whether it is ready."""
        wanted: dict[tuple[str, ProbeKind], tuple[core_v1.Probe, Member, Container]] = {}
        for member in members(self._latest.pod):
            container = seen.newest(member.name)
            if container is None or not container.running or container.id in self.starting:
                continue
            health = seen.health.get(container.id, Health())
            spec = member.spec
            probes: list[tuple[ProbeKind, core_v1.Probe | None]] = []
            if health.started:
                probes.append((ProbeKind.READINESS, spec.readiness_probe))
                if not ending:
                    probes.append((ProbeKind.LIVENESS, spec.liveness_probe))
            elif self._results.get((container.id, ProbeKind.STARTUP)) is None:
                probes.append((ProbeKind.STARTUP, spec.startup_probe))
            for kind, probe in probes:
                if probe is not None:
                    wanted[container.id, kind] = (probe, member, container)
        for key in self._probes.keys() - wanted.keys():
            self._probes.pop(key).cancel()
        alive = {container.id for container in seen.containers if container.running}
        for key in [key for key in self._results if key[0] not in alive]:
            del self._results[key]
        for key, (probe, member, container) in wanted.items():
            if key not in self._probes:
                ip = pod_ip(self._latest.pod, seen, self._node.facts.host_ips)
                self._probes[key] = self._spawn(self._probe(key, probe, member, container, ip))

    async def _probe(
        self, key: tuple[str, ProbeKind], probe: core_v1.Probe, member: Member, container: Container, ip: str
    ) -> None:
        _, kind = key

        def held(value: bool | None) -> None:
            self._results[key] = value
            self._changed()

        def say(type_: str, reason: str, message: str) -> None:
            self._node.say(self._latest.pod, type_, reason, message, container=member)

        try:
            await keep_asking(
                probe,
                kind,
                Probed(container.id, member.spec, ip, container.started_at),
                runtime=self._node.runtime,
                clock=self._node.clock,
                held=held,
                say=say,
                known=self._results.get(key),
            )
        except Exception:  # the pod's edge: a bug in a probe must not take the pod's worker along
            log.exception("a probe failed in itself", extra=fields(pod=self._latest.label, container=member.name))
