"""`kctl cluster doctor` on a cluster that is well, on one that is harmed step by step, and on what is left of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import BIN, LocalCluster
from deploy import pki
from sampan.certs import Authority

NAME = "ill"
MOMENT = timedelta(seconds=1)


def diagnosis(cluster: LocalCluster, *flags: str) -> dict[str, dict[str, str]]:
    """The doctor's checks of a cluster, by name."""
    told = json.loads(cluster.kctl("cluster", "doctor", cluster.name, "-o", "json", *flags, code=None))
    found = {one["name"].removeprefix(f"{cluster.name} "): one for one in told["checks"]}
    assert told["ok"] == (not any(one["state"] == "failed" for one in found.values()))
    return found


def wrong(cluster: LocalCluster) -> dict[str, str]:
    """What failed: check -> result."""
    return {name: one["result"] for name, one in diagnosis(cluster).items() if one["state"] == "failed"}


def test_a_cluster_that_is_well(cluster: LocalCluster) -> None:
    cluster.eventually(lambda: not wrong(cluster))
    found = diagnosis(cluster)
    for node in ("n1", "n2", "n3"):
        assert found[node]["result"] == "Ready"
        assert all(found[f"{node} {what}"]["state"] == "ok" for what in ("clock", "DNS", "services", "network"))
    assert "pods on n1" in found["n2 network"]["result"]
    table = cluster.kctl("cluster", "doctor", cluster.name)
    assert table.splitlines()[0].split() == ["CHECK", "STATE", "RESULT", "WHAT", "TO", "DO"]
    assert f"{len(found)} checks, 0 failed" in table


def test_the_machine_is_examined_without_a_name(cluster: LocalCluster) -> None:
    told = json.loads(cluster.kctl("cluster", "doctor", "-o", "json", code=None))
    names = {one["name"] for one in told["checks"]}
    assert {"root", "overlayfs", "cgroups", "disk", "fs.inotify.max_user_instances", "kernel.pid_max"} <= names
    assert {f"{cluster.name} state", "API ports", "leftovers"} <= names


def test_words_and_flags_that_make_no_sense(cluster: LocalCluster) -> None:
    for words, message in (
        (("atlantis",), "there is no such cluster"),
        (("../../etc",), "not 1 to 30 lower-case letters"),
        (("--leftovers", "../../etc"), "not 1 to 30 lower-case letters"),
        (("a", "b"), "takes at most 1 words"),
        (("-o", "yaml"), "prints a table, or json"),
    ):
        done = cluster.run("kctl", "cluster", "doctor", *words, code=1)
        assert message in done.stderr


@pytest.fixture(scope="module")
def ill() -> Iterator[LocalCluster]:
    """A cluster that may be harmed. A test removes its directory, so it is not deleted as others are."""
    with LocalCluster.started(name=NAME, nodes=2) as started:
        yield started


def test_a_node_whose_cable_is_pulled(ill: LocalCluster) -> None:
    ill.kctl("cluster", "node", "disconnect", "n2", "--cluster", NAME)
    try:
        found = diagnosis(ill)
        assert "node n2: no answer after 3 s" in found["n1 network"]["result"]
        assert "pods on n2" in found["n1 network"]["result"]
        assert found["n2 services"]["state"] == "failed"
        assert "kctl cluster node connect" in found["n2 network"]["remedy"]
    finally:
        ill.kctl("cluster", "node", "connect", "n2", "--cluster", NAME)
    ill.eventually(lambda: not wrong(ill))


