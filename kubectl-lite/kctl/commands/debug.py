"""Look into a pod with a container of one's own, into a copy of it, or into a node."""

from __future__ import annotations

import random
import sys
from typing import Any

from kctl import debugging, flags
from kctl.commands.attach import attach
from kctl.commands.run import until
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.generators import pairs
from kctl.pods import pod_of, split_name
from kctl.session import STRATEGIC_PATCH, Session
from kctl.urls import quote
from sampan.api_error import SampanError

LETTERS = "bcdfghjklmnpqrstvwxz2456789"
LISTS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
ENDING_SECONDS = 5.0
PROFILES = ("", "general", "legacy")


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(POD | TYPE/NAME | node/NODE) --image=IMAGE [flags] -- [COMMAND] [args...]"
    flags.text("image", "the image of the container to look around with")
    flags.switch("stdin", "pass standard input on", short="i")
    flags.switch("tty", "give the container a terminal", short="t")
    flags.switch("attach", "attach to the container once it runs (so with -i)")
    flags.text("container", "name of the container; chosen if not given", short="c")
    flags.text("target", "see the processes of this container of the pod")
    flags.text("copy-to", "leave the pod alone, and make a copy of this name")
    flags.texts("set-image", "with --copy-to: other images, NAME=IMAGE or *=IMAGE", split=True)
    flags.switch("replace", "with --copy-to: delete the pod")
    flags.switch("same-node", "with --copy-to: on the same node")
    flags.switch("share-processes", "with --copy-to: its containers see each other's processes", default=True)
    flags.switch("arguments-only", "what stands after -- are arguments of the image's own command")
    flags.texts("env", "variables, NAME=VALUE")
    flags.text("image-pull-policy", "Always, IfNotPresent or Never")
    flags.text("profile", "general", default="general")
    flags.switch("quiet", "print only what the container prints", short="q")


def run(values: Values) -> int:
    """Make it, and attach if that is wanted."""
    if len(values.words) != 1:
        raise UsageError("say what to debug: kctl debug POD --image=IMAGE")
    if values.profile not in PROFILES:
        raise UsageError(f"--profile={values.profile} is not supported; general is")
    if values.target and values.copy_to:
        raise UsageError("--target is incompatible with --copy-to; use --share-processes")
    if not values.copy_to and (values.replace or values.set_image or values.same_node):
        raise UsageError("--replace, --set-image and --same-node may only be used with --copy-to")
    if not values.image and not values.set_image and not (values.copy_to and values.container):
        raise UsageError("you must specify --image, --container or --set-image")
    if values.tty and not values.stdin:
        raise UsageError("-i/--stdin is required for containers with -t/--tty=true")
    session = flags.session(values)
    kind, name = split_name(values.words[0])
    if session.discovery.named(kind).kind == "Node":
        return _node(session, name, values)
    pod = pod_of(session, kind, name)
    return _copied(session, pod, values) if values.copy_to else _added(session, pod, values)


def _added(session: Session, pod: dict[str, Any], values: Values) -> int:
    """Add a container to the running pod."""
    name = values.container or f"debugger-{_random()}"
    if not values.container and not values.quiet:
        print(f"Defaulting debug container name to {name}.", file=sys.stderr)
    patch = debugging.ephemeral(_container(name, values), pod, values.target)
    path = session.discovery.named("pods").path(
        quote(pod["metadata"]["namespace"]), quote(pod["metadata"]["name"]), "ephemeralcontainers"
    )
    live = session.call("PATCH", path, None, patch, content_type=STRATEGIC_PATCH)
    return _attached(session, live, name, values)


def _copied(session: Session, pod: dict[str, Any], values: Values) -> int:
    names = [one["name"] for one in pod["spec"]["containers"]]
    replaced = values.container if values.container in names else ""
    name = values.container or f"debugger-{_random()}"
    wants = bool(values.image or replaced)
    if wants and not values.container and not values.quiet:
        print(f"Defaulting debug container name to {name}.", file=sys.stderr)
    made = debugging.pod_copy(
        pod,
        values.copy_to,
        _container(name, values) if wants else None,
        replaced=replaced,
        images=pairs(values.set_image),
        same_node=values.same_node,
        share=values.share_processes,
    )
    pods = session.discovery.named("pods")
    place = quote(pod["metadata"]["namespace"])
    live = session.call("POST", pods.path(place), None, made)
    if values.replace:
        session.call("DELETE", pods.path(place, quote(pod["metadata"]["name"])))
    return _attached(session, live, name if wants else names[0], values)


def _node(session: Session, node: str, values: Values) -> int:
    session.read(session.discovery.named("nodes"), node, "")
    name = f"node-debugger-{node}-{_random()}"
    container = values.container or "debugger"
    if not values.quiet:
        print(f"Creating debugging pod {name} with container {container} on node {node}.", file=sys.stderr)
    made = debugging.node_pod(node, name, session.namespace, _container(container, values))
    live = session.call("POST", session.discovery.named("pods").path(quote(session.namespace)), None, made)
    return _attached(session, live, container, values)


def _container(name: str, values: Values) -> dict[str, Any]:
    return debugging.debugger(
        name,
        values.image,
        values.after_dash or [],
        arguments_only=values.arguments_only,
        env=pairs(values.env),
        pull_policy=values.image_pull_policy,
        stdin=values.stdin,
        tty=values.tty,
    )


def _attached(session: Session, pod: dict[str, Any], name: str, values: Values) -> int:
    """Wait until the container has begun and join it; one that has ended already, or can't start, shows its log."""
    if not (values.attach or ("attach" not in values.given and values.stdin)):
        return 0

    def begun(one: dict[str, Any]) -> bool:
        return any(key in _state(one, name) for key in ("running", "terminated"))

    live = until(session, pod, begun, 60)
    if "running" in _state(live, name):
        try:
            return attach(session, live, name, stdin=values.stdin, tty=values.tty, quiet=values.quiet)
        except SampanError:  # it may have ended between the two
            live = until(session, pod, lambda one: "terminated" in _state(one, name), ENDING_SECONDS)
    metadata = live["metadata"]
    path = session.discovery.named("pods").path(quote(metadata["namespace"]), quote(metadata["name"]), "log")
    print(session.text(path, {"container": name}), end="", flush=True)
    return 0


def _state(pod: dict[str, Any], name: str) -> dict[str, Any]:
    status = pod.get("status") or {}
    found = (one.get("state") or {} for key in LISTS for one in status.get(key) or () if one["name"] == name)
    return next(found, {})


def _random() -> str:
    return "".join(random.choices(LETTERS, k=5))
