"""Run a command in a container."""

from __future__ import annotations

from kctl import flags, streams
from kctl.errors import Exit, UsageError
from kctl.flags import Flags, Values
from kctl.pods import container_of, pod_of, split_name
from kctl.session import Session
from kctl.streams import Streams
from kctl.urls import quote
from kctl.websocket import WebSocket


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]"
    flags.switch("stdin", "pass standard input on", short="i")
    flags.switch("tty", "give the command a terminal", short="t")
    flags.text("container", "the container", short="c")
    flags.switch("quiet", "print only what the command prints", short="q")
    flags.texts("filename", "(not supported)", short="f")
    flags.text("pod-running-timeout", "how long to wait for a pod to run (not waited for)", default="1m0s")


def run(values: Values) -> int:
    """Run it; its exit code is ours."""
    if values.filename:
        raise UsageError("--filename is not supported by exec; name the pod")
    if not values.words:
        raise UsageError("pod, type/name or --filename must be specified")
    if values.after_dash is None and len(values.words) > 1:
        raise UsageError(
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\n"
            "See 'kctl exec -h' for help and examples"
        )
    if not values.after_dash:
        raise UsageError("you must specify at least one command for the container")
    if len(values.words) > 1:
        raise UsageError(f"expected one POD or TYPE/NAME before --, got {len(values.words)}")
    session = flags.session(values)
    pod = pod_of(session, *split_name(values.words[0]))
    if (phase := pod.get("status", {}).get("phase")) in ("Succeeded", "Failed"):
        raise UsageError("cannot exec into a container in a completed pod; current phase is " + str(phase))
    container = container_of(pod, values.container, quiet=values.quiet)
    tty = streams.wants_terminal(values.tty, values.stdin, quiet=values.quiet)
    socket = connect(session, pod, container, values.after_dash, stdin=values.stdin, tty=tty)
    with streams.raw_terminal(tty and values.stdin):
        code = streams.join(socket, Streams(0 if values.stdin else None), tty=tty)
    if code:
        import sys

        print(f"command terminated with exit code {code}", file=sys.stderr)
        raise Exit(code)
    return 0


def connect(
    session: Session, pod: dict[str, object], container: str, command: list[str], *, stdin: bool, tty: bool
) -> WebSocket:
    """Start the command. Raises ApiError."""
    query = [("container", container), *(("command", word) for word in command)]
    query += wanted(stdin=stdin, tty=tty)
    return WebSocket(session, subresource(session, pod, "exec"), query, streams.PROTOCOLS)


def wanted(*, stdin: bool, tty: bool) -> list[tuple[str, str]]:
    """The streams to ask for: a terminal has no standard error of its own."""
    names = (("stdin", stdin), ("stdout", True), ("stderr", not tty), ("tty", tty))
    return [(name, "true") for name, wished in names if wished]


def subresource(session: Session, pod: dict[str, object], name: str) -> str:
    """The path of a pod's subresource."""
    metadata = pod["metadata"]
    assert isinstance(metadata, dict)
    pods = session.discovery.named("pods")
    return pods.path(quote(metadata["namespace"]), quote(metadata["name"]), name)
