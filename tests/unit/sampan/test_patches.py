import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.api.apps_v1 import Deployment
from sampan.api.core_v1 import Pod, Service
from sampan.patches import json_patch, merge_patch, models, strategic, three_way
from sampan.patches.schema import UNTYPED, OpenApi
from sampan.patches.values import PatchError, same

POD = models.of_model(Pod)
SERVICE = models.of_model(Service)
DEPLOYMENT = models.of_model(Deployment)

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=3)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
)
objects = st.dictionaries(st.text("abc", max_size=2), values, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return value


# JSON Patch


@pytest.mark.parametrize(
    ("document", "patch", "wanted"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/1", "value": 9}], {"a": [1, 9, 2]}),
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/-1", "value": 3}], {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, [{"op": "replace", "path": "/a/-1", "value": 3}], {"a": [1, 3]}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-2"}], {"a": [2]}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
        ({"a": {"b": [1]}}, [{"op": "copy", "from": "/a/b", "path": "/a/c"}], {"a": {"b": [1], "c": [1]}}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}], {}),
        ({"a": None}, [{"op": "test", "path": "/a", "value": None}], {"a": None}),
        ({}, [{"op": "test", "path": "/a", "value": None}], {}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
    ],
)
def test_a_json_patch_applies(document: Any, patch: Any, wanted: Any) -> None:
    before = copy.deepcopy(document)
    assert json_patch.apply(document, patch) == wanted
    assert document == before


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        ({}, "a list of operations"),
        ([1], "is an object"),
        ([{"op": "jump", "path": "/a"}], "Unexpected kind: jump"),
        ([{"op": "add", "path": "/a"}], "missing value"),
        ([{"op": "add", "path": "a", "value": 1}], "does not start with"),
        ([{"op": "add", "path": "/x/y", "value": 1}], "doc is missing path"),
        ([{"op": "remove", "path": "/x"}], "doc is missing path"),
        ([{"op": "replace", "path": "/x", "value": 1}], "doc is missing path"),
        ([{"op": "replace", "path": "/list/3", "value": 1}], "invalid index: 3"),
        ([{"op": "replace", "path": "/list/-3", "value": 1}], "invalid index: -3"),
        ([{"op": "replace", "path": "/list/01", "value": 1}], "no index"),
        ([{"op": "remove", "path": ""}], "whole document"),
        ([{"op": "move", "from": "/a", "path": "/a/b"}], "into itself"),
        ([{"op": "test", "path": "/a", "value": True}], "testing value /a failed"),
        ([{"op": "copy", "from": "/big", "path": "/list/-"}] * 40, "copies may add"),
        ([{"op": "test", "path": "/a", "value": 1}] * 10_001, "maximum operations in a JSON patch is 10000, got 10001"),
    ],
)
def test_a_wrong_json_patch_is_refused(patch: Any, complaint: str) -> None:
    with pytest.raises(PatchError, match=complaint):
        json_patch.apply({"a": 1, "list": [1, 2], "big": "x" * 100_000}, patch)


@given(objects, st.lists(st.sampled_from(["/a", "/a/0", "/b/-1", "/c/a", ""]), max_size=3), values)
def test_a_json_patch_applies_or_is_refused(document: Any, paths: list[str], value: Any) -> None:
    patch = [{"op": "add", "path": path, "value": value} for path in paths]
    before = copy.deepcopy(document)
    with contextlib.suppress(PatchError):
        json_patch.apply(document, patch)
    assert document == before


# JSON Merge Patch


