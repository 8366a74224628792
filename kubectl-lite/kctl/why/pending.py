"""A pod that has no node: why none takes it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from kctl.why.facts import Facts, Value, condition, items, name_of, nearest, part, table
from kctl.why.situation import Entry, Situation, Words
from kctl.why.verdicts import Verdict, requests, shown, verdicts

DEFAULT = "default-scheduler"
LEASE = "kube-scheduler"
FEW = 12
"""So many nodes are told of one by one."""


def _waits(pod: Value) -> bool:
    return not part(pod, "spec", "nodeName")


def _gated(facts: Facts, pod: Value) -> Words | None:
    gates = [str(one.get("name")) for one in items(pod, "spec", "schedulingGates")]
    return {"gates": ", ".join(gates), "gate": gates[0]} if _waits(pod) and gates else None


def _other_scheduler(facts: Facts, pod: Value) -> Words | None:
    name = part(pod, "spec", "schedulerName") or DEFAULT
    return {"scheduler": name} if _waits(pod) and name != DEFAULT and not condition(pod, "PodScheduled") else None


def _absent(facts: Facts, pod: Value) -> Words | None:
    silent = facts.absent(LEASE) if _waits(pod) else ""
    return {"silent": silent} if silent else None


def _no_nodes(facts: Facts, pod: Value) -> Words | None:
    return {} if _waits(pod) and not facts.nodes and "nodes" not in facts.unseen else None


def _makes_room(facts: Facts, pod: Value) -> Words | None:
    node = part(pod, "status", "nominatedNodeName")
    return {"node": node} if _waits(pod) and node else None


def _told(found: list[Verdict]) -> list[str]:
    more = [f"... and {len(found) - FEW} more nodes"] if len(found) > FEW else []
    return [f"{one.node} {one.text}" for one in found[:FEW]] + more


def _all_refuse(reason: str) -> Callable[[Facts, Value], Words | None]:
    """Every node refuses, and each for this reason."""

    def when(facts: Facts, pod: Value) -> Words | None:
        if not _waits(pod) or not facts.nodes:
            return None
        found = verdicts(facts, pod)
        if len(found) < len(facts.nodes) or any(one.reason != reason for one in found):
            return None
        wanted = requests(pod)
        words = {
            "nodes": len(facts.nodes),
            "each": "the only node" if len(facts.nodes) == 1 else f"all {len(facts.nodes)} nodes",
            "node": found[0].node,
            "lines": _told(found),
        }
        words |= {key.replace("-", "_"): shown(key, wanted.get(key, 0)) for key in ("cpu", "memory")}
        words["storage"] = shown("ephemeral-storage", wanted.get("ephemeral-storage", 0))
        return words | _details(reason, facts, pod, found)

    return when


def _details(reason: str, facts: Facts, pod: Value, found: list[Verdict]) -> dict[str, str]:
    if reason == "taint":
        taints = [taint for one in facts.nodes for taint in items(one, "spec", "taints")]
        keys = Counter(str(one.get("key")) for one in taints if one.get("effect") != "PreferNoSchedule")
        return {"taint": keys.most_common(1)[0][0]}
    if reason == "selector":
        labels = {f"{k}={v}" for one in facts.nodes for k, v in table(one, "metadata", "labels").items()}
        wanted = [f"{k}={v}" for k, v in table(pod, "spec", "nodeSelector").items()]
        missing = [one for one in wanted if one not in labels] or wanted
        near = nearest(missing[0], labels)
        return {
            "wanted": ",".join(wanted),
            "missing": missing[0],
            "near": f" (the nearest there is: {near})" if near else "",
        }
    if reason == "extended":
        lacking = found[0].text.rpartition("(")[2].rstrip(")")
        return {"resource": lacking, "amount": shown(lacking, requests(pod).get(lacking, 0))}
    if reason == "host-port":
        return {"port": found[0].text.split()[3]}
    return {}


def _mixed(facts: Facts, pod: Value) -> Words | None:
    if not _waits(pod) or not facts.nodes:
        return None
    found = verdicts(facts, pod)
    if len(found) < len(facts.nodes):
        return None
    counts = Counter(one.reason for one in found)
    told = ", ".join(f"{number} for {SHORT.get(reason, reason)}" for reason, number in counts.most_common())
    return {"nodes": len(facts.nodes), "told": told, "most": ADVICE[counts.most_common(1)[0][0]], "lines": _told(found)}


def _scheduler_says(*texts: str) -> Callable[[Facts, Value], Words | None]:
    """The scheduler's own message has one of these in it."""

    def when(facts: Facts, pod: Value) -> Words | None:
        said = str(condition(pod, "PodScheduled").get("message") or "")
        return {"said": said, "lines": [said]} if _waits(pod) and any(text in said for text in texts) else None

    return when


def _refused(facts: Facts, pod: Value) -> Words | None:
    found = condition(pod, "PodScheduled")
    said = found.get("message")
    return {"said": said} if _waits(pod) and found.get("status") == "False" and said else None


def _not_yet(facts: Facts, pod: Value) -> Words | None:
    return {"age": f"{facts.age(pod):.0f}"} if _waits(pod) else None


def _unknown_node(facts: Facts, pod: Value) -> Words | None:
    name = part(pod, "spec", "nodeName")
    if not name or "nodes" in facts.unseen or facts.node(name) is not None:
        return None
    near = nearest(str(name), map(name_of, facts.nodes))
    return {"node": name, "near": f"; did you mean {near}?" if near else ""}


