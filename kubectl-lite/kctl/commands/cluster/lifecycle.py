"""Whole clusters: start, list, status, get, logs, stop, delete, kubeconfig."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kctl.commands.cluster.printing import DEFAULT_NAME, machine_flags, machine_shape, only_name, say, table
from kctl.commands.cluster.progress import shown
from kctl.errors import UsageError
from kctl.flags import Flags, Values

if TYPE_CHECKING:
    from deploy.spec import Cluster

VERBS = {
    "start": "bring a cluster up",
    "list": "list the clusters of this machine",
    "status": "show a cluster's processes and their health",
    "get": "print a cluster's description",
    "logs": "print the components' logs",
    "stop": "end a cluster's processes, keep its state",
    "delete": "remove a cluster and all that it made",
    "kubeconfig": "print the admin's kubeconfig",
}


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    flags.usage = "[flags]" if verb == "list" else f"[NAME, by default {DEFAULT_NAME}]"
    if verb == "start":
        flags.number("nodes", "how many nodes a new cluster has (default 1)", default=None)
        machine_flags(flags)
        flags.text("filename", "a Cluster object that describes a new cluster", short="f")
    elif verb == "get":
        flags.text("output", "yaml", short="o", default="yaml")
    elif verb == "status":
        flags.text("output", "json", short="o")
    elif verb == "logs":
        flags.text("component", "only logs whose name contains this, such as n1/agent")
        flags.number("tail", "how many lines of each; -1 for all", default=100)


def run(values: Values) -> int:
    """Do what the verb says."""
    if values.verb == "list" and values.words:
        raise UsageError("kctl cluster list takes no words")
    values.name = only_name(values)
    if values.verb == "get" and values.output != "yaml":
        raise UsageError("kctl cluster get prints yaml alone")
    if values.verb == "status" and values.output not in ("", "json"):
        raise UsageError("kctl cluster status prints a table, or json by -o json")
    verb = {
        "start": _start,
        "list": _list,
        "status": _status,
        "get": _get,
        "logs": _logs,
        "stop": _stop,
        "delete": _delete,
        "kubeconfig": _kubeconfig,
    }[values.verb]
    return verb(values)


def _wanted(values: Values) -> Cluster | None:
    from deploy import spec

    if values.filename:
        described = spec.load(Path(values.filename))
        return described.model_copy(update={"metadata": spec.ClusterMeta(name=values.name)})
    made = machine_shape(values)
    return None if values.nodes is None and not made else spec.compose(values.name, values.nodes or 1, made)


def _start(values: Values) -> int:
    from deploy import cluster, kubeconfig

    began = time.monotonic()
    with shown(values, "node image") as progress:
        fresh = cluster.start(values.name, _wanted(values), lambda text: say(values, text), progress)
    if fresh:
        context = kubeconfig.context_name(values.name)
        say(values, f"cluster {values.name} is up after {time.monotonic() - began:.1f} s, context {context}")
    else:
        say(values, f"cluster {values.name} is already running")
    return 0


def _list(values: Values) -> int:
    from deploy import cluster, places

    rows = [cluster.status(name) for name in places.existing()]
    if not rows:
        print("No clusters.", file=sys.stderr)
        return 0
    table(("NAME", "STATUS", "NODES", "API"), [(one.name, one.state, str(one.nodes), one.api) for one in rows])
    return 0


def _status(values: Values) -> int:
    from deploy import cluster, lookup
    from deploy.doctor import health

    where = lookup.cluster_places(values.name)
    now = health.asked(cluster.status(values.name), where, cluster.description(values.name))
    if values.output == "json":
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(now), indent=2))
        return 0 if now.state == "running" else 1
    print(f"cluster {now.name}: {now.state}, {now.nodes} nodes, {now.api}")
    rows = [
        (
            one.name,
            str(one.pid or ("inside" if one.runs else "-")),
            str(one.restarts),
            one.health or "-",
            one.last_exit or "-",
        )
        for one in now.components
    ]
    if rows:
        table(("COMPONENT", "PID", "RESTARTS", "HEALTH", "LAST EXIT"), rows)
    return 0 if now.state == "running" else 1


def _get(values: Values) -> int:
    from deploy import cluster

    print(cluster.description(values.name).to_yaml(), end="")
    return 0


def _logs(values: Values) -> int:
    from deploy import cluster

    for path in cluster.log_files(values.name):
        label = f"{path.parent.name}/{path.stem}" if path.parent.name != "logs" else path.stem
        if values.component not in label:
            continue
        lines = path.read_text(errors="replace").splitlines()
        for line in lines if values.tail < 0 else lines[-values.tail :] if values.tail else ():
            print(f"{label}: {line}")
    return 0


def _stop(values: Values) -> int:
    from deploy import cluster

    had = cluster.stop(values.name, lambda text: say(values, text))
    say(values, f"cluster {values.name} {'stopped' if had else 'was not running'}")
    return 0


def _delete(values: Values) -> int:
    from deploy import cluster

    had = cluster.delete(values.name, lambda text: say(values, text))
    say(values, f"cluster {values.name} {'deleted' if had else 'does not exist'}")
    return 0


def _kubeconfig(values: Values) -> int:
    from deploy import cluster

    print(cluster.admin_kubeconfig(values.name), end="")
    return 0
