"""Corners of the API's semantics that clients lean on, each as upstream's server has them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


async def test_namespaces_are_not_deleted_as_a_collection(api: Any) -> None:
    status, body, _ = await api.ask("DELETE", "/api/v1/namespaces?labelSelector=a%3Db")
    assert (status, body["reason"]) == (405, "MethodNotAllowed")
    _, resources, _ = await api.ask("GET", "/api/v1")
    verbs = next(one["verbs"] for one in resources["resources"] if one["name"] == "namespaces")
    assert verbs == ["create", "delete", "get", "list", "patch", "update", "watch"]


async def test_one_object_that_may_not_go_says_why_its_collection_stays(api: Any) -> None:
    nodes = "/api/v1/nodes"
    await api.ask("POST", nodes, {"metadata": {"name": "stays"}})
    headers = {"Impersonate-User": "system:node:other", "Impersonate-Group": "system:nodes"}
    status, body, _ = await api.ask("DELETE", nodes, headers=headers)
    await api.ask("DELETE", f"{nodes}/stays")
    assert (status, body["reason"]) == (403, "Forbidden")


async def test_a_watch_may_carry_a_limit(api: Any, maps: str) -> None:
    status, _, _ = await api.ask("GET", f"{maps}?watch=true&limit=5&timeoutSeconds=1")
    assert status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sendInitialEvents=true", "sendInitialEvents"),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=1", "sendInitialEvents"),
    ],
)
async def test_only_a_watch_sends_initial_events(api: Any, maps: str, query: str, field: str) -> None:
    status, body, _ = await api.ask("GET", f"{maps}?{query}")
    assert status == 422
    assert body["details"]["causes"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "query", "kind", "field"),
    [
        ("POST", "", "dryRun=some", "CreateOptions", "dryRun"),
        ("POST", "", "fieldValidation=some", "CreateOptions", "fieldValidation"),
        ("POST", "", "fieldManager=" + "x" * 129, "CreateOptions", "fieldManager"),
        ("POST", "", "fieldManager=%01", "CreateOptions", "fieldManager"),
        ("PUT", "/a", "dryRun=some", "UpdateOptions", "dryRun"),
        ("PUT", "/a", "fieldManager=" + "x" * 129, "UpdateOptions", "fieldManager"),
        ("PATCH", "/a", "dryRun=some", "PatchOptions", "dryRun"),
        ("PATCH", "/a", "force=true", "PatchOptions", "force"),
        ("DELETE", "/a", "dryRun=some", "DeleteOptions", "dryRun"),
    ],
)
async def test_options_are_checked(
    api: Any, maps: str, method: str, path: str, query: str, kind: str, field: str
) -> None:
    headers = MERGE if method == "PATCH" else {}
    await api.ask("POST", maps, {"metadata": {"name": "a"}})
    status, body, _ = await api.ask(method, f"{maps}{path}?{query}", {"metadata": {"name": "a"}}, headers=headers)
    if method == "DELETE":
        status, body, _ = await api.ask(method, f"{maps}{path}?{query}")
    assert status == 422, body
    assert body["message"].startswith(f'{kind}.meta.k8s.io "" is invalid: {field}: ')


async def test_a_dry_run_has_no_resource_version_yet(api: Any, maps: str) -> None:
    _, made, _ = await api.ask("POST", f"{maps}?dryRun=All", {"metadata": {"name": "a"}})
    assert "resourceVersion" not in made["metadata"]


async def test_too_many_operations_are_413(api: Any, maps: str) -> None:
    await api.ask("POST", maps, {"metadata": {"name": "a"}})
    operations = [{"op": "add", "path": "/data", "value": {}}] * 10_001
    status, body, _ = await api.ask("PATCH", f"{maps}/a", operations, headers=JSON_PATCH)
    assert (status, body["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize("headers", [MERGE, STRATEGIC])
async def test_doubled_fields_of_a_patch_are_noticed(api: Any, maps: str, headers: dict[str, str]) -> None:
    await api.ask("POST", maps, {"metadata": {"name": "a"}})
    text = b'{"data":{"x":"1","x":"2"}}'
    status, body, _ = await api.ask("PATCH", f"{maps}/a?fieldValidation=Strict", text, headers=headers)
    assert status in (400, 422)
    assert 'duplicate field "data.x"' in body["message"]
    status, _, answered = await api.ask("PATCH", f"{maps}/a", text, headers=headers)
    assert status == 200
    assert answered.getall("Warning") == ['299 - "duplicate field \\"data.x\\""']


async def test_finalizers_of_built_in_kinds_have_a_domain(api: Any, maps: str) -> None:
    status, body, _ = await api.ask("POST", maps, {"metadata": {"name": "a", "finalizers": ["mine"]}})
    assert status == 422
    assert "name is neither a standard finalizer name nor is it fully qualified" in body["message"]
    status, _, _ = await api.ask("POST", maps, {"metadata": {"name": "a", "finalizers": ["orphan", "a.b/c"]}})
    assert status == 201


async def test_impersonating_groups_without_a_user_is_refused(api: Any) -> None:
    status, body, _ = await api.ask("GET", "/api/v1/pods", headers={"Impersonate-Group": "x"})
    assert status == 400
    assert "without impersonating a user" in body["message"]


async def test_a_node_gets_tokens_for_its_own_pods_only(api: Any) -> None:
    namespace = await api.new_namespace()
    here = f"/api/v1/namespaces/{namespace}"
    await api.ask("POST", f"{here}/serviceaccounts", {"metadata": {"name": "default"}})
    uids = {}
    for name, node in (("mine", "n1"), ("other", "n2")):
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        _, made, _ = await api.ask("POST", f"{here}/pods", {"metadata": {"name": name}, "spec": spec})
        uids[name] = made["metadata"]["uid"]
    node_n1 = {"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"}

    async def token(bound: Any) -> int:
        body = {"spec": {"boundObjectRef": bound} if bound else {}}
        status, _, _ = await api.ask("POST", f"{here}/serviceaccounts/default/token", body, headers=node_n1)
        return int(status)

    pod = {"kind": "Pod", "apiVersion": "v1"}
    assert await token(None) == 403
    assert await token(pod | {"name": "other", "uid": uids["other"]}) == 403
    assert await token(pod | {"name": "mine"}) == 403
    assert await token(pod | {"name": "mine", "uid": uids["mine"]}) == 201


async def test_a_patch_of_json_is_read_as_strictly_as_any_body(api: Any, maps: str) -> None:
    await api.ask("POST", maps, {"metadata": {"name": "a"}})
    status, body, _ = await api.ask("PATCH", f"{maps}/a", orjson.dumps({"data": 5}), headers=MERGE)
    assert (status, body["details"]["causes"][0]["field"]) == (422, "patch")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"runtimeClassName": "none"}, 'pod rejected: RuntimeClass "none" not found'),
        ({"overhead": {"cpu": "1"}}, "pod rejected: Pod Overhead set without corresponding RuntimeClass"),
    ],
)
async def test_a_runtime_class_that_is_not_there_is_forbidden(api: Any, spec: dict[str, Any], message: str) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    here = f"/api/v1/namespaces/{await api.new_namespace()}"
    await api.ask("POST", f"{here}/serviceaccounts", {"metadata": {"name": "default"}})
    status, body, _ = await api.ask("POST", f"{here}/pods?dryRun=All", pod)
    assert (status, body["reason"]) == (403, "Forbidden")
    assert message in body["message"]


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(("accept", "expected"), [(TABLE, 406), (f"{TABLE},application/json", 201)])
async def test_a_review_has_no_table(api: Any, accept: str, expected: int) -> None:
    review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    status, body, _ = await api.ask("POST", path, review, headers={"Accept": accept})
    assert (status, body["kind"]) == (expected, "Status" if expected == 406 else "SelfSubjectAccessReview")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.5"])
async def test_no_endpoint_is_the_node_that_asks(api: Any, address: str) -> None:
    namespace = await api.new_namespace()
    subset = {"addresses": [{"ip": address}], "ports": [{"port": 80}]}
    old = {"metadata": {"name": "a"}, "subsets": [subset]}
    status, body, _ = await api.ask("POST", f"/api/v1/namespaces/{namespace}/endpoints", old)
    assert (status, body["details"]["causes"][0]["field"]) == (422, "subsets[0].addresses[0].ip")
    new = {"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [{"addresses": [address]}]}
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    status, body, _ = await api.ask("POST", path, new)
    assert (status, body["details"]["causes"][0]["field"]) == (422, "endpoints[0].addresses[0]")


async def test_a_pods_generation_is_one_until_somebody_changes_its_spec(api: Any) -> None:
    namespace = await api.new_namespace()
    here = f"/api/v1/namespaces/{namespace}"
    await api.ask("POST", f"{here}/serviceaccounts", {"metadata": {"name": "default"}})
    pod = {"metadata": {"name": "p", "generation": 100}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    _, made, _ = await api.ask("POST", f"{here}/pods", pod)
    assert made["metadata"]["generation"] == 1
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    status, _, _ = await api.ask("POST", f"{here}/pods/p/binding", binding)
    assert status == 201
    _, bound, _ = await api.ask("GET", f"{here}/pods/p")
    assert (bound["spec"]["nodeName"], bound["metadata"]["generation"]) == ("n1", 1)
    change = {"spec": {"containers": [{"name": "c", "image": "j"}]}}
    _, changed, _ = await api.ask("PATCH", f"{here}/pods/p", change, headers=STRATEGIC)
    assert changed["metadata"]["generation"] == 2
    _, deleted, _ = await api.ask("DELETE", f"{here}/pods/p")
    assert deleted["metadata"]["generation"] == 3


async def test_an_evicted_pod_says_that_it_was_disrupted(api: Any) -> None:
    namespace = await api.new_namespace()
    here = f"/api/v1/namespaces/{namespace}"
    await api.ask("POST", f"{here}/serviceaccounts", {"metadata": {"name": "default"}})
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
    await api.ask("POST", f"{here}/pods", {"metadata": {"name": "p"}, "spec": spec})
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    wrong = eviction | {"deleteOptions": {"preconditions": {"uid": "other"}}}
    assert (await api.ask("POST", f"{here}/pods/p/eviction", wrong))[0] == 409
    _, pod, _ = await api.ask("GET", f"{here}/pods/p")
    assert "deletionTimestamp" not in pod["metadata"]
    assert not [one for one in pod["status"].get("conditions", ()) if one["type"] == "DisruptionTarget"]
    version = pod["metadata"]["resourceVersion"]
    right = eviction | {"deleteOptions": {"preconditions": {"resourceVersion": version}}}
    assert (await api.ask("POST", f"{here}/pods/p/eviction", right))[0] == 201
    _, pod, _ = await api.ask("GET", f"{here}/pods/p")
    assert pod["metadata"]["deletionTimestamp"]
    [condition] = [one for one in pod["status"]["conditions"] if one["type"] == "DisruptionTarget"]
    assert (condition["status"], condition["reason"]) == ("True", "EvictionByEvictionAPI")
