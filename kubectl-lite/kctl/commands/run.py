"""Run an image in a pod; with -i, -t or --attach, stay with it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from kctl import flags
from kctl.commands.attach import attach
from kctl.commands.create import create
from kctl.commands.delete import until_gone
from kctl.errors import Exit, UsageError
from kctl.flags import Flags, Values
from kctl.generators import container, made, pairs, port_number
from kctl.session import Session
from kctl.urls import quote
from kctl.writes import Write, declare

IMAGE = re.compile(r"[\w][\w.:/@-]*", re.ASCII)
"""What an image's name is made of; what exactly it may be, the node says."""
RESTARTS = ("Always", "OnFailure", "Never")


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "NAME --image=IMAGE [--command] [-it] [--rm] [-- ARGUMENTS...]"
    flags.text("image", "the image")
    flags.require("image")
    flags.switch("command", "the words after -- are the command, not its arguments")
    flags.texts("env", "environment of the container, KEY=VALUE")
    flags.text("labels", "labels, KEY=VALUE,...", short="l")
    flags.texts("annotations", "annotations, KEY=VALUE")
    flags.text("port", "the port that the container listens on")
    flags.switch("expose", "a service for --port too")
    flags.text("restart", "Always, OnFailure or Never", default="Always")
    flags.text("image-pull-policy", "Always, IfNotPresent or Never")
    flags.text("overrides", "JSON that is merged into the pod")
    flags.text("override-type", "merge or json", default="merge")
    flags.switch("privileged", "run the container privileged")
    flags.switch("stdin", "keep standard input open", short="i")
    flags.switch("tty", "give the container a terminal", short="t")
    flags.switch("attach", "stay with the container")
    flags.switch("rm", "delete the pod afterwards")
    flags.switch("quiet", "print only what the container prints", short="q")
    flags.duration("pod-running-timeout", "how long to wait for the pod to run", default="1m0s")
    flags.switch("save-config", "record the pod in its annotation, as apply does")
    declare(flags)


def run(values: Values) -> int:
    """Create the pod, and stay with it if that is asked for."""
    if not values.words:
        raise UsageError("NAME is required for run")
    if not values.image:
        raise UsageError("--image is required")
    if not IMAGE.fullmatch(values.image):
        raise UsageError(f'invalid image name "{values.image}": invalid reference format')
    if values.restart not in RESTARTS:
        raise UsageError(f"invalid restart policy: {values.restart}, valid values are: {', '.join(RESTARTS)}")
    staying = values.attach if "attach" in values.given else values.stdin or values.tty
    if values.tty and not values.stdin:
        raise UsageError("stdin is required for containers with -t/--tty=true".replace("stdin", "-i/--stdin", 1))
    if values.rm and not staying:
        raise UsageError("--rm should only be used for attached containers")
    write = Write(values, "kubectl-run")
    if values.rm and write.dry_run != "none":
        raise UsageError("--rm can't be used with --dry-run")
    if staying and write.dry_run != "none":
        raise UsageError(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)"
        )
    pod = _pod(values)
    service = _service(values) if values.expose else None
    session = flags.session(values)
    kind = session.discovery.named("pods")
    if staying and write.dry_run == "none":
        return _stay(session, pod, values)
    if code := create(session, kind, pod, values, write, write.query):
        return code
    if service is None:
        return 0
    return create(session, session.discovery.named("services"), service, values, write, write.query)


def _pod(values: Values) -> dict[str, Any]:
    name = values.words[0]
    words = [*values.words[1:], *(values.after_dash or [])]
    made_container = container(name, values.image, words, as_arguments=not values.command)
    if values.env:
        made_container["env"] = [
            {"name": key, "value": value} for key, value in pairs(values.env, "invalid env: {}").items()
        ]
    if values.port:
        if not values.port.isdigit():
            raise UsageError("--port must be a number")
        made_container["ports"] = [{"containerPort": port_number(values.port)}]
    if values.image_pull_policy:
        made_container["imagePullPolicy"] = values.image_pull_policy
    if values.privileged:
        made_container["securityContext"] = {"privileged": True}
    if values.stdin:
        made_container |= {"stdin": True, "stdinOnce": True}
    if values.tty:
        made_container["tty"] = True
    spec = {"containers": [made_container], "dnsPolicy": "ClusterFirst", "restartPolicy": values.restart}
    pod = made("v1", "Pod", name, spec=spec, status={})
    pod["metadata"]["labels"] = (
        pairs(values.labels.split(","), "unexpected label spec: {}") if values.labels else {"run": name}
    )
    if values.annotations:
        pod["metadata"]["annotations"] = pairs(values.annotations)
    return overridden(pod, values)


