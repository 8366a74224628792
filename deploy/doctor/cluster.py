"""What is wrong with one local cluster: what its directory, its processes and its certificates say.

A cluster that is stopped or paused is not ill; it is asked nothing that would wake it.
Elsewhere: its etcd (etcd.py), its nodes and their network (nodes.py).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from deploy import api, cgroups, cluster, kubeconfig, ledger, lookup, pki, spec
from deploy.checks import Check, State, doubtful, failed, good
from deploy.cluster import Component, Status
from deploy.doctor import etcd, health, nodes
from deploy.ledger import Entry, Made
from deploy.places import Places
from deploy.spec import Cluster
from sampan.errors import ClusterError
from sampan.signing_requests import Validity

UNSTEADY_RESTARTS = 3
LINE = 160


def checks(name: str) -> list[Check]:
    """All of them; each name begins with the cluster's. Raises ClusterError when there is nothing of that name."""
    where = Places.of(name)
    if not any((where.state.exists(), where.run.exists(), cgroups.exists(where.cgroup))):
        lookup.cluster_places(name)
    return [replace(one, name=f"{name} {one.name}") for one in _checks(where)]


def _checks(where: Places) -> Iterator[Check]:
    name = where.name
    if not where.description.exists():
        yield failed("description", "a start was cut short", f"kctl cluster delete {name}, or start it again")
        return
    try:
        described = spec.load(where.description)
    except ClusterError as error:
        yield failed("description", str(error), f"mend {where.description}, or: kctl cluster delete {name}")
        return
    yield good("description", f"{len(described.spec.nodes)} nodes")
    try:
        status = health.asked(cluster.status(name), where, described)
    except ClusterError as error:
        yield failed("state", error.what, f"end its supervisor and start it again: kill -9 $(cat {where.pid})")
        return
    yield judge_state(status)
    yield _ledger(where, running=status.state not in ("stopped",))
    yield from _certificates(where, supervised=status.state in ("running", "starting", "paused"))
    yield _kubeconfig(where, described)
    if status.state in ("stopped", "paused", "unsupervised"):
        return
    yield from judge_components(status.components, lambda one: _last_line(where, one), name)
    yield _api(where, described)
    yield from etcd.checks(where, described, _pid(status, "etcd"))
    yield from nodes.checks(where, described, status)


def _pid(status: Status, component: str) -> int:
    return next((one.pid for one in status.components if one.name == component), 0)


def judge_state(status: Status) -> Check:
    """Pure."""
    name = status.name
    match status.state:
        case "running" | "stopped" | "paused":
            return good("state", status.state)
        case "unsupervised":
            return failed("state", "its supervisor is gone, its processes live", f"kctl cluster start {name}")
    return failed("state", status.state, f"wait, or look at: kctl cluster logs {name}")


def judge_components(components: Sequence[Component], last_line: Any, name: str) -> Iterator[Check]:
    """Pure but for `last_line`, which gives the end of a component's log."""
    for one in components:
        logs = f"kctl cluster logs {name} --component {one.name.removeprefix('node/')}"
        if not one.runs:
            ended = f" ({one.last_exit})" if one.last_exit else ""
            said = f": {line}" if (line := last_line(one.name)) else ""
            yield failed(one.name, f"does not run{ended}{said}", logs)
        elif one.restarts >= UNSTEADY_RESTARTS and one.seconds < 600:
            yield doubtful(
                one.name,
                f"restarted {one.restarts} times, {one.seconds:.0f} s ago the last time ({one.last_exit})",
                logs,
            )
        elif one.health not in ("", health.OK):
            yield failed(one.name, one.health, logs)
        else:
            yield good(one.name, "runs")


def _last_line(where: Places, component: str) -> str:
    node, _, part = component.rpartition("/")
    if node == "node":
        node, part = part, "init"
    path = where.logs / node / f"{part}.log"
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.path.getsize(path) - 4096))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1][:LINE] if lines else ""


def _ledger(where: Places, *, running: bool) -> Check:
    return judge_ledger([one for one in ledger.read(where.ledger) if not _exists(one, where, running)])


def _exists(entry: Entry, where: Places, running: bool) -> bool:
    match entry.kind:
        case Made.DIRECTORY:
            return Path(entry.what).is_dir() or (not running and Path(entry.what) == where.run)
        case Made.CGROUP:
            return cgroups.exists(entry.what) or not running
        case Made.MOUNT_POINT:
            return Path(entry.what).is_dir() or not running
    return Path(entry.what).exists()


def judge_ledger(missing: Sequence[Entry]) -> Check:
    """Pure; `missing` are entries of what is not there."""
    if missing:
        listed = ", ".join(f"{one.kind} {one.what}" for one in missing)
        return doubtful("ledger", f"noted and not there: {listed}", "somebody has removed it; start makes it again")
    return good("ledger", "all that it notes is there")


