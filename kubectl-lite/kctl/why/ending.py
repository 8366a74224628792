"""What keeps something that was deleted: grace, finalizers, a lost node, dependents. Pure."""

from __future__ import annotations

from kctl.ages import human
from kctl.why.facts import Facts, Value, going, holds, items, kind_of, label, name_of, number, part
from kctl.why.situation import Entry, Situation, Words

KEEPERS = {
    "foregroundDeletion": "the garbage collector, once all that it owns is gone",
    "orphan": "the garbage collector, once what it owns is let go",
    "kubernetes": "the namespace controller, once the namespace is empty",
    "batch.kubernetes.io/job-tracking": "the job controller, once it has counted the pod",
    "kubernetes.io/pv-protection": "the volume controller, once nothing is bound to it",
    "kubernetes.io/pvc-protection": "the volume controller, once no pod uses it",
    "service.kubernetes.io/load-balancer-cleanup": "the load balancer's controller",
}
CONTROLLERS = "sampan-controllers"
OVERDUE_SECONDS = 5.0


def keeper(finalizer: str) -> str:
    """Who should remove a finalizer."""
    if finalizer in KEEPERS:
        return KEEPERS[finalizer]
    domain, slash, _ = finalizer.partition("/")
    return f"whatever program put it there: look for one of {domain if slash else finalizer}"


def _lost(facts: Facts, pod: Value) -> Words | None:
    name = part(pod, "spec", "nodeName")
    if not going(pod) or not name or _done_on_node(pod):
        return None
    node = facts.node(name)
    if node is None and "nodes" not in facts.unseen:
        return {"node": name, "how": "is no longer in the cluster"}
    if node is not None and not holds(node, "Ready"):
        silent = facts.ago(part(facts.lease(name, "kube-node-lease") or {}, "spec", "renewTime"))
        return {"node": name, "how": f"is not ready; its agent was last heard {silent} ago"}
    return None


def _done_on_node(pod: Value) -> bool:
    """The agent has let go of it: only finalizers are left."""
    return number(pod, "metadata", "deletionGracePeriodSeconds", default=-1) == 0 or not part(pod, "spec", "nodeName")


def _finalizers(facts: Facts, value: Value) -> Words | None:
    names = [one for one in items(value, "metadata", "finalizers") if one not in ("foregroundDeletion", "orphan")]
    if not going(value) or not names:
        return None
    if kind_of(value) == "Pod" and not _done_on_node(value):
        return None
    return {
        "finalizer": names[0],
        "keeper": keeper(names[0]),
        "more": f" (and {len(names) - 1} more)" if len(names) > 1 else "",
        "since": facts.ago(part(value, "metadata", "deletionTimestamp")),
        "lines": [f"finalizer {one}: to be removed by {keeper(one)}" for one in names],
    }


def _foreground(facts: Facts, value: Value) -> Words | None:
    if not going(value) or "foregroundDeletion" not in items(value, "metadata", "finalizers"):
        return None
    left = [one for one in facts.leftovers if one is not value]
    held = next((one for one in left if items(one, "metadata", "finalizers")), left[0] if left else None)
    return {
        "count": len(left),
        "things": "object" if len(left) == 1 else "objects",
        "first": f"kctl why {label(held)}{facts.option(held)}" if held else f"kctl get events{facts.option(value)}",
        "lines": [label(one) + (" (terminating)" if going(one) else "") for one in left[:10]],
    }


def _collector_absent(facts: Facts, value: Value) -> Words | None:
    names = items(value, "metadata", "finalizers")
    silent = facts.absent(CONTROLLERS)
    if going(value) and silent and any(one in ("foregroundDeletion", "orphan") for one in names):
        return {"silent": silent}
    return None


def _grace(facts: Facts, pod: Value) -> Words | None:
    due = facts.due(pod)
    if due is None or _done_on_node(pod) or facts.later(due, OVERDUE_SECONDS):
        return None
    running = [
        str(one["name"])
        for one in items(pod, "status", "containerStatuses")
        if part(one, "state", "running") is not None
    ]
    return {
        "left": human(max(0.0, (due - facts.now).total_seconds())),
        "grace": number(pod, "metadata", "deletionGracePeriodSeconds"),
        "containers": ", ".join(running) or "its containers",
        "name": name_of(pod),
    }


def _overdue(facts: Facts, pod: Value) -> Words | None:
    due = facts.due(pod)
    if due is None:
        return None
    node = part(pod, "spec", "nodeName")
    return {"node": node, "late": human((facts.now - due).total_seconds()), "name": name_of(pod)}


def _goes(facts: Facts, value: Value) -> Words | None:
    return {"since": facts.ago(part(value, "metadata", "deletionTimestamp"))} if going(value) else None


LOST = Situation(
    "terminating-node-lost",
    _lost,
    "it is being deleted, and its node {node} {how}, so nobody says that its containers have ended",
    "bring node {node} back, or, if it is gone for good: kctl delete {label}{namespace} --grace-period=0 --force",
)
FINALIZER = Situation(
    "terminating-finalizer",
    _finalizers,
    "it was deleted {since} ago and finalizer {finalizer}{more} keeps it; {keeper} should remove it",
    "see whether that runs; if it never will again: "
    'kctl patch {label}{namespace} --type=merge -p \'{{"metadata":{{"finalizers":null}}}}\'',
)
GRACE = Situation(
    "terminating-grace",
    _grace,
    "it is being deleted: {containers} may take up to {grace} s to end, {left} of them are left",
    "wait; or end it now: kctl delete {label}{namespace} --grace-period=0 --force",
)
OVERDUE = Situation(
    "terminating-overdue",
    _overdue,
    "it should have ended {late} ago and node {node} has not said so",
    "kctl why node/{node}",
)
COLLECTOR_ABSENT = Situation(
    "garbage-collector-absent",
    _collector_absent,
    "it is being deleted, and the garbage collector, which should finish that, {silent}",
    "kctl cluster status",
)
FOREGROUND = Situation(
    "terminating-dependents",
    _foreground,
    "it is being deleted after what it owns (foreground deletion): {count} {things} still there",
    "{first}",
)
GOING = Situation("terminating", _goes, "it was deleted {since} ago and is on its way", "wait a moment and ask again")

POD_ENDING: tuple[Entry, ...] = (LOST, FINALIZER, GRACE, OVERDUE)
ENDING: tuple[Entry, ...] = (FINALIZER, COLLECTOR_ABSENT, FOREGROUND, GOING)
"""For any kind but pods."""