@pytest.mark.parametrize(
    ("target", "patch", "wanted"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_applies_as_rfc_7386_appendix_a_says(target: Any, patch: Any, wanted: Any) -> None:
    assert merge_patch.apply(target, patch) == wanted


@given(objects, objects)
def test_a_merge_patch_twice_is_the_same_as_once(target: Any, patch: Any) -> None:
    before = copy.deepcopy(target)
    once = merge_patch.apply(target, patch)
    assert merge_patch.apply(once, patch) == once
    assert target == before


def test_a_bottomless_patch_is_refused() -> None:
    patch: Any = {}
    for _ in range(5000):
        patch = {"a": patch}
    with pytest.raises(PatchError, match="levels deep"):
        merge_patch.apply({}, patch)
    with pytest.raises(PatchError, match="levels deep"):
        strategic.apply({}, patch, UNTYPED)


# Strategic merge patch


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


A, B, C = ({"name": name, "image": f"{name}:1"} for name in "abc")


@pytest.mark.parametrize(
    ("patch", "wanted"),
    [
        (pod({"name": "b", "image": "b:2"}), pod(A, {"name": "b", "image": "b:2"})),
        (pod(C), pod(C, A, B)),
        (pod({"$patch": "delete", "name": "a"}), pod(B)),
        (pod({"$patch": "replace"}, C), pod(C)),
        ({"spec": {"$patch": "replace", "nodeName": "n"}}, {"spec": {"nodeName": "n"}}),
        ({"spec": {"$patch": "delete"}}, {"spec": {}}),
        ({"spec": {"$patch": "merge", "nodeName": "n"}}, pod(A, B, nodeName="n")),
        ({"spec": {"containers": None}}, {"spec": {}}),
        ({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}, pod(B, A)),
        ({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [C]}}, pod(C, A, B)),
        ({"spec": {"tolerations": [{"key": "x"}]}}, pod(A, B, tolerations=[{"key": "x"}])),
        ({"metadata": {"finalizers": ["x/y"]}}, {"metadata": {"finalizers": ["x/y"]}} | pod(A, B)),
        ({"metadata": {"labels": {"a": None, "b": "1"}}}, {"metadata": {"labels": {"b": "1"}}} | pod(A, B)),
        (pod({"name": "a", "env": [{"name": "E", "value": "1"}]}), pod(A | {"env": [{"name": "E", "value": "1"}]}, B)),
    ],
)  # fmt: skip
def test_a_strategic_patch_applies(patch: Any, wanted: Any) -> None:
    document = pod(A, B)
    assert strategic.apply(document, patch, POD) == wanted
    assert document == pod(A, B)


def test_a_strategic_patch_of_primitive_lists() -> None:
    document = {"metadata": {"finalizers": ["a/1", "b/2", "c/3"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/1"], "finalizers": ["d/4", "b/2"]}}
    assert strategic.apply(document, patch, POD) == {"metadata": {"finalizers": ["d/4", "b/2", "c/3"]}}


def test_retain_keys_turns_one_volume_source_into_another() -> None:
    document = pod(volumes=[{"name": "v", "configMap": {"name": "x"}}])
    patch = {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}]}}
    assert strategic.apply(document, patch, POD) == pod(volumes=[{"name": "v", "emptyDir": {}}])


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        ([], "is an object"),
        ({"$patch": "explode"}, "unknown patch type"),
        (pod({"image": "x"}), "does not contain declared merge key: name"),
        (pod({"$patch": "merge", "name": "a"}), "cannot yet be specified"),
        ({"spec": {"$retainKeys": ["a"], "b": 1}}, "not in its \\$retainKeys"),
        ({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [C]}}, "doesn't match"),
        ({"spec": {"$deleteFromPrimitiveList/x": 1}}, "is no list"),
    ],
)
def test_a_wrong_strategic_patch_is_refused(patch: Any, complaint: str) -> None:
    with pytest.raises(PatchError, match=complaint):
        strategic.apply(pod(A, B), patch, POD)


@given(objects, objects)
def test_without_a_schema_a_strategic_patch_merges_objects(document: Any, patch: Any) -> None:
    result = strategic.apply(document, patch, UNTYPED)
    for key, value in patch.items():
        if value is None:
            assert key not in result
        elif not isinstance(value, dict | list):
            assert same(result[key], value)


# Three-way patches