def test_a_kubeconfig_that_leads_elsewhere_and_certificates_that_have_ended(ill: LocalCluster) -> None:
    path = Path(ill.environment["KUBECONFIG"])
    kept, pair = path.read_text(), pki.paths(ill.places.pki, "scheduler")
    certificate = pair[0].read_bytes()
    changed = yaml.safe_load(kept)
    changed["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path.write_text(yaml.safe_dump(changed))
    authority = Authority.load(pki.read(ill.places.pki, "ca"))
    pair[0].write_bytes(authority.issue("x", lifetime=MOMENT, key_pem=pair[1].read_bytes()).certificate)
    try:
        assert "leads to https://127.0.0.1:1" in wrong(ill)["kubeconfig"]
        ill.eventually(lambda: wrong(ill).get("certificates") == "ended: scheduler")
    finally:
        path.write_text(kept)
        pair[0].write_bytes(certificate)
    ill.eventually(lambda: not wrong(ill))


def test_a_cluster_without_its_supervisor_and_one_that_is_stopped(ill: LocalCluster) -> None:
    os.kill(int(ill.places.pid.read_text()), signal.SIGKILL)
    assert "supervisor is gone" in ill.eventually(lambda: wrong(ill))["state"]
    ill.kctl("cluster", "stop", NAME)
    assert not wrong(ill)
    assert diagnosis(ill)["state"]["result"] == "stopped"
    ill.kctl("cluster", "start", NAME, timeout=180)


def test_the_status_says_how_every_component_is(ill: LocalCluster) -> None:
    def health() -> dict[str, str]:
        told = json.loads(ill.kctl("cluster", "status", NAME, "-o", "json"))
        return {one["name"]: one["health"] for one in told["components"] if not one["name"].startswith("node/")}

    ill.eventually(lambda: set(health().values()) == {"ok"})
    assert {"etcd", "apiserver", "controllers", "scheduler", "n1/runtime", "n2/forkserver", "n2/agent"} <= set(health())
    agent = ill.component_pid("n2/agent")
    os.kill(agent, signal.SIGSTOP)
    try:
        assert health()["n2/agent"] == "no answer after 3 s"
    finally:
        os.kill(agent, signal.SIGCONT)
    ill.eventually(lambda: health()["n2/agent"] == "ok")


def left(cluster: LocalCluster, *before: str) -> list[dict[str, str]]:
    """What remains of the cluster, or after other words of any cluster."""
    words = (str(BIN / "kctl"), "cluster", "doctor", "--leftovers", "-o", "json", *(() if before else (cluster.name,)))
    done = cluster.run(*before, *words, code=None)
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if told["leftovers"] else 0)
    return list(told["leftovers"])


def test_leftovers_are_found_when_the_cluster_directory_is_gone_and_go_by_the_commands_that_are_told(
    ill: LocalCluster,
) -> None:
    assert [(one["kind"], one["remedy"]) for one in left(ill)] == [("cluster", f"kctl cluster delete {NAME}")]
    point = ill.places.run / "mine"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    shutil.rmtree(ill.places.state)
    found = left(ill)
    kinds = {one["kind"] for one in found}
    assert kinds == {"process", "mount", "network namespace", "cgroup", "directory", "kubeconfig context"}
    for one in found:
        ill.run("sh", "-c", one["remedy"], code=None)
    ill.eventually(lambda: _again(ill))
    assert f"Nothing remains of cluster {NAME}." in ill.kctl("cluster", "doctor", "--leftovers", NAME)
    assert not point.exists()
    assert yaml.safe_load(Path(ill.environment["KUBECONFIG"]).read_text())["contexts"] == []


def _again(cluster: LocalCluster) -> bool:
    """What was in use a moment ago goes by the same commands."""
    for one in left(cluster):
        cluster.run("sh", "-c", one["remedy"], code=None)
    return not left(cluster)


def test_leftovers_in_the_machines_own_network(tmp_path: Path, cluster: LocalCluster) -> None:
    """In a network and mount namespace that take the machine's place, so that nobody else sees these."""
    pinned, log = tmp_path / "pinned", tmp_path / "answer"
    pinned.touch()
    script = f"""
        ip link add sampan-lost type bridge && nft add table ip sampan
        unshare --net={pinned} ip link add sampan-pods type bridge
        {BIN / "kctl"} cluster doctor --leftovers -o json > {log} || true
        ip link delete sampan-lost && nft delete table ip sampan && umount {pinned}
        {BIN / "kctl"} cluster doctor --leftovers -o json
    """
    after = cluster.run("unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", script, code=1)
    before = {(one["kind"], one["what"].split()[-1]): one for one in json.loads(log.read_text())["leftovers"]}
    assert before["interface", "sampan-lost"]["remedy"] == "ip link delete sampan-lost"
    assert before["nftables table", "sampan"]["remedy"] == "nft delete table ip sampan"
    namespace = next(one for one in before.values() if str(pinned) in one["what"])
    assert (namespace["kind"], namespace["remedy"]) == ("network namespace", f"umount {pinned}")
    remaining = json.loads(after.stdout)["leftovers"]
    assert not [
        one for one in remaining if one["kind"] in ("interface", "nftables table") or str(pinned) in one["what"]
    ]
