"""The node's own objects: its Node, registered and kept true, and its Lease, renewed.

A status is written when it differs, and every five minutes in any case; the lease says in between that we live.
Elsewhere: what a status says (node_status.py). Taints by condition are a controller's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from nodeagent import machine
from nodeagent.config import AgentConfig
from nodeagent.cri import Conditions, CriError, Image, Runtime, Version
from nodeagent.node_status import NodeSettings, capacity, node_status, status_change
from sampan.api import core_v1
from sampan.api.coordination_v1 import Lease, LeaseSpec
from sampan.api.meta_v1 import ObjectMeta, OwnerReference
from sampan.client import Client, PatchKind, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.kinds import LEASES, NODES
from sampan.logs import fields
from sampan.objects import version_of

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
UNREADY_SECONDS = 0.25
MOST_UNREADY_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""A runtime that restarts does not make its node NotReady; one that is silent for longer does."""


class NodeKeeper:
    """Keeps this node's Node and Lease. `on_conditions` hears what the runtime says of itself."""

    def __init__(
        self,
        config: AgentConfig,
        client: Client,
        runtime: Runtime,
        clock: Clock,
        on_conditions: Callable[[Conditions | None], None],
    ) -> None:
        self._config = config
        self._client = client
        self._runtime = runtime
        self._clock = clock
        self._on_conditions = on_conditions
        self.settings = NodeSettings(
            name=config.node_name,
            address=config.node_ip,
            port=config.port,
            max_pods=config.max_pods,
            fake_capacity=config.fake_capacity,
        )
        self.system = machine.system()
        self._node: core_v1.Node | None = None
        self._changed = asyncio.Event()
        self.registered = asyncio.Event()
        self.trouble = ""
        """Set by the agent when something else keeps the node from being ready (its network, say)."""
        self.pressures: frozenset[str] = frozenset()
        """Set by the agent: which of MemoryPressure and DiskPressure hold."""
        self._reported_at: float | None = None
        self._heard: tuple[float, tuple[Conditions | None, Version | None, list[Image]]] | None = None
        self.allocatable: dict[str, str] = {}
        """What the Node offers; known before it is registered."""

    @property
    def node(self) -> core_v1.Node | None:
        """The Node as last known."""
        return self._node

    def update(self, node: core_v1.Node | None) -> None:
        """The API says this now."""
        if node is None:
            if self.registered.is_set():
                log.warning("the Node was deleted; it is registered again", extra=fields(node=self._config.node_name))
                self._node = None
                self.poke()
        elif self._node is None or version_of(node) >= version_of(self._node):
            self._node = node

    def capacity(self) -> dict[str, str]:
        """What the Node has, as it is reported."""
        return capacity(self.settings, self.system, machine.load(self._config.state_dir))

    def poke(self) -> None:
        """Something changed: look at the status now."""
        self._changed.set()

    # --- status

    async def run(self) -> NoReturn:
        """Register, then keep the status true. Until cancelled."""
        failures = unready = 0
        while True:
            self._changed.clear()
            try:
                ready = await self._report()
                failures = 0
            except (ApiError, Unreachable) as error:
                failures += 1
                ready = True
                log.warning("can't report the node", extra=fields(node=self._config.node_name, error=error))
            if failures:
                wait = RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1]
            elif not ready:
                # it becomes ready in a moment: its network comes with its pod CIDR
                wait = min(MOST_UNREADY_SECONDS, UNREADY_SECONDS * 2 ** min(unready, 8))
            else:
                wait = self._config.heartbeat_seconds
            unready = 0 if ready else unready + 1
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _report(self) -> bool:
        """Write what differs; whether the runtime and its network are ready."""
        runtime, version, images = await self._ask_runtime()
        self._on_conditions(runtime)
        node = self._node if self._node is not None else await self._register()
        now = self._clock.now()
        load = machine.load(self._config.state_dir)
        status = node_status(
            self.settings, self.system, load, runtime, version, images, node.status, now, self.trouble, self.pressures
        )
        self.allocatable = dict(status.allocatable)
        elapsed = None if self._reported_at is None else self._clock.monotonic() - self._reported_at
        due = elapsed is None or elapsed >= self._config.report_seconds
        change = status_change(node.status, status, heartbeat=due)
        if change:
            answer = await self._client.patch(
                NODES, self._config.node_name, {"status": change}, kind=PatchKind.STRATEGIC, subresource="status"
            )
            self.update(answer)
            self._reported_at = self._clock.monotonic()
        self.registered.set()
        return runtime is not None and runtime.runtime_ready and runtime.network_ready and not self.trouble

    async def _ask_runtime(self) -> tuple[Conditions | None, Version | None, list[Image]]:
        """What the runtime says of itself; what it last said, if that is not long ago and it is silent now."""
        now = self._clock.monotonic()
        try:
            answer = await self._runtime.conditions(), await self._runtime.version(), await self._runtime.images()
        except CriError as error:
            log.warning("the container runtime does not answer", extra=fields(error=error))
            if self._heard is not None and now - self._heard[0] < SILENCE_SECONDS:
                return self._heard[1]
            return None, None, []
        self._heard = (now, answer)
        return answer

    async def _register(self) -> core_v1.Node:
        labels = self._labels()
        node = core_v1.Node(
            metadata=ObjectMeta(name=self._config.node_name, labels=labels),
            spec=core_v1.NodeSpec(
                provider_id=self._config.provider_id or None,
                taints=[
                    core_v1.Taint(key=one.key, value=one.value or None, effect=one.effect)
                    for one in self._config.register_with_taints
                ],
            ),
        )
        try:
            made = await self._client.create(NODES, node)
            log.info("registered the node", extra=fields(node=self._config.node_name))
        except ApiError as error:
            if not error.is_already_exists:
                raise
            made = await self._client.get(NODES, self._config.node_name)
            missing = {key: value for key, value in labels.items() if made.metadata.labels.get(key) != value}
            if missing:
                made = await self._client.patch(
                    NODES, self._config.node_name, {"metadata": {"labels": missing}}, kind=PatchKind.MERGE
                )
        self.update(made)
        return made

    def _labels(self) -> dict[str, str]:
        architecture = self.system.architecture
        return {
            "kubernetes.io/hostname": self._config.node_name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture,
        } | self._config.register_with_labels

    # --- lease

    async def keep_lease(self) -> NoReturn:
        """Renew the lease four times in its life. Until cancelled."""
        await self.registered.wait()
        period = max(0.25, self._config.lease_seconds / 4)
        failures = 0
        while True:
            try:
                await self._renew(self._clock.now())
                failures = 0
                await self._clock.sleep(period)
            except (ApiError, Unreachable) as error:
                log.warning("can't renew the node's lease", extra=fields(node=self._config.node_name, error=error))
                await self._clock.sleep(min(period, RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]))
                failures += 1

    async def _renew(self, now: datetime) -> None:
        name = self._config.node_name
        patch: dict[str, Any] = {
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": self._config.lease_seconds,
                "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            }
        }
        try:
            await self._client.patch(LEASES, name, patch, namespace=LEASE_NAMESPACE, kind=PatchKind.MERGE)
        except ApiError as error:
            if not error.is_not_found:
                raise
            await self._client.create(LEASES, self._new_lease(now))

    def _new_lease(self, now: datetime) -> Lease:
        name = self._config.node_name
        owners = []
        if self._node is not None:
            uid = self._node.metadata.uid or ""
            owners.append(OwnerReference(api_version="v1", kind="Node", name=name, uid=uid))
        return Lease(
            metadata=ObjectMeta(name=name, namespace=LEASE_NAMESPACE, owner_references=owners),
            spec=LeaseSpec(holder_identity=name, lease_duration_seconds=self._config.lease_seconds, renew_time=now),
        )
