"""The agent of all fake nodes: registers them, renews their leases, and plays the pods that are bound to them.

Always: what is done follows from what the API says and the time; nothing is remembered that a restart would miss.
Nothing runs by a timer of less than five seconds but what a pod's annotations ask for.
Elsewhere: decisions (life.py, node.py).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NoReturn

import orjson

from nodeagent.fake import node as nodes
from nodeagent.fake.config import FakeConfig
from nodeagent.fake.life import Facts, Step, next_step
from nodeagent.fake.model import FAKE_NODES, FAKE_PODS, FakeNode, FakePod
from nodeagent.fake.server import serve
from nodeagent.node import LEASE_NAMESPACE
from sampan.client import Client, PatchKind
from sampan.clock import Clock
from sampan.errors import ApiError, SampanError
from sampan.fake import LABEL, VALUE
from sampan.informer import Change, Informer
from sampan.kinds import LEASES, NODES, PODS
from sampan.logs import fields
from sampan.objects import Key, version_of
from sampan.queue import KeyQueue

log = logging.getLogger(__name__)

AT_ONCE = 16
RENEWALS_AT_ONCE = 4
TICK_SECONDS = 5.0


class FakeAgent:
    """Everything that the process of fake nodes does. Await `run`."""

    def __init__(self, config: FakeConfig, client: Client, clock: Clock) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._awake = [one for one in config.names if one not in set(config.silent)]
        self._mine = frozenset(self._awake)
        self._addresses = nodes.Addresses(config.pod_cidr)
        self._pods: Informer[FakePod] = Informer(client, FAKE_PODS, field_selector="spec.nodeName!=", clock=clock)
        self._nodes: Informer[FakeNode] = Informer(client, FAKE_NODES, label_selector=f"{LABEL}={VALUE}", clock=clock)
        self._of_pods: KeyQueue[Key] = KeyQueue(clock)
        self._of_nodes: KeyQueue[str] = KeyQueue(clock)
        self._said: set[str] = set()
        """Nodes that have reported since this process began."""
        self._written: dict[str, int] = {}
        """By uid, the version that our last write to a pod made: an older one is not looked at again."""

    async def run(self) -> NoReturn:
        """Be the agent until cancelled."""
        runner = await serve(self._config)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._nodes.subscribe(self._on_node)
                self._pods.subscribe(self._on_pod)
                tasks.create_task(self._nodes.run())
                tasks.create_task(self._pods.run())
                await self._nodes.synced()
                for name in self._awake:
                    self._of_nodes.add(name)
                await self._pods.synced()  # so that addresses that pods have already are known
                for _ in range(AT_ONCE):
                    tasks.create_task(self._tend_pods())
                    tasks.create_task(self._tend_nodes())
                tasks.create_task(self._renew_leases())
                await asyncio.Event().wait()
            raise AssertionError("a task group without end has ended")
        finally:
            self._of_pods.close()
            self._of_nodes.close()
            await runner.cleanup()

    # --- nodes

    def _on_node(self, change: Change[FakeNode]) -> None:
        name = change.object.metadata.name or ""
        if name in self._mine and (change.new is None or (name in self._said and not change.new.is_ready)):
            self._said.discard(name)
            self._of_nodes.add(name)

    async def _tend_nodes(self) -> NoReturn:
        while True:
            async with self._of_nodes.take() as name:
                try:
                    await self._report(name)
                except SampanError as error:
                    delay = self._of_nodes.retry(name)
                    log.warning("can't report a fake node", extra=fields(node=name, error=error, seconds=delay))
                else:
                    self._of_nodes.forget(name)

    async def _report(self, name: str) -> None:
        """Register a node, or tell its whole status anew."""
        if name in self._said:
            return
        value = nodes.node(self._config, name, self._clock.now())
        known = self._nodes.get("", name)
        if known is None:
            try:
                await self._client.request("POST", NODES.path(), body=orjson.dumps(value))
                self._said.add(name)
                return
            except ApiError as error:
                if not error.is_already_exists:
                    raise
        labels = value["metadata"]["labels"]
        if known is None or any(known.metadata.labels.get(key) != text for key, text in labels.items()):
            await self._patch(NODES.path("", name), {"metadata": {"labels": labels}}, PatchKind.MERGE)
        await self._patch(NODES.path("", name, "status"), {"status": value["status"]})
        self._said.add(name)

    async def _renew_leases(self) -> NoReturn:
        """Every lease twice in its life, in turns, so that no moment has them all."""
        period = self._config.lease_seconds / 2
        groups = nodes.turns(self._awake, max(1, round(period / TICK_SECONDS)))
        gate = asyncio.Semaphore(RENEWALS_AT_ONCE)
        failed: list[str] = []

        async def renew(name: str) -> None:
            async with gate:
                try:
                    await self._renew(name)
                except SampanError as error:
                    failed.append(name)
                    log.warning("can't renew a fake node's lease", extra=fields(node=name, error=error))

        while True:
            for group in groups:
                due, failed = [*failed, *group], []
                began = self._clock.monotonic()
                await asyncio.gather(*(renew(name) for name in dict.fromkeys(due)))
                took = self._clock.monotonic() - began
                await self._clock.sleep(max(0.0, period / len(groups) - took))

    async def _renew(self, name: str) -> None:
        known = self._nodes.get("", name)
        if known is None:
            return  # it is registered first
        now = self._clock.now()
        try:
            path = LEASES.path(LEASE_NAMESPACE, name)
            await self._patch(path, nodes.renewal(self._config, name, now), PatchKind.MERGE)
        except ApiError as error:
            if not error.is_not_found:
                raise
            value = nodes.lease(self._config, name, known.metadata.uid or "", now)
            await self._client.request("POST", LEASES.path(LEASE_NAMESPACE), body=orjson.dumps(value))

    # --- pods

    def _on_pod(self, change: Change[FakePod]) -> None:
        pod = change.object
        if pod.spec.node_name not in self._mine:
            return
        meta = pod.metadata
        if change.new is None:
            self._addresses.release(meta.uid or "")
            self._written.pop(meta.uid or "", None)
            return
        if pod.status.pod_ip and not pod.spec.host_network:
            self._addresses.keep(meta.uid or "", pod.status.pod_ip)
        self._of_pods.add(Key(meta.namespace or "", meta.name or ""))

    async def _tend_pods(self) -> NoReturn:
        while True:
            async with self._of_pods.take() as key:
                try:
                    again = await self._tend(key)
                except (SampanError, LookupError) as error:
                    delay = self._of_pods.retry(key)
                    log.warning("can't play a pod", extra=fields(pod=key, error=error, seconds=round(delay, 2)))
                else:
                    self._of_pods.forget(key)
                    if again is not None:
                        self._of_pods.add_after(key, again)

    async def _tend(self, key: Key) -> float | None:
        pod = self._pods.get(key.namespace, key.name)
        if pod is None or pod.spec.node_name not in self._mine:
            return None
        uid = pod.metadata.uid or ""
        if version_of(pod) < self._written.get(uid, 0):
            return None  # our own write is on its way to us
        config = self._config
        address = config.address if pod.spec.host_network else self._addresses.of(uid)
        step = next_step(pod, Facts(config.address, address, config.start_seconds), self._clock.now())
        try:
            await self._perform(key, uid, step)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise  # a pod that is gone, or another of its name, comes by the watch
        return step.again_after

    async def _perform(self, key: Key, uid: str, step: Step) -> None:
        if step.delete:
            await self._client.delete(PODS, key.name, key.namespace, grace_period_seconds=0, uid=uid)
        elif step.status is not None:
            path = PODS.path(key.namespace, key.name, "status")
            answer = await self._patch(path, {"metadata": {"uid": uid}, "status": step.status})
            self._written[uid] = int(answer["metadata"]["resourceVersion"])

    async def _patch(self, path: str, patch: dict[str, Any], kind: PatchKind = PatchKind.STRATEGIC) -> dict[str, Any]:
        answer = await self._client.request("PATCH", path, body=orjson.dumps(patch), content_type=kind.value)
        value: dict[str, Any] = orjson.loads(answer)
        return value
