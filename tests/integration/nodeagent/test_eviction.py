"""A node that runs short, and pods that use more disk than they may."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from sampan.api.core_v1 import Pod
from sampan.kinds import NODES

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def evicted(pod: Pod) -> bool:
    return (pod.status.phase, pod.status.reason) == ("Failed", "Evicted")


@contextlib.asynccontextmanager
async def configured(cluster: Any, **changes: Any) -> AsyncIterator[None]:
    """The agent with another configuration, and afterwards as it was."""
    path = cluster.node.base / "agent.json"
    before = path.read_text()

    def restart(text: str) -> None:
        cluster.node.kill("agent")
        path.write_text(text)
        cluster.node.start("agent")

    restart(json.dumps(json.loads(before) | {"eviction_pressure_transition_seconds": 0.0} | changes))
    try:
        yield
    finally:
        restart(before)


async def condition(cluster: Any, kind: str) -> str:
    node = await cluster.client.get(NODES, "n1")
    return next(one.status for one in node.status.conditions if one.type == kind)


async def test_a_pod_that_fills_its_empty_dir_or_its_disk_is_evicted(cluster: Any) -> None:
    fill = "dd if=/dev/zero of=/v/big bs=1M count=3 2>/dev/null; touch /v/done; " + FOREVER[2]
    volume = {"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}
    mounted = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    limits = {"resources": {"limits": {"ephemeral-storage": "1Mi"}}}
    await cluster.run("full", [mounted | {"command": ["sh", "-c", fill]}], volumes=[volume])
    await cluster.run("modest", [mounted | {"command": FOREVER}], volumes=[volume])
    log = "while true; do head -c 200000 /dev/zero | tr '\\0' x; echo; sleep 0.05; done"
    await cluster.run("talker", [{"name": "c", "command": ["sh", "-c", log]} | limits])
    full = await cluster.until("full", evicted)
    assert full.status.message == 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    told = next(one for one in full.status.conditions if one.type == "DisruptionTarget")
    assert (told.status, told.reason, told.message) == ("True", "TerminationByKubelet", full.status.message)
    assert (await cluster.event("full", "Evicted")).message.strip() == full.status.message.strip()
    talker = await cluster.until("talker", evicted, 30.0)
    assert talker.status.message == "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    assert ready(await cluster.get("modest"))


async def test_a_node_short_of_disk_says_so_evicts_and_takes_nobody(cluster: Any) -> None:
    writes = "dd if=/dev/zero of=/big bs=1M count=2 2>/dev/null; touch /done; " + FOREVER[2]
    await cluster.run("small", [{"name": "c", "command": FOREVER}])
    await cluster.run("big", [{"name": "c", "command": ["sh", "-c", writes]}])
    for name in ("small", "big"):
        await cluster.until(name, ready)
    async with configured(cluster, eviction_hard={"nodefs.available": "99%"}):
        big = await cluster.until("big", evicted)
        assert big.status.message.startswith("The node was low on resource: ephemeral-storage. Threshold quantity: ")
        assert "Container c was using " in big.status.message
        assert await condition(cluster, "DiskPressure") == "True"
        await cluster.until("small", evicted)
        await cluster.run("late", [{"name": "c", "command": FOREVER}])
        late = await cluster.until("late", evicted)
        assert late.status.message == "Pod was rejected: The node had condition: [DiskPressure]. "

    async def fine() -> bool:
        return await condition(cluster, "DiskPressure") == "False"

    await cluster.wait(fine)
    assert (await cluster.get("big")).status.reason == "Evicted"


async def test_a_node_short_of_memory_ends_who_is_above_its_request_first(cluster: Any) -> None:
    requests = {"resources": {"requests": {"memory": "64Mi"}}}
    await cluster.run("within", [{"name": "c", "command": FOREVER} | requests])
    await cluster.run("above", [{"name": "c", "command": FOREVER}])
    for name in ("within", "above"):
        await cluster.until(name, ready)
    async with configured(cluster, eviction_hard={"memory.available": "1Pi"}):
        above = await cluster.until("above", evicted)
        assert above.status.message.startswith(
            "The node was low on resource: memory. Threshold quantity: 1Pi, available"
        )
        assert not evicted(await cluster.get("within"))
        assert await condition(cluster, "MemoryPressure") == "True"
        await cluster.run("asks-nothing", [{"name": "c", "command": FOREVER}])
        refused = await cluster.until("asks-nothing", evicted)
        assert refused.status.message == "Pod was rejected: The node had condition: [MemoryPressure]. "