def overridden(pod: dict[str, Any], values: Values) -> dict[str, Any]:
    """The object after --overrides. Raises UsageError."""
    if not values.overrides:
        return pod
    if values.override_type not in ("merge", "json"):
        raise UsageError(f"invalid overrideType: {values.override_type}, merge and json are supported")
    from sampan.patches import json_patch, merge_patch

    try:
        patch = json.loads(values.overrides)
    except (ValueError, RecursionError) as error:
        raise UsageError("Invalid JSON Patch") from error
    merged = json_patch.apply(pod, patch) if values.override_type == "json" else merge_patch.apply(pod, patch)
    if not isinstance(merged, dict) or not isinstance(merged.get("metadata"), dict):
        raise UsageError("--overrides: the result is no object")
    return merged


def _service(values: Values) -> dict[str, Any]:
    if not values.port:
        raise UsageError("--port must be set when exposing a service")
    number = port_number(values.port)
    ports = [{"port": number, "protocol": "TCP", "targetPort": number}]
    spec = {"ports": ports, "selector": {"run": values.words[0]}}
    return made("v1", "Service", values.words[0], spec=spec, status={"loadBalancer": {}})


def _stay(session: Session, pod: dict[str, Any], values: Values) -> int:
    """Create the pod, attach, and end with the container's exit code."""
    pods = session.discovery.named("pods")
    live = session.call("POST", pods.path(quote(session.namespace)), {"fieldManager": "kubectl-run"}, pod)
    metadata = live["metadata"]
    try:
        live = _running(session, live, flags.seconds(values.pod_running_timeout))
        if live["status"].get("phase") in ("Succeeded", "Failed"):
            path = pods.path(quote(metadata["namespace"]), quote(metadata["name"]), "log")
            print(session.text(path), end="", flush=True)
        else:
            attach(session, live, "", stdin=values.stdin, tty=values.tty, quiet=values.quiet)
        code = _exit_code(session, live) if values.restart != "Always" else 0
    finally:
        if values.rm:
            options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 1}
            session.call("DELETE", pods.path(quote(metadata["namespace"]), quote(metadata["name"])), None, options)
            if not values.quiet:
                print(f'pod "{metadata["name"]}" deleted from {metadata["namespace"]} namespace')
            until_gone(session, pods, metadata["namespace"], metadata["name"], metadata["uid"], time.monotonic() + 60)
    if code:
        print(f"pod {metadata['namespace']}/{metadata['name']} terminated ({code})", file=sys.stderr)
        raise Exit(code)
    return 0


def _running(session: Session, pod: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Wait until the pod runs or has ended. Raises UsageError."""

    def begun(one: dict[str, Any]) -> bool:
        return one.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed")

    return until(session, pod, begun, seconds)


def until(
    session: Session, pod: dict[str, Any], holds: Callable[[dict[str, Any]], bool], seconds: float
) -> dict[str, Any]:
    """Wait until something holds of a pod. Raises UsageError when it takes too long, or the pod is deleted."""
    pods = session.discovery.named("pods")
    metadata = pod["metadata"]
    deadline = time.monotonic() + seconds
    query = {"fieldSelector": f"metadata.name={metadata['name']}"}
    while True:
        pod = session.read(pods, metadata["name"], metadata["namespace"])
        if holds(pod):
            return pod
        left = deadline - time.monotonic()
        if left <= 0:
            raise UsageError("timed out waiting for the condition")
        limits = {"resourceVersion": pod["metadata"]["resourceVersion"], "timeoutSeconds": str(max(1, int(left)))}
        for event, value in session.watch(pods.path(quote(metadata["namespace"])), query | limits):
            if event == "DELETED":
                raise UsageError(f"pod {metadata['name']} was deleted")
            if event != "BOOKMARK" and holds(value):
                found: dict[str, Any] = value
                return found


def _exit_code(session: Session, pod: dict[str, Any]) -> int:
    """Wait until the pod has ended; its container's exit code."""

    def ended(one: dict[str, Any]) -> bool:
        return one.get("status", {}).get("phase") in ("Succeeded", "Failed")

    last = until(session, pod, ended, 60)
    for one in last["status"].get("containerStatuses") or ():
        return int((one.get("state", {}).get("terminated") or {}).get("exitCode", 0))
    return 0
