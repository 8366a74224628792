"""Custom resources over HTTP and etcd, by the real kubectl and our own informer."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from sampan.api.base import KubeObject, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.client import Client
from sampan.informer import Informer
from sampan.resource import Resource
from tests.servers import Servers

ROOT = Path(__file__).parents[4]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Work that is done again and again.",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["cronSpec"],
            "properties": {
                "cronSpec": {"type": "string", "pattern": r"^\S+( \S+){4}$", "description": "When it is done."},
                "color": {"type": "string"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
            },
        },
        "status": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "labelSelector": {"type": "string"}},
        },
    },
}
numbers = count(1)


class CronTab(KubeObject):
    """What the tests read of a custom object."""

    API_VERSION = "stable.example.com/v1"
    KIND = "CronTab"
    api_version: str = field("stable.example.com/v1")
    kind: str = field("CronTab")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: dict[str, Any] = field(default_factory=dict)


class Kind:
    """A custom kind of a test's own, defined and established."""

    def __init__(self, servers: Servers, *, scope: str = "Namespaced") -> None:
        self.servers = servers
        self.group = f"g{next(numbers)}.example.com"
        self.name = f"crontabs.{self.group}"
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": copy.deepcopy(SCHEMA)},
            "subresources": {
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.labelSelector",
                },
            },
            "selectableFields": [{"jsonPath": ".spec.color"}],
            "additionalPrinterColumns": [
                {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
                {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
            ],
        }
        self.definition: dict[str, Any] = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": self.group,
                "scope": scope,
                "names": {"plural": "crontabs", "kind": "CronTab"},
                "versions": [version],
            },
        }

    def object(self, name: str, *, version: str = "v1", **spec: Any) -> dict[str, Any]:
        given = {"cronSpec": "* * * * */5", **spec}
        return {
            "apiVersion": f"{self.group}/{version}",
            "kind": "CronTab",
            "metadata": {"name": name},
            "spec": {key: value for key, value in given.items() if value is not None},
        }

    def define(self) -> None:
        self.apply(self.definition)
        self.servers.kubectl("wait", "--for=condition=Established", f"crd/{self.name}", "--timeout=10s")

    def apply(self, value: dict[str, Any], *flags: str, check: bool = True) -> str:
        return self.servers.kubectl("apply", *flags, "-f", "-", stdin=yaml.safe_dump(value), check=check)

    def table(self, *arguments: str) -> list[list[str]]:
        text = self.servers.kubectl("get", self.name, *arguments)
        return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]

    def read(self, name: str, what: str = "") -> Any:
        value = yaml.safe_load(self.servers.kubectl("get", what or self.name, name, "-o", "yaml"))
        return value


@pytest.fixture
def kind(servers: Servers) -> Iterator[Kind]:
    made = Kind(servers)
    made.define()
    yield made
    servers.kubectl("delete", "crd", made.name, "--ignore-not-found", "--timeout=20s")