names = st.sampled_from("abcd")
containers = st.lists(
    st.fixed_dictionaries({"name": names}, optional={"image": names, "tty": st.booleans(), "args": st.lists(names)}),
    unique_by=lambda one: str(one["name"]),
    max_size=4,
)
volumes = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": names, "emptyDir": st.just({})}),
        st.fixed_dictionaries({"name": names, "hostPath": st.fixed_dictionaries({"path": names})}),
    ),
    unique_by=lambda one: str(one["name"]),
    max_size=3,
)
pods = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(names, names),
                "finalizers": st.lists(names, unique=True, max_size=3),
            },
        ),
        "spec": st.fixed_dictionaries({"containers": containers, "volumes": volumes}, optional={"nodeName": names}),
    }
)


@given(pods, pods)
def test_applying_over_what_was_applied_gives_what_is_wanted(original: Any, modified: Any) -> None:
    patch = three_way.strategic(original, modified, original, POD)
    result = strategic.apply(original, patch, POD)
    assert normal(result) == normal(modified)
    assert three_way.strategic(modified, modified, result, POD) == {}


@given(pods, pods, pods)
def test_a_three_way_patch_never_takes_what_others_set(original: Any, modified: Any, current: Any) -> None:
    patch = three_way.strategic(original, modified, current, POD)
    result = strategic.apply(current, patch, POD)
    assert three_way.strategic(modified, modified, result, POD) == {}
    mine = {one["name"] for document in (original, modified) for one in document["spec"]["containers"]}
    kept = [one for one in current["spec"]["containers"] if one["name"] not in mine]
    assert [one for one in result["spec"]["containers"] if one["name"] not in mine] == kept
    for key, value in current["metadata"].get("labels", {}).items():
        applied = (document["metadata"].get("labels") or {} for document in (original, modified))
        if not any(key in labels for labels in applied) and "labels" not in original["metadata"]:
            assert result["metadata"]["labels"][key] == value


def normal(document: Any) -> Any:
    """An absent list or map is an empty one."""
    return {part: {key: value for key, value in inner.items() if value} for part, inner in document.items()}


@given(objects, objects, objects)
def test_a_three_way_json_patch_brings_the_wanted_values(original: Any, modified: Any, current: Any) -> None:
    modified, current = without_nulls(modified), without_nulls(current)
    patch = three_way.json_merge(original, modified, current)
    result = merge_patch.apply(current, patch)
    assert three_way.json_merge(modified, modified, result) == {}
    for key in current:
        assert key in result or key in original


def test_a_service_with_one_port_number_twice_is_replaced_as_a_whole() -> None:
    live = {"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}}
    wanted = {"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP", "name": "t"}]}}
    patch = three_way.strategic(live, wanted, live, SERVICE)
    assert strategic.apply(live, patch, SERVICE) == wanted
    assert three_way.strategic(live, live, live, SERVICE) == {}


def test_changing_the_strategy_lets_go_of_its_details() -> None:
    rolling = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    wanted = {"spec": {"strategy": {"type": "Recreate"}}}
    patch = three_way.strategic({"spec": {"replicas": 2}}, wanted, rolling, DEPLOYMENT)
    assert patch == {"spec": {"strategy": {"type": "Recreate", "$retainKeys": ["type"]}}}
    assert strategic.apply(rolling, patch, DEPLOYMENT) == wanted


def test_a_published_schema_says_the_same_as_the_models() -> None:
    document = {
        "Pod": {"properties": {"spec": {"allOf": [{"$ref": "#/components/schemas/PodSpec"}]}}},
        "PodSpec": {
            "properties": {
                "containers": {
                    "type": "array",
                    "items": {"allOf": [{"$ref": "#/components/schemas/Container"}], "default": {}},
                    "x-kubernetes-patch-merge-key": "name",
                    "x-kubernetes-patch-strategy": "merge",
                },
                "nodeSelector": {"additionalProperties": {"type": "string"}},
            }
        },
        "Container": {"properties": {"name": {"type": "string"}}},
    }
    published = OpenApi(document, {"$ref": "#/components/schemas/Pod"})
    for schema in (POD, published):
        rule = schema.rule("spec").child.rule("containers")
        assert (rule.merge_key, rule.merges) == ("name", True)
    patch = three_way.strategic(pod(A, B), pod(A), pod(A, B, C), published)
    assert strategic.apply(pod(A, B, C), patch, published) == pod(A, C)
    assert json.loads(json.dumps(patch)) == patch
