"""metrics.k8s.io: what nodes and pods use, asked of the nodes' agents when somebody asks; nothing is measured else.

A rate needs two looks. The last look at each node is kept; when there is none, or it is too long ago, the answer takes
a second longer. A node that does not answer is left out, as the metrics server does.
Elsewhere: the arithmetic (usage.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from apiserver.kind import Answer, AnyKind, Call, Json, Kind
from apiserver.nodes.proxy import NodeProxy
from apiserver.nodes.usage import Look, node_usage, pod_usages
from apiserver.statuses import not_found
from sampan import selectors
from sampan.api.metrics_v1beta1 import NodeMetrics, PodMetrics
from sampan.clock import Clock
from sampan.errors import ApiError, Reason
from sampan.kinds import NODES, PODS
from sampan.logs import fields
from sampan.resource import Resource, Scope

log = logging.getLogger(__name__)

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NODE_METRICS = Resource(GROUP, VERSION, "NodeMetrics", "nodes", NodeMetrics, Scope.CLUSTER)
POD_METRICS = Resource(GROUP, VERSION, "PodMetrics", "pods", PodMetrics)
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
ANSWER_SECONDS = 5.0
AT_ONCE = 32


class Measures:
    """The kinds of metrics.k8s.io, over the agents that `proxy` reaches."""

    def __init__(self, proxy: NodeProxy, clock: Clock) -> None:
        self._proxy, self._clock = proxy, clock
        self._looks: dict[str, Look] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)

    def kinds(self) -> tuple[AnyKind, ...]:
        """What it serves."""
        verbs = ("get", "list")
        return (Kind(NODE_METRICS, verbs=verbs, look=self.nodes), Kind(POD_METRICS, verbs=verbs, look=self.pods))

    async def nodes(self, call: Call) -> Answer:
        """Nodes' use. Raises ApiError 400, 404."""
        wanted = _chosen(call, call.server.peek_all(NODES))
        if call.name and not wanted:
            raise not_found(NODE_METRICS, call.name)
        items = []
        for node, before, after in await self._measured(wanted):
            items.append(self._item(NODE_METRICS, node, before, after) | {"usage": node_usage(before, after)})
        return _answer(call, NODE_METRICS, items)

    async def pods(self, call: Call) -> Answer:
        """Pods' use. Raises ApiError 400, 404."""
        wanted = _chosen(call, call.server.peek_all(PODS, call.namespace))
        names = {pod.get("spec", {}).get("nodeName") for pod in wanted}
        nodes = [one for one in call.server.peek_all(NODES) if one["metadata"]["name"] in names]
        used: dict[tuple[str, str], tuple[Look, Look, list[dict[str, Any]]]] = {}
        for _, before, after in await self._measured(nodes):
            for key, containers in pod_usages(before, after).items():
                used[key] = (before, after, containers)
        items = []
        for pod in wanted:
            found = used.get((pod["metadata"]["namespace"], pod["metadata"]["name"]))
            if found is not None:
                before, after, containers = found
                items.append(self._item(POD_METRICS, pod, before, after) | {"containers": containers})
        return _answer(call, POD_METRICS, items)

    def _item(self, resource: Resource[Any], value: Json, before: Look, after: Look) -> Json:
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = {key: value["metadata"][key] for key in ("name", "namespace", "labels") if key in value["metadata"]}
        return {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": meta | {"creationTimestamp": now},
            "timestamp": now,
            "window": f"{after.at - before.at:.3f}s",
        }

    async def _measured(self, nodes: Iterable[Json]) -> list[tuple[Json, Look, Look]]:
        """(node, look, later look) of each node that answers."""
        found = await asyncio.gather(*(self._two_looks(node) for node in nodes))
        return [one for one in found if one is not None]

    async def _two_looks(self, node: Json) -> tuple[Json, Look, Look] | None:
        name = node["metadata"]["name"]
        async with self._gate:
            try:
                before = self._looks.get(name)
                if before is None or self._clock.monotonic() - before.at > LONGEST_SECONDS:
                    before = await self._look(node)
                wait = SHORTEST_SECONDS - (self._clock.monotonic() - before.at)
                if wait > 0:
                    await self._clock.sleep(wait)
                after = self._looks[name] = await self._look(node)
            except (ApiError, TimeoutError) as error:
                log.debug("a node's use can't be asked", extra=fields(node=name, error=error))
                self._looks.pop(name, None)
                return None
        return node, before, after

    async def _look(self, node: Json) -> Look:
        async with asyncio.timeout(ANSWER_SECONDS):
            summary = await self._proxy.ask(node, "/stats/summary")
        return Look(self._clock.monotonic(), summary)


def _chosen(call: Call, values: Iterable[Json]) -> list[Json]:
    """Those that the name or the selector of the request choose."""
    try:
        selector = selectors.parse(call.query.get("labelSelector", ""))
    except selectors.SelectorError as error:
        raise ApiError(400, Reason.BAD_REQUEST, f"unable to parse requirement: {error}") from error
    return [
        one
        for one in values
        if (not call.name or one["metadata"]["name"] == call.name)
        and selector.matches(one["metadata"].get("labels") or {})
    ]


def _answer(call: Call, resource: Resource[Any], items: list[Json]) -> Answer:
    if call.name:
        if not items:
            raise not_found(resource, call.name)
        return Answer(items[0])
    return Answer({"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": {}, "items": items})
