"""Containers in descriptions, with or without what has become of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kctl.describe.text import NONE, boolean, line, time

Container = dict[str, Any]


def container_lines(
    heading: str, containers: Sequence[Container], statuses: Mapping[str, dict[str, Any]], level: int, pod: Any = None
) -> Iterable[str]:
    """A group of containers; `pod` is None for a template."""
    extra = " " if pod is None else "  "
    if not containers:
        yield f"{'  ' * level}{heading}: {NONE}"
        return
    yield f"{'  ' * level}{heading}:"
    for one in containers:
        status = statuses.get(one["name"], {})
        indent = "  " * level + extra
        yield f"{indent}{one['name']}:"
        yield from _body(one, status, pod)


def _body(one: Container, status: dict[str, Any], pod: Any) -> Iterable[str]:
    if status:
        yield line("    Container ID", status.get("containerID", ""))
    yield line("    Image", one.get("image", ""))
    if status:
        yield line("    Image ID", status.get("imageID", ""))
    ports = one.get("ports") or ()
    yield _several("    Port", [_port(port, port["containerPort"]) for port in ports])
    yield _several("    Host Port", [_port(port, port.get("hostPort", 0)) for port in ports])
    if profile := (one.get("securityContext") or {}).get("seccompProfile"):
        yield line("    SeccompProfile", profile.get("type", ""))
        if profile.get("localhostProfile"):
            yield line("      LocalhostProfile", profile["localhostProfile"])
    for name, field in (("Command", "command"), ("Args", "args")):
        if one.get(field):
            yield f"    {name}:"
            yield from (f"      {part}" for word in one[field] for part in str(word).split("\n"))
    if status:
        yield from _status(status)
    resources = one.get("resources") or {}
    for name, field in (("Limits", "limits"), ("Requests", "requests")):
        if resources.get(field):
            yield f"    {name}:"
            yield from (line(f"      {key}", value) for key, value in sorted(resources[field].items()))
    for name, field in (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")):
        if one.get(field):
            yield line(f"    {name}", probe(one[field]))
    if one.get("envFrom"):
        yield "    Environment Variables from:"
        yield from map(_source, one["envFrom"])
    yield from _environment(one, pod)
    yield from _mounts(one)


def _several(name: str, values: Sequence[str]) -> str:
    return line(name if len(values) < 2 else f"{name}s", ", ".join(values) or NONE)


def _port(port: dict[str, Any], number: int) -> str:
    name = f" ({port['name']})" if port.get("name") else ""
    return f"{number}/{port.get('protocol', 'TCP')}{name}"


def _status(status: dict[str, Any]) -> Iterable[str]:
    yield from _state("State", status.get("state") or {})
    if status.get("lastState"):
        yield from _state("Last State", status["lastState"])
    yield line("    Ready", "True" if status.get("ready") else "False")
    yield line("    Restart Count", status.get("restartCount", 0))


def _state(name: str, state: dict[str, Any]) -> Iterable[str]:
    if running := state.get("running"):
        yield line(f"    {name}", "Running")
        yield line("      Started", time(running.get("startedAt")))
    elif (ended := state.get("terminated")) is not None:
        yield line(f"    {name}", "Terminated")
        for key, field in (("Reason", "reason"), ("Message", "message")):
            if ended.get(field):
                yield line(f"      {key}", ended[field])
        yield line("      Exit Code", ended.get("exitCode", 0))
        if ended.get("signal"):
            yield line("      Signal", ended["signal"])
        yield line("      Started", time(ended.get("startedAt")))
        yield line("      Finished", time(ended.get("finishedAt")))
    else:
        waiting = state.get("waiting") or {}
        yield line(f"    {name}", "Waiting")
        if waiting.get("reason"):
            yield line("      Reason", waiting["reason"])


def probe(found: dict[str, Any]) -> str:
    """A probe in one line."""
    figures = (
        f"delay={found.get('initialDelaySeconds', 0)}s timeout={found.get('timeoutSeconds', 1)}s"
        f" period={found.get('periodSeconds', 10)}s successThreshold={found.get('successThreshold', 1)}"
        f" failureThreshold={found.get('failureThreshold', 3)}"
    )
    if action := found.get("exec"):
        return f"exec [{' '.join(action.get('command') or ())}] {figures}"
    if action := found.get("httpGet"):
        scheme = str(action.get("scheme") or "HTTP").lower()
        path = action.get("path") or ""
        slash = "" if path.startswith("/") or not path else "/"
        return f"http-get {scheme}://{action.get('host', '')}:{action['port']}{slash}{path} {figures}"
    if action := found.get("tcpSocket"):
        return f"tcp-socket {action.get('host', '')}:{action['port']} {figures}"
    if action := found.get("grpc"):
        return f"grpc <pod>:{action['port']} {action.get('service') or ''} {figures}"
    return f"unknown {figures}"


def _source(source: dict[str, Any]) -> str:
    name, kind, optional = "", "", False
    for field, shown in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if source.get(field):
            name, kind = source[field].get("name", ""), shown
            optional = bool(source[field].get("optional"))
    prefix = f" with prefix '{source['prefix']}'" if source.get("prefix") else ""
    return f"      {name}\t{kind}{prefix}\tOptional: {boolean(optional)}"


def _environment(one: Container, pod: Any) -> Iterable[str]:
    if not one.get("env"):
        yield line("    Environment", NONE)
        return
    yield "    Environment:"
    for entry in one["env"]:
        source = entry.get("valueFrom")
        if not source:
            first, *rest = str(entry.get("value", "")).split("\n")
            yield f"      {entry['name']}:\t{first}"
            yield from (f"      \t{text}" for text in rest)
        elif field := source.get("fieldRef"):
            value = _field(field["fieldPath"], pod) if pod is not None else ""
            yield f"      {entry['name']}:\t{value} ({field.get('apiVersion', 'v1')}:{field['fieldPath']})"
        elif field := source.get("resourceFieldRef"):
            yield f"      {entry['name']}:\t{_resource(field, one)} ({field['resource']})"
        else:
            kind, field = next(
                (kind, source[key])
                for key, kind in (("secretKeyRef", "secret"), ("configMapKeyRef", "config map"), ("fileKeyRef", "file"))
                if source.get(key)
            )
            optional = boolean(field.get("optional"))
            yield (
                f"      {entry['name']}:\t<set to the key '{field.get('key', '')}'"
                f" {'in' if kind == 'secret' else 'of'} {kind} '{field.get('name', '')}'>"
                f"\tOptional: {optional}"
            )


def _field(path: str, pod: dict[str, Any]) -> str:
    """The pod's value at a path of the downward API."""
    if "['" in path:
        head, _, rest = path.partition("['")
        key = rest.removesuffix("']")
        return str((pod["metadata"].get(head.rpartition(".")[2]) or {}).get(key, ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _resource(field: dict[str, Any], one: Container) -> str:
    kind, _, name = str(field["resource"]).partition(".")
    found = ((one.get("resources") or {}).get(kind) or {}).get(name)
    return str(found) if found is not None else "node allocatable" if kind == "limits" else "0"


def _mounts(one: Container) -> Iterable[str]:
    if not one.get("volumeMounts"):
        yield line("    Mounts", NONE)
    else:
        yield "    Mounts:"
    for mount in sorted(one.get("volumeMounts") or (), key=lambda mount: str(mount["mountPath"])):
        flags = ["ro" if mount.get("readOnly") else "rw"]
        if mount.get("subPath"):
            flags.append(f'path="{mount["subPath"]}"')
        yield f"      {mount['mountPath']} from {mount['name']} ({','.join(flags)})"
    for device in one.get("volumeDevices") or ():
        yield f"      {device['devicePath']} from {device['name']}"
