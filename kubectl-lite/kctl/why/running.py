"""A pod whose containers were made: those that end, are killed, or are not ready. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kctl.why.facts import Facts, Value, condition, going, holds, items, name_of, number, part
from kctl.why.situation import Entry, Situation, Words
from kctl.why.starting import statuses

SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
}  # fmt: skip
READ_ONLY = ("Read-only file system", "EROFS")
KILLED_BY = "will be restarted"


def ended(pod: Value, *, init: bool = False) -> Iterator[tuple[Value, Value]]:
    """(container status, how it ended) of each that ended and is not running well again."""
    for one in items(pod, "status", "initContainerStatuses" if init else "containerStatuses"):
        over = part(one, "state", "terminated")
        if over is None and part(one, "state", "waiting", "reason") in ("CrashLoopBackOff", "RunContainerError"):
            over = part(one, "lastState", "terminated")
        if over is None and part(one, "state", "running") and not one.get("ready"):
            over = part(one, "lastState", "terminated")
        if over is not None:
            yield one, over


def _failed(pod: Value, *, init: bool = False) -> Iterator[tuple[Value, Value]]:
    for one, over in ended(pod, init=init):
        if number(over, "exitCode") != 0 or over.get("reason") in ("StartError", "OOMKilled"):
            yield one, over


def _words(facts: Facts, pod: Value, status: Value, over: Value) -> dict[str, object]:
    code, restarts, name = number(over, "exitCode"), number(status, "restartCount"), str(status["name"])
    back_off = re.search(r"back-off (\S+) ", str(part(status, "state", "waiting", "message") or ""))
    previous = " --previous" if part(status, "state", "terminated") is None else ""
    limit = next(
        (part(one, "resources", "limits", "memory") for one in items(pod, "spec", "containers")
         if one.get("name") == name), None,
    )  # fmt: skip
    return {
        "container": name,
        "code": code,
        "signal": SIGNALS.get(code - 128, f"signal {code - 128}"),
        "restarts": f"{restarts} restart{'' if restarts == 1 else 's'}",
        "back_off": f", next try within {back_off[1]}" if back_off else "",
        "said": over.get("message") or "",
        "logs": f"kctl logs {label_of(pod)}{facts.option(pod)} -c {name}{previous}",
        "limit": limit or "its node's",
        "lines": [f"| {line}" for line in facts.logs.get((name_of(pod), name), [])],
    }


def label_of(pod: Value) -> str:
    """`pod/x`"""
    return f"pod/{name_of(pod)}"


def _over(test: Callable[[Facts, Value, Value, Value], bool], *, init: bool = False) -> Callable[
    [Facts, Value], Words | None
]:  # fmt: skip
    """A container failed, and the test, given (facts, pod, its status, how it ended), holds."""

    def when(facts: Facts, pod: Value) -> Words | None:
        for status, over in _failed(pod, init=init):
            if test(facts, pod, status, over):
                return _words(facts, pod, status, over)
        return None

    return when


def _about_container(facts: Facts, pod: Value, name: str, *reasons: str) -> Iterator[str]:
    for event in facts.about(pod, *reasons):
        field = str(part(event, "involvedObject", "fieldPath") or "")
        if not field or f"{{{name}}}" in field:
            yield str(event.get("message") or "")


def _killed_by(text: str) -> Callable[[Facts, Value], Words | None]:
    """A container was killed by the agent for this reason, and its event says so."""

    def when(facts: Facts, pod: Value) -> Words | None:
        for status, over in _failed(pod):
            name = str(status["name"])
            kills = _about_container(facts, pod, name, "Killing")
            if any(text in one and KILLED_BY in one for one in kills):
                kind = text.split()[0].capitalize()
                said = next(
                    (one for one in _about_container(facts, pod, name, "Unhealthy", "FailedPostStartHook")
                     if one.lower().startswith(kind.lower())), "",
                )  # fmt: skip
                return _words(facts, pod, status, over) | {"said": _reason(said)}
        return None

    return when


def _reason(said: str) -> str:
    """A probe event's message without its first words."""
    return re.sub(r"^(\w+ probe (failed|errored)|PostStartHook failed):?\s*", "", said).strip() or "it failed"


def _start_error(*texts: str) -> Callable[[Facts, Value], Words | None]:
    def test(facts: Facts, pod: Value, status: Value, over: Value) -> bool:
        said = str(over.get("message") or "")
        return over.get("reason") in ("StartError", "ContainerCannotRun") and (
            not texts or any(text in said for text in texts)
        )

    return _over(test)


def _logs_say(*texts: str) -> Callable[[Facts, Value, Value, Value], bool]:
    def test(facts: Facts, pod: Value, status: Value, over: Value) -> bool:
        return any(text in line for line in facts.logs.get((name_of(pod), str(status["name"])), []) for text in texts)

    return test


