"""Change one part of an object: `kctl set image TYPE/NAME CONTAINER=IMAGE ...`."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from kctl import flags, objects
from kctl.__main__ import UsageError
from kctl.session import STRATEGIC_PATCH


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("what", choices=("image",), help="what to set")
    parser.add_argument("words", nargs="*", metavar="TYPE/NAME CONTAINER=VALUE ...")
    parser.add_argument("-l", "--selector", default="", help="all objects with these labels")
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument("--dry-run", nargs="?", const="unchanged", default="none", help="none, client or server")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Set images."""
    images = dict(word.split("=", 1) for word in arguments.words if "=" in word)
    arguments.words = [word for word in arguments.words if "=" not in word]
    if not images:
        raise UsageError("at least one image update is required")
    session = flags.session(arguments)
    query = {"dryRun": "All"} if arguments.dry_run == "server" else {}
    for resource, name in objects.chosen(session, arguments):
        live = session.read(resource, name, session.namespace)
        patch = _patch(live, images)
        if patch is None:
            raise UsageError(
                f"unable to find container named {', '.join(repr(one) for one in images)}".replace("'", '"')
            )
        if not patch:
            continue
        if arguments.dry_run != "client":
            path = resource.path(session.namespace, quote(name, safe=""))
            session.call("PATCH", path, query, patch, content_type=STRATEGIC_PATCH)
        suffix = {"none": "", "client": " (dry run)", "server": " (server dry run)"}.get(arguments.dry_run, "")
        print(f"{resource.label(name)} image updated{suffix}")
    return 0


def _patch(live: dict[str, Any], images: dict[str, str]) -> dict[str, Any] | None:
    """The strategic patch; empty when nothing changes, None when a container is not there."""
    spec = pod_spec(live)
    changes: dict[str, list[dict[str, str]]] = {}
    known: set[str] = set()
    for key in ("initContainers", "containers"):
        for container in spec.get(key) or ():
            name = container["name"]
            known.add(name)
            image = images.get(name, images.get("*", container.get("image")))
            if image != container.get("image"):
                changes.setdefault(key, []).append({"name": name, "image": str(image)})
    if not (set(images) - {"*"}) <= known:
        return None
    if not changes:
        return {}
    return {"spec": changes} if live["kind"] == "Pod" else {"spec": {"template": {"spec": changes}}}


def pod_spec(value: dict[str, Any]) -> dict[str, Any]:
    """The pod spec of a pod or of a workload's template."""
    spec: dict[str, Any] = value.get("spec") or {}
    return spec if value.get("kind") == "Pod" else (spec.get("template") or {}).get("spec") or {}
