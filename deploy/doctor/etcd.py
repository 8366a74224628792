"""How a local cluster's etcd is: alarms, its size against its quota, how fast its disk is.

Asked over etcd's own HTTP gateway and /metrics, with the API server's certificate, from within the cluster's network.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy import control_plane, pki
from deploy.checks import Check, doubtful, failed, good
from deploy.doctor.aside import in_network_of
from deploy.places import Places
from deploy.spec import Cluster
from sampan.errors import ClusterError

NEAR = 0.8
SLOW_SECONDS, MOST_SLOW = 0.1, 0.01
"""More than one write-ahead log sync in a hundred that takes so long: etcd's own advice is a p99 under 10 ms."""
NO_SPACE = "NOSPACE"
PATIENCE = 5.0


@dataclass(frozen=True)
class Health:
    """What etcd says of itself. `slow` is the share of log syncs of over 128 ms, None without any."""

    size: int = 0
    quota: int = 0
    alarms: list[str] = field(default_factory=list)
    slow: float | None = None


def checks(where: Places, described: Cluster, pid: int) -> Iterator[Check]:
    """Of a running cluster, whose etcd is process `pid`."""
    if not pid:
        return
    address = described.spec.network.control_address
    try:
        answer = in_network_of(pid, lambda: _ask(where, address))
    except ClusterError as error:
        yield failed("etcd answers", error.what, f"kctl cluster logs {where.name} --component etcd")
        return
    yield from judge(Health(**answer), where)


def _ask(where: Places, address: str) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=str(where.pki / "ca.crt"))
    context.load_cert_chain(*map(str, pki.paths(where.pki, "etcd-client")))
    connection = http.client.HTTPSConnection(address, control_plane.ETCD_PORT, timeout=PATIENCE, context=context)
    connection.request("GET", "/metrics")
    metrics = parse(connection.getresponse().read().decode())
    connection.request("POST", "/v3/maintenance/alarm", json.dumps({"action": "GET"}))
    alarms = json.loads(connection.getresponse().read()).get("alarms", [])
    return metrics | {"alarms": [str(one.get("alarm", "")) for one in alarms]}


def parse(text: str) -> dict[str, Any]:
    """Pure: size, quota and slow of Health, from etcd's /metrics."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        if found := re.fullmatch(r"(etcd_\S+) (\S+)", line):
            values[found[1]] = float(found[2])
    total = values.get("etcd_disk_wal_fsync_duration_seconds_count", 0)
    quick = values.get('etcd_disk_wal_fsync_duration_seconds_bucket{le="0.128"}', total)
    return {
        "size": int(values.get("etcd_mvcc_db_total_size_in_bytes", 0)),
        "quota": int(values.get("etcd_server_quota_backend_bytes", 0)),
        "slow": (total - quick) / total if total else None,
    }


def judge(health: Health, where: Places) -> Iterator[Check]:
    """Pure."""
    size = f"{health.size / 2**20:.1f} MiB"
    quota = f" of {health.quota / 2**30:.0f} GiB" if health.quota else ""
    if NO_SPACE in health.alarms:
        yield failed(
            "etcd alarms",
            f"{NO_SPACE}: it refuses writes; the database has {size}{quota}",
            f"delete objects or make room below {where.etcd}, then: kctl cluster stop, start",
        )
    elif health.alarms:
        yield failed("etcd alarms", ", ".join(health.alarms), "restore a snapshot: kctl cluster snapshot restore")
    else:
        yield good("etcd alarms", "none")
    if health.quota and health.size > NEAR * health.quota:
        yield doubtful("etcd size", f"{size}{quota}", "delete objects that nobody needs, events and jobs first")
    else:
        yield good("etcd size", size + quota)
    if health.slow is not None and health.slow > MOST_SLOW:
        yield doubtful(
            "etcd disk",
            f"{health.slow:.0%} of its syncs took over 0.1 s",
            "set SAMPAN_HOME to a faster disk, or run less beside it",
        )
    elif health.slow is not None:
        yield good("etcd disk", f"{health.slow:.1%} of its syncs took over 0.1 s")