def _completes(facts: Facts, pod: Value) -> Words | None:
    """Containers end well and are started again and again."""
    if part(pod, "spec", "restartPolicy") not in (None, "Always"):
        return None
    for status, over in ended(pod):
        if number(over, "exitCode") == 0 and part(status, "state", "waiting", "reason") == "CrashLoopBackOff":
            return _words(facts, pod, status, over)
    return None


def _init_runs(facts: Facts, pod: Value) -> Words | None:
    statuses_ = items(pod, "status", "initContainerStatuses")
    for at, one in enumerate(statuses_):
        since = part(one, "state", "running", "startedAt")
        sidecar = any(
            spec.get("name") == one["name"] and spec.get("restartPolicy") == "Always"
            for spec in items(pod, "spec", "initContainers")
        )
        if since is None or (sidecar and one.get("started")) or holds(pod, "Initialized"):
            continue
        return {
            "container": one["name"],
            "at": f"{at + 1} of {len(statuses_)}",
            "since": facts.ago(since),
            "lines": [f"| {line}" for line in facts.logs.get((name_of(pod), str(one["name"])), [])],
        }
    return None


def _unready(*texts: str, kind: str = "Readiness") -> Callable[[Facts, Value], Words | None]:
    """A container runs and its probe fails, with one of these texts; without any, in any way."""

    def when(facts: Facts, pod: Value) -> Words | None:
        for status in statuses(pod):
            name = str(status["name"])
            if not part(status, "state", "running") or status.get("ready"):
                continue
            if kind == "Startup" and status.get("started"):
                continue
            said = next((one for one in _about_container(facts, pod, name, "Unhealthy") if one.startswith(kind)), "")
            if said and (not texts or any(text in said for text in texts)):
                port = re.search(r":(\d+)[/:\"]", said)
                code = re.search(r"statuscode: (\d+)", said)
                return {
                    "container": name,
                    "said": _reason(said),
                    "port": port[1] if port else "?",
                    "code": code[1] if code else "?",
                    "path": _path(pod, name),
                    "lines": [f"| {line}" for line in facts.logs.get((name_of(pod), name), [])],
                }
        return None

    return when


def _path(pod: Value, name: str) -> str:
    for one in items(pod, "spec", "containers"):
        if one.get("name") == name:
            return str(part(one, "readinessProbe", "httpGet", "path") or "/")
    return "/"


def _not_probed(facts: Facts, pod: Value) -> Words | None:
    for status in items(pod, "status", "containerStatuses"):
        if part(status, "state", "running") and not status.get("ready"):
            return {"container": status["name"], "since": facts.ago(part(status, "state", "running", "startedAt"))}
    return None


def _gates(facts: Facts, pod: Value) -> Words | None:
    if not holds(pod, "ContainersReady"):
        return None
    for gate in items(pod, "spec", "readinessGates"):
        kind = str(gate.get("conditionType"))
        if not holds(pod, kind):
            said = condition(pod, kind).get("message")
            return {"gate": kind, "said": f": {said}" if said else ""}
    return None


def _succeeded(facts: Facts, pod: Value) -> Words | None:
    return {} if part(pod, "status", "phase") == "Succeeded" else None


def _healthy(facts: Facts, pod: Value) -> Words | None:
    if not holds(pod, "Ready") or going(pod):
        return None
    restarts = sum(number(one, "restartCount") for one in statuses(pod))
    node = part(pod, "spec", "nodeName")
    return {"node": node, "history": f", after {restarts} restart{'s' if restarts > 1 else ''}" if restarts else ""}


def _is_oom(facts: Facts, pod: Value, status: Value, over: Value) -> bool:
    return over.get("reason") == "OOMKilled"


def _has_code(*codes: int) -> Callable[[Facts, Value, Value, Value], bool]:
    return lambda facts, pod, status, over: number(over, "exitCode") in codes


def _is_lost(facts: Facts, pod: Value, status: Value, over: Value) -> bool:
    return over.get("reason") == "ContainerStatusUnknown"


def _any(facts: Facts, pod: Value, status: Value, over: Value) -> bool:
    return True