SHORT = {
    "cordoned": "being cordoned",
    "node-name": "not being the one asked for",
    "node-trouble": "not being ready",
    "taint": "a taint",
    "selector": "the node selector",
    "affinity": "the node affinity",
    "host-port": "a taken host port",
    "pods": "having too many pods",
    "cpu": "CPU",
    "memory": "memory",
    "ephemeral-storage": "disk",
    "extended": "a resource",
}
ADVICE = {
    "cordoned": "let pods come again: kctl uncordon NODE",
    "node-name": "take spec.nodeName out",
    "node-trouble": "see why the nodes are not ready: kctl get nodes, then kctl why node NAME",
    "taint": "tolerate the taint in the pod's spec, or remove it from a node",
    "selector": "label a node as the pod wants it, or change its nodeSelector",
    "affinity": "change the pod's node affinity, or a node's labels",
    "host-port": "use another hostPort, or a Service instead of one",
    "pods": "delete pods that are not needed, or add a node",
    "cpu": "ask for less CPU, delete pods that are not needed, or add a node",
    "memory": "ask for less memory, delete pods that are not needed, or add a node",
    "ephemeral-storage": "ask for less disk, or add a node",
    "extended": "ask for less of it, or add a node that has it",
}

UNKNOWN_NODE = Situation(
    "node-name-unknown",
    _unknown_node,
    "its spec.nodeName is {node}, and there is no node {node}{near}",
    "delete it and make it again without spec.nodeName: the scheduler chooses a node",
)
PENDING: tuple[Entry, ...] = (
    Situation(
        "scheduling-gated",
        _gated,
        "its scheduling gates hold it back: {gates}",
        "whoever put gate {gate} there must remove it from spec.schedulingGates (kctl edit {label}{namespace})",
    ),
    Situation(
        "scheduler-unknown",
        _other_scheduler,
        "it waits for a scheduler named {scheduler}, and none of that name has looked at it",
        "start that scheduler, or take spec.schedulerName out to use the cluster's own",
    ),
    Situation("scheduler-absent", _absent, "the scheduler {silent}, so no pod gets a node", "kctl cluster status"),
    Situation("no-nodes", _no_nodes, "the cluster has no nodes", "add one: kctl cluster start --nodes 1"),
    Situation(
        "no-node-cordoned",
        _all_refuse("cordoned"),
        "{each} take no new pods (cordoned)",
        "let pods come again: kctl uncordon {node}",
    ),
    Situation(
        "no-node-ready",
        _all_refuse("node-trouble"),
        "{each} are in trouble and take no pods",
        "kctl why node/{node}",
    ),
    Situation(
        "no-node-taint",
        _all_refuse("taint"),
        "{each} have a taint that it does not tolerate: {taint}",
        "tolerate {taint} in its spec, or remove the taint: kctl taint node {node} {taint}-",
    ),
    Situation(
        "no-node-selector",
        _all_refuse("selector"),
        "no node has the labels of its nodeSelector: {wanted}{near}",
        "change the nodeSelector, or label a node: kctl label node {node} {missing}",
    ),
    Situation(
        "no-node-affinity",
        _all_refuse("affinity"),
        "no node matches its required node affinity",
        "compare spec.affinity with: kctl get nodes --show-labels",
    ),
    Situation(
        "no-node-host-port",
        _all_refuse("host-port"),
        "its host port {port} is taken on {each}",
        "use another hostPort, or a Service instead of one",
    ),
    Situation(
        "no-node-pods",
        _all_refuse("pods"),
        "{each} have as many pods as they may have",
        "delete pods that are not needed, or add a node",
    ),
    Situation(
        "no-node-cpu",
        _all_refuse("cpu"),
        "it asks for {cpu} CPU, and none of {nodes} node(s) has that much left",
        "ask for less (resources.requests.cpu), delete pods that are not needed, or add a node",
    ),
    Situation(
        "no-node-memory",
        _all_refuse("memory"),
        "it asks for {memory} of memory, and none of {nodes} node(s) has that much left",
        "ask for less (resources.requests.memory), delete pods that are not needed, or add a node",
    ),
    Situation(
        "no-node-storage",
        _all_refuse("ephemeral-storage"),
        "it asks for {storage} of disk, and none of {nodes} node(s) has that much left",
        "ask for less (resources.requests.ephemeral-storage), or add a node",
    ),
    Situation(
        "no-node-resource",
        _all_refuse("extended"),
        "it asks for {amount} {resource}, and none of {nodes} node(s) has that much left",
        "ask for less of it, or add a node that has it",
    ),
    Situation(
        "no-node-mixed", _mixed, "none of {nodes} nodes takes it: {told}", "{most}"
    ),
    Situation("preempting", _makes_room, "room is being made for it on node {node}: pods of less priority end there",
              "wait for them to end"),
    Situation(
        "no-node-pod-anti-affinity",
        _scheduler_says("pod anti-affinity rules", "existing pods anti-affinity rules"),
        "a pod that it must not be near is on every node that could take it (pod anti-affinity)",
        "run fewer of them than there are nodes, add a node, or prefer instead of requiring the anti-affinity",
    ),
    Situation(
        "no-node-pod-affinity",
        _scheduler_says("pod affinity rules"),
        "no node has the pods that it must be near (pod affinity)",
        "start those first, or compare spec.affinity.podAffinity with: kctl get pods --show-labels",
    ),
    Situation(
        "no-node-spread",
        _scheduler_says("topology spread"),
        "any node that could take it would make its pods too uneven (topologySpreadConstraints)",
        "raise maxSkew, or use whenUnsatisfiable: ScheduleAnyway",
    ),
    Situation("unschedulable", _refused, "the scheduler finds no node: {said}", "kctl describe {label}{namespace}"),
    Situation("scheduling", _not_yet, "it was made {age} s ago and the scheduler has not looked at it yet",
              "wait a moment and ask again"),
)  # fmt: skip
