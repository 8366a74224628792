"""Connect to a running container's standard streams."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags, streams
from kctl.commands.execute import subresource, wanted
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.pods import container_of, pod_of, split_name
from kctl.session import Session
from kctl.streams import Streams
from kctl.websocket import WebSocket


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(POD | TYPE/NAME) [-c CONTAINER] [flags]"
    flags.switch("stdin", "pass standard input on", short="i")
    flags.switch("tty", "the container has a terminal", short="t")
    flags.text("container", "the container", short="c")
    flags.switch("quiet", "print only what the container prints", short="q")
    flags.text("pod-running-timeout", "how long to wait for a pod to run (not waited for)", default="1m0s")


def run(values: Values) -> int:
    """Attach until the container ends."""
    if not values.words:
        raise UsageError("at least 1 argument is required for attach")
    if len(values.words) > 1:
        raise UsageError(f"expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {len(values.words)}")
    session = flags.session(values)
    pod = pod_of(session, *split_name(values.words[0]))
    if (phase := pod.get("status", {}).get("phase")) in ("Succeeded", "Failed"):
        raise UsageError(f"cannot attach a container in a completed pod; current phase is {phase}")
    return attach(session, pod, values.container, stdin=values.stdin, tty=values.tty, quiet=values.quiet)


def attach(session: Session, pod: dict[str, Any], name: str, *, stdin: bool, tty: bool, quiet: bool = False) -> int:
    """Join the container's streams to ours; the exit code of the stream, not of the container."""
    container = container_of(pod, name, quiet=quiet)
    groups = (pod["spec"].get(key) or () for key in ("containers", "initContainers", "ephemeralContainers"))
    own = next(one for group in groups for one in group if one["name"] == container)
    if tty and not own.get("tty"):
        print(f"error: Unable to use a TTY - container {container} did not allocate one", file=sys.stderr)
        tty = False
    tty = tty or (stdin and bool(own.get("tty")) and sys.stdin.isatty())
    query = [("container", container), *wanted(stdin=stdin, tty=tty)]
    socket = WebSocket(session, subresource(session, pod, "attach"), query, streams.PROTOCOLS)
    if not quiet and (stdin or tty):
        print("If you don't see a command prompt, try pressing enter.", file=sys.stderr)
    with streams.raw_terminal(tty and stdin and sys.stdin.isatty()):
        return streams.join(socket, Streams(0 if stdin else None), tty=tty)
