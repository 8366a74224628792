"""`sampan join` on the command line: preflight, identity, service, and the wait until the node is Ready.

Always: what fails before the node is Ready is undone, so the machine is as it was.
Elsewhere: the identity (join.py), the checks (preflight.py), the unit (service.py).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy import checks
from deploy.machine import cleaning, identity, preflight
from deploy.machine.join import join
from deploy.machine.leave import connection_of, delete_node
from deploy.machine.places import MachinePlaces
from deploy.machine.request import JSON_NAMES, JoinRequest
from sampan.errors import ApiError, ClusterError

READY_SECONDS = 180.0
FLAGS = {
    "--token": ("token", "bootstrap token: ID.SECRET"),
    "--ca-hash": ("caHash", "the CA's fingerprint: sha256:HEX"),
    "--node-name": ("nodeName", "default: the machine's host name"),
    "--node-ip": ("nodeIp", "default: the address that leads to the server"),
    "--node-labels": ("nodeLabels", "k=v,k=v: labels that the node registers with"),
    "--register-with-taints": ("registerWithTaints", "k=v:Effect,...: taints that the node registers with"),
    "--log-level": ("logLevel", "debug, info (default), warning or error"),
}

Say = Callable[[str], None]


def parser() -> argparse.ArgumentParser:
    """The command line of `sampan join`."""
    made = argparse.ArgumentParser(prog="sampan join", description="Make this machine a node of a cluster.")
    made.add_argument("server", nargs="?", default="", metavar="https://HOST:PORT", help="one of the cluster's servers")
    for flag, (name, text) in FLAGS.items():
        made.add_argument(flag, dest=name, default="", help=text)
    made.add_argument("--token-file", type=Path, metavar="FILE", help="where the token is, so that ps does not show it")
    made.add_argument("--config", type=Path, metavar="FILE", help="JSON with these settings in camel case")
    made.add_argument("--egress", action="store_true", help="let pods call what lies outside of the cluster")
    made.add_argument("--no-service", action="store_true", help="start nothing: run sampan node yourself")
    made.add_argument(
        "--ignore-preflight", default="", metavar="NAMES", help="failed checks to pass over, by name; all for every one"
    )
    made.add_argument(
        "--timeout", type=float, default=READY_SECONDS, metavar="SECONDS", help="for the node to be Ready (default 180)"
    )
    return made


def request_of(options: argparse.Namespace) -> JoinRequest:
    """The file's settings, and over them the flags'. Raises ClusterError."""
    given: dict[str, Any] = _file(options.config) if options.config else {}
    if options.token_file:
        given["token"] = _text(options.token_file).strip()
    flags = {name: getattr(options, name) for name in ("server", *(name for name, _ in FLAGS.values()))}
    if options.egress:
        given["egress"] = True
    return JoinRequest.from_json(given | {name: value for name, value in flags.items() if value})


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ClusterError(where=str(path), what=error.strerror or str(error)) from error


def _file(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path))
    except ValueError as error:
        raise ClusterError(where=str(path), what=f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ClusterError(where=str(path), what="is no JSON object", remedy=f"known: {', '.join(JSON_NAMES)}")
    return value


def wait_until_ready(places: MachinePlaces, say: Say, seconds: float) -> None:
    """Watch this machine's Node until it is Ready, telling what keeps it. Raises ClusterError, ApiError."""
    who = identity.joined(places)
    began, told = time.monotonic(), ""
    for node in connection_of(who, places).watch("/api/v1/nodes", name=who.name, seconds=seconds):
        ready, why = readiness(node)
        if ready:
            say(f"node {who.name} is Ready after {time.monotonic() - began:.1f} s")
            return
        if why != told:
            say(f"waiting for node {who.name}: {why}")
            told = why
    raise ClusterError(
        where=f"node {who.name}",
        what=f"is not Ready after {seconds:.0f} s: {told or 'it has not registered'}",
        remedy="look at the agent's log",
    )


def readiness(node: Mapping[str, Any] | None) -> tuple[bool, str]:
    """Whether a Node is Ready, and why not. Pure."""
    if node is None:
        return False, "it has not registered"
    for condition in node.get("status", {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return condition.get("status") == "True", condition.get("message") or condition.get("reason") or "not ready"
    return False, "it has not reported yet"


def undo(places: MachinePlaces, say: Say) -> None:
    """Make the machine what it was before a join that did not come to an end."""
    with suppress(ClusterError):
        cleaning.stop_service(say)
        cleaning.stop(places)
    with suppress(ClusterError, ApiError):
        if (who := identity.read(places)) is not None:
            delete_node(connection_of(who, places), who)
    cleaning.clean(places, say, images=False)
    say("nothing of the join is left on this machine")


def main(argv: Sequence[str]) -> int:
    """`sampan join`."""
    options = parser().parse_args(argv)
    places = MachinePlaces.here()

    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C does, they end it by undoing
        signal.signal(number, signal.default_int_handler)

    def say(text: str) -> None:
        with suppress(OSError):  # the terminal may be what has gone
            print(text, file=sys.stderr, flush=True)

    request = request_of(options).checked()
    if identity.read(places) is not None:
        join(request, places, say)
        if not options.no_service and cleaning.has_systemd():
            cleaning.start_service(say)
        return 0
    found = preflight.checks(places)
    if not checks.passed(found, ignored=options.ignore_preflight.split(",")):
        print(checks.table(found), file=sys.stderr)
        print("sampan join: this machine is not fit to be a node; nothing was changed", file=sys.stderr)
        return 1
    join(request, places, say)
    try:
        if options.no_service or not cleaning.has_systemd():
            say("start the node by: sampan node")
            return 0
        cleaning.start_service(say)
        wait_until_ready(places, say, options.timeout)
    except BaseException:
        undo(places, say)
        raise
    return 0
