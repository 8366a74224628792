"""Show all about objects, their events too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from kctl import flags, references, targets
from kctl.describe import certificates, events, generic, nodes, pods, small, workloads
from kctl.describe.text import aligned
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import Session
from kctl.targets import Found
from kctl.urls import quote
from sampan.api_error import ApiError

Value = dict[str, Any]
EVENTLESS = ("Secret", "Namespace")
NO_TYPE = """You must specify the type of resource to describe. Use "kctl api-resources" for a complete list of \
supported resources."""


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)"
    flags.text("selector", "only objects with these labels", short="l")
    flags.switch("all-namespaces", "in all namespaces", short="A")
    flags.switch("show-events", "events too", default=True)
    flags.number("chunk-size", "how many objects a request brings", default=500)
    flags.texts("filename", "files that name the objects", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")


class Chosen(NamedTuple):
    """An object to describe."""

    found: Found
    value: Value
    guessed: bool = False
    """The user gave only the beginning of its name."""


def run(values: Values) -> int:
    """Describe each object."""
    session = flags.session(values)
    chosen, failures = _chosen(session, values)
    with_events = values.show_events and (len(chosen) < 2 or "show-events" in values.given)
    for at, one in enumerate(chosen):
        if at and not one.guessed:
            print("\n")
        print("\n".join(aligned(_described(session, one.found, one.value, show_events=with_events))))
        if one.guessed:
            print()
    sys.stdout.flush()
    for text in failures:
        print(text, file=sys.stderr)
    if not chosen and not failures:
        where = "" if values.all_namespaces else f" in {session.namespace} namespace"
        print(f"No resources found{where}" + ("." if where else ""), file=sys.stderr)
    return 1 if failures else 0


def _chosen(session: Session, values: Values) -> tuple[list[Chosen], list[str]]:
    """The objects, and what could not be found. A name that is not there is tried as the beginning of names."""
    failures: list[str] = []
    if values.filename:
        return [Chosen(one, targets.read(session, one)) for one in targets.targets(session, values)], failures
    if not values.words:
        raise UsageError(NO_TYPE)
    chosen: list[Chosen] = []
    for one in references.references(session, values.words):
        kind = one.resource
        namespace = session.namespace if kind.namespaced and not values.all_namespaces else ""
        if one.name:
            target = Found(kind, namespace, one.name)
            try:
                chosen.append(Chosen(target, targets.read(session, target)))
            except ApiError as error:
                near = _prefixed(session, target) if error.is_not_found else []
                chosen += near
                failures += [] if near else [wording(error)]
            continue
        query = {"labelSelector": values.selector} if values.selector else None
        for item in session.get(kind.path(quote(namespace)), query).get("items") or ():
            chosen.append(Chosen(_place(kind, item), _typed(kind, item)))
    return chosen, failures


def _prefixed(session: Session, target: Found) -> list[Chosen]:
    items = session.get(target.resource.path(quote(target.namespace))).get("items") or ()
    near = [item for item in items if item["metadata"]["name"].startswith(target.name)]
    return [Chosen(_place(target.resource, item), _typed(target.resource, item), guessed=True) for item in near]


def _place(kind: Any, item: Value) -> Found:
    return Found(kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])


def _typed(kind: Any, item: Value) -> Value:
    return {"apiVersion": kind.api_version, "kind": kind.kind} | item


def _described(session: Session, found: Found, value: Value, *, show_events: bool) -> Iterable[str]:
    builtin = found.resource.group in ("", "apps", "batch", "certificates.k8s.io", "scheduling.k8s.io")
    describe = DESCRIBERS.get(found.resource.kind) if builtin else None
    yield from describe(session, value) if describe else generic.generic_lines(value)
    if show_events and found.resource.kind not in EVENTLESS:
        yield from events.lines(events.find(session, value, found.resource.kind))


def _list(session: Session, api_version: str, kind: str, namespace: str, **query: str) -> list[Value]:
    resource = session.discovery.of_kind(api_version, kind)
    items: list[Value] = session.get(resource.path(quote(namespace)), query).get("items") or []
    return items


def _owned(session: Session, value: Value, api_version: str, kind: str) -> list[Value]:
    """The objects of a kind that this one controls."""
    labels = (value["spec"].get("selector") or {}).get("matchLabels") or {}
    query = ",".join(f"{key}={text}" for key, text in labels.items())
    items = _list(session, api_version, kind, value["metadata"]["namespace"], labelSelector=query)
    uid = value["metadata"]["uid"]
    return [
        one
        for one in items
        if any(own["uid"] == uid and own.get("controller") for own in one["metadata"].get("ownerReferences") or ())
    ]


def _deployment(session: Session, value: Value) -> Iterable[str]:
    return workloads.deployment_lines(value, _owned(session, value, "apps/v1", "ReplicaSet"))


def _replica_set(session: Session, value: Value) -> Iterable[str]:
    return workloads.replica_set_lines(value, _owned(session, value, "v1", "Pod"))


def _daemon_set(session: Session, value: Value) -> Iterable[str]:
    return workloads.daemon_set_lines(value, _owned(session, value, "v1", "Pod"))


def _service(session: Session, value: Value) -> Iterable[str]:
    query = f"kubernetes.io/service-name={value['metadata']['name']}"
    namespace = value["metadata"]["namespace"]
    slices = _list(session, "discovery.k8s.io/v1", "EndpointSlice", namespace, labelSelector=query)
    return small.service_lines(value, slices)


def _node(session: Session, value: Value) -> Iterable[str]:
    name = value["metadata"]["name"]
    leases = session.discovery.of_kind("coordination.k8s.io/v1", "Lease")
    lease: Value | str
    try:
        lease = session.read(leases, name, "kube-node-lease")
    except ApiError as error:
        lease = error.message
    return nodes.node_lines(value, _list(session, "v1", "Pod", "", fieldSelector=f"spec.nodeName={name}"), lease)


def _pure(describe: Callable[[Value], Iterable[str]]) -> Callable[[Session, Value], Iterable[str]]:
    return lambda _, value: describe(value)


DESCRIBERS: dict[str, Callable[[Session, Value], Iterable[str]]] = {
    "CertificateSigningRequest": _pure(certificates.request_lines),
    "ConfigMap": _pure(small.config_map_lines),
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Job": _pure(workloads.job_lines),
    "Namespace": _pure(small.namespace_lines),
    "Node": _node,
    "Pod": _pure(pods.pod_lines),
    "PriorityClass": _pure(small.priority_class_lines),
    "ReplicaSet": _replica_set,
    "Secret": _pure(small.secret_lines),
    "Service": _service,
    "ServiceAccount": _pure(small.service_account_lines),
}
"""Kind -> its description without events. A kind that is not here is described by its fields."""
