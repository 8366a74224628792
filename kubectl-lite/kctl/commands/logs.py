"""Print the logs of a container in a pod, or of a workload's pods."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from kctl import flags
from kctl.__main__ import UsageError
from kctl.session import Session
from sampan.errors import SampanError

CONCURRENT = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("words", nargs="*", metavar="POD | TYPE/NAME [CONTAINER]")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as more is written")
    parser.add_argument("-c", "--container", default="", help="the container")
    parser.add_argument("-p", "--previous", action="store_true", help="of the container's previous run")
    parser.add_argument("-l", "--selector", default="", help="of all pods with these labels")
    parser.add_argument("--all-containers", action="store_true", help="of all containers of the pod")
    parser.add_argument("--tail", type=int, default=None, help="so many of the last lines; -1 for all")
    parser.add_argument("--since", default="", help="only what is newer than this, such as 5s or 2m")
    parser.add_argument("--since-time", default="", help="only what is newer than this RFC 3339 time")
    parser.add_argument("--timestamps", action="store_true", help="with the time of each line")
    parser.add_argument("--limit-bytes", type=int, default=0, help="at most so many bytes")
    parser.add_argument("--prefix", action="store_true", help="say which pod and container a line is of")
    parser.add_argument(
        "--max-log-requests", type=int, default=CONCURRENT, help="how many logs may be followed at once"
    )
    parser.add_argument("--ignore-errors", action="store_true", help="go on when one of the logs can't be read")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the logs."""
    session = flags.session(arguments)
    sources = list(_sources(session, arguments))
    if arguments.follow and len(sources) > arguments.max_log_requests:
        raise UsageError(
            f"you are attempting to follow {len(sources)} log streams, but maximum allowed concurrency is"
            f" {arguments.max_log_requests}, use --max-log-requests to increase the limit"
        )
    query = _query(arguments)
    if len(sources) > 1 and arguments.follow:
        threads = [
            threading.Thread(target=_copy, args=(session, *one, query, arguments), daemon=True) for one in sources
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 0
    for pod, container in sources:
        _copy(session, pod, container, query, arguments)
    return 0


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    query: dict[str, str] = {}
    for key in ("follow", "previous", "timestamps"):
        if getattr(arguments, key):
            query[key] = "true"
    tail = arguments.tail if arguments.tail is not None else 10 if arguments.selector else -1
    if tail >= 0:
        query["tailLines"] = str(tail)
    if arguments.since and arguments.since_time:
        raise UsageError("at most one of `sinceTime` or `since` may be specified")
    if arguments.since:
        query["sinceSeconds"] = str(max(1, round(flags.seconds(arguments.since))))
    if arguments.since_time:
        query["sinceTime"] = arguments.since_time
    if arguments.limit_bytes:
        query["limitBytes"] = str(arguments.limit_bytes)
    return query


def _sources(session: Session, arguments: argparse.Namespace) -> Iterator[tuple[dict[str, Any], str]]:
    """The (pod, container) pairs to read."""
    pods = session.discovery.named("pods")
    words = list(arguments.words)
    if arguments.selector:
        if words:
            raise UsageError("only a selector (-l) or a POD name is allowed")
        found = session.get(pods.path(session.namespace), {"labelSelector": arguments.selector})["items"]
    elif words:
        kind, slash, name = words.pop(0).partition("/")
        if not slash:
            kind, name = "pods", kind
        found = [pod_of(session, kind, name)]
        if words and not arguments.container:
            arguments.container = words.pop(0)
    else:
        raise UsageError(
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"
            "POD or TYPE/NAME is a required argument for the logs command"
        )
    for pod in found:
        spec = pod["spec"]
        names = [
            one["name"]
            for key in ("initContainers", "containers", "ephemeralContainers")
            for one in spec.get(key) or ()
        ]
        if arguments.all_containers:
            yield from ((pod, name) for name in names)
            continue
        if arguments.container and arguments.container not in names:
            raise UsageError(f"container {arguments.container} is not valid for pod {pod['metadata']['name']}")
        yield pod, arguments.container or default_container(pod)


def default_container(pod: dict[str, Any]) -> str:
    """The container that is meant when none is named; says so on standard error when there are several."""
    names = [one["name"] for one in pod["spec"].get("containers") or ()]
    annotated = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if annotated in names:
        return str(annotated)
    others = [one["name"] for one in pod["spec"].get("initContainers") or ()]
    if len(names) + len(others) > 1:
        listed = ", ".join([*names, *(f"{name} (init)" for name in others)])
        print(f'Defaulted container "{names[0]}" out of: {listed}', file=sys.stderr)
    return str(names[0])


def pod_of(session: Session, kind: str, name: str) -> dict[str, Any]:
    """A pod, or one of the pods of a workload or service. Raises UsageError when it has none."""
    resource = session.discovery.named(kind)
    value: dict[str, Any] = session.read(resource, name, session.namespace)
    if resource.kind == "Pod":
        return value
    chosen = value.get("spec", {}).get("selector") or {}
    labels = chosen if resource.kind in ("Service", "ReplicationController") else chosen.get("matchLabels") or {}
    if not labels:
        raise UsageError(f"{resource.plural}/{name} has no selector")
    query = {"labelSelector": ",".join(f"{key}={text}" for key, text in labels.items())}
    items = session.get(session.discovery.named("pods").path(session.namespace), query)["items"]
    if not items:
        raise UsageError(f"no pods found for {resource.label(name)}; is it scaled to zero?")
    items.sort(key=_usefulness)
    if len(items) > 1:
        print(f"Found {len(items)} pods, using pod/{items[0]['metadata']['name']}", file=sys.stderr)
    best: dict[str, Any] = items[0]
    return best


def _usefulness(pod: dict[str, Any]) -> tuple[bool, bool, str]:
    ready = any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions") or ()
    )
    return not ready, "deletionTimestamp" in pod["metadata"], pod["metadata"].get("creationTimestamp", "")


def _copy(
    session: Session, pod: dict[str, Any], container: str, query: dict[str, str], arguments: argparse.Namespace
) -> None:
    name = pod["metadata"]["name"]
    path = session.discovery.named("pods").path(pod["metadata"]["namespace"], quote(name, safe=""), "log")
    prefix = f"[pod/{name}/{container}] ".encode() if arguments.prefix else b""
    out = sys.stdout.buffer
    try:
        response = session.stream(path, {**query, "container": container}, accept="*/*")
        if not prefix and not arguments.follow:
            for chunk in response.chunks():
                out.write(chunk)
        else:
            for line in response.lines():
                out.write(prefix + line)
                out.flush()
        out.flush()
    except SampanError as error:
        if not arguments.ignore_errors:
            raise
        print(f"error: {error}", file=sys.stderr)
