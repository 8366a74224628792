"""The official Python client: objects, watches, the dynamic client, streams, leases, and a pod's own way to the API."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.stream import portforward, stream

from clusters import LocalCluster

POD: dict[str, Any] = {
    "metadata": {"name": "box", "labels": {"app": "box"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "busybox:test", "command": ["nc", "-ll", "-p", "7000", "-e", "cat"]}],
    },
}


@pytest.fixture(scope="module")
def api(cluster: LocalCluster) -> Iterator[client.ApiClient]:
    """The administrator's client."""
    with config.new_client_from_config(config_file=cluster.environment["KUBECONFIG"]) as made:
        yield made


@pytest.fixture(scope="module")
def box(cluster: LocalCluster, api: client.ApiClient, shared: str) -> str:
    """The namespace of a pod `box` that echoes on port 7000."""
    client.CoreV1Api(api).create_namespaced_pod(shared, POD)
    cluster.kubectl("wait", "-n", shared, "--for=condition=Ready", "pod/box", "--timeout=60s")
    return shared


def test_objects_are_made_read_changed_and_deleted(api: client.ApiClient, namespace: str) -> None:
    apps = client.AppsV1Api(api)
    labels = {"app": "d"}
    container = client.V1Container(name="web", image="webapp:v1", ports=[client.V1ContainerPort(container_port=8080)])
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(replicas=0, selector=client.V1LabelSelector(match_labels=labels), template=template)
    made = apps.create_namespaced_deployment(
        namespace, client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec)
    )
    assert made.spec.strategy.type == "RollingUpdate"
    assert isinstance(made.metadata.creation_timestamp, datetime)
    made.spec.replicas = 1
    stale = client.V1Deployment(metadata=client.V1ObjectMeta(name="d", resource_version="1"), spec=made.spec)
    with pytest.raises(ApiException) as caught:
        apps.replace_namespaced_deployment("d", namespace, stale)
    assert caught.value.status == 409
    patched = apps.patch_namespaced_deployment("d", namespace, {"metadata": {"labels": {"a": "b"}}})
    assert patched.metadata.labels == {"a": "b"}
    scale = apps.read_namespaced_deployment_scale("d", namespace)
    scale.spec.replicas = 2
    scale.metadata.resource_version = None  # the controller writes the status meanwhile
    assert apps.replace_namespaced_deployment_scale("d", namespace, scale).spec.replicas == 2
    assert [one.metadata.name for one in apps.list_namespaced_deployment(namespace, label_selector="a=b").items] == [
        "d"
    ]
    apps.delete_namespaced_deployment("d", namespace, propagation_policy="Foreground")
    with pytest.raises(ApiException) as caught:
        client.CoreV1Api(api).create_namespaced_pod(namespace, {"metadata": {"name": "Bad Name"}, "spec": POD["spec"]})
    assert caught.value.status == 422
    assert json.loads(caught.value.body)["reason"] == "Invalid"


def test_a_watch_resumes_times_out_and_starts_anew(api: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(api)
    listed = core.list_namespaced_config_map(namespace)
    for number in range(3):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": f"c{number}"}})
    version = listed.metadata.resource_version
    seen: list[tuple[str, str]] = []
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=10
    ):
        name = event["object"].metadata.name
        if name.startswith("c"):
            seen.append((event["type"], name))
        if len(seen) == 2:
            watcher.stop()
    assert seen == [("ADDED", "c0"), ("ADDED", "c1")]
    again = watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=watcher.resource_version, timeout_seconds=1
    )
    assert [event["object"].metadata.name for event in again] == ["c2"]
    from_now = watch.Watch().stream(core.list_namespaced_config_map, namespace, timeout_seconds=1)
    assert {event["type"] for event in from_now} == {"ADDED"}


def test_the_dynamic_client_finds_kinds_by_discovery(api: client.ApiClient, namespace: str) -> None:
    finder = dynamic.DynamicClient(api)
    maps = finder.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(body={"metadata": {"name": "c"}, "data": {"a": "1"}}, namespace=namespace)
    assert made.data.a == "1"
    maps.patch(name="c", namespace=namespace, body={"data": {"a": "2"}}, content_type="application/merge-patch+json")
    assert maps.get(name="c", namespace=namespace).data.to_dict() == {"a": "2"}
    jobs = finder.resources.get(api_version="batch/v1", kind="Job")
    assert jobs.get(namespace=namespace).items == []
    for event in maps.watch(namespace=namespace, name="c", timeout=5):
        assert event["object"].metadata.name == "c"
        break
    maps.delete(name="c", namespace=namespace)


