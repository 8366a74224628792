"""The published OpenAPI: complete, without loose ends, and with what kubectl looks for in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from apiserver.kind import Subresource
from apiserver.kinds import ALL
from apiserver.openapi.documents import document_v3, whole_v2
from apiserver.openapi.paths import paths_of
from apiserver.openapi.schemas import component
from sampan.api import apps_v1, core_v1, meta_v1


def references(value: Any) -> Iterator[str]:
    """All `$ref` texts in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


CORE = [kind for kind in ALL if not kind.resource.group]


@pytest.mark.parametrize("group", sorted({kind.resource.group for kind in ALL}))
def test_every_reference_of_a_document_leads_somewhere(group: str) -> None:
    document = document_v3([kind for kind in ALL if kind.resource.group == group])
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_every_reference_of_the_swagger_document_leads_somewhere() -> None:
    document = whole_v2(tuple(ALL))
    assert set(references(document)) <= {f"#/definitions/{name}" for name in document["definitions"]}


def test_schemas_are_named_as_upstream_names_them() -> None:
    assert component(core_v1.Pod) == "io.k8s.api.core.v1.Pod"
    assert component(apps_v1.Deployment) == "io.k8s.api.apps.v1.Deployment"
    assert component(meta_v1.ObjectMeta) == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def test_a_kinds_schema_says_its_kind_and_its_merge_rules() -> None:
    schemas = document_v3(CORE)["components"]["schemas"]
    pod = schemas["io.k8s.api.core.v1.Pod"]
    assert pod["x-kubernetes-group-version-kind"] == [{"group": "", "version": "v1", "kind": "Pod"}]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["type"] == "array"


@pytest.mark.parametrize(
    "kind", [kind for kind in ALL if "patch" in kind.verbs and kind.stored], ids=lambda k: k.resource.plural
)
def test_every_patch_of_a_kind_takes_field_validation(kind: Any) -> None:
    """kubectl validates on the server only if the first patch that it finds for a kind has this parameter."""
    resource = kind.resource
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    patches = [
        path["patch"]
        for path in document_v3([kind])["paths"].values()
        if path.get("patch", {}).get("x-kubernetes-group-version-kind") == gvk
    ]
    assert patches
    for patch in patches:
        assert {"fieldValidation", "dryRun"} <= {one["name"] for one in patch["parameters"]}


def test_operation_ids_are_unique() -> None:
    document = whole_v2(tuple(ALL))
    ids = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    assert len(ids) == len(set(ids))


def test_no_operation_of_a_kind_misleads_kubectl_about_what_the_kind_takes() -> None:
    """kubectl asks the first patch operation of a kind, whichever it meets, whether fieldValidation is there."""
    proxy = Subresource("proxy", ("create", "delete", "get", "patch", "update"), never, connect=True)
    for kind in CORE:
        paths = dict(paths_of(replace(kind, subresources=(*kind.subresources, proxy)), "x", "y"))
        own = {"group": "", "version": "v1", "kind": kind.resource.kind}
        patches = [item["patch"] for item in paths.values() if "patch" in item]
        mine = [one for one in patches if one["x-kubernetes-group-version-kind"] == own]
        assert all("fieldValidation" in {parameter["name"] for parameter in one["parameters"]} for one in mine)
        assert len(mine) == len(patches) - 1 - (kind.scale is not None) or not kind.stored


async def never(_: Any) -> Any:
    raise NotImplementedError
