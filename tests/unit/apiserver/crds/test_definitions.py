"""CustomResourceDefinitions: what is refused, what is filled in, which names are granted."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.crds import naming
from apiserver.crds.schema_rules import check_schema
from apiserver.kind import Context
from apiserver.kinds.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from sampan.api.apiextensions_v1 import CustomResourceDefinition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STRATEGY = CUSTOM_RESOURCE_DEFINITION.strategy
GOOD: dict[str, Any] = {
    "metadata": {"name": "crontabs.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"]},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def context(warnings: list[str], *others: CustomResourceDefinition) -> Context:
    server: Any = SimpleNamespace(peek_all=lambda _: [one.to_json() for one in others])
    return Context(server, None, "", NOW, warn=warnings.append)  # type: ignore[arg-type]  # nobody in particular


def begun(value: dict[str, Any], *others: CustomResourceDefinition) -> tuple[CustomResourceDefinition, list[str]]:
    warnings: list[str] = []
    made = CustomResourceDefinition.from_json(value)
    STRATEGY.prepare_create(made, context(warnings, *others))
    return made, warnings


def changed(**paths: Any) -> dict[str, Any]:
    made = copy.deepcopy(GOOD)
    for path, value in paths.items():
        place: Any = made
        *before, last = path.split("__")
        for key in before:
            place = place[int(key)] if key.isdigit() else place[key]
        place[last] = value
    return made


def broken(value: dict[str, Any]) -> list[str]:
    return [str(error) for error in STRATEGY.validate(begun(value)[0])]


def test_a_definition_is_established_as_it_is_made() -> None:
    made, warnings = begun(GOOD)
    assert not warnings
    assert not list(STRATEGY.validate(made))
    assert made.spec.names.singular == "crontab"
    assert made.spec.names.list_kind == "CronTabList"
    assert made.spec.conversion is not None
    assert made.spec.conversion.strategy == "None"
    assert made.metadata.finalizers == ["customresourcecleanup.apiextensions.k8s.io"]
    assert made.status.stored_versions == ["v1"]
    assert [(one.type, one.status, one.reason) for one in made.status.conditions] == [
        ("NamesAccepted", "True", "NoConflicts"),
        ("Established", "True", "InitialNamesAccepted"),
    ]


def test_names_that_are_in_use_are_not_granted_until_they_are_free() -> None:
    first, _ = begun(GOOD)
    second, _ = begun(
        changed(metadata__name="tabs.example.com", spec__names__plural="tabs", spec__names__singular="tab"), first
    )
    assert [(one.type, one.status, one.reason) for one in second.status.conditions] == [
        ("NamesAccepted", "False", "ShortNamesConflict"),
        ("Established", "False", "NotAccepted"),
    ]
    assert second.status.conditions[0].message == '"ct" is already in use'
    later = naming.status_of(second, [], {}, NOW)
    assert naming.is_true(later.conditions, "NamesAccepted")
    assert naming.is_true(later.conditions, "Established")


def schema(**more: Any) -> dict[str, Any]:
    return changed(spec__versions__0__schema={"openAPIV3Schema": {"type": "object", **more}})


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (
            changed(metadata__name="x.example.com"),
            'metadata.name: Invalid value: "x.example.com": must be spec.names.plural+"."+spec.group',
        ),
        (
            changed(metadata__name="crontabs.example", spec__group="example"),
            'spec.group: Invalid value: "example": should be a domain with at least one dot',
        ),
        (
            changed(spec__scope="Everywhere"),
            'spec.scope: Unsupported value: "Everywhere": supported values: "Cluster", "Namespaced"',
        ),
        (
            changed(spec__preserveUnknownFields=True),
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set "
            "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ),
        (
            changed(spec__conversion={"strategy": "Webhook"}),
            "spec.conversion.strategy: Forbidden: conversion by webhook is not supported by this server yet: use None, "
            "or one version",
        ),
        (
            changed(spec__names__listKind="CronTab"),
            'spec.names.listKind: Invalid value: "CronTab": kind and listKind may not be the same',
        ),
        (
            changed(metadata__name="crontabs.x.k8s.io", spec__group="x.k8s.io"),
            "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval "
            'annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
        ),
        (
            changed(spec__versions__0__schema=None),
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (
            changed(spec__versions__0__additionalPrinterColumns=[{"name": "a", "type": "x", "jsonPath": ".a"}]),
            'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "x": must be one of '
            "boolean,date,integer,number,string",
        ),
        (
            changed(
                spec__versions__0__subresources={
                    "scale": {"specReplicasPath": ".status.a", "statusReplicasPath": ".status.b"}
                }
            ),
            'spec.versions[0].subresources.scale.specReplicasPath: Invalid value: ".status.a": should be a json path '
            "under .spec",
        ),
        (
            changed(spec__versions__0__selectableFields=[{"jsonPath": ".spec.a"}]),
            'spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.a": is an invalid path: does not '
            "refer to a valid field: spec",
        ),
    ],
)
def test_a_definition_is_refused_in_upstreams_words(value: dict[str, Any], error: str) -> None:
    assert broken(value) == [error]


def test_exactly_one_version_is_stored() -> None:
    value = changed(spec__versions__0__storage=False)
    assert any("must have exactly one version marked as storage version" in one for one in broken(value))


AT = "s.properties[a]"


@pytest.mark.parametrize(
    ("inner", "error"),
    [
        ({}, f"{AT}.type: Required value: must not be empty for specified object fields"),
        ({"type": "array"}, f"{AT}.items: Required value: must be specified"),
        (
            {"type": "array", "items": {}},
            f"{AT}.items.type: Required value: must not be empty for specified array items",
        ),
        ({"type": "string", "$ref": "#/x"}, f"{AT}.$ref: Forbidden: $ref is not supported"),
        (
            {"type": "object", "additionalProperties": False},
            f"{AT}.additionalProperties: Forbidden: additionalProperties cannot be set to false",
        ),
        (
            {"type": "object", "additionalProperties": True, "properties": {"b": {"type": "string"}}},
            f"{AT}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            f"{AT}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes "
            "quadratic",
        ),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": False},
            f"{AT}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined",
        ),
        (
            {"type": "integer", "anyOf": [{"type": "integer"}]},
            f"{AT}.anyOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            {"type": "object", "anyOf": [{"properties": {"b": {"minimum": 1}}}]},
            f"{AT}.properties[b]: Required value: because it is defined in {AT}.anyOf[0].properties[b]",
        ),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "bag"},
            f'{AT}.x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "map", "set"',
        ),
        (
            {
                "type": "array",
                "items": {"type": "object", "properties": {"b": {"type": "string"}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["b"],
            },
            f"{AT}.items.properties[b].default: Required value: this property is in x-kubernetes-list-map-keys, so it "
            "must have a default or be a required property",
        ),
        (
            {"type": "integer", "default": "x"},
            f'{AT}.default: Invalid value: "string": {AT}.default in body must be of type integer: "string"',
        ),
        (
            {"type": "object", "default": {"b": 1}},
            f'{AT}.default: Invalid value: {{"b":1}}: must not have unknown fields',
        ),
    ],
)
def test_a_schema_that_is_not_structural_is_refused(inner: Any, error: str) -> None:
    assert [str(one) for one in check_schema({"type": "object", "properties": {"a": inner}}, "s")] == [error]


def test_a_bad_pattern_is_refused() -> None:
    found = broken(schema(properties={"a": {"type": "string", "pattern": "(a)\\1"}}))
    assert len(found) == 1
    assert "must be a valid regular expression, but isn't: error parsing regexp" in found[0]


@pytest.mark.parametrize(
    "inner",
    [
        {"x-kubernetes-int-or-string": True},
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^[0-9]+$"},
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "properties": {"b": {"type": "string"}}, "oneOf": [{"required": ["b"]}]},
    ],
)
def test_a_structural_schema_is_accepted(inner: Any) -> None:
    assert not broken(schema(properties={"a": inner}))


def test_below_items_a_schema_is_checked_too() -> None:
    _, warnings = begun(schema(properties={"a": {"type": "array", "items": {"type": "string", "tipe": "x"}}}))
    path = "spec.versions[0].schema.openAPIV3Schema.properties[a].items.tipe"
    assert warnings == [f'unknown field "{path}"']
    found = broken(schema(properties={"a": {"type": "array", "items": {"type": 5}}}))
    assert len(found) == 1
    assert ".properties[a].items.type: Invalid value: 5" in found[0]


def test_rules_in_cel_are_kept_with_a_warning() -> None:
    rules = [{"rule": "self.a > 1"}]
    made, warnings = begun(schema(**{"properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": rules}))
    assert len(warnings) == 1
    assert "x-kubernetes-validations are kept but not evaluated" in warnings[0]
    kept = made.to_json()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert kept["x-kubernetes-validations"] == rules


def test_what_is_established_does_not_change_its_kind_nor_lose_a_stored_version() -> None:
    old, _ = begun(GOOD)
    value = changed(spec__names__kind="Other", spec__versions__0__name="v2", spec__scope="Cluster")
    new = CustomResourceDefinition.from_json(value)
    new.status = old.status
    STRATEGY.prepare_update(new, old, context([]))
    found = [str(error) for error in STRATEGY.validate_update(new, old)]
    assert 'spec.scope: Invalid value: "Cluster": field is immutable' in found
    assert 'spec.names.kind: Invalid value: "Other": field is immutable' in found
    assert any("v1 was previously a storage version, and must remain in spec.versions" in one for one in found)
    assert new.status.stored_versions == ["v1", "v2"]


@pytest.mark.parametrize(
    ("via", "levels"), [("properties", 100), ("items", 100), ("items", 200), ("additionalProperties", 200)]
)
def test_a_bottomless_schema_is_refused(via: str, levels: int) -> None:
    inner: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        below: Any = {"a": inner} if via == "properties" else inner
        inner = {"type": "array" if via == "items" else "object", via: below}
    value = changed(spec__versions__0__schema=None)
    value["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"a": inner}}}
    path = "spec.versions[0].schema.openAPIV3Schema"
    assert broken(value) == [f'{path}: Invalid value: "object": must not have more than 80 levels']
