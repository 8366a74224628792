"""Finding the pod and the container that a user means."""

from __future__ import annotations

import sys
from typing import Any

from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.session import Session
from kctl.urls import quote


def default_container(pod: dict[str, Any], *, quiet: bool = False) -> str:
    """The container that is meant when none is named; says so on standard error when there are several."""
    names = [one["name"] for one in pod["spec"].get("containers") or ()]
    annotated = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if annotated in names:
        return str(annotated)
    if (len(names) > 1 or pod["spec"].get("initContainers")) and not quiet:
        print(f'Defaulted container "{names[0]}" out of: {listed_containers(pod)}', file=sys.stderr)
    return str(names[0])


def listed_containers(pod: dict[str, Any]) -> str:
    """All containers of a pod, in kubectl's words."""
    spec = pod["spec"]
    names = [str(one["name"]) for one in spec.get("containers") or ()]
    names += [f"{one['name']} (init)" for one in spec.get("initContainers") or ()]
    return ", ".join([*names, *(f"{one['name']} (ephem)" for one in spec.get("ephemeralContainers") or ())])


def pod_of(session: Session, kind: str, name: str) -> dict[str, Any]:
    """A pod, or one of the pods of a workload or service. Raises UsageError when it has none."""
    if not name:
        raise UsageError("resource name may not be empty")
    resource = session.discovery.named(kind)
    value: dict[str, Any] = session.read(resource, name, session.namespace)
    if resource.kind == "Pod":
        return value
    items = _chosen(session, resource, value)
    if not items:
        raise UsageError(f"no pods found for {resource.label(name)}; is it scaled to zero?")
    if len(items) > 1:
        print(f"Found {len(items)} pods, using pod/{items[0]['metadata']['name']}", file=sys.stderr)
    best: dict[str, Any] = items[0]
    return best


def pods_of(session: Session, kind: str, name: str) -> list[dict[str, Any]]:
    """The pods of a workload or service, the most useful first."""
    resource = session.discovery.named(kind)
    return _chosen(session, resource, session.read(resource, name, session.namespace))


def _chosen(session: Session, resource: ApiResource, value: dict[str, Any]) -> list[dict[str, Any]]:
    query = {"labelSelector": selector_of(resource, value)}
    items = session.get(session.discovery.named("pods").path(quote(session.namespace)), query)["items"]
    return sorted(items, key=_usefulness)


def selector_of(resource: ApiResource, value: dict[str, Any]) -> str:
    """The selector of a workload's or service's pods, as the API takes it. Raises UsageError when it has none."""
    chosen = value.get("spec", {}).get("selector") or {}
    plain = resource.kind in ("Service", "ReplicationController")
    parts = [f"{key}={text}" for key, text in (chosen if plain else chosen.get("matchLabels") or {}).items()]
    for rule in () if plain else chosen.get("matchExpressions") or ():
        key, listed = rule["key"], ",".join(rule.get("values") or ())
        forms = {"In": f"{key} in ({listed})", "NotIn": f"{key} notin ({listed})", "Exists": key}
        parts.append(forms.get(rule["operator"], f"!{key}"))
    if not parts:
        raise UsageError(f"{resource.plural}/{value['metadata']['name']} has no selector")
    return ",".join(parts)


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether its Ready condition is true."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _usefulness(pod: dict[str, Any]) -> tuple[bool, bool, str]:
    return not is_ready(pod), "deletionTimestamp" in pod["metadata"], pod["metadata"].get("creationTimestamp", "")


def split_name(word: str) -> tuple[str, str]:
    """`POD` or `TYPE/NAME` as (type, name). Raises UsageError."""
    kind, slash, name = word.partition("/")
    if not slash:
        return "pods", word
    if "/" in name:
        raise UsageError("arguments in resource/name form may not have more than one slash")
    if not kind or not name:
        raise UsageError("arguments in resource/name form must have a single resource and name")
    return kind, name


def container_of(pod: dict[str, Any], name: str, *, quiet: bool = False) -> str:
    """The named container, or the one that is meant when none is. Raises UsageError."""
    if not name:
        return default_container(pod, quiet=quiet)
    spec = pod["spec"]
    names = [
        one["name"] for key in ("containers", "initContainers", "ephemeralContainers") for one in spec.get(key) or ()
    ]
    if name not in names:
        raise UsageError(
            f"container {name} is not valid for pod {pod['metadata']['name']} out of: {listed_containers(pod)}"
        )
    return name