RUNNING: tuple[Entry, ...] = (
    Situation(
        "init-crash",
        _over(_any, init=True),
        "its init container {container} fails with exit code {code} ({restarts}{back_off})",
        "{logs}",
    ),
    Situation(
        "init-running",
        _init_runs,
        "its init container {container} ({at}) has been running for {since}; the others start when it has ended",
        "see what it waits for: kctl logs {label}{namespace} -c {container}",
    ),
    Situation(
        "command-missing",
        _start_error("not found", "no such file"),
        "the command of container {container} is not in its image: {said}",
        "correct command or args of container {container}, or its image",
    ),
    Situation(
        "command-not-executable",
        _start_error("permission denied", "exec format"),
        "the command of container {container} can't be executed: {said}",
        "make the file executable in the image (chmod +x), or correct the command",
    ),
    Situation(
        "start-error",
        _start_error(),
        "container {container} can't be started: {said}",
        "kctl describe {label}{namespace}",
    ),
    Situation(
        "post-start-fails",
        _killed_by("PostStart hook"),
        "the postStart hook of container {container} fails, so it is killed and started again ({restarts}): {said}",
        "correct lifecycle.postStart of container {container}",
    ),
    Situation(
        "out-of-memory",
        _over(_is_oom),
        "container {container} used more memory than its limit of {limit} and was killed ({restarts}{back_off})",
        "raise resources.limits.memory of container {container}, or have it use less",
    ),
    Situation(
        "liveness-fails",
        _killed_by("liveness probe"),
        "the liveness probe of container {container} fails, so it is killed and started again ({restarts}): {said}",
        "correct the probe, or what it asks: {logs}",
    ),
    Situation(
        "startup-killed",
        _killed_by("startup probe"),
        "container {container} was killed because its startup probe failed too often ({restarts}): {said}",
        "give it longer (failureThreshold, periodSeconds), or correct what it asks: {logs}",
    ),
    Situation(
        "read-only",
        _over(_logs_say(*READ_ONLY)),
        "container {container} writes to a read-only file system and ends with exit code {code} ({restarts}{back_off})",
        "mount an emptyDir where it writes, or set readOnlyRootFilesystem: false",
    ),
    Situation(
        "container-lost",
        _over(_is_lost),
        "container {container} was lost: its node could not tell how it ended",
        "kctl describe {label}{namespace}",
    ),
    Situation(
        "killed-by-signal",
        _over(lambda facts, pod, status, over: 128 < number(over, "exitCode") < 160),
        "container {container} ended by {signal} (exit code {code}, {restarts}{back_off})",
        "{logs}",
    ),
    Situation(
        "shell-command-missing",
        _over(_has_code(126, 127)),
        "a command in container {container} is missing or not executable (exit code {code}, {restarts}{back_off})",
        "{logs}",
    ),
    Situation(
        "crash-loop",
        _over(lambda facts, pod, status, over: part(pod, "status", "phase") != "Failed"),
        "container {container} ends with exit code {code} ({restarts}{back_off})",
        "{logs}",
    ),
    Situation(
        "failed", _over(_any), "container {container} ended with exit code {code}, and nothing restarts it", "{logs}"
    ),
    Situation(
        "ends-at-once",
        _completes,
        "container {container} ends with exit code 0 and restartPolicy Always starts it again ({restarts}{back_off})",
        "run it as a Job, or give it a command that goes on",
    ),
    Situation(
        "startup-failing",
        _unready(kind="Startup"),
        "container {container} runs, and its startup probe does not succeed yet: {said}",
        "kctl logs {label}{namespace} -c {container}",
    ),
    Situation(
        "readiness-status",
        _unready("statuscode"),
        "container {container} answers its readiness probe ({path}) with HTTP {code}",
        "kctl logs {label}{namespace} -c {container}; or correct readinessProbe.httpGet.path",
    ),
    Situation(
        "readiness-refused",
        _unready("connection refused"),
        "nobody in container {container} listens on port {port}, which its readiness probe asks",
        "correct the probe's port, or see why it does not listen: kctl logs {label}{namespace} -c {container}",
    ),
    Situation(
        "readiness-timeout",
        _unready("timeout", "timed out", "deadline exceeded", "Client.Timeout"),
        "container {container} does not answer its readiness probe in time: {said}",
        "raise timeoutSeconds, or see what it does: kctl logs {label}{namespace} -c {container}",
    ),
    Situation(
        "readiness-fails",
        _unready(),
        "the readiness probe of container {container} fails: {said}",
        "kctl logs {label}{namespace} -c {container}",
    ),
    Situation(
        "readiness-gate",
        _gates,
        "its containers are ready, and its readiness gate {gate} is not true{said}",
        "whoever sets condition {gate} on it must do so; or take it out of spec.readinessGates",
    ),
    Situation(
        "not-ready-yet",
        _not_probed,
        "container {container} has been running for {since} and has not been found ready yet",
        "wait a moment and ask again",
    ),
    Situation(
        "completed", _succeeded, "nothing is wrong: it has done its work and ended", "nothing to do", healthy=True
    ),
    Situation(
        "healthy",
        _healthy,
        "nothing is wrong: it runs on node {node} and is ready{history}",
        "nothing to do",
        healthy=True,
    ),
)
