"""The models have upstream's fields: compared, all of them, with the schemas of Kubernetes 1.37.

The schemas are those of kubernetes-validate. What differs on purpose is in api_parity_exceptions.txt, a line each; the
test fails when a line is no longer needed, so the list can only shrink.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest

from apiserver.kinds import ALL
from apiserver.openapi import schemas
from sampan.api import authentication_v1, authorization_v1, autoscaling_v1, meta_v1, policy_v1
from sampan.api.base import Object

VERSION = "v1.37.0-local"
EXCEPTIONS = Path(__file__).with_name("api_parity_exceptions.txt")
MERGE = (
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)
REFERENCES = ("#/components/schemas/", "/api/_definitions.json#/$defs/", "#/$defs/", "_definitions.json#/definitions/")
ROOTS: tuple[type[Object], ...] = (
    *(kind.resource.model for kind in ALL),
    authentication_v1.SelfSubjectReview,
    authentication_v1.TokenRequest,
    authentication_v1.TokenReview,
    authorization_v1.LocalSubjectAccessReview,
    authorization_v1.SelfSubjectAccessReview,
    authorization_v1.SelfSubjectRulesReview,
    authorization_v1.SubjectAccessReview,
    autoscaling_v1.Scale,
    meta_v1.DeleteOptions,
    meta_v1.Status,
    policy_v1.Eviction,
)


@cache
def upstream() -> dict[str, Any]:
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / VERSION
    value = json.loads((folder / "_definitions.json").read_text())
    found: dict[str, Any] = value.get("$defs") or value["definitions"]
    return found


@cache
def ours() -> dict[str, Any]:
    return {name: schema for model in ROOTS for name, schema in schemas.reachable(model)}


def shape(schema: Any) -> str:
    """A schema's type as text: `string`, `[]integer(int32)`, `map[string]string`, or the name it refers to."""
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return shape(schema["allOf"][0])
    if reference := schema.get("$ref"):
        for prefix in REFERENCES:
            reference = reference.removeprefix(prefix)
        return str(reference)
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if kind == "array":
        return f"[]{shape(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map[string]{shape(schema['additionalProperties'])}"
    if kind == "object" and "properties" not in schema:
        return "any"
    return f"{kind}({schema['format']})" if "format" in schema else str(kind)


def differences(name: str, mine: Any, theirs: Any) -> Iterator[str]:
    """What is not the same in one definition, a line each."""
    here, there = mine.get("properties", {}), theirs.get("properties", {})
    for field in sorted(there.keys() - here.keys()):
        yield f"{name}.{field}: missing"
    for field in sorted(here.keys() - there.keys()):
        yield f"{name}.{field}: not upstream's"
    for field in sorted(here.keys() & there.keys()):
        one, other = shape(here[field]), shape(there[field])
        if one != other:
            yield f"{name}.{field}: is {one}, upstream's is {other}"
        for mark in MERGE:
            if here[field].get(mark) != there[field].get(mark):
                yield f"{name}.{field}: {mark} is {here[field].get(mark)}, upstream's is {there[field].get(mark)}"
    needed, wanted = set(mine.get("required", ())), set(theirs.get("required", ()))
    for field in sorted(wanted - needed):
        yield f"{name}.{field}: not required, upstream's is"
    for field in sorted(needed - wanted):
        yield f"{name}.{field}: required, upstream's is not"


def all_differences() -> Iterator[str]:
    for name, mine in sorted(ours().items()):
        theirs = upstream().get(name)
        if theirs is None:
            yield f"{name}: not upstream's"
        elif "properties" in theirs or "properties" in mine:
            yield from differences(name, mine, theirs)


def exceptions() -> list[str]:
    lines = (line.strip() for line in EXCEPTIONS.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def test_every_field_is_upstreams_or_on_the_list() -> None:
    assert sorted(set(all_differences()) - set(exceptions())) == []


def test_the_list_only_shrinks() -> None:
    assert sorted(set(exceptions()) - set(all_differences())) == []


@pytest.mark.parametrize("name", ["io.k8s.api.core.v1.PodSpec", "io.k8s.api.apps.v1.DeploymentSpec"])
def test_a_field_that_is_lost_is_noticed(name: str) -> None:
    whole = ours()[name]
    field = sorted(whole["properties"])[0]
    less = whole | {"properties": {key: one for key, one in whole["properties"].items() if key != field}}
    assert f"{name}.{field}: missing" in list(differences(name, less, upstream()[name]))
