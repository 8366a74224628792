"""A node: why it is not ready, or takes no pods. Pure."""

from __future__ import annotations

from collections.abc import Callable

from kctl.why.facts import Facts, Value, condition, holds, items, name_of, part
from kctl.why.situation import Entry, Situation, Words
from kctl.why.verdicts import TROUBLE, shown_taint


def _silent(facts: Facts, node: Value) -> Words | None:
    lease = facts.lease(name_of(node), "kube-node-lease")
    found = condition(node, "Ready")
    if found.get("status") == "True" and not facts.silent_for(lease):
        return None
    if found.get("status") != "Unknown" and not facts.silent_for(lease):
        return None
    since = part(lease or {}, "spec", "renewTime") or found.get("lastHeartbeatTime")
    address = next(
        (one["address"] for one in items(node, "status", "addresses") if one.get("type") == "InternalIP"), "?"
    )
    return {"since": facts.ago(since), "name": name_of(node), "address": address}


def _never_came(facts: Facts, node: Value) -> Words | None:
    heard = facts.lease(name_of(node), "kube-node-lease") is not None or "leases" in facts.unseen
    return None if heard or condition(node, "Ready").get("status") == "True" else {"age": f"{facts.age(node):.0f}"}


def _not_ready(*texts: str) -> Callable[[Facts, Value], Words | None]:
    def when(facts: Facts, node: Value) -> Words | None:
        found = condition(node, "Ready")
        said = str(found.get("message") or "")
        if found.get("status") != "False" or (texts and not any(text in said for text in texts)):
            return None
        return {"said": said, "name": name_of(node), "since": facts.ago(found.get("lastTransitionTime"))}

    return when


def _pressure(kind: str) -> Callable[[Facts, Value], Words | None]:
    def when(facts: Facts, node: Value) -> Words | None:
        if not holds(node, kind):
            return None
        found = condition(node, kind)
        return {
            "since": facts.ago(found.get("lastTransitionTime")),
            "said": found.get("message"),
            "name": name_of(node),
        }

    return when


def _cordoned(facts: Facts, node: Value) -> Words | None:
    return {"name": name_of(node)} if part(node, "spec", "unschedulable") else None


def _tainted(facts: Facts, node: Value) -> Words | None:
    for taint in items(node, "spec", "taints"):
        if taint.get("effect") in ("NoSchedule", "NoExecute") and taint.get("key") not in TROUBLE:
            return {"taint": shown_taint(taint), "key": taint["key"], "name": name_of(node)}
    return None


def _full(facts: Facts, node: Value) -> Words | None:
    here = [
        one for one in facts.pods
        if part(one, "spec", "nodeName") == name_of(node) and part(one, "status", "phase") in ("Pending", "Running")
    ]  # fmt: skip
    most = str(part(node, "status", "allocatable", "pods") or "")
    return {"most": most} if most.isdigit() and len(here) >= int(most) else None


def _healthy(facts: Facts, node: Value) -> Words | None:
    if not holds(node, "Ready"):
        return None
    here = [one for one in facts.pods if part(one, "spec", "nodeName") == name_of(node)]
    running = sum(part(one, "status", "phase") == "Running" for one in here)
    return {"running": running, "of": len(here)}


NODES: tuple[Entry, ...] = (
    Situation(
        "node-never-came",
        _never_came,
        "its agent has never reported (the Node object was made {age} s ago)",
        "start the node's agent, or remove the object: kctl delete {label}",
    ),
    Situation(
        "node-silent",
        _silent,
        "its agent has been silent for {since}: it does not run, or is cut off from the API server",
        "kctl cluster status (local clusters), or look on {address}: systemctl status sampan-agent",
    ),
    Situation(
        "node-runtime-down",
        _not_ready("container runtime is down", "runtime not ready"),
        "its container runtime does not work (for {since}): {said}",
        "kctl cluster status (local clusters), or look at the runtime's log on the node",
    ),
    Situation(
        "node-network-not-ready",
        _not_ready("network not ready", "NetworkNotReady", "cni"),
        "its pod network is not ready (for {since}): {said}",
        "see that it has a pod CIDR: kctl get {label} -o yaml; then the agent's log",
    ),
    Situation("node-not-ready", _not_ready(), "it is not ready (for {since}): {said}", "kctl describe {label}"),
    Situation(
        "node-network-unavailable",
        _pressure("NetworkUnavailable"),
        "its network is not set up (for {since}): {said}",
        "see what sets the network up in this cluster: kctl describe {label}",
    ),
    Situation(
        "node-disk-pressure",
        _pressure("DiskPressure"),
        "it has been short of disk for {since}, so it takes no pods: {said}",
        "free disk on the node: kctl image ls and kctl image rm, then old logs and volumes",
    ),
    Situation(
        "node-memory-pressure",
        _pressure("MemoryPressure"),
        "it has been short of memory for {since}, so it takes no pods: {said}",
        "end or move pods that use much memory",
    ),
    Situation(
        "node-pid-pressure",
        _pressure("PIDPressure"),
        "it has been short of process ids for {since}, so it takes no pods: {said}",
        "end pods with many processes",
    ),
    Situation("node-cordoned", _cordoned, "it takes no new pods: it is cordoned", "kctl uncordon {name}"),
    Situation(
        "node-tainted",
        _tainted,
        "it takes only pods that tolerate {taint}",
        "if any pod may come: kctl taint node {name} {key}-",
    ),
    Situation("node-full", _full, "it has as many pods as it may have ({most})", "move pods away, or add a node"),
    Situation(
        "healthy",
        _healthy,
        "nothing is wrong: it is ready, and {running} of its {of} pods run",
        "nothing to do",
        healthy=True,
    ),
)
