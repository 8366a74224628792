"""Finding the pod and the container that a user means."""

from __future__ import annotations

import sys
from typing import Any

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
    resource = session.discovery.named(kind)
    value: dict[str, Any] = session.read(resource, name, session.namespace)
    if resource.kind == "Pod":
        return value
    chosen = value.get("spec", {}).get("selector") or {}
    labels = chosen if resource.kind in ("Service", "ReplicationController") else chosen.get("matchLabels") or {}
    if not labels:
        raise UsageError(f"{resource.plural}/{name} has no selector")
    query = {"labelSelector": ",".join(f"{key}={text}" for key, text in labels.items())}
    items = session.get(session.discovery.named("pods").path(quote(session.namespace)), query)["items"]
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