def test_a_custom_kind_is_used_through_the_same_door(api: client.ApiClient, namespace: str) -> None:
    group = f"{namespace}.example.org"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    definition = {
        "metadata": {"name": f"boats.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    extensions, custom = client.ApiextensionsV1Api(api), client.CustomObjectsApi(api)
    extensions.create_custom_resource_definition(definition)
    try:
        for event in watch.Watch().stream(extensions.list_custom_resource_definition, timeout_seconds=20):
            if event["object"].metadata.name == f"boats.{group}" and any(
                one.type == "Established" and one.status == "True" for one in event["object"].status.conditions or ()
            ):
                break
        boat = {"apiVersion": f"{group}/v1", "kind": "Boat", "metadata": {"name": "b"}, "spec": {"size": 3}}
        custom.create_namespaced_custom_object(group, "v1", namespace, "boats", boat)
        got = custom.get_namespaced_custom_object(group, "v1", namespace, "boats", "b")
        assert got["spec"] == {"size": 3}
        with pytest.raises(ApiException) as caught:
            custom.patch_namespaced_custom_object(group, "v1", namespace, "boats", "b", {"spec": {"size": "x"}})
        assert caught.value.status == 422
    finally:
        extensions.delete_custom_resource_definition(f"boats.{group}")


def test_exec_by_its_stream(api: client.ApiClient, box: str) -> None:
    def exec_of(*command: str, **options: Any) -> Any:
        core = client.CoreV1Api(api)
        words = {"stderr": True, "stdin": False, "stdout": True, "tty": False} | options
        return stream(core.connect_get_namespaced_pod_exec, "box", box, command=list(command), **words)

    assert exec_of("echo", "hello") == "hello\n"
    session = exec_of("sh", stdin=True, _preload_content=False)
    session.write_stdin("echo out; echo err >&2; exit 5\n")
    session.run_forever(timeout=20)
    assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("out\n", "err\n", 5)


def test_a_port_is_forwarded(api: client.ApiClient, box: str) -> None:
    core = client.CoreV1Api(api)
    forward = portforward(core.connect_get_namespaced_pod_portforward, "box", box, ports="7000")
    sock = forward.socket(7000)
    sock.settimeout(20)
    sock.sendall(b"to and fro")
    got = b""
    while len(got) < 10:
        got += sock.recv(100)
    assert got == b"to and fro"
    assert forward.error(7000) is None
    sock.close()


def test_logs_are_read_and_followed(cluster: LocalCluster, api: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(api)
    words = ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]
    container = {"name": "main", "image": "busybox:test", "command": words}
    core.create_namespaced_pod(
        namespace, {"metadata": {"name": "p"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    )
    cluster.eventually(lambda: core.read_namespaced_pod_status("p", namespace).status.phase != "Pending")
    assert list(watch.Watch().stream(core.read_namespaced_pod_log, "p", namespace)) == ["1", "2", "3"]
    assert core.read_namespaced_pod_log("p", namespace, tail_lines=1) == "3\n"


class Stop(BaseException):
    """Ends an election: the client's own loop has no way out."""


def test_of_two_candidates_one_leads(cluster: LocalCluster, api: client.ApiClient, namespace: str) -> None:
    """The client's own leader election, over a Lease."""
    client.Configuration.set_default(api.configuration)
    leases = client.CoordinationV1Api(api)
    leading: list[str] = []
    lost: list[str] = []
    over = threading.Event()

    class Lock(LeaseLock):
        """A lock whose holder can be told to stop."""

        def get(self, name: str, namespace: str) -> Any:
            """The lease."""
            if over.is_set():
                raise Stop
            return super().get(name, namespace)

    def candidate(name: str) -> threading.Thread:
        settings = electionconfig.Config(
            Lock("lock", namespace, name), lease_duration=4, renew_deadline=3, retry_period=1.1,
            onstarted_leading=lambda: leading.append(name), onstopped_leading=lambda: lost.append(name),
        )  # fmt: skip

        def run() -> None:
            with contextlib.suppress(Stop):
                leaderelection.LeaderElection(settings).run()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    threads = [candidate("one")]
    cluster.eventually(lambda: leading == ["one"])
    held = leases.read_namespaced_lease("lock", namespace).spec
    assert held.holder_identity == "one"
    threads.append(candidate("two"))
    cluster.eventually(lambda: leases.read_namespaced_lease("lock", namespace).spec.renew_time > held.renew_time)
    assert (leading, lost) == (["one"], [])
    over.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


MACHINE_PYTHON = """
import json, os, ssl, urllib.request
place = "/var/run/secrets/kubernetes.io/serviceaccount"
token = open(place + "/token").read()
asked = urllib.request.Request(
    "https://kubernetes.default.svc/version", headers={"Authorization": "Bearer " + token}
)
context = ssl.create_default_context(cafile=place + "/ca.crt")
major = json.load(urllib.request.urlopen(asked, context=context))["major"]
from kubernetes import client, config
config.load_incluster_config()
me = client.AuthenticationV1Api().create_self_subject_review({}).status.user_info
try:
    client.CoreV1Api().list_node()
    nodes = 200
except client.ApiException as error:
    nodes = error.status
print(json.dumps({"user": me.username, "groups": me.groups, "nodes": nodes, "major": major}))
"""


def test_the_client_in_a_pod_finds_its_way_by_the_environment(cluster: LocalCluster, namespace: str) -> None:
    """With the machine's Python and this repository's packages, mounted read-only."""
    packages = str(Path(kubernetes.__file__).resolve().parents[1])
    places = {"usr": "/usr", "lib": "/lib", "lib64": "/lib64", "packages": packages}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client"},
        "spec": {
            "restartPolicy": "Never",
            "volumes": [{"name": name, "hostPath": {"path": path}} for name, path in places.items()],
            "containers": [
                {
                    "name": "main",
                    "image": "busybox:test",
                    "command": ["/usr/bin/python3", "-c", MACHINE_PYTHON],
                    "env": [{"name": "PYTHONPATH", "value": "/packages"}],
                    "volumeMounts": [
                        {"name": name, "mountPath": "/packages" if name == "packages" else path, "readOnly": True}
                        for name, path in places.items()
                    ],
                }
            ],
        },
    }
    cluster.apply(namespace, json.dumps(pod))
    ended = ("Succeeded", "Failed")
    cluster.eventually(lambda: cluster.get("pod", "client", "-n", namespace)["status"]["phase"] in ended)
    told = cluster.kubectl("logs", "-n", namespace, "client")
    assert told.startswith("{"), told
    assert json.loads(told) == {
        "user": f"system:serviceaccount:{namespace}:default",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "nodes": 403,
        "major": "1",
    }
