"""A directory of the machine in a node, and in a pod there; delete leaves it as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

from clusters import LocalCluster
from deploy import removal

READER = """
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:test
      command: [sleep, "100000"]
      volumeMounts: [{name: data, mountPath: /data}, {name: fixed, mountPath: /fixed}]
  volumes:
    - {name: data, hostPath: {path: GUEST/data}}
    - {name: fixed, hostPath: {path: GUEST/fixed}}
"""


def test_a_pod_reads_and_writes_a_directory_of_the_machine_and_delete_keeps_it() -> None:
    with tempfile.TemporaryDirectory(prefix="sampan-mount-", dir="/var/tmp") as scratch:
        mine, guest = Path(scratch) / "mine", Path(scratch) / "guest"
        (mine / "sub").mkdir(parents=True)
        (mine / "sub/file").write_text("from the machine\n")
        described = f"""
apiVersion: sampan.dev/v1alpha1
kind: Cluster
metadata: {{name: mounts}}
spec:
  nodes:
    - name: n1
      mounts:
        - {{host: {mine}, guest: {guest}/data}}
        - {{host: {mine}, guest: {guest}/fixed, readOnly: true}}
"""
        with LocalCluster.started(name="mounts", description=described) as cluster:
            cluster.build_busybox()
            cluster.eventually(lambda: cluster.get("serviceaccount", "default"))
            cluster.apply("default", READER.replace("GUEST", str(guest)), ready="reader")
            assert cluster.inside("default", "reader", "cat /data/sub/file") == "from the machine\n"
            cluster.inside("default", "reader", "echo from the pod > /data/written")
            said = cluster.inside("default", "reader", "touch /fixed/no 2>&1 || true")
            assert "Read-only file system" in said
            assert not (mine / "no").exists()
            assert not removal.mount_points(guest), "nothing is mounted outside the node"
            assert not list((guest / "data").iterdir())
        assert (mine / "written").read_text() == "from the pod\n"
        assert (mine / "sub/file").read_text() == "from the machine\n"
        assert not guest.exists(), "what was made to mount on is gone"


def test_a_mount_that_can_not_be_is_refused_before_anything_is_made() -> None:
    with LocalCluster.started(name="plain", nodes=1) as cluster:
        description = Path(cluster.environment["SAMPAN_HOME"]) / "bad.yaml"
        description.write_text(
            "{apiVersion: sampan.dev/v1alpha1, kind: Cluster, metadata: {name: bad},"
            " spec: {nodes: [{name: n1, mounts: [{host: /nowhere, guest: /mnt/x}]}]}}"
        )
        refused = cluster.run("kctl", "cluster", "start", "bad", "-f", str(description), code=1).stderr
        assert refused == (
            "error: node n1, mount /nowhere:/mnt/x: there is no /nowhere on this machine; mkdir -p /nowhere\n"
        )
        assert "bad" not in cluster.kctl("cluster", "list")
