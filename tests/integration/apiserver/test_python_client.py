"""The official Python client, its watch included."""

from __future__ import annotations

import pytest
from kubernetes import client, config, watch

from tests.servers import Servers


@pytest.fixture(scope="module")
def core(servers: Servers) -> client.CoreV1Api:
    """The core group's client."""
    return client.CoreV1Api(config.new_client_from_config(config_file=str(servers.kubeconfig)))


def test_it_creates_lists_and_watches(core: client.CoreV1Api) -> None:
    space = "python-client"
    core.create_namespace({"metadata": {"name": space}})
    listed = core.list_namespaced_config_map(space)
    for n in range(3):
        core.create_namespaced_config_map(space, {"metadata": {"name": f"a{n}"}, "data": {"n": str(n)}})
    seen = []
    stream = watch.Watch()
    for event in stream.stream(
        core.list_namespaced_config_map, space, resource_version=listed.metadata.resource_version, timeout_seconds=20
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 3:
            stream.stop()
    assert seen == [("ADDED", "a0"), ("ADDED", "a1"), ("ADDED", "a2")]
    core.patch_namespaced_config_map("a0", space, {"data": {"n": "9"}})
    assert core.read_namespaced_config_map("a0", space).data == {"n": "9"}
    with pytest.raises(client.ApiException) as caught:
        core.read_namespaced_config_map("b", space)
    assert caught.value.status == 404


def test_unversioned_calls(servers: Servers) -> None:
    api = config.new_client_from_config(config_file=str(servers.kubeconfig))
    assert client.VersionApi(api).get_code().git_version.startswith("v1.37.0")
    groups = {group.name for group in client.ApisApi(api).get_api_versions().groups}
    assert {"apps", "batch", "coordination.k8s.io"} <= groups
