"""Many bindings in one request: each is what it is through pods/NAME/binding."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from sampan.client import Client
from sampan.errors import ApiError
from tests.servers import Servers

PATH = "/sampan/bindings"


async def pods(api: Any, count: int, **more: Any) -> tuple[str, list[dict[str, Any]]]:
    """A namespace with so many new pods."""
    space = await api.new_namespace()
    await api.ask("POST", f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": "default"}})
    made = []
    for index in range(count):
        meta = {"name": f"p{index}"} | more
        spec = {"containers": [{"name": "c", "image": "web"}], "automountServiceAccountToken": False}
        status, value, _ = await api.ask("POST", f"/api/v1/namespaces/{space}/pods", {"metadata": meta, "spec": spec})
        assert status == 201, value
        made.append(value)
    return space, made


def binding(pod: dict[str, Any], node: str = "n1", **meta: Any) -> dict[str, Any]:
    """One of the items."""
    named = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
    return {"metadata": named | meta, "target": {"kind": "Node", "name": node}}


async def test_every_pod_is_bound_with_a_revision_of_its_own(api: Any) -> None:
    space, made = await pods(api, 5)
    status, value, _ = await api.ask("POST", PATH, {"items": [binding(one) for one in made]})
    assert status == 200
    assert [one["status"] for one in value["items"]] == ["Success"] * 5
    _, found, _ = await api.ask("GET", f"/api/v1/namespaces/{space}/pods")
    assert {one["spec"]["nodeName"] for one in found["items"]} == {"n1"}
    assert len({one["metadata"]["resourceVersion"] for one in found["items"]}) == 5


async def test_a_pod_is_the_same_whichever_way_it_is_bound(api: Any) -> None:
    annotations = {"annotations": {"a": "b"}}
    space, (one, other, managed) = await pods(api, 3, labels={"l": "m"}, **annotations)
    patch = {"headers": {"Content-Type": "application/merge-patch+json"}}
    path = f"/api/v1/namespaces/{space}/pods/{managed['metadata']['name']}"
    _, managed, _ = await api.ask(
        "PATCH", f"{path}?fieldManager=somebody", {"metadata": {"labels": {"x": "y"}}}, **patch
    )
    plain = binding(one, "n2", annotations={"c": "d"})
    status, value, _ = await api.ask("POST", f"/api/v1/namespaces/{space}/pods/p0/binding", plain)
    assert status == 201, value
    items = [binding(each, "n2", annotations={"c": "d"}) for each in (other, managed)]
    _, value, _ = await api.ask("POST", PATH, {"items": items})
    assert [one["status"] for one in value["items"]] == ["Success"] * 2, value
    _, found, _ = await api.ask("GET", f"/api/v1/namespaces/{space}/pods")
    first, second, third = found["items"]
    _, same, _ = await api.ask(
        "PATCH", f"/api/v1/namespaces/{space}/pods/p1", {"metadata": {"labels": {"l": "m"}}}, **patch
    )
    assert same["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]  # nothing changed
    for value in (first, second, third):
        for key in ("name", "uid", "resourceVersion", "creationTimestamp", "managedFields"):
            value["metadata"].pop(key, None)
        for condition in value["status"]["conditions"]:
            assert condition.pop("lastTransitionTime")
    assert first == second
    assert third["metadata"]["labels"] == {"l": "m", "x": "y"}
    assert third["spec"]["nodeName"] == "n2"


async def test_each_answer_says_how_its_own_binding_went(api: Any) -> None:
    space, made = await pods(api, 4)
    await api.ask("DELETE", f"/api/v1/namespaces/{space}/pods/p2?gracePeriodSeconds=0")
    assert (await api.ask("POST", PATH, {"items": [binding(made[1])]}))[0] == 200
    items = [
        binding(made[0]),
        binding(made[1]),
        binding(made[2]),
        binding(made[3], uid="another"),
        binding(made[3], ""),
    ]
    _, value, _ = await api.ask("POST", PATH, {"items": items})
    assert [one["code"] for one in value["items"]] == [201, 409, 404, 409, 422]
    assert 'pod p1 is already assigned to node "n1"' in value["items"][1]["message"]
    assert "UID in precondition: another" in value["items"][3]["message"]


async def test_of_many_who_bind_one_pod_one_has_it(api: Any) -> None:
    _, (pod,) = await pods(api, 1)
    answers = await asyncio.gather(
        *(api.ask("POST", PATH, {"items": [binding(pod, f"n{index}")] * 2}) for index in range(8))
    )
    codes = [one["code"] for _, value, _ in answers for one in value["items"]]
    assert sorted(codes) == [201] + [409] * 15


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"items": 1}', b'{"items": [1]}', b'{"items": [{"metadata": 3}]}', b'{"items": [null]}',
     orjson.dumps({"items": [{}] * 513})],
)  # fmt: skip
async def test_what_can_not_be_read_is_refused_whole(api: Any, body: bytes) -> None:
    status, value, _ = await api.ask("POST", PATH, body)
    assert (status, value["reason"]) == (400, "BadRequest")


async def test_only_the_scheduler_and_administrators_bind(servers: Servers, api: Any, tmp_path: Path) -> None:
    assert (await api.ask("GET", PATH))[0] == 405
    body = orjson.dumps({"items": []})
    async with Client.from_kubeconfig(str(servers.kubeconfig_of("system:kube-scheduler"))) as scheduler:
        assert orjson.loads(await scheduler.request("POST", PATH, body=body)) == {"items": []}
    for user, groups in (("system:node:n1", ("system:nodes",)), ("somebody", ())):
        async with Client.from_kubeconfig(str(servers.kubeconfig_of(user, groups))) as other:
            with pytest.raises(ApiError) as refused:
                await other.request("POST", PATH, body=body)
            assert refused.value.code == 403
