"""Random histories in virtual time: whatever comes, goes, fails and lags, no node is given more than it has.

The API server is played by a small one in memory that is slow, loses answers and refuses; the real one is in
tests/integration. It checks each binding as it is made.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

import orjson
import pytest

from sampan.api.base import Object
from sampan.api.core_v1 import Node, Pod
from sampan.client import ListOf, Unreachable, WatchEvent
from sampan.clock import LoopClock
from sampan.errors import ApiError, Reason
from sampan.kinds import EVENTS, NODES, PODS
from sampan.resource import Resource
from scheduler.bind import TOGETHER_PATH
from scheduler.scheduler import Scheduler
from scheduler.shape import amounts, pod_requests

JSON = dict[str, Any]
Kind = Literal["ADDED", "MODIFIED", "DELETED"]
CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
NOT_FOUND, CONFLICT = ApiError(404, Reason.NOT_FOUND, "gone"), ApiError(409, Reason.CONFLICT, "taken")
LOST = ApiError(500, Reason.INTERNAL_ERROR, "bound all the same")


class Server:
    """Enough of an API server for the scheduler, with all the vices of a network."""

    def __init__(self, draw: Random, trouble: float) -> None:
        self.draw = draw
        self.trouble = trouble
        self.version = 0
        self.objects: dict[str, dict[tuple[str, str], JSON]] = {}
        self.log: dict[str, list[tuple[Kind, JSON]]] = {}
        self.news = asyncio.Condition()
        self.bindings = 0
        self.messages: dict[str, str] = {}

    def put(self, resource: Resource[Any], value: JSON) -> JSON:
        self.version += 1
        meta = value["metadata"] = value["metadata"] | {"resourceVersion": str(self.version)}
        key = (meta.get("namespace", ""), meta["name"])
        known = self.objects.setdefault(resource.plural, {})
        self._tell(resource.plural, "MODIFIED" if key in known else "ADDED", value)
        known[key] = value
        return value

    def drop(self, resource: Resource[Any], name: str, namespace: str = "") -> None:
        value = self.objects.get(resource.plural, {}).pop((namespace, name), None)
        if value is not None:
            self.version += 1
            value = value | {"metadata": value["metadata"] | {"resourceVersion": str(self.version)}}
            self._tell(resource.plural, "DELETED", value)

    def _tell(self, plural: str, kind: Kind, value: JSON) -> None:
        self.log.setdefault(plural, []).append((kind, orjson.loads(orjson.dumps(value))))

    def pods(self) -> list[JSON]:
        return list(self.objects.get("pods", {}).values())

    async def _lag(self) -> None:
        await asyncio.sleep(self.draw.random() * 0.3)

    # What the scheduler calls

    async def list(self, resource: Resource[Any], *_: object, **__: object) -> ListOf[Any]:
        await self._lag()
        found = [resource.model.from_json(one) for one in self.objects.get(resource.plural, {}).values()]
        return ListOf(found, str(self.version), "", None)

    async def watch(
        self, resource: Resource[Any], *_: object, resource_version: str, timeout_seconds: int, **__: object
    ) -> AsyncIterator[WatchEvent[Any]]:
        seen = int(resource_version)
        give_up = asyncio.get_running_loop().time() + timeout_seconds
        while asyncio.get_running_loop().time() < give_up:
            await asyncio.sleep(self.draw.random() * 0.2)
            for kind, value in list(self.log.get(resource.plural, [])):
                if int(value["metadata"]["resourceVersion"]) > seen:
                    seen = int(value["metadata"]["resourceVersion"])
                    yield WatchEvent(kind, resource.model.from_json(value))
            if self.draw.random() < self.trouble / 10:
                raise Unreachable("the watch broke")

    async def get(self, resource: Resource[Any], name: str, namespace: str = "") -> Any:
        await self._lag()
        value = self.objects.get(resource.plural, {}).get((namespace, name))
        if value is None:
            raise NOT_FOUND
        return resource.model.from_json(value)

    async def create(self, resource: Resource[Any], obj: Object, **_: object) -> Object:
        assert resource is EVENTS
        event = obj.to_json()
        self.messages[event["involvedObject"]["name"]] = event["message"]
        return obj

    async def patch(self, resource: Resource[Any], name: str, patch: JSON, *, namespace: str = "", **_: object) -> Any:
        await self._lag()
        if resource is EVENTS:
            return None
        value = self.objects.get(resource.plural, {}).get((namespace, name))
        if value is None or value["metadata"]["uid"] != patch["metadata"]["uid"]:
            raise NOT_FOUND
        status = value.get("status", {}) | patch["status"]
        return resource.model.from_json(self.put(resource, value | {"status": status}))

    async def delete(
        self, resource: Resource[Any], name: str, namespace: str = "", *, uid: str = "", **_: object
    ) -> JSON:
        """Pods leave after a while, as with a grace period."""
        await self._lag()
        value = self.objects.get(resource.plural, {}).get((namespace, name))
        if value is None or value["metadata"]["uid"] != uid:
            raise NOT_FOUND
        self.put(resource, value | {"metadata": value["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
        asyncio.get_running_loop().call_later(2.0, self.drop, resource, name, namespace)
        return {}

    async def request(self, method: str, path: str, *, body: bytes) -> bytes:
        await self._lag()
        if self.draw.random() < self.trouble / 2:
            raise Unreachable("no answer")
        if path == TOGETHER_PATH:
            answers = []
            for binding in orjson.loads(body)["items"]:
                try:
                    self._bind(binding)
                    answers.append({"status": "Success"})
                except ApiError as error:
                    answers.append(error.to_status())
            answer = orjson.dumps({"items": answers})
        else:
            self._bind(orjson.loads(body))
            answer = b"{}"
        if self.draw.random() < self.trouble / 2:
            raise Unreachable("the answer is lost")
        return answer

    def _bind(self, binding: JSON) -> None:
        meta = binding["metadata"]
        value = self.objects.get("pods", {}).get((meta["namespace"], meta["name"]))
        if value is None or value["metadata"]["uid"] != meta["uid"]:
            raise NOT_FOUND
        fate = self.draw.random()
        if value["spec"].get("nodeName") or "deletionTimestamp" in value["metadata"] or fate < self.trouble / 2:
            raise CONFLICT
        self.put(PODS, value | {"spec": value["spec"] | {"nodeName": binding["target"]["name"]}})
        self.bindings += 1
        self.check(binding["target"]["name"])
        if fate > 1 - self.trouble / 4:
            raise LOST

    def check(self, name: str) -> None:
        """No node holds more than it has."""
        node = self.objects.get("nodes", {}).get(("", name))
        if node is None:
            return  # deleted meanwhile; its pods are another's business
        has = amounts(node["status"]["allocatable"])
        here = [Pod.from_json(one) for one in self.pods() if one["spec"].get("nodeName") == name]
        assert len(here) <= has["pods"]
        for resource in ("cpu", "memory"):
            assert sum(pod_requests(one).get(resource, 0) for one in here) <= has[resource], (name, resource)


def node_json(draw: Random, index: int) -> JSON:
    labels = {"kubernetes.io/hostname": f"n{index}", "zone": "ab"[index % 2]}
    allocatable = {"cpu": str(1 + index % 3), "memory": "1Gi", "pods": str(3 + index)}
    tainted = [{"key": "t", "effect": "NoSchedule"}] if draw.random() < 0.2 else []
    return {"metadata": {"name": f"n{index}", "labels": labels}, "spec": {"taints": tainted},
            "status": {"allocatable": allocatable}}  # fmt: skip


def pod_json(draw: Random, index: int) -> JSON:
    requests = {"cpu": draw.choice(["100m", "500m", "1"]), "memory": draw.choice(["10Mi", "300Mi"])}
    spec: JSON = {"containers": [{"name": "c", "resources": {"requests": requests}}]}
    spec["priority"] = draw.choice([0, 0, 5])
    app = draw.choice("xyz")
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}}}
    if app == "y":
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    if app == "z":
        spec["topologySpreadConstraints"] = [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
             "labelSelector": {"matchLabels": {"app": "z"}}}
        ]  # fmt: skip
    meta = {"name": f"p{index}", "namespace": "default", "uid": f"uid-{index}", "labels": {"app": app}}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Pending"}}


async def live(server: Server, draw: Random, scheduler: Scheduler) -> None:
    """A minute in which all kinds of things happen, then calm."""
    for step in range(60):
        match draw.randrange(7):
            case 0:
                server.put(NODES, node_json(draw, draw.randrange(5)))
            case 1:
                server.drop(NODES, f"n{draw.randrange(5)}")
            case 2 | 3 | 4:
                server.put(PODS, pod_json(draw, step))
            case 5 if server.pods():
                server.drop(PODS, draw.choice(server.pods())["metadata"]["name"], "default")
            case 6 if server.pods():
                pod = draw.choice(server.pods())
                if pod["spec"].get("nodeName"):
                    server.put(PODS, pod | {"status": {"phase": "Running"}})
        await asyncio.sleep(draw.random() * 2)
    server.trouble = 0.0
    for index in range(3):
        server.put(NODES, node_json(draw, index) | {"spec": {}})
    await asyncio.sleep(60)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.looptime(start=0)
async def test_no_history_overcommits_a_node_or_forgets_a_pod(seed: int) -> None:
    random.seed(seed)  # the informers draw their back-offs from it
    draw = Random(seed)
    server = Server(draw, trouble=0.3)
    scheduler = Scheduler(server, clock=LoopClock(CLOCK), seed=seed)  # type: ignore[arg-type]  # plays the client
    tasks = [asyncio.ensure_future(one) for one in (scheduler.follow(), scheduler.schedule())]
    await live(server, draw, scheduler)
    assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
    columns = scheduler.columns
    bound = {one["metadata"]["uid"]: one["spec"]["nodeName"] for one in server.pods() if one["spec"].get("nodeName")}
    # What it believes is what is.
    assert {uid: pod.node for uid, pod in columns.placed.items()} == bound
    assert {name for name in columns.rows if columns.nodes[columns.rows[name]]} == {
        name for _, name in server.objects["nodes"]
    }
    # Whoever waits does so for a reason that holds now.
    assert server.bindings > 5
    for value in server.pods():
        if value["spec"].get("nodeName"):
            continue
        pod = Pod.from_json(value)
        assert (pod.metadata.uid or "") in scheduler.queue
        found = scheduler.explanations.of("default", pod.metadata.name or "")
        assert found is not None
        assert found["placed"] is None
        from scheduler import filters

        shape = scheduler._waiting(pod).shape
        assert not filters.run(columns, shape, pod.metadata.uid or "").feasible.any(), pod.metadata.name
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_nodes_of_the_histories_are_readable() -> None:
    assert Node.from_json(node_json(Random(1), 1)).status.allocatable["cpu"] == "2"
