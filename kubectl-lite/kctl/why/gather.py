"""Takes the snapshot: the one place of this package that asks the API server.

What the user may not read is left out and named; what is costly (logs, ports, keys) is asked only where a state
calls for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from kctl.discovery import ApiResource
from kctl.session import Session
from kctl.urls import quote
from kctl.why.facts import Facts, Value, finished, going, items, kind_of, name_of, namespace_of, part, ready
from kctl.why.services import chosen, target_port
from kctl.why.starting import statuses
from sampan.api_error import ApiError, SampanError

LINES = 5
KNOCK_SECONDS = 0.3
"""How long connecting to a pod's port may take to fail: refusals come at once."""
REFUSALS = ("refused", "Errno 111")
MOST_LOGS = 6
MOST_PORTS = 4
OWNERS = ("Deployment", "ReplicaSet", "DaemonSet", "Job")
IGNORED = ("events", "leases", "endpoints", "endpointslices")


def gather(session: Session, resource: ApiResource, value: Value, default_namespace: str) -> Facts:
    """The snapshot for one object. Raises ApiError for what is neither missing nor forbidden.

    `default_namespace` is where commands look without -n.
    """
    return _Gathering(session, default_namespace).facts(resource, value)


class _Gathering:
    """Collects lists, and what could not be seen."""

    def __init__(self, session: Session, default_namespace: str) -> None:
        self.session = session
        self.default_namespace = default_namespace
        self.unseen: set[str] = set()

    def facts(self, resource: ApiResource, value: Value) -> Facts:
        kind, namespace = resource.kind, namespace_of(value)
        if kind == "Namespace":
            namespace = name_of(value)
        everywhere = kind == "Node" or (kind == "Pod" and not part(value, "spec", "nodeName"))
        pods = self.every("v1", "Pod", "" if everywhere else namespace)
        if kind == "Node":
            pods = [one for one in pods if part(one, "spec", "nodeName") == name_of(value)]
        elif any(not part(one, "spec", "nodeName") for one in pods) and not everywhere:
            pods = self.every("v1", "Pod", "")
        nodes = self.every("v1", "Node")
        near = [one for one in pods if namespace_of(one) == namespace] if kind != "Node" else []
        if kind == "Pod":
            near = [one for one in near if name_of(one) == name_of(value)]
        # A namespace's objects are asked for by its own pods only; the scheduler's arithmetic needs all of them.
        facts = Facts(
            now=datetime.now(UTC),
            events=self.every("v1", "Event", namespace if kind != "Node" else "default"),
            pods=pods if everywhere else _own_first(pods, namespace),
            nodes=nodes,
            leases=[
                *self.every("coordination.k8s.io/v1", "Lease", "kube-node-lease"),
                *self.every("coordination.k8s.io/v1", "Lease", "kube-system"),
            ],
            replica_sets=self.every("apps/v1", "ReplicaSet", namespace) if kind in OWNERS else [],
            slices=self.every("discovery.k8s.io/v1", "EndpointSlice", namespace) if kind == "Service" else [],
            leftovers=self.leftovers(value, namespace),
            keys=self.keys(near, namespace),
            logs=self.logs(near),
            refused=self.ports(value, near) if kind == "Service" else {},
            unseen=frozenset(self.unseen),
            default_namespace=self.default_namespace,
        )
        return facts

    def every(self, api_version: str, kind: str, namespace: str = "") -> list[Value]:
        """All objects of a kind, in a namespace or everywhere; empty when the user may not read them."""
        resource = self.session.discovery.of_kind(api_version, kind)
        try:
            found = self.session.get(resource.path(quote(namespace)), {"resourceVersion": "0"})
        except ApiError as error:
            if error.code not in (403, 404):
                raise
            self.unseen.add(resource.plural)
            return []
        return [{"kind": kind, "apiVersion": api_version, **one} for one in found.get("items") or ()]

    def leftovers(self, value: Value, namespace: str) -> list[Value]:
        """What a namespace that goes still has, or what an owner that goes still owns."""
        if not going(value):
            return []
        uid = part(value, "metadata", "uid")
        found: list[Value] = []
        for one in self.session.discovery.everything():
            if not one.namespaced or not {"list", "delete"} <= set(one.verbs) or one.plural in IGNORED:
                continue
            objects = self.every(one.api_version, one.kind, namespace)
            if kind_of(value) != "Namespace":
                objects = [
                    other
                    for other in objects
                    if any(ref.get("uid") == uid for ref in items(other, "metadata", "ownerReferences"))
                ]
            found += objects
        return found

    def keys(self, pods: Iterable[Value], namespace: str) -> dict[tuple[str, str], list[str]]:
        """The names and keys of what pods refer to, if a container can't be made. Values are not kept."""
        if not any(_waits(pod) for pod in pods):
            return {}
        found = {}
        for kind in ("ConfigMap", "Secret"):
            for one in self.every("v1", kind, namespace):
                keys = [*(one.get("data") or {}), *(one.get("binaryData") or {})]
                found[kind, name_of(one)] = sorted(map(str, keys))
        return found

    def logs(self, pods: Iterable[Value]) -> dict[tuple[str, str], list[str]]:
        """The last lines of containers that ended badly or are not ready."""
        found: dict[tuple[str, str], list[str]] = {}
        for pod, container, previous in _unwell(pods):
            if len(found) >= MOST_LOGS:
                break
            query = {"container": container, "tailLines": str(LINES)} | ({"previous": "true"} if previous else {})
            path = self.session.discovery.of_kind("v1", "Pod").path(
                quote(namespace_of(pod)), quote(name_of(pod)), "log"
            )
            try:
                text = self.session.text(path, query)
            except SampanError:
                continue  # the node is away, or has forgotten them: the cause is told without its last words
            if lines := text.splitlines()[-LINES:]:
                found[name_of(pod), container] = lines
        return found

    def ports(self, service: Value, pods: Iterable[Value]) -> dict[tuple[str, int], str]:
        """What connecting to the pods' ports comes to, where nobody listens. Nothing is sent to them."""
        found: dict[tuple[str, int], str] = {}
        facts = Facts(now=datetime.now(UTC), pods=list(pods))
        for pod in [one for one in chosen(facts, service) if ready(one)][:MOST_PORTS]:
            for port in items(service, "spec", "ports"):
                number = target_port(port, pod)
                if number and port.get("protocol", "TCP") == "TCP" and (said := self.knock(pod, number)):
                    found[name_of(pod), number] = said
        return found

    def knock(self, pod: Value, port: int) -> str:
        """Connect to a pod's port and hang up. What went wrong, empty if somebody listens or it can't be told."""
        import select
        import time

        from kctl.websocket import WebSocket

        path = self.session.discovery.of_kind("v1", "Pod").path(
            quote(namespace_of(pod)), quote(name_of(pod)), "portforward"
        )
        try:
            tunnel = WebSocket(self.session, path, [("ports", str(port))], ("v4.channel.k8s.io",))
        except SampanError:
            return ""
        deadline = time.monotonic() + KNOCK_SECONDS
        try:
            while not tunnel.closed and (left := deadline - time.monotonic()) > 0:
                for message in tunnel.receive():
                    if message.data[:1] == b"\x01" and len(message.data) > 3:
                        said = message.data[1:].decode(errors="replace").strip()
                        return said if any(one in said for one in REFUSALS) else ""
                select.select([tunnel.fileno()], [], [], left)
        except SampanError:
            return ""
        finally:
            tunnel.close()
        return ""


def _own_first(pods: list[Value], namespace: str) -> list[Value]:
    return sorted(pods, key=lambda one: namespace_of(one) != namespace)


def _waits(pod: Value) -> bool:
    if finished(pod) or not part(pod, "spec", "nodeName"):
        return False
    return any(part(one, "state", "waiting") for one in statuses(pod))


def _unwell(pods: Iterable[Value]) -> Iterator[tuple[Value, str, bool]]:
    """(pod, container, whether its previous run is meant) for each whose last words matter."""
    for pod in pods:
        for one in statuses(pod):
            state, last = one.get("state") or {}, part(one, "lastState", "terminated")
            if "terminated" in state:
                if state["terminated"].get("exitCode"):
                    yield pod, str(one["name"]), False
            elif last is not None and not one.get("ready"):
                yield pod, str(one["name"]), "running" in state
            elif "running" in state and not one.get("ready"):
                yield pod, str(one["name"]), False
