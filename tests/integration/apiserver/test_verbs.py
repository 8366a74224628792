"""What a client of the wire sees of create, get, list, update, patch and delete."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


def config_map(name: str = "", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_a_created_object_comes_back_with_what_the_server_adds(api: Any, maps: str) -> None:
    status, made, _ = await api.ask("POST", maps, config_map("a", x="1"))
    assert status == 201
    assert made["metadata"]["uid"]
    assert made["metadata"]["resourceVersion"].isdigit()
    assert made["metadata"]["creationTimestamp"].endswith("Z")
    status, read, _ = await api.ask("GET", f"{maps}/a")
    assert status == 200
    assert read == made


async def test_a_name_is_taken_once(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    status, body, _ = await api.ask("POST", maps, config_map("a"))
    assert (status, body["reason"]) == (409, "AlreadyExists")
    assert body["message"] == 'configmaps "a" already exists'
    assert body["details"] == {"name": "a", "kind": "configmaps"}


async def test_generated_names_have_five_letters_more(api: Any, maps: str) -> None:
    body = {"metadata": {"generateName": "x-"}}
    names = {(await api.ask("POST", maps, body))[1]["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


async def test_an_update_of_an_old_version_is_a_conflict(api: Any, maps: str) -> None:
    _, first, _ = await api.ask("POST", maps, config_map("a", x="1"))
    first["data"] = {"x": "2"}
    status, second, _ = await api.ask("PUT", f"{maps}/a", first)
    assert status == 200
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    status, body, _ = await api.ask("PUT", f"{maps}/a", first | {"data": {"x": "3"}})
    assert (status, body["reason"]) == (409, "Conflict")
    assert body["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )


async def test_an_update_that_changes_nothing_writes_nothing(api: Any, maps: str) -> None:
    _, first, _ = await api.ask("POST", maps, config_map("a", x="1"))
    status, again, _ = await api.ask("PUT", f"{maps}/a", config_map("a", x="1"))
    assert status == 200
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_concurrent_patches_are_all_kept(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    answers = await asyncio.gather(
        *(api.ask("PATCH", f"{maps}/a", {"data": {f"k{n}": "v"}}, headers=MERGE) for n in range(12))
    )
    assert [status for status, _, _ in answers] == [200] * 12
    _, read, _ = await api.ask("GET", f"{maps}/a")
    assert set(read["data"]) == {f"k{n}" for n in range(12)}


async def test_the_three_patches(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a", x="1", y="2"))
    operations = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "remove", "path": "/data/y"}]
    _, body, _ = await api.ask("PATCH", f"{maps}/a", operations, headers=JSON_PATCH)
    assert body["data"] == {"x": "1"}
    _, body, _ = await api.ask("PATCH", f"{maps}/a", {"data": {"x": None, "z": "3"}}, headers=MERGE)
    assert body["data"] == {"z": "3"}
    _, body, _ = await api.ask("PATCH", f"{maps}/a", {"data": {"$patch": "replace", "n": "4"}}, headers=STRATEGIC)
    assert body["data"] == {"n": "4"}


async def test_a_patch_that_does_not_apply_is_422(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    operations = [{"op": "test", "path": "/data/x", "value": "1"}]
    status, body, _ = await api.ask("PATCH", f"{maps}/a", operations, headers=JSON_PATCH)
    assert (status, body["reason"]) == (422, "Invalid")
    assert "causes" not in body.get("details", {})


@pytest.mark.parametrize("query", ["", "?fieldValidation=Strict"])
async def test_a_patch_whose_result_cannot_be_read_is_422_with_the_patch_as_cause(
    api: Any, maps: str, query: str
) -> None:
    await api.ask("POST", maps, config_map("a"))
    body: dict[str, Any] = {"foo": 1} if query else {"data": {"x": 1}}
    status, answer, _ = await api.ask("PATCH", f"{maps}/a{query}", body, headers=MERGE)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert answer["details"]["causes"][0]["field"] == "patch"


@pytest.mark.parametrize(
    ("validation", "expected", "warned"), [("Strict", 400, False), ("Warn", 201, True), ("Ignore", 201, False)]
)
async def test_unknown_fields(api: Any, maps: str, validation: str, expected: int, warned: bool) -> None:
    body = config_map("a") | {"foo": 1}
    status, answer, headers = await api.ask("POST", f"{maps}?fieldValidation={validation}", body)
    assert status == expected
    assert headers.getall("Warning", []) == (['299 - "unknown field \\"foo\\""'] if warned else [])
    if expected == 400:
        assert answer["message"] == (
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo"'
        )
    else:
        assert "foo" not in answer


async def test_doubled_fields_are_noticed(api: Any, maps: str) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}'
    status, answer, _ = await api.ask("POST", f"{maps}?fieldValidation=Strict", body)
    assert status == 400
    assert 'duplicate field "data.x"' in answer["message"]


async def test_a_wrong_type_is_worded_as_go_words_it(api: Any, maps: str) -> None:
    status, answer, _ = await api.ask("POST", maps, {"metadata": {"name": "a"}, "data": {"x": 1}})
    assert status == 400
    assert answer["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct '
        "field ConfigMap.data.x of type string"
    )


async def test_yaml_bodies_are_read_as_yaml_1_1_and_only_the_first_document(api: Any, maps: str) -> None:
    text = b'metadata: {name: a, labels: {x: "y"}}\nimmutable: y\n---\nnonsense: 1\n'
    status, made, _ = await api.ask("POST", maps, text, headers={"Content-Type": "application/yaml"})
    assert status == 201, made
    assert made["immutable"] is True


async def test_dry_runs_leave_nothing(api: Any, maps: str) -> None:
    status, made, _ = await api.ask("POST", f"{maps}?dryRun=All", config_map("a"))
    assert status == 201
    assert made["metadata"]["uid"]
    assert (await api.ask("GET", f"{maps}/a"))[0] == 404


async def test_deletion_answers_a_status_and_frees_the_name(api: Any, maps: str) -> None:
    _, made, _ = await api.ask("POST", maps, config_map("a"))
    status, body, _ = await api.ask("DELETE", f"{maps}/a")
    assert status == 200
    assert (body["kind"], body["status"], body["details"]["uid"]) == ("Status", "Success", made["metadata"]["uid"])
    assert (await api.ask("DELETE", f"{maps}/a"))[1]["message"] == 'configmaps "a" not found'
    assert (await api.ask("POST", maps, config_map("a")))[0] == 201


async def test_a_finalizer_holds_an_object_until_it_is_taken_off(api: Any, maps: str) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await api.ask("POST", maps, body)
    status, held, _ = await api.ask("DELETE", f"{maps}/a")
    assert (status, held["kind"]) == (200, "ConfigMap")
    assert held["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    status, refused, _ = await api.ask("PATCH", f"{maps}/a", more, headers=MERGE)
    assert status == 422
    assert "no new finalizers can be added" in refused["message"]
    assert (await api.ask("PATCH", f"{maps}/a", {"metadata": {"finalizers": None}}, headers=MERGE))[0] == 200
    assert (await api.ask("GET", f"{maps}/a"))[0] == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")])
async def test_propagation_policies_become_finalizers(api: Any, maps: str, policy: str, finalizer: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    _, held, _ = await api.ask("DELETE", f"{maps}/a", {"propagationPolicy": policy})
    assert held["metadata"]["finalizers"] == [finalizer]


async def test_preconditions_of_a_deletion(api: Any, maps: str) -> None:
    _, made, _ = await api.ask("POST", maps, config_map("a"))
    status, body, _ = await api.ask("DELETE", f"{maps}/a", {"preconditions": {"uid": "other"}})
    assert (status, body["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: other" in body["message"]
    version = made["metadata"]["resourceVersion"]
    assert (await api.ask("DELETE", f"{maps}/a", {"preconditions": {"resourceVersion": version}}))[0] == 200


async def test_a_pod_ends_in_its_grace_period(api: Any) -> None:
    namespace = await api.new_namespace()
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await api.ask("POST", accounts, {"metadata": {"name": "default"}})
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n1"}
    status, made, _ = await api.ask("POST", pods, {"metadata": {"name": "a"}, "spec": spec})
    assert status == 201, made
    status, held, _ = await api.ask("DELETE", f"{pods}/a")
    assert (status, held["kind"], held["metadata"]["deletionGracePeriodSeconds"]) == (200, "Pod", 30)
    _, shorter, _ = await api.ask("DELETE", f"{pods}/a?gracePeriodSeconds=5")
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    _, longer, _ = await api.ask("DELETE", f"{pods}/a?gracePeriodSeconds=60")
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5
    await api.ask("DELETE", f"{pods}/a?gracePeriodSeconds=0")
    assert (await api.ask("GET", f"{pods}/a"))[0] == 404


async def test_a_collection_is_deleted_by_selector(api: Any, maps: str) -> None:
    for n in range(6):
        body = config_map(f"a{n}")
        body["metadata"]["labels"] = {"odd": str(n % 2)}
        await api.ask("POST", maps, body)
    status, deleted, _ = await api.ask("DELETE", f"{maps}?labelSelector=odd%3D1")
    assert (status, len(deleted["items"])) == (200, 3)
    _, left, _ = await api.ask("GET", maps)
    assert [one["metadata"]["name"] for one in left["items"]] == ["a0", "a2", "a4"]


async def test_generation_counts_changes_of_the_spec_and_status_has_its_own_door(api: Any) -> None:
    namespace = await api.new_namespace()
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    }
    body = {"metadata": {"name": "d"}, "spec": spec, "status": {"replicas": 7}}
    _, made, _ = await api.ask("POST", path, body)
    assert (made["metadata"]["generation"], made["status"].get("replicas")) == (1, None)
    _, labelled, _ = await api.ask("PATCH", f"{path}/d", {"metadata": {"labels": {"x": "y"}}}, headers=MERGE)
    assert labelled["metadata"]["generation"] == 1
    _, status, _ = await api.ask(
        "PATCH", f"{path}/d/status", {"spec": {"replicas": 9}, "status": {"replicas": 3}}, headers=MERGE
    )
    assert (status["spec"]["replicas"], status["status"]["replicas"], status["metadata"]["generation"]) == (1, 3, 1)
    _, scaled, _ = await api.ask("PATCH", f"{path}/d/scale", {"spec": {"replicas": 4}}, headers=MERGE)
    assert (scaled["kind"], scaled["spec"]["replicas"], scaled["status"]["selector"]) == ("Scale", 4, "a=b")
    _, read, _ = await api.ask("GET", f"{path}/d")
    assert (read["metadata"]["generation"], read["spec"]["replicas"], read["status"]["replicas"]) == (2, 4, 3)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "", b"{", 400),
        ("POST", "", b"", 400),
        ("POST", "", b"[]", 400),
        ("POST", "", b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}', 400),
        ("POST", "", b'{"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"a"}}', 400),
        ("POST", "", b'{"metadata":{"name":"a","namespace":"elsewhere"}}', 400),
        ("POST", "", b'{"metadata":{}}', 422),
        ("POST", "", b'{"metadata":{"name":"A_"}}', 422),
        ("POST", "", b'{"metadata":{"name":"a","labels":{"-":"x"}}}', 422),
        ("POST", "", b'{"data":' + b'{"a":' * 900 + b"1" + b"}" * 901, 400),
        ("POST", "/a", b"{}", 405),
        ("PUT", "", b"{}", 405),
        ("PUT", "/a", b'{"metadata":{"name":"b"}}', 404),
        ("GET", "/a/nothing", None, 404),
        ("GET", "?limit=x", None, 400),
        ("GET", "?labelSelector=%3D%3D", None, 400),
        ("GET", "?fieldSelector=foo%3Dx", None, 400),
        ("GET", "?continue=abc", None, 400),
        ("GET", "?resourceVersion=abc", None, 400),
        ("GET", "?resourceVersionMatch=Exact", None, 422),
        ("HEAD", "", None, 405),
        ("OPTIONS", "", None, 405),
    ],
)
async def test_hostile_requests_get_a_precise_refusal(
    api: Any, maps: str, method: str, path: str, body: bytes | None, expected: int
) -> None:
    status, answer, _ = await api.ask(method, maps + path, body)
    assert status == expected, answer
    if method != "HEAD":
        assert answer["kind"] == "Status"
        assert answer["code"] == expected
        assert answer["message"]


async def test_a_body_of_more_than_three_megabytes_is_413(api: Any, maps: str) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"x":"' + b"y" * (3 * 1024 * 1024) + b'"}}'
    status, answer, _ = await api.ask("POST", maps, body)
    assert (status, answer["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize("accept", ["application/*", "text/html", "application/vnd.kubernetes.protobuf"])
async def test_what_cannot_be_served_is_406(api: Any, maps: str, accept: str) -> None:
    assert (await api.ask("GET", maps, headers={"Accept": accept}))[0] == 406


async def test_protobuf_is_answered_in_json_when_that_is_taken_too(api: Any, maps: str) -> None:
    accept = "application/vnd.kubernetes.protobuf,application/json"
    status, _, headers = await api.ask("GET", maps, headers={"Accept": accept})
    assert (status, headers["Content-Type"]) == (200, "application/json")


async def test_tables_and_metadata_only(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a", x="1"))
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    _, body, _ = await api.ask("GET", maps, headers=table)
    assert body["kind"] == "Table"
    assert [column["name"] for column in body["columnDefinitions"]][:1] == ["Name"]
    assert body["rows"][0]["cells"][0] == "a"
    assert body["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    partial = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    _, body, _ = await api.ask("GET", maps, headers=partial)
    assert body["kind"] == "PartialObjectMetadataList"
    assert set(body["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_yaml_answers(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a", x="1"))
    _, text, headers = await api.ask("GET", f"{maps}/a", headers={"Accept": "application/yaml"})
    assert headers["Content-Type"].startswith("application/yaml")
    assert "x: '1'" in text


async def test_chunks_of_a_list_are_of_one_moment(api: Any, maps: str) -> None:
    for n in range(7):
        await api.ask("POST", maps, config_map(f"a{n}"))
    _, first, _ = await api.ask("GET", f"{maps}?limit=3")
    assert first["metadata"]["remainingItemCount"] == 4
    await api.ask("DELETE", f"{maps}/a4")
    await api.ask("POST", maps, config_map("a3b"))
    names = [one["metadata"]["name"] for one in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        _, chunk, _ = await api.ask("GET", f"{maps}?limit=3&continue={token}")
        assert chunk["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [one["metadata"]["name"] for one in chunk["items"]]
        token = chunk["metadata"].get("continue", "")
    assert names == [f"a{n}" for n in range(7)]


async def test_a_list_at_an_exact_revision_shows_the_past(api: Any, maps: str) -> None:
    _, made, _ = await api.ask("POST", maps, config_map("a"))
    await api.ask("DELETE", f"{maps}/a")
    version = made["metadata"]["resourceVersion"]
    _, then, _ = await api.ask("GET", f"{maps}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert [one["metadata"]["name"] for one in then["items"]] == ["a"]


async def test_a_list_of_the_future_times_out_with_a_cause(api: Any, maps: str) -> None:
    status, body, _ = await api.ask("GET", f"{maps}?resourceVersion=99999999")
    assert status == 504
    assert body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_long_lists_are_compressed(api: Any, maps: str) -> None:
    await asyncio.gather(*(api.ask("POST", maps, config_map(f"a{n}", x="y" * 4000)) for n in range(40)))
    status, body, headers = await api.ask("GET", maps)
    assert (status, headers["Content-Encoding"], len(body["items"])) == (200, "gzip", 40)
