"""Server-side apply over HTTP: what upstream's own tests of it ask for."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

HEADERS = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


class Space:
    """One namespace, and apply in it."""

    def __init__(self, api: Any, namespace: str) -> None:
        self.api, self.namespace = api, namespace

    def path(self, plural: str, name: str, subresource: str = "") -> str:
        group = {"deployments": "/apis/apps/v1", "jobs": "/apis/batch/v1"}.get(plural, "/api/v1")
        place = f"{group}/namespaces/{self.namespace}/{plural}/{name}"
        return f"{place}/{subresource}" if subresource else place

    async def raw(
        self, path: str, body: Any, manager: str = "tests", query: str = "", status: int | None = None
    ) -> dict[str, Any]:
        where = f"{path}?fieldManager={manager}{query}" if manager else f"{path}?{query}"
        code, value, _ = await self.api.ask("PATCH", where, body, headers=HEADERS)
        assert code == status if status else code in (200, 201), value
        found: dict[str, Any] = value
        return found

    async def apply(
        self,
        body: dict[str, Any],
        manager: str = "tests",
        *,
        force: bool = False,
        status: int | None = None,
        sub: str = "",
    ) -> dict[str, Any]:
        plural = {"Deployment": "deployments", "Pod": "pods", "ConfigMap": "configmaps", "Service": "services"}
        path = self.path(plural[body["kind"]], body["metadata"]["name"], sub)
        return await self.raw(path, body, manager, "&force=true" if force else "", status)

    async def change(self, path: str, patch: Any, *, query: str = "", agent: str = "other/1.0 (x)") -> dict[str, Any]:
        headers = (MERGE if isinstance(patch, dict) else JSON_PATCH) | {"User-Agent": agent}
        code, value, _ = await self.api.ask("PATCH", path + query, patch, headers=headers)
        assert code == 200, value
        found: dict[str, Any] = value
        return found


@pytest.fixture
async def space(api: Any) -> Space:
    return Space(api, await api.new_namespace())


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}


def deployment(replicas: int | None = 3, **container: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "web:1", **container}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def managers(value: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """(manager, operation[, subresource]) -> fieldsV1."""
    return {
        tuple(part for part in (one["manager"], one["operation"], one.get("subresource")) if part): one["fieldsV1"]
        for one in value["metadata"].get("managedFields", ())
    }


def container(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["spec"]["template"]["spec"]["containers"][0]
    return found


async def test_apply_creates_then_changes(space: Space) -> None:
    made = await space.apply(config_map(a="1", b="2"), status=201)
    assert managers(made) == {("tests", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}}}
    entry = made["metadata"]["managedFields"][0]
    assert (entry["apiVersion"], entry["fieldsType"]) == ("v1", "FieldsV1")
    changed = await space.apply(config_map(a="1", c="3"), status=200)
    assert changed["data"] == {"a": "1", "c": "3"}
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]


async def test_an_apply_that_changes_nothing_writes_nothing(space: Space) -> None:
    body = deployment(resources={"limits": {"cpu": 1, "memory": "1Gi"}}, env=[], ports=[{"containerPort": 80}])
    made = await space.apply(body)
    assert (await space.apply(body)) == made


async def test_yaml_and_json_and_nulls(space: Space) -> None:
    path = space.path("configmaps", "m")
    await space.raw(path, b"# yes\napiVersion: v1\nkind: ConfigMap\ndata:\n  a: '1'\n", status=201)
    value = await space.raw(path, orjson.dumps(config_map(a="2")))
    assert value["data"] == {"a": "2"}
    value = await space.raw(path, b"{apiVersion: v1, kind: ConfigMap, data: {a: '2'}, immutable: null}")
    assert "immutable" not in value
    answer = await space.raw(
        path, b"apiVersion: v1\nkind: ConfigMap\ndata: {a: '1', a: '2'}\n", query="&fieldValidation=Strict", status=400
    )
    assert 'key "a" already set in map' in answer["message"]


async def test_a_conflict_names_manager_and_field(space: Space) -> None:
    await space.apply(deployment())
    path = space.path("deployments", "web")
    await space.change(path, {"spec": {"replicas": 5}})
    answer = await space.apply(deployment(3), status=409)
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "other" using apps/v1: .spec.replicas'
    assert answer["reason"] == "Conflict"
    assert answer["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "other" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    forced = await space.apply(deployment(3), force=True)
    assert forced["spec"]["replicas"] == 3
    assert ("other", "Update") not in managers(forced)


async def test_the_same_value_is_owned_together(space: Space) -> None:
    await space.apply(config_map(a="1", b="2"), "one")
    await space.apply(config_map(a="1"), "two")
    left = await space.apply(config_map(b="2"), "one")
    assert left["data"] == {"a": "1", "b": "2"}
    await space.apply(config_map(a="2"), "one", status=409)
    left = await space.apply(config_map(), "two")
    assert left["data"] == {"b": "2"}


async def test_a_field_left_to_another_stays(space: Space) -> None:
    """Handing replicas over to an autoscaler: it scales, then the manifest forgets the field."""
    await space.apply(deployment(3))
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {}, "spec": {"replicas": 5}}
    path = space.path("deployments", "web", "scale")
    code, _, _ = await space.api.ask("PUT", path + "?fieldManager=scaler", scale)
    assert code == 200
    answer = await space.apply(deployment(3), status=409)
    assert 'conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas' in answer["message"]
    left = await space.apply(deployment(None))
    assert left["spec"]["replicas"] == 5


async def test_a_field_nobody_wants_goes_back_to_its_default(space: Space) -> None:
    await space.apply(deployment(3))
    left = await space.apply(deployment(None))
    assert left["spec"]["replicas"] == 1


async def test_the_scale_subresource_is_applied_to(space: Space) -> None:
    await space.apply(deployment(None))
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 4}}
    path = space.path("deployments", "web", "scale")
    answer = await space.raw(path, scale, "scaler")
    assert (answer["kind"], answer["spec"]["replicas"]) == ("Scale", 4)
    scale["spec"] = {"replicas": 5}
    answer = await space.raw(path, scale, "second", status=409)
    assert 'conflict with "scaler" with subresource "scale"' in answer["message"]
    await space.raw(path.replace("web", "none"), scale, status=404)


async def test_keyed_lists_merge_by_their_keys(space: Space) -> None:
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]
    await space.apply(deployment(ports=ports, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]), "one")
    other = deployment(None, env=[{"name": "C", "value": "3"}], ports=[{"containerPort": 81}])
    del container(other)["image"]
    merged = await space.apply(other, "two")
    assert [one["name"] for one in container(merged)["env"]] == ["A", "B", "C"]
    assert [(one["containerPort"], one["protocol"]) for one in container(merged)["ports"]] == [
        (80, "TCP"),
        (80, "UDP"),
        (81, "TCP"),
    ]
    left = await space.apply(deployment(ports=ports[1:], env=[{"name": "B", "value": "2"}]), "one")
    assert [one["name"] for one in container(left)["env"]] == ["B", "C"]
    assert [(one["containerPort"], one["protocol"]) for one in container(left)["ports"]] == [(80, "UDP"), (81, "TCP")]


async def test_atomic_lists_and_maps_are_replaced_whole(space: Space) -> None:
    body = deployment(args=["a", "b"])
    body["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    await space.apply(body, "one")
    other = deployment(args=["a"])
    other["spec"]["template"]["spec"]["nodeSelector"] = {"zone": "z"}
    answer = await space.apply(other, "two", status=409)
    assert [one["field"] for one in answer["details"]["causes"]] == [
        '.spec.template.spec.containers[name="c"].args',
        ".spec.template.spec.nodeSelector",
    ]
    forced = await space.apply(other, "two", force=True)
    assert container(forced)["args"] == ["a"]
    assert forced["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "z"}


async def test_a_set_has_an_owner_for_each_element(space: Space) -> None:
    one, two = config_map(), config_map()
    one["metadata"] = {"name": "m", "finalizers": ["example.com/a", "example.com/b"]}
    two["metadata"] = {"name": "m", "finalizers": ["example.com/b", "example.com/c"]}
    await space.apply(one, "one")
    both = await space.apply(two, "two")
    assert both["metadata"]["finalizers"] == ["example.com/a", "example.com/b", "example.com/c"]
    left = await space.apply(config_map(), "one")
    assert left["metadata"]["finalizers"] == ["example.com/b", "example.com/c"]
    left = await space.apply(config_map(), "two")
    assert "finalizers" not in left["metadata"]


async def test_status_is_managed_apart(space: Space) -> None:
    body = deployment()
    body["status"] = {"replicas": 9}
    made = await space.apply(body)
    assert made["status"] == {}
    assert "f:status" not in managers(made)[("tests", "Apply")]
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 2}}
    changed = await space.apply(status | {"spec": {"replicas": 50}}, sub="status")
    assert (changed["status"], changed["spec"]["replicas"]) == ({"replicas": 2}, 3)
    assert managers(changed)[("tests", "Apply", "status")] == {"f:status": {"f:replicas": {}}}
    again = await space.apply(body)
    assert again["status"] == {"replicas": 2}
    patched = await space.change(space.path("deployments", "web", "status"), {"status": {"readyReplicas": 1}})
    assert managers(patched)[("other", "Update", "status")] == {"f:status": {"f:readyReplicas": {}}}
    status["status"] = {}
    left = await space.apply(status, sub="status")
    assert left["status"] == {"readyReplicas": 1}
    status["metadata"] = {"name": "none"}
    await space.apply(status, sub="status", status=404)


async def test_an_object_never_applied_has_no_managers(space: Space) -> None:
    path = space.path("configmaps", "m")
    await space.api.ask("POST", path.rpartition("/")[0], config_map(a="1", b="2"))
    value = await space.change(path, {"data": {"a": "2"}})
    assert "managedFields" not in value["metadata"]
    answer = await space.apply(config_map(a="3"), status=409)
    assert 'conflict with "before-first-apply" using v1: .data.a' in answer["message"]
    value = await space.apply(config_map(a="2"))
    assert managers(value)[("before-first-apply", "Update")] == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
    value = await space.change(path, {"data": {"c": "3"}}, agent="curl/8.0")
    assert managers(value)[("curl", "Update")] == {"f:data": {"f:c": {}}}
    value = await space.change(path, {"data": {"d": "4"}}, query="?fieldManager=me")
    assert managers(value)[("me", "Update")] == {"f:data": {"f:d": {}}}
    value = await space.change(path, {"data": {"d": None}}, query="?fieldManager=else")
    assert ("me", "Update") not in managers(value)
    assert ("else", "Update") not in managers(value)


async def test_clients_reset_and_rewrite_managed_fields(space: Space) -> None:
    path = space.path("configmaps", "m")
    made = await space.apply(config_map(a="1"))
    code, value, _ = await space.api.ask("PUT", path, config_map(a="1"))
    assert managers(value) == managers(made)
    entry = made["metadata"]["managedFields"][0] | {"manager": "heir"}
    value = await space.change(path, [{"op": "replace", "path": "/metadata/managedFields", "value": [entry]}])
    assert managers(value) == {("heir", "Apply"): {"f:data": {"f:a": {}}}}
    bad = [{"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Guess"}]
    code, answer, _ = await space.api.ask("PATCH", path, bad, headers=JSON_PATCH)
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "metadata.managedFields[0].operation")
    value = await space.change(path, [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}])
    assert "managedFields" not in value["metadata"]
    await space.apply(config_map(a="1"))
    value = await space.change(path, {"metadata": {"managedFields": []}})
    assert "managedFields" not in value["metadata"]


async def test_a_dry_run_changes_nothing(space: Space) -> None:
    path = space.path("configmaps", "m")
    value = await space.raw(path, config_map(a="1"), query="&dryRun=All", status=201)
    assert value["data"] == {"a": "1"}
    code, _, _ = await space.api.ask("GET", path)
    assert code == 404
    made = await space.apply(config_map(a="1"))
    value = await space.raw(path, config_map(a="2"), query="&dryRun=All", status=200)
    assert value["data"] == {"a": "2"}
    _, value, _ = await space.api.ask("GET", path)
    assert value == made


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        (
            {"apiVersion": "v2"},
            400,
            "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1",
        ),
        ({"apiVersion": None}, 400, "Incorrect version specified in apply patch"),
        ({"kind": "Secret"}, 400, "Specified patch kind: Secret, expected: ConfigMap"),
        ({"metadata": {"name": "n"}}, 400, "the name of the object (n) does not match the name on the URL (m)"),
        ({"metadata": {"name": "m", "namespace": "else"}}, 400, "the namespace of the provided object does not match"),
        ({"metadata": {"name": "m", "managedFields": [{}]}}, 400, "metadata.managedFields must be nil"),
        ({"metadata": []}, None, ""),
        ({"metadata": 7}, 400, "metadata of the applied configuration is no object"),
        ({"metadata": {"name": "m", "uid": "else"}}, 409, "else"),
        ({"foo": 1}, 400, "v1, Kind=ConfigMap): .foo: field not declared in schema"),
        ({"data": {"a": 1}}, 400, "cannot unmarshal number into Go struct field ConfigMap.data.a of type string"),
        ({"data": {"/": "1"}}, 422, "data[/]"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
async def test_what_does_not_fit_is_refused(
    space: Space, change: dict[str, Any], status: int | None, told: str, *, there: bool
) -> None:
    if there:
        await space.apply(config_map(b="1"), "before")
    answer = await space.raw(space.path("configmaps", "m"), config_map(a="1") | change, status=status)
    assert told in answer.get("message", "")


async def test_options_are_checked(space: Space) -> None:
    path = space.path("configmaps", "m")
    answer = await space.raw(path, config_map(), "", status=422)
    assert answer["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    await space.raw(path, config_map(), "x" * 129, status=422)
    await space.raw(path, b"[]", status=400)
    await space.raw(path, b"{a: [", status=400)
    await space.raw(path, b"", status=400)
    code, answer, _ = await space.api.ask("PATCH", path + "?force=true", {}, headers=MERGE)
    assert code == 422
    assert "force" in answer["message"]


async def test_a_resource_version_is_a_precondition(space: Space) -> None:
    made = await space.apply(config_map(a="1"))
    body = config_map(a="2")
    body["metadata"] = {"name": "m", "resourceVersion": made["metadata"]["resourceVersion"]}
    assert (await space.apply(body))["data"] == {"a": "2"}
    answer = await space.apply(body | {"data": {"a": "3"}}, status=409)
    assert "the object has been modified" in answer["message"]


async def test_services_keep_what_was_allocated(space: Space) -> None:
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    made = await space.apply(body, status=201)
    body["spec"]["ports"].append({"port": 81, "name": "more"})
    body["spec"]["ports"][0]["name"] = "http"
    changed = await space.apply(body, status=200)
    assert changed["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert [one["port"] for one in changed["spec"]["ports"]] == [80, 81]


async def test_many_appliers_at_once_all_win(space: Space) -> None:
    await asyncio.gather(*(space.apply(config_map(**{f"k{one}": "x"}), f"m{one}") for one in range(12)))
    _, value, _ = await space.api.ask("GET", space.path("configmaps", "m"))
    assert value["data"] == {f"k{one}": "x" for one in range(12)}
    assert len(managers(value)) == 12


CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.apply.example.com"},
    "spec": {
        "group": "apply.example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "crew": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {"name": {"type": "string"}, "job": {"type": "string"}},
                                        },
                                    },
                                    "ports": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "set",
                                        "items": {"type": "string"},
                                    },
                                    "log": {"type": "array", "items": {"type": "string"}},
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                },
                            },
                            "status": {"type": "object", "properties": {"afloat": {"type": "boolean"}}},
                        },
                    }
                },
            }
        ],
    },
}


async def test_custom_resources_merge_as_their_schema_says(space: Space) -> None:
    root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    code, _, _ = await space.api.ask("PATCH", f"{root}/boats.apply.example.com?fieldManager=x", CRD, headers=HEADERS)
    assert code == 201
    path = f"/apis/apply.example.com/v1/namespaces/{space.namespace}/boats/b"

    def boat(**spec: Any) -> dict[str, Any]:
        return {"apiVersion": "apply.example.com/v1", "kind": "Boat", "metadata": {"name": "b"}, "spec": spec}

    first = boat(crew=[{"name": "ann", "job": "cook"}], ports=["x"], log=["1"], free={"a": {"b": 1}})
    await space.raw(path, first, "one", status=201)
    second = boat(crew=[{"name": "bob"}], ports=["y"], free={"a": {"c": 2}})
    value = await space.raw(path, second, "two", status=200)
    assert value["spec"] == {
        "crew": [{"name": "ann", "job": "cook"}, {"name": "bob"}],
        "ports": ["x", "y"],
        "log": ["1"],
        "free": {"a": {"b": 1, "c": 2}},
    }
    assert value["metadata"]["generation"] == 2
    again = await space.raw(path, second, "two", status=200)
    assert again == value
    answer = await space.raw(path, boat(log=["2"], crew=[{"name": "ann", "job": "mate"}]), "two", status=409)
    assert [one["field"] for one in answer["details"]["causes"]] == ['.spec.crew[name="ann"].job', ".spec.log"]
    value = await space.raw(path, boat(), "one")
    assert value["spec"] == {"crew": [{"name": "bob"}], "ports": ["y"], "free": {"a": {"c": 2}}}
    status = boat() | {"status": {"afloat": True}}
    value = await space.raw(f"{path}/status", status, "one")
    assert value["status"] == {"afloat": True}
    answer = await space.raw(path, boat(nope=1), "one", status=400)
    assert ".spec.nope: field not declared in schema" in answer["message"]
    answer = await space.raw(path, boat(crew=[{"job": "cook"}]), "one", status=400)
    assert 'omits key field "name"' in answer["message"]


async def test_who_may_only_patch_may_not_create(space: Space) -> None:
    """An agent may patch the pods of its own node only; a token of nobody in particular may neither."""
    import aiohttp

    servers = space.api.servers
    servers.kubeconfig_of("system:node:n7", ("system:nodes",))
    connector = aiohttp.TCPConnector(ssl=servers.tls("system-node-n7"))
    async with aiohttp.ClientSession(connector=connector) as session:
        where = f"{servers.url}{space.path('configmaps', 'm')}?fieldManager=x"
        async with session.patch(where, data=orjson.dumps(config_map(a="1")), headers=HEADERS) as response:
            assert response.status == 403