@pytest.fixture
def controllers(servers: Servers, tmp_path: Path) -> Iterator[None]:
    config = tmp_path / "controllers.json"
    kubeconfig = servers.kubeconfig_of("system:kube-controller-manager")
    config.write_text(json.dumps({"kubeconfig": str(kubeconfig), "leader_elect": False}))
    with (tmp_path / "controllers.log").open("wb") as log:
        command = [sys.executable, "-m", "controllers.main", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
    yield
    process.terminate()
    process.wait(10)


def test_an_object_is_applied_shown_scaled_and_explained(kind: Kind) -> None:
    kubectl = kind.servers.kubectl
    assert kind.apply(kind.object("my")) == f"crontab.{kind.group}/my created\n"
    assert kind.apply(kind.object("my")) == f"crontab.{kind.group}/my unchanged\n"
    assert kind.apply(kind.definition).endswith(" unchanged\n")
    head, row = kind.table()
    assert head == ["NAME", "SPEC", "REPLICAS", "AGE"]
    assert row[:3] == ["my", "* * * * */5", "1"]
    kubectl("scale", f"{kind.name}/my", "--replicas=3")
    assert kind.read("my")["spec"]["replicas"] == 3
    assert kind.read("my")["metadata"]["generation"] == 2
    text = kubectl("explain", f"{kind.name}.spec.cronSpec")
    assert "When it is done." in text
    assert "FIELD: cronSpec <string>" in text


def test_status_changes_by_its_subresource_only(kind: Kind) -> None:
    kubectl = kind.servers.kubectl
    kind.apply(kind.object("my") | {"status": {"replicas": 9}})
    assert "status" not in kind.read("my")
    patch = '{"spec":{"replicas":7},"status":{"replicas":2,"labelSelector":"a=b"}}'
    kubectl("patch", kind.name, "my", "--subresource=status", "--type=merge", "-p", patch)
    found = kind.read("my")
    assert (found["spec"]["replicas"], found["status"]["replicas"]) == (1, 2)
    assert found["metadata"]["generation"] == 1
    complaint = kubectl(
        "patch", kind.name, "my", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":"x"}}',
        check=False,
    )  # fmt: skip
    assert (
        'status.replicas: Invalid value: "string": status.replicas in body must be of type integer: "string"'
        in complaint
    )


def test_what_the_schema_refuses_is_refused_in_upstreams_words(kind: Kind, tmp_path: Path) -> None:
    def complaint(value: dict[str, Any]) -> str:
        return kind.apply(value, check=False).strip()

    assert complaint(kind.object("bad", replicas="x")) == (
        'The CronTab "bad" is invalid: spec.replicas: Invalid value: "string": '
        'spec.replicas in body must be of type integer: "string"'
    )
    assert complaint(kind.object("bad", cronSpec=None)) == 'The CronTab "bad" is invalid: spec.cronSpec: Required value'
    assert "* spec.replicas: Invalid value: 0: spec.replicas in body should be greater than" in complaint(
        kind.object("bad", replicas=0, cronSpec="x")
    )
    kind.apply(kind.object("good"))
    assert 'unknown field "spec.x"' in kind.apply(kind.object("good", x=1), check=False)
    kept = kind.apply(kind.object("good", x=1), "--validate=warn", check=False)
    assert 'Warning: unknown field "spec.x"' in kept
    assert "x" not in kind.read("good")["spec"]
    twice = tmp_path / "twice.json"
    text = json.dumps(kind.object("twice"))
    twice.write_text(text.replace('"spec": {', '"spec": {"color": "red", "color": "blue", '))
    path = f"/apis/{kind.group}/v1/namespaces/default/crontabs?fieldValidation=Strict"
    refusal = kind.servers.kubectl("create", "--raw", path, "-f", str(twice), check=False)
    assert 'strict decoding error: duplicate field "spec.color"' in refusal
    refusal = kind.servers.kubectl("patch", kind.name, "good", "-p", '{"spec":{"replicas":2}}', check=False)
    assert "application/strategic-merge-patch+json is not supported" in refusal
    change = '[{"op":"test","path":"/spec/replicas","value":1},{"op":"replace","path":"/spec/replicas","value":100}]'
    refusal = kind.servers.kubectl("patch", kind.name, "good", "--type=json", "-p", change, check=False)
    assert "spec.replicas in body should be less than or equal to 10" in refusal


def test_objects_are_selected_by_their_fields_and_deleted_together(kind: Kind) -> None:
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        kind.apply(kind.object(name, color=color))
    assert [row[0] for row in kind.table("--field-selector=spec.color=red")[1:]] == ["a", "c"]
    refusal = kind.servers.kubectl("get", kind.name, "--field-selector=spec.replicas=1", check=False)
    assert "field label not supported: spec.replicas" in refusal
    kind.servers.kubectl("delete", kind.name, "--all")
    assert "No resources found" in kind.servers.kubectl("get", kind.name, check=False)


def test_a_deleted_definition_takes_its_objects_with_it(kind: Kind) -> None:
    kubectl = kind.servers.kubectl
    held = kind.object("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    kind.apply(held)
    kind.apply(kind.object("free"))
    kubectl("delete", "crd", kind.name, "--wait=false")
    kubectl("wait", "--for=delete", f"{kind.name}/free", "--timeout=10s")
    conditions = {one["type"]: one["status"] for one in kind.read(kind.name, "crd")["status"]["conditions"]}
    assert conditions["Terminating"] == "True"
    assert (
        "could not be created" in (answer := kind.apply(kind.object("new"), check=False)) or "does not allow" in answer
    )
    kubectl("patch", kind.name, "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("wait", "--for=delete", f"crd/{kind.name}", "--timeout=10s")
    kind.define()
    assert "No resources found" in kubectl("get", kind.name, check=False)


def test_versions_differ_in_nothing_but_their_name_and_schema(kind: Kind) -> None:
    second = copy.deepcopy(kind.definition["spec"]["versions"][0]) | {"name": "v2", "storage": False}
    second["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"] = {"type": "string", "default": "M"}
    kind.apply(kind.object("old"))
    kind.definition["spec"]["versions"].append(second)
    kind.define()
    assert kind.read("old", f"crontabs.v2.{kind.group}")["spec"]["size"] == "M"
    kind.apply(kind.object("new", version="v2", size="L"))
    found = kind.read("new", f"crontabs.v1.{kind.group}")
    assert found["apiVersion"] == f"{kind.group}/v1"
    assert "size" not in found["spec"]
    kind.definition["spec"]["versions"] = [second | {"storage": True}]
    refusal = kind.apply(kind.definition, check=False)
    assert "v1 was previously a storage version, and must remain in spec.versions" in refusal


def test_rules_that_are_not_evaluated_are_warned_of(servers: Servers) -> None:
    kind = Kind(servers)
    kind.definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = [{"rule": "true"}]
    assert "Warning: " in (told := kind.apply(kind.definition, check=False))
    assert "x-kubernetes-validations are kept but not evaluated" in told
    servers.kubectl("delete", "crd", kind.name)


async def test_an_informer_follows_objects(kind: Kind) -> None:
    resource = Resource(kind.group, "v1", "CronTab", "crontabs", CronTab)
    async with Client.from_kubeconfig(str(kind.servers.kubeconfig)) as client, asyncio.TaskGroup() as group:
        informer = Informer(client, resource)
        running = group.create_task(informer.run())
        await informer.synced()
        seen: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        informer.subscribe(lambda change: seen.put_nowait((change.object.metadata.name or "", change.new)))
        await asyncio.to_thread(kind.apply, kind.object("watched", replicas=4))
        async with asyncio.timeout(10):
            name, new = await seen.get()
        assert (name, new.spec["replicas"]) == ("watched", 4)
        await client.delete(resource, "watched", "default")
        async with asyncio.timeout(10):
            assert await seen.get() == ("watched", None)
        running.cancel()


def until(what: Any, seconds: float = 10) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_every_server_serves_them_and_so_does_the_next_one(own_servers: Servers) -> None:
    servers = own_servers
    first = servers.server
    servers.start_server().wait(servers.tls())
    second = servers.kubeconfig_of("second-admin", ("system:masters",))
    kind = Kind(servers)
    kind.define()
    text = yaml.safe_dump(kind.object("my"))
    servers.kubectl("create", "-f", "-", stdin=text, kubeconfig=second)
    assert kind.table()[1][0] == "my"
    port = first.port
    first.stop()
    servers.start_server(port).wait(servers.tls())
    assert kind.table()[1][0] == "my"
    servers.kubectl("delete", "crd", kind.name, "--timeout=10s")
    until(lambda: "doesn't have a resource type" in servers.kubectl("get", kind.name, check=False, kubeconfig=second))


def test_a_kind_is_served_the_moment_it_is_defined(servers: Servers, tmp_path: Path) -> None:
    kind = Kind(servers, scope="Cluster")
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all([kind.definition]))
    servers.kubectl("create", "-f", str(path))
    body = tmp_path / "my.json"
    body.write_text(json.dumps(kind.object("my")))
    servers.kubectl("create", "--raw", f"/apis/{kind.group}/v1/crontabs", "-f", str(body))
    assert kind.read("my")["spec"]["replicas"] == 1
    servers.kubectl("delete", "crd", kind.name)


async def test_a_watch_ends_when_its_kind_changes(kind: Kind, api: Any) -> None:
    path = f"{api.servers.url}/apis/{kind.group}/v1/crontabs?watch=true&timeoutSeconds=60"
    async with asyncio.timeout(10), api.session.get(path) as answer:
        await asyncio.to_thread(kind.apply, kind.object("my"))
        assert json.loads(await answer.content.readline())["object"]["metadata"]["name"] == "my"
        fields = kind.definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        fields["size"] = {"type": "string", "default": "M"}
        await asyncio.to_thread(kind.apply, kind.definition)
        assert await answer.content.read() == b""
    async with asyncio.timeout(10), api.session.get(path) as answer:
        assert json.loads(await answer.content.readline())["object"]["spec"]["size"] == "M"
        await asyncio.to_thread(kind.servers.kubectl, "delete", "crd", kind.name)
        assert json.loads(await answer.content.readline())["type"] == "DELETED"
        assert await answer.content.read() == b""


def test_owners_and_namespaces_take_their_objects_with_them(kind: Kind, controllers: None) -> None:
    kubectl = kind.servers.kubectl
    team = f"team-{kind.group.partition('.')[0]}"
    kubectl("create", "namespace", team)
    kind.apply(kind.object("parent"), "-n", team)
    owner = yaml.safe_load(kubectl("get", kind.name, "parent", "-n", team, "-o", "yaml"))
    child = kind.object("child")
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": owner["apiVersion"], "kind": "CronTab", "name": "parent", "uid": owner["metadata"]["uid"]}
    ]
    kind.apply(child, "-n", team)
    kind.apply(kind.object("other"), "-n", team)
    kubectl("delete", kind.name, "parent", "-n", team)
    kubectl("wait", "--for=delete", f"{kind.name}/child", "-n", team, "--timeout=20s")
    assert [row[0] for row in kind.table("-n", team)[1:]] == ["other"]
    kubectl("delete", "namespace", team, "--timeout=30s")
    assert "No resources found" in kubectl("get", kind.name, "-A", check=False)
