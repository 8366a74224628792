"""Print the logs of a container in a pod; with -f and a workload, those of all its pods, new ones too."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

from kctl import flags
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.pods import default_container, listed_containers, pod_of, selector_of
from kctl.session import Session
from kctl.urls import quote
from sampan.api_error import ApiError, SampanError

EXPECTED = """expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.
POD or TYPE/NAME is a required argument for the logs command
See 'kctl logs -h' for help and examples"""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[-+]\d\d:\d\d)")
CONCURRENT = 5
MOST_FOLLOWED = 100
"""Of a workload's logs, unless --max-log-requests says otherwise."""


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]"
    flags.switch("follow", "go on as more is written", short="f")
    flags.text("container", "the container", short="c")
    flags.switch("previous", "of the container's previous run", short="p")
    flags.text("selector", "of all pods with these labels", short="l")
    flags.switch("all-containers", "of all containers of the pod")
    flags.switch("all-pods", "of all pods of the workload")
    flags.number("tail", "so many of the last lines; -1 for all", default=None)
    flags.duration("since", "only what is newer than this, such as 5s or 2m")
    flags.text("since-time", "only what is newer than this RFC 3339 time")
    flags.switch("timestamps", "with the time of each line")
    flags.number("limit-bytes", "at most so many bytes")
    flags.switch("prefix", "say which pod and container a line is of")
    flags.number("max-log-requests", "how many logs may be followed at once", default=CONCURRENT)
    flags.switch("ignore-errors", "go on when one of the logs can't be read")
    flags.text("pod-running-timeout", "how long to wait for a pod to run", default="20s")


def run(values: Values) -> int:
    """Print the logs."""
    query = _query(values)
    session = flags.session(values)
    if _follows_all(values):
        return _follow_all(session, values, query)
    sources = list(_sources(session, values))
    if values.follow and len(sources) > values.max_log_requests:
        raise UsageError(
            f"you are attempting to follow {len(sources)} log streams, but maximum allowed concurrency is"
            f" {values.max_log_requests}, use --max-log-requests to increase the limit"
        )
    if len(sources) > 1 and values.follow:
        threads = [threading.Thread(target=_copy, args=(session, *one, query, values), daemon=True) for one in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 0
    for pod, container in sources:
        _copy(session, pod, container, query, values)
    return 0


def _follows_all(values: Values) -> bool:
    """Whether a workload is followed: TYPE/NAME other than a pod."""
    kind, slash, _ = values.words[0].partition("/") if values.words else ("", "", "")
    return bool(values.follow and not values.previous and slash and kind.lower() not in ("pod", "pods", "po"))


def _follow_all(session: Session, values: Values, query: dict[str, str]) -> int:
    from kctl.following import Follower

    kind, _, name = values.words.pop(0).partition("/")
    resource = session.discovery.named(kind)
    selector = selector_of(resource, session.read(resource, name, session.namespace))
    container = values.container or (values.words.pop(0) if values.words else "")
    Follower(
        session,
        session.namespace,
        selector,
        query,
        container=container,
        all_containers=values.all_containers,
        timestamps=values.timestamps,
        most=values.max_log_requests if "max-log-requests" in values.given else MOST_FOLLOWED,
        finished=(lambda: _is_over(session.read(resource, name, session.namespace)))
        if resource.kind == "Job"
        else None,
    ).run()
    return 0


def _is_over(job: dict[str, Any]) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def _query(values: Values) -> dict[str, str]:
    query: dict[str, str] = {}
    for key in ("follow", "previous", "timestamps"):
        if getattr(values, key):
            query[key] = "true"
    tail = values.tail if values.tail is not None else 10 if values.selector else -1
    if tail >= 0:
        query["tailLines"] = str(tail)
    if values.since and values.since_time:
        raise UsageError("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if values.tail is not None and values.tail < -1:
        raise UsageError("--tail must be greater than or equal to -1")
    if values.limit_bytes < 0:
        raise UsageError("--limit-bytes must be greater than 0")
    if values.since_time and not TIME.fullmatch(values.since_time):
        raise UsageError(
            f'parsing time "{values.since_time}" as "2006-01-02T15:04:05Z07:00": cannot parse'
            f' "{values.since_time}" as "2006"'
        )
    if len(values.words) > 2:
        raise UsageError(EXPECTED)
    inline = values.words[1] if len(values.words) == 2 else ""
    if inline and values.container:
        raise UsageError("only one of -c or an inline [CONTAINER] arg is allowed")
    if values.all_containers and (inline or values.container):
        raise UsageError(
            f"--all-containers=true should not be specified with container name {inline or values.container}"
        )
    if values.since:
        query["sinceSeconds"] = str(max(1, round(flags.seconds(values.since))))
    if values.since_time:
        query["sinceTime"] = values.since_time
    if values.limit_bytes:
        query["limitBytes"] = str(values.limit_bytes)
    return query


def _sources(session: Session, values: Values) -> Iterator[tuple[dict[str, Any], str]]:
    """The (pod, container) pairs to read."""
    pods = session.discovery.named("pods")
    words = list(values.words)
    if values.selector:
        if words:
            raise UsageError("only a selector (-l) or a POD name is allowed\nSee 'kctl logs -h' for help and examples")
        found = session.get(pods.path(session.namespace), {"labelSelector": values.selector})["items"]
        if not found:
            print(f"No resources found in {session.namespace} namespace.", file=sys.stderr)
    elif words:
        kind, slash, name = words.pop(0).partition("/")
        if not slash:
            kind, name = "pods", kind
        try:
            found = [pod_of(session, kind, name)]
        except ApiError as error:
            if not error.is_not_found:
                raise
            reason = f"error from server (NotFound): {error.message}"
            raise UsageError(f'{reason} in namespace "{session.namespace}"') from error
        if words and not values.container:
            values.container = words.pop(0)
    else:
        raise UsageError(EXPECTED)
    for pod in found:
        spec = pod["spec"]
        names = [
            one["name"]
            for key in ("initContainers", "containers", "ephemeralContainers")
            for one in spec.get(key) or ()
        ]
        if values.all_containers:
            yield from ((pod, name) for name in names)
            continue
        if values.container and values.container not in names:
            name = pod["metadata"]["name"]
            raise UsageError(
                f"container {values.container} is not valid for pod {name} out of: {listed_containers(pod)}"
            )
        yield pod, values.container or default_container(pod)


def _copy(session: Session, pod: dict[str, Any], container: str, query: dict[str, str], values: Values) -> None:
    name = pod["metadata"]["name"]
    path = session.discovery.named("pods").path(quote(pod["metadata"]["namespace"]), quote(name), "log")
    prefix = f"[pod/{name}/{container}] ".encode() if values.prefix else b""
    out = sys.stdout.buffer
    try:
        response = session.stream(path, {**query, "container": container}, accept="*/*")
        if not prefix and not values.follow:
            for chunk in response.chunks():
                out.write(chunk)
        else:
            for line in response.lines():
                out.write(prefix + line)
                out.flush()
        out.flush()
    except SampanError as error:
        if not values.ignore_errors:
            raise
        print(wording(error), file=sys.stderr)
