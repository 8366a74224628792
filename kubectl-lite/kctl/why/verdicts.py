"""What each node says to a pod that has no node: the scheduler's filters in its order, from the objects alone. Pure.

Why not the scheduler's own words: its event counts nodes by reason; here each node says how much is free. What
depends on other pods (affinity between pods, topology spread) is left to the scheduler's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kctl.why.facts import Facts, Value, finished, items, name_of, part, table
from sampan import quantity

BLOCKING = ("NoSchedule", "NoExecute")
CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
TROUBLE = {
    "node.kubernetes.io/not-ready": "is not ready",
    "node.kubernetes.io/unreachable": "is not heard of",
    "node.kubernetes.io/memory-pressure": "is short of memory",
    "node.kubernetes.io/disk-pressure": "is short of disk",
    "node.kubernetes.io/pid-pressure": "is short of process ids",
    "node.kubernetes.io/network-unavailable": "has no network yet",
}
RESOURCES = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True)
class Verdict:
    """Why a node refuses a pod. `reason` is the same for all nodes that refuse for the same kind of thing."""

    node: str
    reason: str
    text: str


def verdicts(facts: Facts, pod: Value) -> list[Verdict]:
    """The nodes that refuse, each with its first reason; a node without one has none."""
    return [found for node in facts.nodes if (found := next(_refusals(facts, pod, node), None)) is not None]


def _refusals(facts: Facts, pod: Value, node: Value) -> Iterator[Verdict]:
    name = name_of(node)
    tolerations = items(pod, "spec", "tolerations")
    if part(node, "spec", "unschedulable") and not _tolerated(CORDONED, tolerations):
        yield Verdict(name, "cordoned", "takes no new pods (cordoned)")
    if (wanted := part(pod, "spec", "nodeName")) and wanted != name:
        yield Verdict(name, "node-name", f"is not {wanted}")
    for taint in items(node, "spec", "taints"):
        if taint.get("effect") not in BLOCKING or _tolerated(taint, tolerations):
            continue
        if taint.get("key") in TROUBLE:
            yield Verdict(name, "node-trouble", TROUBLE[taint["key"]])
        elif taint.get("key") != CORDONED["key"]:
            yield Verdict(name, "taint", f"has the taint {shown_taint(taint)}")
    labels = table(node, "metadata", "labels")
    for key, value in table(pod, "spec", "nodeSelector").items():
        if labels.get(key) != value:
            has = f"{key}={labels[key]}" if key in labels else f"no label {key}"
            yield Verdict(name, "selector", f"has {has}, not {key}={value}")
    terms = items(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
                  "nodeSelectorTerms")  # fmt: skip
    if terms and not any(matches_term(term, node) for term in terms):
        yield Verdict(name, "affinity", "does not match the required node affinity")
    yield from _ports(facts, pod, name)
    yield from _room(facts, pod, node)


def _ports(facts: Facts, pod: Value, node: str) -> Iterator[Verdict]:
    wanted = set(host_ports(pod))
    for other in facts.pods:
        if wanted and part(other, "spec", "nodeName") == node and not finished(other):
            for port in sorted(wanted.intersection(host_ports(other))):
                where = f"{part(other, 'metadata', 'namespace')}/{name_of(other)}"
                yield Verdict(node, "host-port", f"has its port {port[0]} taken by pod {where}")


def host_ports(pod: Value) -> Iterator[tuple[int, str]]:
    """(port, protocol) of each hostPort."""
    for container in items(pod, "spec", "containers"):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port["hostPort"], port.get("protocol", "TCP")


def _room(facts: Facts, pod: Value, node: Value) -> Iterator[Verdict]:
    name = name_of(node)
    here = [one for one in facts.pods if part(one, "spec", "nodeName") == name and not finished(one)]
    has = table(node, "status", "allocatable")
    if len(here) + 1 > quantity.value(str(has.get("pods", "0"))):
        yield Verdict(name, "pods", f"has {len(here)} pods, and no more than {has.get('pods', 0)} may be there")
    wanted = requests(pod)
    for resource, amount in sorted(wanted.items(), key=lambda one: (one[0] not in RESOURCES, one[0])):
        if amount <= 0:
            continue
        total = _milli(has.get(resource, "0"))
        free = total - sum(requests(one).get(resource, 0) for one in here)
        if amount > free:
            text = f"has {shown(resource, max(0, free))} of {shown(resource, total)} free"
            yield Verdict(name, resource if resource in RESOURCES else "extended", f"{text} ({resource})")


def requests(pod: Value) -> dict[str, int]:
    """What a pod asks for, in thousandths: the sum of its containers, or its largest init container if that is more."""
    total: dict[str, int] = {}
    for container in items(pod, "spec", "containers"):
        _add(total, container)
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in items(pod, "spec", "initContainers"):
        if container.get("restartPolicy") == "Always":
            _add(sidecars, container)
        else:
            own = dict(sidecars)
            _add(own, container)
            peak = {key: max(peak.get(key, 0), own.get(key, 0)) for key in {*peak, *own}}
    for key, amount in sidecars.items():
        total[key] = total.get(key, 0) + amount
    whole = {key: max(total.get(key, 0), peak.get(key, 0)) for key in {*total, *peak}}
    for key, text in table(pod, "spec", "overhead").items():
        whole[key] = whole.get(key, 0) + _milli(text)
    return whole


def _add(total: dict[str, int], container: Value) -> None:
    limits, wanted = table(container, "resources", "limits"), table(container, "resources", "requests")
    for key, text in (limits | wanted).items():
        total[key] = total.get(key, 0) + _milli(text)


def _milli(text: Any) -> int:
    try:
        return quantity.milli(str(text))
    except quantity.QuantityError:
        return 0


def shown(resource: str, milli: int) -> str:
    """An amount as a person reads it."""
    if resource == "cpu":
        return f"{milli / 1000:g}"
    if resource in ("memory", "ephemeral-storage"):
        amount = milli / 1000
        for unit in ("", "Ki", "Mi", "Gi"):
            if amount < 1024 or unit == "Gi":
                return f"{amount:.4g}{unit}"
            amount /= 1024
    return f"{milli // 1000}"


def shown_taint(taint: Value) -> str:
    """`key=value:effect`, as kctl taint takes it."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def _tolerated(taint: Value, tolerations: Iterable[Value]) -> bool:
    return any(_tolerates(one, taint) for one in tolerations)


def _tolerates(toleration: Value, taint: Value) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def matches_term(term: Value, node: Value) -> bool:
    """Whether a node matches a nodeSelectorTerm; an empty one matches nothing."""
    labels, fields = table(node, "metadata", "labels"), {"metadata.name": name_of(node)}
    rules = [(one, labels) for one in term.get("matchExpressions") or ()]
    rules += [(one, fields) for one in term.get("matchFields") or ()]
    return bool(rules) and all(_matches(rule, values) for rule, values in rules)


def _matches(rule: Value, labels: Value) -> bool:
    key, values = rule.get("key"), rule.get("values") or []
    has = labels.get(str(key))
    match rule.get("operator"):
        case "In":
            return has in values
        case "NotIn":
            return has not in values
        case "Exists":
            return has is not None
        case "DoesNotExist":
            return has is None
        case "Gt" | "Lt":
            try:
                left, right = int(str(has)), int(values[0])
            except (ValueError, IndexError):
                return False
            return left > right if rule["operator"] == "Gt" else left < right
    return False
