"""The snapshot that a diagnosis looks at, and how its objects are read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Value = Mapping[str, Any]
"""An object as the API server sent it; its `kind` is always set."""
LEASE_SLACK_SECONDS = 5
"""A lease counts as lost only so long after it has run out: clocks differ a little."""


def part(value: Value, *path: str) -> Any:
    """What lies at a path, None if nothing does."""
    found: Any = value
    for key in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def items(value: Value, *path: str) -> list[Any]:
    """The list at a path, empty if there is none."""
    found = part(value, *path)
    return found if isinstance(found, list) else []


def table(value: Value, *path: str) -> dict[str, Any]:
    """The map at a path, empty if there is none."""
    found = part(value, *path)
    return found if isinstance(found, dict) else {}


def number(value: Value, *path: str, default: int = 0) -> int:
    """The whole number at a path."""
    found = part(value, *path)
    return found if isinstance(found, int) else default


def name_of(value: Value) -> str:
    """metadata.name"""
    return str(part(value, "metadata", "name") or "")


def namespace_of(value: Value) -> str:
    """metadata.namespace, empty for what has none."""
    return str(part(value, "metadata", "namespace") or "")


def kind_of(value: Value) -> str:
    """The object's kind."""
    return str(value.get("kind") or "")


def label(value: Value) -> str:
    """`pod/x`: how a user names the object to kctl."""
    return f"{kind_of(value).lower()}/{name_of(value)}"


def going(value: Value) -> bool:
    """Whether it is being deleted."""
    return bool(part(value, "metadata", "deletionTimestamp"))


def condition(value: Value, kind: str) -> Value:
    """A condition of the status, empty if it is not there."""
    return next((one for one in items(value, "status", "conditions") if one.get("type") == kind), {})


def holds(value: Value, kind: str) -> bool:
    """Whether a condition is True."""
    return condition(value, kind).get("status") == "True"


def owned_by(value: Value, owner: Value) -> bool:
    """Whether `owner` controls it."""
    uid = part(owner, "metadata", "uid")
    return any(one.get("uid") == uid and one.get("controller") for one in items(value, "metadata", "ownerReferences"))


def moment(text: Any) -> datetime | None:
    """An RFC 3339 time, None for anything else."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def ready(pod: Value) -> bool:
    """Whether a pod counts as an endpoint."""
    return holds(pod, "Ready") and not going(pod)


def finished(pod: Value) -> bool:
    """Whether a pod has ended for good."""
    return part(pod, "status", "phase") in ("Succeeded", "Failed")


@dataclass(frozen=True)
class Facts:
    """What was found, once, at `now`. What could not be read is empty, and named in `unseen`."""

    now: datetime
    events: list[Value] = field(default_factory=list)
    pods: list[Value] = field(default_factory=list)
    nodes: list[Value] = field(default_factory=list)
    leases: list[Value] = field(default_factory=list)
    replica_sets: list[Value] = field(default_factory=list)
    slices: list[Value] = field(default_factory=list)
    leftovers: list[Value] = field(default_factory=list)
    """Of a namespace that goes: what is still in it. Of an owner that goes: what it still owns."""
    keys: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(ConfigMap or Secret, name) -> its keys, when something refers to one that is not there."""
    logs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(pod's name, container) -> the last lines of its latest run that ended, or of the one that runs."""
    refused: dict[tuple[str, int], str] = field(default_factory=dict)
    """(pod's name, port) -> what connecting to it came to; only ports that could not be reached."""
    unseen: frozenset[str] = frozenset()
    default_namespace: str = "default"

    def option(self, value: Value) -> str:
        """` -n NAMESPACE` for a command about an object elsewhere than in the session's namespace."""
        namespace = namespace_of(value)
        return f" -n {namespace}" if namespace and namespace != self.default_namespace else ""

    def node(self, name: str) -> Value | None:
        """A node by name."""
        return next((one for one in self.nodes if name_of(one) == name), None)

    def about(self, value: Value, *reasons: str) -> Iterator[Value]:
        """The events about an object, the newest first."""
        uid, name, kind = part(value, "metadata", "uid"), name_of(value), kind_of(value)
        found = [
            one
            for one in self.events
            if part(one, "involvedObject", "name") == name
            and part(one, "involvedObject", "kind") == kind
            and part(one, "involvedObject", "uid") in (uid, name, "", None)
            and (not reasons or one.get("reason") in reasons)
        ]
        return iter(sorted(found, key=event_time, reverse=True))

    def message(self, value: Value, *reasons: str) -> str:
        """What the newest of these events says, empty if there is none."""
        return next((str(one.get("message") or "") for one in self.about(value, *reasons)), "")

    def since(self, text: Any) -> float:
        """Seconds since a time; 0 if it is none."""
        then = moment(text)
        return (self.now - then).total_seconds() if then else 0.0

    def age(self, value: Value) -> float:
        """Seconds since an object was made."""
        return self.since(part(value, "metadata", "creationTimestamp"))

    def ago(self, text: Any) -> str:
        """`3m20s` since a time."""
        from kctl.ages import human

        return human(max(0.0, self.since(text)))

    def lease(self, name: str, namespace: str) -> Value | None:
        """A lease by name."""
        return next((one for one in self.leases if name_of(one) == name and namespace_of(one) == namespace), None)

    def silent_for(self, lease: Value | None) -> float:
        """Seconds by which a lease has run out; 0 while it is held."""
        renewed = moment(part(lease or {}, "spec", "renewTime"))
        if renewed is None:
            return 0.0
        lasts = number(lease or {}, "spec", "leaseDurationSeconds", default=15)
        silent = (self.now - renewed).total_seconds()
        return silent if silent > lasts + LEASE_SLACK_SECONDS else 0.0

    def absent(self, component: str) -> str:
        """How long the holder of a component's lease has been silent, in words; empty while it acts.

        `component` is the lease's name in kube-system. Says nothing where leases can't be read.
        """
        lease = self.lease(component, "kube-system")
        if lease is None:
            return "" if "leases" in self.unseen else "has never taken its lease"
        if not part(lease, "spec", "holderIdentity"):
            return f"gave its lease back {self.ago(part(lease, 'spec', 'renewTime'))} ago and nobody has it"
        if self.silent_for(lease):
            return f"has not renewed its lease for {self.ago(part(lease, 'spec', 'renewTime'))}"
        return ""

    def owned(self, owner: Value, among: Iterable[Value]) -> list[Value]:
        """What an object controls, the newest first."""
        found = [one for one in among if owned_by(one, owner)]
        return sorted(found, key=lambda one: str(part(one, "metadata", "creationTimestamp")), reverse=True)

    def due(self, value: Value) -> datetime | None:
        """When the grace period of an object that is being deleted is over."""
        return moment(part(value, "metadata", "deletionTimestamp"))

    def later(self, then: datetime, seconds: float) -> bool:
        """Whether more than `seconds` have passed since."""
        return self.now - then > timedelta(seconds=seconds)


def event_time(event: Value) -> str:
    """When an event happened last; for sorting."""
    return str(
        part(event, "series", "lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or part(event, "metadata", "creationTimestamp")
        or ""
    )


def nearest(wanted: str, known: Iterable[str]) -> str:
    """The name that is most like the wanted one, empty if none is."""
    import difflib

    return next(iter(difflib.get_close_matches(wanted, list(known), 1, 0.6)), "")