def _certificates(where: Places, *, supervised: bool) -> Iterator[Check]:
    now = datetime.now(UTC)
    found = {}
    for path in sorted(where.pki.glob("*.crt")):
        try:
            found[path.stem] = Validity.of(path.read_bytes())
        except (OSError, ValueError) as error:
            yield failed("certificates", f"{path}: {error}", f"remove it, and: kctl cluster start {where.name}")
            return
    yield judge_certificates(found, now, where.name, supervised=supervised)


def judge_certificates(found: dict[str, Validity], now: datetime, name: str, *, supervised: bool) -> Check:
    """Pure. The supervisor renews in time, so one that is past its due is a fault while there is one."""
    if not found:
        return failed("certificates", "there are none", f"kctl cluster start {name}")
    for one, held in found.items():
        if held.begins > now:
            return failed("certificates", f"{one} is valid only from {held.begins:%F %T}", "set the machine's clock")
    ended = [one for one, held in found.items() if held.ends <= now]
    late = [one for one, held in found.items() if held.at((1 + pki.RENEW_AT) / 2) <= now]
    soonest = min(found, key=lambda one: found[one].ends)
    text = f"{len(found)}, the first ends {found[soonest].ends:%F} ({soonest})"
    if "ca" in ended:
        return failed(
            "certificates", "the CA has ended", f"a CA is not renewed: kctl cluster delete {name}, start anew"
        )
    if not supervised:
        return good("certificates", text + ("; some are renewed at the next start" if late or ended else ""))
    if ended or late:
        listed = ", ".join(ended or late)
        what = "ended" if ended else "should have been renewed"
        return failed("certificates", f"{what}: {listed}", f"see {name}'s supervisor.log; kctl cluster stop, start")
    return good("certificates", text)


def _kubeconfig(where: Places, described: Cluster) -> Check:
    files = [Path(one.what) for one in ledger.read(where.ledger) if one.kind is Made.KUBECONFIG]
    context, server = kubeconfig.context_name(where.name), f"https://127.0.0.1:{described.spec.api_port}"
    try:
        authority = (where.pki / "ca.crt").read_bytes()
    except OSError:
        authority = b""
    remedy = f"kctl cluster stop {where.name}; kctl cluster start {where.name}"
    target = kubeconfig.target()
    for path in dict.fromkeys([target.resolve(), *files]):
        try:
            value = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            return failed("kubeconfig", f"{path}: {error}", "mend it, or set KUBECONFIG")
        if trouble := judge_entry(value, context, server, authority):
            if path in files:
                return failed("kubeconfig", f"{path}: {trouble}", remedy)
            return doubtful("kubeconfig", f"{path}: {trouble}", f"kctl cluster kubeconfig {where.name} > FILE")
    return good("kubeconfig", f"{context} in {', '.join(map(str, files))}")


def judge_entry(value: Any, context: str, server: str, authority: bytes) -> str:
    """Pure. What is wrong with a cluster's entries in a kubeconfig; "" when nothing is."""
    if not isinstance(value, dict):
        return "not a kubeconfig"
    lists = {key: {str(one.get("name")): one for one in value.get(key) or []} for key in kubeconfig.LISTS}
    if missing := [key.removesuffix("s") for key in kubeconfig.LISTS if context not in lists[key]]:
        return f"has no {missing[-1]} {context}"
    held = lists["clusters"][context].get("cluster") or {}
    if held.get("server") != server:
        return f"{context} leads to {held.get('server')}, the API is at {server}"
    if base64.b64decode(held.get("certificate-authority-data") or "") != authority:
        return f"{context} trusts another CA than the cluster's"
    try:
        pem = base64.b64decode((lists["users"][context].get("user") or {}).get("client-certificate-data") or "")
        ends = Validity.of(pem).ends
    except ValueError:
        return f"{context} has no certificate that can be read"
    return f"the certificate of {context} ended {ends:%F %T}" if ends <= datetime.now(UTC) else ""


def _api(where: Places, described: Cluster) -> Check:
    try:
        trouble = api.readiness(where.pki, described.spec.api_port)
    except OSError as error:
        trouble = str(error)
    return judge_api(trouble, where.name)


def judge_api(trouble: str, name: str) -> Check:
    """Pure; `trouble` is what /readyz says, "" when it says ok."""
    if trouble:
        return failed("API", trouble, f"kctl cluster logs {name} --component apiserver")
    return good("API", "ready")


def worst(found: Iterable[Check]) -> State:
    """Pure."""
    states = {one.state for one in found}
    return next((one for one in (State.FAILED, State.WARNING) if one in states), State.OK)
