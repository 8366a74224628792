"""What the doctor makes of what it has read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy import spec
from deploy.checks import Check, State
from deploy.cluster import Component, Status
from deploy.doctor import cluster, etcd, limits, machine, nodes
from deploy.doctor.limits import Use
from deploy.ledger import Entry, Made
from deploy.places import Places
from sampan.limits import INSTANCES, KEY_BYTES
from sampan.signing_requests import Validity

NOW = datetime(2026, 11, 25, tzinfo=UTC)
WHERE = Places("dev", Path("/state"), Path("/run/dev"))


def valid(begins: int, ends: int) -> Validity:
    """A certificate's days, counted from now."""
    return Validity(NOW + timedelta(days=begins), NOW + timedelta(days=ends), frozenset())


@pytest.mark.parametrize(
    ("used", "state"), [(0, State.OK), (102, State.OK), (103, State.WARNING), (128, State.FAILED), (200, State.FAILED)]
)
def test_a_limit_is_judged_by_how_near_it_is(used: int, state: State) -> None:
    check = limits.judge(Use(INSTANCES, 128, used))
    assert check.state is state
    assert (state is State.OK) == (check.remedy == "")
    assert check.remedy in ("", "sysctl -w fs.inotify.max_user_instances=1024")


def test_a_limit_whose_use_the_kernel_does_not_tell_is_judged_by_its_height() -> None:
    assert limits.judge(Use(KEY_BYTES, KEY_BYTES.enough, None)).state is State.OK
    assert limits.judge(Use(KEY_BYTES, KEY_BYTES.enough - 1, None)).state is State.WARNING


@pytest.mark.parametrize(
    ("found", "supervised", "state", "told"),
    [
        ({"ca": valid(-1, 3000), "admin": valid(-1, 300)}, True, State.OK, "2, the first ends"),
        ({"ca": valid(-1, 3000), "admin": valid(-90, 10)}, True, State.FAILED, "should have been renewed: admin"),
        ({"ca": valid(-1, 3000), "admin": valid(-90, -1)}, True, State.FAILED, "ended: admin"),
        ({"ca": valid(-1, 3000), "admin": valid(-90, -1)}, False, State.OK, "renewed at the next start"),
        ({"ca": valid(-90, -1)}, False, State.FAILED, "the CA has ended"),
        ({"admin": valid(1, 9)}, True, State.FAILED, "admin is valid only from"),
        ({}, True, State.FAILED, "there are none"),
    ],
)
def test_certificates(found: dict[str, Validity], supervised: bool, state: State, told: str) -> None:
    check = cluster.judge_certificates(found, NOW, "dev", supervised=supervised)
    assert check.state is state
    assert told in check.result


def test_components() -> None:
    fine = Component("etcd", 7, 0, "")
    gone = Component("scheduler", 0, 4, "signal 9", runs=False)
    shaky = Component("node/n1", 8, 5, "exit code 1", seconds=20.0)
    steady = replace(shaky, seconds=3600.0)
    ill = replace(fine, health="no answer")
    found = list(cluster.judge_components([fine, gone, shaky, steady, ill], lambda _: "Boom", "dev"))
    assert [one.state for one in found] == [State.OK, State.FAILED, State.WARNING, State.OK, State.FAILED]
    assert found[1].result == "does not run (signal 9): Boom"
    assert found[2].remedy == "kctl cluster logs dev --component n1"


@pytest.mark.parametrize(
    ("state", "judged"),
    [("running", State.OK), ("stopped", State.OK), ("paused", State.OK), ("starting", State.FAILED)],
)
def test_a_cluster_that_rests_is_not_ill(state: str, judged: State) -> None:
    assert cluster.judge_state(Status("dev", state, "", 1)).state is judged


def test_a_ledger_names_what_is_not_there() -> None:
    assert cluster.judge_ledger([]).state is State.OK
    assert "cgroup /sampan/dev" in cluster.judge_ledger([Entry(Made.CGROUP, "/sampan/dev")]).result


METRICS = """# HELP etcd_mvcc_db_total_size_in_bytes x
etcd_mvcc_db_total_size_in_bytes 9e+08
etcd_server_quota_backend_bytes 1e+09
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.128"} 90
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 100
etcd_disk_wal_fsync_duration_seconds_count 100
"""


def test_etcd_by_its_own_figures() -> None:
    health = etcd.Health(**etcd.parse(METRICS))
    assert (health.size, health.quota, health.slow) == (900_000_000, 1_000_000_000, 0.1)
    assert [one.state for one in etcd.judge(health, WHERE)] == [State.OK, State.WARNING, State.WARNING]
    full = next(iter(etcd.judge(replace(health, alarms=["NOSPACE"]), WHERE)))
    assert full.state is State.FAILED
    assert "refuses writes" in full.result


def test_etcd_without_figures_is_no_error() -> None:
    assert [one.state for one in etcd.judge(etcd.Health(**etcd.parse("")), WHERE)] == [State.OK, State.OK]


def test_every_node_asks_some_others_and_never_itself() -> None:
    described = spec.compose("dev", 20).with_nodes(spec.compose("dev", 20).spec.nodes)
    pods = {node.name: f"10.244.{place}.0/24" for place, node in enumerate(described.spec.nodes)}
    for node in described.spec.nodes:
        asked = nodes.plan(node, described, pods)
        assert not any(what.endswith(f" {node.name}") for what in asked)
        assert sum(what.startswith("node ") for what in asked) == nodes.MOST_NEIGHBOURS
    assert nodes.plan(described.spec.nodes[1], described, pods)["pods on n3"]["host"] == "10.244.2.1"


def test_a_nodes_conditions() -> None:
    def judged(**status: str) -> Check:
        conditions = [{"type": kind, "status": value, "message": "so"} for kind, value in status.items()]
        return nodes.judge_ready("n1", {"status": {"conditions": conditions}}, "dev")

    assert judged(Ready="True", DiskPressure="False").state is State.OK
    assert judged(Ready="True", DiskPressure="True").result == "DiskPressure: so"
    assert judged(Ready="Unknown").result == "NotReady: so"
    assert nodes.judge_ready("n1", None, "dev").result == "it has not joined"


@pytest.mark.parametrize(("theirs", "told"), [(100.5, ""), (97.0, "3 s behind"), (110.0, "9 s ahead of")])
def test_a_nodes_clock(theirs: float, told: str) -> None:
    check = nodes.judge_clock("n1", theirs, began=100.0, ended=101.0)
    assert (check.state is State.OK) == (told == "")
    assert told in check.result


def test_ports_that_clash() -> None:
    assert machine.judge_ports({"a": 1, "b": 2}, {"a": False}).state is State.OK
    assert "1 of a and b" in machine.judge_ports({"a": 1, "b": 1}, {}).result
    assert "taken by another process: 2 of b" in machine.judge_ports({"a": 1, "b": 2}, {"b": True}).result
