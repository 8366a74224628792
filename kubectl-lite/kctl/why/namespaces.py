"""A namespace: what keeps it from being gone. Pure."""

from __future__ import annotations

from collections import Counter

from kctl.why.ending import CONTROLLERS, keeper
from kctl.why.facts import Facts, Value, going, items, label, name_of, part
from kctl.why.situation import Entry, PassOn, Situation, Words


def _absent(facts: Facts, namespace: Value) -> Words | None:
    silent = facts.absent(CONTROLLERS)
    return {"silent": silent} if going(namespace) and silent else None


def _held(facts: Facts, namespace: Value) -> Words | None:
    if not going(namespace):
        return None
    held = [one for one in facts.leftovers if items(one, "metadata", "finalizers") and going(one)]
    if not held:
        return None
    names = Counter(str(name) for one in held for name in items(one, "metadata", "finalizers"))
    first = names.most_common(1)[0][0]
    return {
        "count": len(held),
        "finalizer": first,
        "keeper": keeper(first),
        "first": f"kctl why {label(held[0])} -n {name_of(namespace)}",
        "lines": [f"{label(one)}: {', '.join(items(one, 'metadata', 'finalizers'))}" for one in held[:10]],
    }


def _pods(facts: Facts, namespace: Value) -> list[Value]:
    return [one for one in facts.pods if going(one)] if going(namespace) else []


def _left(facts: Facts, namespace: Value) -> Words | None:
    if not going(namespace) or not facts.leftovers:
        return None
    counts = Counter(str(one.get("kind")) for one in facts.leftovers)
    return {
        "what": ", ".join(f"{number} {kind}" for kind, number in counts.most_common()),
        "since": facts.ago(part(namespace, "metadata", "deletionTimestamp")),
        "lines": [label(one) for one in facts.leftovers[:10]],
    }


def _finalizer(facts: Facts, namespace: Value) -> Words | None:
    names = [str(one) for one in items(namespace, "metadata", "finalizers")]
    names += [str(one) for one in items(namespace, "spec", "finalizers") if one != "kubernetes"]
    if not going(namespace) or not names:
        return None
    return {"finalizer": names[0], "keeper": keeper(names[0])}


def _going(facts: Facts, namespace: Value) -> Words | None:
    return {"since": facts.ago(part(namespace, "metadata", "deletionTimestamp"))} if going(namespace) else None


NAMESPACES: tuple[Entry, ...] = (
    Situation(
        "namespace-controller-absent",
        _absent,
        "it is being deleted, and the namespace controller, which should empty it, {silent}",
        "kctl cluster status",
    ),
    Situation(
        "namespace-finalizers",
        _held,
        "it is being deleted, and {count} object(s) in it are kept by finalizers, such as {finalizer}; "
        "{keeper} should remove it",
        "{first}",
    ),
    PassOn(_pods),
    Situation(
        "namespace-not-empty",
        _left,
        "it has been going for {since} and still holds {what}",
        "wait a moment and ask again",
    ),
    Situation(
        "namespace-finalizer",
        _finalizer,
        "it is empty, and its own finalizer {finalizer} keeps it; {keeper} should remove it",
        "see whether that runs",
    ),
    Situation("terminating", _going, "it was deleted {since} ago and is on its way", "wait a moment and ask again"),
    Situation("healthy", lambda facts, one: {}, "nothing is wrong: it is active", "nothing to do", healthy=True),
)
