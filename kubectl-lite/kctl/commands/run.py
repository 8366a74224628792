"""Run an image in a pod."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kctl import flags, printers
from kctl.__main__ import UsageError
from kctl.commands.apply import annotated
from kctl.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", help="the pod's name")
    parser.add_argument("command_line", nargs="*", metavar="[-- ARGUMENT ...]")
    parser.add_argument("--image", required=True, help="the image")
    parser.add_argument("--command", action="store_true", help="the words after -- are the command, not its arguments")
    parser.add_argument("--env", action="append", default=[], metavar="KEY=VALUE", help="environment of the container")
    parser.add_argument("--labels", "-l", default="", help="labels, KEY=VALUE,...")
    parser.add_argument("--annotations", action="append", default=[], metavar="KEY=VALUE", help="annotations")
    parser.add_argument("--port", type=int, default=0, help="the port that the container listens on")
    parser.add_argument("--restart", default="Always", choices=("Always", "OnFailure", "Never"), help="restart policy")
    parser.add_argument("--image-pull-policy", default="", help="Always, IfNotPresent or Never")
    parser.add_argument("--overrides", default="", help="JSON that is merged into the pod")
    parser.add_argument("--privileged", action="store_true", help="run the container privileged")
    parser.add_argument("--save-config", action="store_true", help="record the pod in its annotation, as apply does")
    parser.add_argument("--dry-run", nargs="?", const="unchanged", default="none", help="none, client or server")
    parser.add_argument("-o", "--output", default="", help="name|yaml|json|...")
    for flag in ("-i", "-t", "--rm", "--attach", "--expose"):
        parser.add_argument(flag, dest="unsupported", action="append_const", const=flag, help=argparse.SUPPRESS)
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create the pod."""
    if arguments.unsupported:
        raise UsageError(
            f"{arguments.unsupported[0]} is not supported by run yet; create the pod, then use kctl exec or logs"
        )
    pod = _pod(arguments)
    session = flags.session(arguments)
    return create(session, pod, "pods", arguments)


def create(session: Session, value: dict[str, Any], plural: str, arguments: argparse.Namespace) -> int:
    """Send one new object and print what became of it."""
    resource = session.discovery.named(plural)
    if getattr(arguments, "save_config", False):
        value = annotated(value)
    if arguments.dry_run != "client":
        query = {"dryRun": "All"} if arguments.dry_run == "server" else {}
        query["fieldManager"] = "kubectl-create"
        value = session.call("POST", resource.path(session.namespace), query, value)
    name = value["metadata"].get("name", "")
    if arguments.output:
        printers.show_values([value], arguments.output, as_list=False, names=[resource.label(name)])
    else:
        suffix = {"none": "", "client": " (dry run)", "server": " (server dry run)"}[arguments.dry_run]
        print(f"{resource.label(name)} created{suffix}")
    return 0


def _pod(arguments: argparse.Namespace) -> dict[str, Any]:
    container: dict[str, Any] = {"name": arguments.name, "image": arguments.image}
    if arguments.command_line:
        container["command" if arguments.command else "args"] = arguments.command_line
    if arguments.env:
        container["env"] = [{"name": key, "value": value} for key, value in pairs(arguments.env).items()]
    if arguments.port:
        container["ports"] = [{"containerPort": arguments.port}]
    if arguments.image_pull_policy:
        container["imagePullPolicy"] = arguments.image_pull_policy
    if arguments.privileged:
        container["securityContext"] = {"privileged": True}
    metadata: dict[str, Any] = {"name": arguments.name, "labels": {"run": arguments.name}}
    if arguments.labels:
        metadata["labels"] = pairs(arguments.labels.split(","))
    if arguments.annotations:
        metadata["annotations"] = pairs(arguments.annotations)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "restartPolicy": arguments.restart},
    }
    return _overridden(pod, arguments.overrides)


def _overridden(pod: dict[str, Any], overrides: str) -> dict[str, Any]:
    if not overrides:
        return pod
    from sampan.patches import merge_patch

    try:
        patch = json.loads(overrides)
    except ValueError as error:
        raise UsageError(f"Invalid JSON Patch: --overrides: {error}") from error
    merged: dict[str, Any] = merge_patch.apply(pod, patch)
    return merged


def pairs(words: list[str]) -> dict[str, str]:
    """KEY=VALUE words as a map. Raises UsageError."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"unexpected value {word!r}: KEY=VALUE is wanted")
        found[key] = value
    return found
