"""A cluster saved and brought back, and a node begun anew."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from clusters import BIN, LocalCluster
from deploy import freezer, syscalls

KEEPER = """
apiVersion: v1
kind: Pod
metadata: {name: keeper}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:test
      command: [sleep, "100000"]
      volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes: [{name: scratch, emptyDir: {}}]
"""
SNAPSHOT = ("cluster", "snapshot")


@pytest.fixture(scope="module")
def saved() -> Iterator[LocalCluster]:
    """One node, a pod with a volume, and a ConfigMap."""
    with LocalCluster.started(name="saved", nodes=1) as cluster:
        cluster.build_busybox()
        cluster.eventually(lambda: cluster.get("serviceaccount", "default"))
        cluster.apply("default", KEEPER, ready="keeper")
        cluster.kubectl("create", "configmap", "fact", "--from-literal=it=old")
        yield cluster


def file_in_pod(cluster: LocalCluster) -> str:
    return cluster.inside("default", "keeper", "cat /scratch/file; ls /scratch")


def test_objects_and_volumes_come_back_and_credentials_stay(saved: LocalCluster) -> None:
    saved.inside("default", "keeper", "echo old > /scratch/file; ln /scratch/file /scratch/same; mkfifo /scratch/pipe")
    kubeconfig = saved.kctl("cluster", "kubeconfig", "saved")
    address = saved.get("pod", "keeper")["status"]["podIP"]
    assert "stood still" in saved.kctl(*SNAPSHOT, "save", "saved", "before")
    saved.inside("default", "keeper", "echo new > /scratch/file; touch /scratch/more")
    saved.kubectl("create", "configmap", "later")
    saved.kubectl("delete", "configmap", "fact")
    listed = saved.kctl(*SNAPSHOT, "list", "saved").splitlines()
    assert listed[1].split()[0] == "before"

    saved.kctl(*SNAPSHOT, "restore", "saved", "before", timeout=120)
    assert saved.get("configmap", "fact")["data"] == {"it": "old"}
    assert "later" not in {one["metadata"]["name"] for one in saved.get("configmaps")}
    saved.eventually(lambda: file_in_pod(saved) == "old\nfile\npipe\nsame\n")
    assert saved.get("pod", "keeper")["status"]["podIP"] == address
    assert saved.kctl("cluster", "kubeconfig", "saved") == kubeconfig


def test_a_tag_is_taken_once_and_a_wrong_one_named(saved: LocalCluster) -> None:
    saved.kctl(*SNAPSHOT, "save", "saved", "once")
    assert "has a snapshot 'once' already" in saved.run("kctl", *SNAPSHOT, "save", "saved", "once", code=1).stderr
    assert "its snapshots are: " in saved.run("kctl", *SNAPSHOT, "restore", "saved", "never", code=1).stderr
    assert "not 1 to 63" in saved.run("kctl", *SNAPSHOT, "save", "saved", "../up", code=1).stderr
    saved.kctl(*SNAPSHOT, "delete", "saved", "once")
    assert "once" not in saved.kctl(*SNAPSHOT, "list", "saved")


def test_a_save_that_is_killed_leaves_a_running_cluster_and_nothing_to_list(saved: LocalCluster) -> None:
    unfinished = saved.places.state / "snapshots" / ".saving"
    nodes = f"{saved.places.cgroup}/nodes/n1"
    with subprocess.Popen(
        [str(BIN / "kctl"), *SNAPSHOT, "save", "saved", "half"], env=saved.environment, stdout=subprocess.DEVNULL
    ) as saving:
        deadline = time.monotonic() + 30
        while not unfinished.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        saving.send_signal(signal.SIGKILL)
    assert unfinished.exists(), "it was to be killed in the middle"
    saved.eventually(lambda: not freezer.is_frozen(nodes))
    assert saved.get("nodes")
    assert "half" not in saved.run("kctl", *SNAPSHOT, "list", "saved").stdout
    saved.kctl(*SNAPSHOT, "save", "saved", "half")
    assert not unfinished.exists()
    saved.kctl(*SNAPSHOT, "delete", "saved", "half")


def test_what_a_user_mounted_into_the_cluster_is_not_copied(saved: LocalCluster) -> None:
    place = saved.places.state / "nodes" / "mine"
    place.mkdir()
    syscalls.mount("tmpfs", str(place), "tmpfs")
    try:
        refused = saved.run("kctl", *SNAPSHOT, "save", "saved", "x", code=1).stderr
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
    assert f"something is mounted at {place}" in refused
    assert saved.get("nodes"), "it goes on"


def test_a_paused_cluster_is_saved_and_stays_paused(saved: LocalCluster) -> None:
    saved.kctl("cluster", "pause", "saved")
    saved.kctl(*SNAPSHOT, "save", "saved", "asleep")
    assert "paused" in saved.kctl("cluster", "status", "saved", code=1)
    assert saved.get("nodes"), "and a request wakes it"
    saved.kctl(*SNAPSHOT, "delete", "saved", "asleep")


def test_a_node_that_is_reset_begins_anew(saved: LocalCluster) -> None:
    before = saved.get("node", "n1")["metadata"]["uid"]
    (saved.places.node("n1").state / "old").write_text("state")
    done = saved.kctl("cluster", "node", "reset", "n1", "--cluster", "saved", timeout=90)
    assert "pods removed: 1" in done
    assert "reset done" in done
    assert saved.get("node", "n1")["metadata"]["uid"] != before
    assert saved.get("pods") == []
    assert not (saved.places.node("n1").state / "old").exists()
    saved.apply("default", KEEPER, ready="keeper")
    assert saved.inside("default", "keeper", "ls /scratch") == ""
