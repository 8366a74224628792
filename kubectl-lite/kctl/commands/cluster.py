"""Start, stop and look at local clusters, whose nodes are namespaces of this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploy.spec import Cluster

DEFAULT_NAME = "dev"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, *, named: bool = True) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        if named:
            made.add_argument("name", nargs="?", default=DEFAULT_NAME, help=f"the cluster (default {DEFAULT_NAME})")
        made.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
        return made

    start = verb("start", "bring a cluster up")
    start.add_argument("--nodes", type=int, help="how many nodes a new cluster has (default 1)")
    start.add_argument("-f", "--filename", type=Path, help="a Cluster object that describes a new cluster")
    verb("list", "list the clusters of this machine", named=False)
    verb("status", "show a cluster's processes")
    verb("get", "print a cluster's description").add_argument("-o", "--output", choices=("yaml",), default="yaml")
    logs = verb("logs", "print the components' logs")
    logs.add_argument("--component", default="", help="only logs whose name contains this, such as n1/agent")
    logs.add_argument("--tail", type=int, default=100, help="how many lines of each; -1 for all")
    verb("stop", "end a cluster's processes, keep its state")
    verb("delete", "remove a cluster and all that it made")
    verb("kubeconfig", "print the admin's kubeconfig")
    node = verb("node", "change one node", named=False)
    node.add_argument("action", choices=("add", "remove", "stop", "start", "disconnect", "connect"))
    node.add_argument("node", nargs="?", help="the node")
    node.add_argument("--cluster", default=DEFAULT_NAME, help=f"the cluster (default {DEFAULT_NAME})")


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
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
    }[arguments.verb]
    return verb(arguments)


def _say(arguments: argparse.Namespace, text: str) -> None:
    if not arguments.quiet:
        print(text, flush=True)


def _wanted(arguments: argparse.Namespace) -> Cluster | None:
    from deploy import spec

    if arguments.filename is not None:
        described = spec.load(arguments.filename)
        return described.model_copy(update={"metadata": spec.ClusterMeta(name=arguments.name)})
    return None if arguments.nodes is None else spec.compose(arguments.name, arguments.nodes)


def _start(arguments: argparse.Namespace) -> int:
    from deploy import cluster, kubeconfig

    began = time.monotonic()
    fresh = cluster.start(arguments.name, _wanted(arguments), lambda text: _say(arguments, text))
    if fresh:
        context = kubeconfig.context_name(arguments.name)
        _say(arguments, f"cluster {arguments.name} is up after {time.monotonic() - began:.1f} s, context {context}")
    else:
        _say(arguments, f"cluster {arguments.name} is already running")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from deploy import cluster, places

    rows = [cluster.status(name) for name in places.existing()]
    if not rows:
        print("No clusters.", file=sys.stderr)
        return 0
    _table(("NAME", "STATUS", "NODES", "API"), [(one.name, one.state, str(one.nodes), one.api) for one in rows])
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from deploy import cluster

    now = cluster.status(arguments.name)
    print(f"cluster {now.name}: {now.state}, {now.nodes} nodes, {now.api}")
    rows = [(one.name, str(one.pid or "-"), str(one.restarts), one.last_exit or "-") for one in now.components]
    if rows:
        _table(("COMPONENT", "PID", "RESTARTS", "LAST EXIT"), rows)
    return 0 if now.state == "running" else 1


def _get(arguments: argparse.Namespace) -> int:
    from deploy import cluster

    print(cluster.description(arguments.name).to_yaml(), end="")
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    from deploy import cluster

    for path in cluster.log_files(arguments.name):
        label = f"{path.parent.name}/{path.stem}" if path.parent.name != "logs" else path.stem
        if arguments.component not in label:
            continue
        lines = path.read_text(errors="replace").splitlines()
        for line in lines if arguments.tail < 0 else lines[-arguments.tail :] if arguments.tail else ():
            print(f"{label}: {line}")
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    from deploy import cluster

    had = cluster.stop(arguments.name, lambda text: _say(arguments, text))
    _say(arguments, f"cluster {arguments.name} {'stopped' if had else 'was not running'}")
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from deploy import cluster

    had = cluster.delete(arguments.name, lambda text: _say(arguments, text))
    _say(arguments, f"cluster {arguments.name} {'deleted' if had else 'does not exist'}")
    return 0


def _kubeconfig(arguments: argparse.Namespace) -> int:
    from deploy import cluster

    print(cluster.admin_kubeconfig(arguments.name), end="")
    return 0


def _node(arguments: argparse.Namespace) -> int:
    from deploy import cluster
    from deploy.places import Places
    from kctl.__main__ import UsageError

    def say(text: str) -> None:
        _say(arguments, text)

    if arguments.action == "add":
        say(f"node {cluster.add_node(arguments.cluster, arguments.node, say)} added")
        return 0
    if not arguments.node:
        raise UsageError(f"kctl cluster node {arguments.action} needs the node's name")
    cluster.node_request(arguments.cluster, arguments.node, arguments.action)
    if arguments.action == "start":
        cluster.wait_for_node(Places.of(arguments.cluster), arguments.node, say)
    say(f"node {arguments.node}: {arguments.action} done")
    return 0


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
