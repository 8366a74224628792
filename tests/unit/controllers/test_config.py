"""The controllers' settings, and what the API server serves as it tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controllers import config
from controllers.config import Config, ConfigError
from controllers.discovery import Catalogue, discover
from controllers.main import Declared, main
from sampan.client import Client
from sampan.errors import ApiError


def test_defaults_are_those_of_kubernetes() -> None:
    found = config.parse({"kubeconfig": "x"})
    assert (found.node_monitor_grace_seconds, found.cluster_cidr, found.node_cidr_mask) == (40, "10.244.0.0/16", 24)
    assert config.parse({"kubeconfig": "x", "node_monitor_grace_seconds": 4}).node_monitor_grace_seconds == 4


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "kubeconfig is required"),
        ({"kubeconfig": 1}, "kubeconfig must be str, not 1"),
        ({"kubeconfig": "x", "leader_elect": "yes"}, "leader_elect must be bool, not 'yes'"),
        ({"kubeconfig": "x", "node_cidr_mask": True}, "node_cidr_mask must be int, not True"),
        ({"kubeconfig": "x", "mask": 1}, "unknown settings mask; known are kubeconfig"),
        ({"kubeconfig": "x", "node_monitor_grace_seconds": 0}, "must be above 0 s"),
    ],
)
def test_a_wrong_setting_is_named(value: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.parse(value)


def test_files_that_can_not_be_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none")]) == 2
    assert f"{tmp_path}/none: No such file or directory" in capsys.readouterr().err
    (tmp_path / "list").write_text("[]")
    assert main(["--config", str(tmp_path / "list")]) == 2
    assert "a JSON object is wanted" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"root_ca_file /none"):
        Declared(Config("x", root_ca_file="/none"))
    with pytest.raises(ConfigError, match=r"cluster_cidr"):
        Declared(Config("x", cluster_cidr="10.0.0.0/24", node_cidr_mask=16))


class Told(Client):
    """A client whose server answers from a table."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    async def get_json(self, path: str, *, accept: str = "application/json") -> Any:
        if path not in self._answers:
            raise ApiError(503, "ServiceUnavailable", "down")
        return self._answers[path]


def named(catalogue: Catalogue) -> list[tuple[str, str, bool, bool]]:
    return [
        (o.resource.api_version, o.resource.plural, o.resource.namespaced, "list" in o.verbs) for o in catalogue.served
    ]


async def test_both_forms_of_discovery_say_the_same() -> None:
    verbs = ["list", "watch", "delete"]
    plain = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}]},
        "/api/v1": {
            "resources": [
                {"name": "nodes", "kind": "Node", "namespaced": False, "verbs": verbs},
                {"name": "nodes/status", "kind": "Node", "namespaced": False, "verbs": ["get"]},
            ]
        },
        "/apis/apps/v1": {
            "resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": verbs}]
        },
    }

    def group(name: str, resource: str, kind: str, scope: str) -> dict[str, Any]:
        one = {"resource": resource, "responseKind": {"kind": kind}, "scope": scope, "verbs": verbs}
        versions = [{"version": "v1", "freshness": "Current", "resources": [one]}]
        return {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": name}, "versions": versions}]}

    aggregated = {
        "/api": group("", "nodes", "Node", "Cluster"),
        "/apis": group("apps", "deployments", "Deployment", "Namespaced"),
    }
    found = await discover(Told(plain))
    assert named(found) == named(await discover(Told(aggregated)))
    assert named(found) == [("v1", "nodes", False, True), ("apps/v1", "deployments", True, True)]
    deployments = found.find("apps/v1beta9", "Deployment")
    assert deployments is not None
    assert deployments.api_version == "apps/v1"
    assert found.find("v1", "Deployment") is None


async def test_a_group_that_does_not_answer_is_told() -> None:
    groups = {
        "groups": [{"name": "down.example.org", "versions": [{"groupVersion": "down.example.org/v1", "version": "v1"}]}]
    }
    found = await discover(Told({"/api": {"versions": []}, "/apis": groups}))
    assert found.broken == ("down.example.org/v1",)
