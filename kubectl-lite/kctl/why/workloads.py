"""Deployments, replica sets, daemon sets: their own causes; those of their pods are the pods'. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kctl.why.ending import CONTROLLERS
from kctl.why.facts import (
    Facts,
    Value,
    condition,
    finished,
    going,
    holds,
    items,
    kind_of,
    label,
    name_of,
    number,
    part,
    ready,
    table,
)
from kctl.why.situation import Entry, PassOn, Situation, Words
from kctl.why.verdicts import shown_taint, verdicts

REVISION = "deployment.kubernetes.io/revision"


def wanted(value: Value) -> int:
    """spec.replicas, 1 if it is not set."""
    return number(value, "spec", "replicas", default=1)


def _unseen(facts: Facts, value: Value) -> Words | None:
    """The controller has not looked at the newest version, and does not act."""
    silent = facts.absent(CONTROLLERS)
    behind = number(value, "status", "observedGeneration") < number(value, "metadata", "generation")
    return {"silent": silent} if silent and (behind or not _complete(value)) else None


def _behind(facts: Facts, value: Value) -> Words | None:
    behind = number(value, "status", "observedGeneration") < number(value, "metadata", "generation")
    return {} if behind else None


def _complete(value: Value) -> bool:
    if kind_of(value) == "DaemonSet":
        return number(value, "status", "numberReady") >= number(value, "status", "desiredNumberScheduled")
    return number(value, "status", "readyReplicas") >= wanted(value)


def _paused(facts: Facts, value: Value) -> Words | None:
    if not part(value, "spec", "paused"):
        return None
    sets = facts.owned(value, facts.replica_sets)
    return {"name": name_of(value), "old": " and shows its last version" if sets else ", and has never been rolled out"}


def _to_zero(facts: Facts, value: Value) -> Words | None:
    if wanted(value) != 0:
        return None
    return {"kind": kind_of(value).lower(), "name": name_of(value)}


def _refused(facts: Facts, value: Value) -> str:
    """What the API server said when the controller wanted to make pods, empty if it made them."""
    for one in [*_sets(facts, value), value]:
        if holds(one, "ReplicaFailure"):
            return str(condition(one, "ReplicaFailure").get("message") or "no reason is given")
        if kind_of(one) != "Deployment" and not facts.owned(one, facts.pods):
            said = facts.message(one, "FailedCreate")
            if said:
                return said.removeprefix("Error creating: ")
    return ""


def _sets(facts: Facts, value: Value) -> list[Value]:
    if kind_of(value) == "Deployment":
        return by_revision(facts.owned(value, facts.replica_sets))[:1]
    return [value] if kind_of(value) == "ReplicaSet" else []


def by_revision(sets: Iterable[Value]) -> list[Value]:
    """Replica sets, the newest version first."""

    def revision(one: Value) -> int:
        text = str(table(one, "metadata", "annotations").get(REVISION, "0"))
        return int(text) if text.isdigit() else 0

    return sorted(sets, key=revision, reverse=True)


def refused(*texts: str) -> Callable[[Facts, Value], Words | None]:
    """Making pods is refused, in words that have one of these texts in them; without any, in any words."""

    def when(facts: Facts, value: Value) -> Words | None:
        said = _refused(facts, value)
        return {"said": said} if said and (not texts or any(text in said for text in texts)) else None

    return when


def trouble(facts: Facts, value: Value) -> list[Value]:
    """The pods of an owner that are not as they should be: the longest in trouble first, those that go last."""
    pods = [one for one in facts.owned(value, facts.pods) if not ready(one) and not finished(one)]
    return sorted(pods, key=lambda one: (going(one), str(part(one, "metadata", "creationTimestamp"))))[:5]


def _newest_set(facts: Facts, value: Value) -> list[Value]:
    sets = by_revision(facts.owned(value, facts.replica_sets))
    return [one for one in sets[:1] if number(one, "status", "readyReplicas") < wanted(one)]


def _old_sets(facts: Facts, value: Value) -> list[Value]:
    """Older versions whose pods are still there: they are what the rollout waits for."""
    sets = by_revision(facts.owned(value, facts.replica_sets))
    return [one for one in sets[1:] if wanted(one) == 0 and facts.owned(one, facts.pods)]


def _deadline(facts: Facts, value: Value) -> Words | None:
    found = condition(value, "Progressing")
    if found.get("status") != "False":
        return None
    return {
        "seconds": number(value, "spec", "progressDeadlineSeconds", default=600),
        "ready": number(value, "status", "updatedReplicas"),
        "wanted": wanted(value),
        "said": found.get("message"),
        "name": name_of(value),
    }


def _rolling(facts: Facts, value: Value) -> Words | None:
    updated, replicas = number(value, "status", "updatedReplicas"), number(value, "status", "replicas")
    available = number(value, "status", "availableReplicas")
    if updated >= wanted(value) and replicas <= updated and available >= wanted(value):
        return None
    rules = table(value, "spec", "strategy", "rollingUpdate")
    old = replicas - updated
    return {
        "updated": updated,
        "wanted": wanted(value),
        "available": available,
        "old": f"; {old} of an older version are still there" if old > 0 else "",
        "rules": f" (maxUnavailable {rules.get('maxUnavailable')}, maxSurge {rules.get('maxSurge')})" if rules else "",
        "name": name_of(value),
    }


def _min_ready(facts: Facts, value: Value) -> Words | None:
    seconds = number(value, "spec", "minReadySeconds")
    status = table(value, "status")
    if not seconds or status.get("readyReplicas", 0) <= status.get("availableReplicas", 0):
        return None
    return {"seconds": seconds, "ready": status.get("readyReplicas", 0)}


def _ends(facts: Facts, value: Value) -> list[Value]:
    return [one for one in facts.owned(value, facts.pods) if going(one)]


def _too_many(facts: Facts, value: Value) -> Words | None:
    has = number(value, "status", "replicas")
    return {"has": has, "wanted": wanted(value)} if has > wanted(value) else None


def _healthy(facts: Facts, value: Value) -> Words | None:
    if not _complete(value):
        return None
    return {"ready": number(value, "status", "readyReplicas"), "wanted": wanted(value)}


# daemon sets


def _chosen(facts: Facts, value: Value) -> Words | None:
    """Why a daemon set is on no node."""
    if number(value, "status", "desiredNumberScheduled") or not facts.nodes:
        return None
    template: dict[str, Any] = {"kind": "Pod", **table(value, "spec", "template")}
    refusals = {one.node: one for one in verdicts(facts, template)}
    lines = [f"{one.node} {one.text}" for one in refusals.values() if one.reason in ("selector", "affinity", "taint")]
    selector = table(template, "spec", "nodeSelector")
    taints = [shown_taint(t) for one in facts.nodes for t in items(one, "spec", "taints")]
    by_labels = any(one.reason in ("selector", "affinity") for one in refusals.values())
    wants = ",".join(f"{k}={v}" for k, v in selector.items()) or "its node affinity"
    return {
        "nodes": len(facts.nodes),
        "wants": wants,
        "by_labels": by_labels,
        "taint": taints[0] if taints else "?",
        "label": label(value),
        "node": name_of(facts.nodes[0]),
        "lines": lines[:10],
    }


def _no_labels(facts: Facts, value: Value) -> Words | None:
    found = _chosen(facts, value)
    return found if found and found["by_labels"] else None


def _daemons_wait(facts: Facts, value: Value) -> Words | None:
    status = table(value, "status")
    wanted_, ready_ = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    updated = status.get("updatedNumberScheduled", 0)
    if ready_ >= wanted_ and updated >= wanted_:
        return None
    return {"ready": ready_, "wanted": wanted_, "updated": updated}


def _daemons_healthy(facts: Facts, value: Value) -> Words | None:
    return {"ready": number(value, "status", "numberReady")}


CONTROLLERS_ABSENT = Situation(
    "controllers-absent",
    _unseen,
    "the controllers, which should act on it, {silent}",
    "kctl cluster status",
)
BEHIND = Situation(
    "not-looked-at-yet",
    _behind,
    "its controller has not looked at its newest version yet",
    "wait a moment and ask again",
)
QUOTA = Situation(
    "quota",
    refused("exceeded quota", "quota"),
    "its pods can't be made, the namespace's quota is used up: {said}",
    "raise the quota, ask for less, or delete what is not needed",
)
FORBIDDEN = Situation(
    "create-forbidden",
    refused("forbidden", "service account", "serviceaccount", "Service account"),
    "its pods can't be made, the API server forbids it: {said}",
    "give it what is asked for there, such as the ServiceAccount that it names",
)
REFUSED = Situation(
    "create-refused",
    refused(),
    "its pods can't be made, the API server refuses them: {said}",
    "correct spec.template",
)
ZERO = Situation(
    "scaled-to-zero",
    _to_zero,
    "it is scaled to 0, so it has no pods",
    "kctl scale {label}{namespace} --replicas=1",
)
HEALTHY = Situation(
    "healthy",
    _healthy,
    "nothing is wrong: {ready} of {wanted} pods are ready",
    "nothing to do",
    healthy=True,
)

DEPLOYMENTS: tuple[Entry, ...] = (
    CONTROLLERS_ABSENT,
    Situation(
        "paused",
        _paused,
        "its rollout is paused{old}",
        "kctl rollout resume {label}{namespace}",
    ),
    ZERO,
    BEHIND,
    QUOTA,
    FORBIDDEN,
    REFUSED,
    PassOn(_newest_set),
    Situation(
        "progress-deadline",
        _deadline,
        "it has not come further within {seconds} s (progressDeadlineSeconds): {ready} of {wanted} pods are new",
        "kctl rollout undo {label}{namespace}, or kctl describe {label}{namespace}",
    ),
    PassOn(_old_sets),
    Situation(
        "min-ready-seconds",
        _min_ready,
        "{ready} pods are ready and count as available only after minReadySeconds ({seconds})",
        "wait",
    ),
    Situation(
        "rolling-out",
        _rolling,
        "it is being rolled out: {updated} of {wanted} pods are of the new version, {available} available{old}{rules}",
        "kctl rollout status {label}{namespace}",
    ),
    HEALTHY,
)
REPLICA_SETS: tuple[Entry, ...] = (
    CONTROLLERS_ABSENT,
    PassOn(_ends),
    ZERO,
    BEHIND,
    QUOTA,
    FORBIDDEN,
    REFUSED,
    PassOn(trouble),
    Situation(
        "scaling-down", _too_many, "it has {has} pods and {wanted} are wanted: the others are ending", "wait a moment"
    ),
    HEALTHY,
)
DAEMON_SETS: tuple[Entry, ...] = (
    CONTROLLERS_ABSENT,
    BEHIND,
    Situation(
        "daemons-no-node-selected",
        _no_labels,
        "none of {nodes} node(s) has what it selects by: {wants}",
        "kctl label node {node} {wants}",
    ),
    Situation(
        "daemons-not-tolerated",
        _chosen,
        "none of {nodes} node(s) may have its pods; they have taints that it does not tolerate, such as {taint}",
        "tolerate {taint} in spec.template.spec.tolerations",
    ),
    QUOTA,
    FORBIDDEN,
    REFUSED,
    PassOn(trouble),
    Situation(
        "daemons-rolling-out",
        _daemons_wait,
        "{ready} of {wanted} pods are ready, {updated} of the new version",
        "kctl rollout status {label}{namespace}",
    ),
    Situation(
        "healthy", _daemons_healthy, "nothing is wrong: it runs on {ready} node(s)", "nothing to do", healthy=True
    ),
)
