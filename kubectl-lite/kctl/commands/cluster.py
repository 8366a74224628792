"""Start, stop and look at local clusters, whose nodes are namespaces of this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kctl.errors import UsageError
from kctl.flags import Flags, Values

if TYPE_CHECKING:
    from deploy.spec import Cluster

DEFAULT_NAME = "dev"


VERBS = {
    "start": "bring a cluster up",
    "list": "list the clusters of this machine",
    "status": "show a cluster's processes",
    "get": "print a cluster's description",
    "logs": "print the components' logs",
    "stop": "end a cluster's processes, keep its state",
    "delete": "remove a cluster and all that it made",
    "kubeconfig": "print the admin's kubeconfig",
    "node": "change one node: add, remove, stop, start, disconnect or connect",
}
NODE_ACTIONS = ("add", "remove", "stop", "start", "disconnect", "connect")


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    flags.usage = {"node": "ACTION [NODE] [flags]", "list": "[flags]"}.get(verb, f"[NAME, by default {DEFAULT_NAME}]")
    flags.switch("quiet", "say nothing but errors", short="q")
    if verb == "start":
        flags.number("nodes", "how many nodes a new cluster has (default 1)", default=None)
        flags.text("filename", "a Cluster object that describes a new cluster", short="f")
    elif verb == "get":
        flags.text("output", "yaml", short="o", default="yaml")
    elif verb == "logs":
        flags.text("component", "only logs whose name contains this, such as n1/agent")
        flags.number("tail", "how many lines of each; -1 for all", default=100)
    elif verb == "node":
        flags.text("cluster", "the cluster", default=DEFAULT_NAME)


def run(values: Values) -> int:
    """Do what the verb says."""
    most = {"node": 2, "list": 0}.get(values.verb, 1)
    if len(values.words) > most:
        raise UsageError(f"kctl cluster {values.verb} takes at most {most} words, not {len(values.words)}")
    if values.verb == "node":
        if not values.words or values.words[0] not in NODE_ACTIONS:
            raise UsageError(f"kctl cluster node needs one of {', '.join(NODE_ACTIONS)}")
        values.action, values.node = [*values.words, None][:2]
    else:
        values.name = values.words[0] if values.words else DEFAULT_NAME
    if values.verb == "get" and values.output != "yaml":
        raise UsageError("kctl cluster get prints yaml alone")
    verb = {
        "start": _start,
        "list": _list,
        "status": _status,
        "get": _get,
        "logs": _logs,
        "stop": _stop,
        "delete": _delete,
        "kubeconfig": _kubeconfig,
        "node": _node,
    }[values.verb]
    return verb(values)


def _say(values: Values, text: str) -> None:
    if not values.quiet:
        print(text, flush=True)


def _wanted(values: Values) -> Cluster | None:
    from deploy import spec

    if values.filename:
        described = spec.load(Path(values.filename))
        return described.model_copy(update={"metadata": spec.ClusterMeta(name=values.name)})
    return None if values.nodes is None else spec.compose(values.name, values.nodes)


def _start(values: Values) -> int:
    from deploy import cluster, kubeconfig

    began = time.monotonic()
    fresh = cluster.start(values.name, _wanted(values), lambda text: _say(values, text))
    if fresh:
        context = kubeconfig.context_name(values.name)
        _say(values, f"cluster {values.name} is up after {time.monotonic() - began:.1f} s, context {context}")
    else:
        _say(values, f"cluster {values.name} is already running")
    return 0


def _list(values: Values) -> int:
    from deploy import cluster, places

    rows = [cluster.status(name) for name in places.existing()]
    if not rows:
        print("No clusters.", file=sys.stderr)
        return 0
    _table(("NAME", "STATUS", "NODES", "API"), [(one.name, one.state, str(one.nodes), one.api) for one in rows])
    return 0


def _status(values: Values) -> int:
    from deploy import cluster

    now = cluster.status(values.name)
    print(f"cluster {now.name}: {now.state}, {now.nodes} nodes, {now.api}")
    rows = [(one.name, str(one.pid or "-"), str(one.restarts), one.last_exit or "-") for one in now.components]
    if rows:
        _table(("COMPONENT", "PID", "RESTARTS", "LAST EXIT"), rows)
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

    had = cluster.stop(values.name, lambda text: _say(values, text))
    _say(values, f"cluster {values.name} {'stopped' if had else 'was not running'}")
    return 0


def _delete(values: Values) -> int:
    from deploy import cluster

    had = cluster.delete(values.name, lambda text: _say(values, text))
    _say(values, f"cluster {values.name} {'deleted' if had else 'does not exist'}")
    return 0


def _kubeconfig(values: Values) -> int:
    from deploy import cluster

    print(cluster.admin_kubeconfig(values.name), end="")
    return 0


def _node(values: Values) -> int:
    from deploy import cluster
    from deploy.places import Places

    def say(text: str) -> None:
        _say(values, text)

    if values.action == "add":
        say(f"node {cluster.add_node(values.cluster, values.node, say)} added")
        return 0
    if not values.node:
        raise UsageError(f"kctl cluster node {values.action} needs the node's name")
    cluster.node_request(values.cluster, values.node, values.action)
    if values.action == "start":
        cluster.wait_for_node(Places.of(values.cluster), values.node, say)
    say(f"node {values.node}: {values.action} done")
    return 0


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
