"""Clusters as a user handles them: started twice, side by side, stopped, grown, and robbed of their supervisor."""

from __future__ import annotations

import os
import signal

import yaml

from clusters import LocalCluster


def test_a_second_start_changes_nothing_and_says_so(cluster: LocalCluster) -> None:
    before = cluster.component_pid("apiserver")
    assert "already running" in cluster.kctl("cluster", "start", cluster.name)
    assert cluster.component_pid("apiserver") == before


def test_a_cluster_prints_the_description_it_was_started_from(cluster: LocalCluster) -> None:
    described = yaml.safe_load(cluster.kctl("cluster", "get", cluster.name, "-o", "yaml"))
    assert described["kind"] == "Cluster"
    assert [node["name"] for node in described["spec"]["nodes"]] == ["n1", "n2", "n3"]


def test_an_unknown_cluster_is_an_error_that_names_the_known_ones(cluster: LocalCluster) -> None:
    done = cluster.run("kctl", "cluster", "status", "atlantis", code=1)
    assert done.stderr.startswith("error: cluster atlantis: there is no such cluster")
    assert cluster.name in done.stderr


def test_two_clusters_live_side_by_side(cluster: LocalCluster) -> None:
    with LocalCluster.started(name="other", nodes=1) as other:
        assert {node["metadata"]["name"] for node in other.get("nodes")} == {"n1"}
        assert len(cluster.get("nodes")) == 3
        addresses = [one.get("node", "n1")["status"]["addresses"][0]["address"] for one in (cluster, other)]
        assert addresses[0] == addresses[1], "each has a network of its own, so they need not differ"
    assert len(cluster.get("nodes")) == 3


def test_nodes_come_and_go_and_a_killed_supervisor_is_succeeded() -> None:
    with LocalCluster.started(name="grow", nodes=1) as cluster:
        cluster.kctl("cluster", "node", "add", "--cluster", "grow")
        assert {node["metadata"]["name"] for node in cluster.get("nodes")} == {"n1", "n2"}

        supervisor = int(cluster.places.run.joinpath("supervisor.pid").read_text())
        before = {name: cluster.component_pid(name) for name in ("etcd", "apiserver", "node/n1", "node/n2")}
        os.kill(supervisor, signal.SIGKILL)
        cluster.kctl("cluster", "start", "grow", timeout=90)
        assert {name: cluster.component_pid(name) for name in before} == before

        os.kill(before["apiserver"], signal.SIGKILL)
        cluster.eventually(lambda: cluster.component_pid("apiserver") not in (0, before["apiserver"]))
        cluster.eventually(lambda: len(cluster.get("nodes")) == 2)

        cluster.kctl("cluster", "node", "remove", "n2", "--cluster", "grow", timeout=90)
        cluster.eventually(lambda: {node["metadata"]["name"] for node in cluster.get("nodes")} == {"n1"})
        assert not cluster.places.node("n2").state.exists()
