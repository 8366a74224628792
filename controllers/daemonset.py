"""Daemon sets: one pod on every node that suits, replaced node by node when the template changes.

A pod is pinned to its node by node affinity, and the scheduler places it there. A pod's version is the hash of its
template, in the label controller-revision-hash.
Sources: DaemonSet's documentation ("How Daemon Pods are scheduled", "Taints and tolerations") and KEP-1591 (maxSurge).
Elsewhere: the history of the template (revisions.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers import pods as pods_
from controllers.conditions import resolved, selector_of
from controllers.revisions import HASH, record
from sampan.actions import Action, Batch, Delete, Event, RequeueAfter, SetStatus
from sampan.api.apps_v1 import DaemonSet, DaemonSetStatus
from sampan.api.core_v1 import (
    Affinity,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    Taint,
    Toleration,
)
from sampan.events import NORMAL, WARNING
from sampan.informer import Change
from sampan.kinds import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
from sampan.loop import Controller, Watch, claim, namespace_is_terminating
from sampan.node_affinity import allows
from sampan.objects import Key, key_of, owned_by
from sampan.world import World

GENERATION = "pod-template-generation"
NODE_NAME = "metadata.name"
FAILED_SECONDS = 10.0
NO_EXECUTE, NO_SCHEDULE = "NoExecute", "NoSchedule"
TOLERATED = (
    ("node.kubernetes.io/not-ready", NO_EXECUTE),
    ("node.kubernetes.io/unreachable", NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/unschedulable", NO_SCHEDULE),
)
TOLERATED_ON_HOST_NETWORK = (("node.kubernetes.io/network-unavailable", NO_SCHEDULE),)


def tolerations(spec: PodSpec) -> list[Toleration]:
    """The pod's own tolerations and those that every daemon pod has."""
    extra = TOLERATED + (TOLERATED_ON_HOST_NETWORK if spec.host_network else ())
    found = list(spec.tolerations)
    for key, effect in extra:
        wanted = Toleration(key=key, operator="Exists", effect=effect)
        if wanted not in found:
            found.append(wanted)
    return found


def pinned(spec: PodSpec, node: str) -> PodSpec:
    """The pod's spec, to run on this node only: its required node affinity is narrowed to the node's name."""
    field_ = NodeSelectorRequirement(key=NODE_NAME, operator="In", values=[node])
    affinity = spec.affinity or Affinity()
    node_affinity = affinity.node_affinity or NodeAffinity()
    required = node_affinity.required_during_scheduling_ignored_during_execution
    terms = required.node_selector_terms if required is not None else []
    narrowed = [one.model_copy(update={"match_fields": [field_]}) for one in terms]
    selector = NodeSelector(node_selector_terms=narrowed or [NodeSelectorTerm(match_fields=[field_])])
    changed = node_affinity.model_copy(update={"required_during_scheduling_ignored_during_execution": selector})
    return spec.model_copy(
        update={
            "affinity": affinity.model_copy(update={"node_affinity": changed}),
            "tolerations": tolerations(spec),
        }
    )


def node_of(pod: Pod) -> str:
    """The node that a daemon pod is for: where it is bound, else where its affinity pins it."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    for term in required.node_selector_terms if required is not None else ():
        for one in term.match_fields:
            if one.key == NODE_NAME and one.operator == "In" and len(one.values) == 1:
                return one.values[0]
    return ""


def tolerates(all_tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether one of the tolerations is for the taint ("Taints and Tolerations")."""
    for one in all_tolerations:
        if one.effect and one.effect != taint.effect:
            continue
        if one.key and one.key != taint.key:
            continue
        if one.operator == "Exists" or (one.key and (one.value or "") == (taint.value or "")):
            return True
    return False


def suits(spec: PodSpec, node: Node) -> tuple[bool, bool]:
    """(should run, may go on running) on a node, by name, selector, affinity and taints."""
    if spec.node_name and spec.node_name != node.metadata.name:
        return False, False
    if not allows(spec, node.metadata.name or "", node.metadata.labels):
        return False, False
    all_tolerations = tolerations(spec)
    untolerated = {one.effect for one in node.spec.taints if not tolerates(all_tolerations, one)}
    return not untolerated & {NO_SCHEDULE, NO_EXECUTE}, NO_EXECUTE not in untolerated


def revision_hash(ds: DaemonSet) -> str:
    """The version of the present template."""
    return pods_.template_hash(ds.spec.template, ds.status.collision_count or 0)


def new_pod(ds: DaemonSet, node: str, version: str) -> Pod:
    """The pod of a daemon set for a node."""
    labels = {HASH: version, GENERATION: str(ds.metadata.generation or 0)}
    pod = pods_.from_template(
        ds.spec.template,
        owned_by(ds, DAEMON_SETS),
        namespace=ds.metadata.namespace or "",
        prefix=ds.metadata.name or "",
        labels=labels,
    )
    return pod.model_copy(update={"spec": pinned(pod.spec, node)})


@dataclass
class Decision:
    """Nodes that get a pod, and pods that go."""

    create: list[str] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)
    failed: list[Pod] = field(default_factory=list)


def place(ds: DaemonSet, nodes: Sequence[Node], by_node: Mapping[str, Sequence[Pod]], surging: bool) -> Decision:
    """Pure: which nodes lack a pod and which pods are too many, whatever their version."""
    decision = Decision()
    version = revision_hash(ds)
    present = {node.metadata.name or "" for node in nodes}
    for node in nodes:
        name = node.metadata.name or ""
        should, may_go_on = suits(ds.spec.template.spec, node)
        alive = [pod for pod in by_node.get(name, ()) if not pods_.is_terminating(pod)]
        failed = [pod for pod in alive if pod.status.phase == pods_.FAILED]
        running = [pod for pod in alive if pod not in failed]
        if not may_go_on:
            decision.delete += alive
            continue
        if should and not alive and not by_node.get(name):
            decision.create.append(name)
        if not should:
            continue
        decision.failed += failed
        running.sort(key=lambda pod: (not pod.spec.node_name, not pods_.is_ready(pod), pods_.created_at(pod)))
        if surging:
            old = [pod for pod in running if pod.metadata.labels.get(HASH) != version]
            new = [pod for pod in running if pod.metadata.labels.get(HASH) == version]
            decision.delete += [*old[1:], *new[1:]]
        else:
            decision.delete += running[1:]
    for name, some in by_node.items():
        if name and name not in present:
            decision.delete += [pod for pod in some if not pods_.is_terminating(pod) and not pod.spec.node_name]
    return decision


def replace(
    ds: DaemonSet, nodes: Sequence[Node], by_node: Mapping[str, Sequence[Pod]], now: datetime
) -> tuple[Decision, float | None]:
    """Pure: which pods of an old version give way now, and where a new one starts beside its predecessor.

    Never are more than maxUnavailable nodes without an available pod because of us, nor do more than maxSurge have two.
    Also returned: seconds until time alone allows more.
    """
    decision = Decision()
    version = revision_hash(ds)
    suited = [node.metadata.name or "" for node in nodes if suits(ds.spec.template.spec, node)[0]]
    surge, most_unavailable = budget(ds, len(suited))
    minimum = ds.spec.min_ready_seconds or 0
    unavailable = surging = 0
    candidates: list[Pod] = []
    surge_wanted: list[str] = []
    for name in suited:
        alive = [pod for pod in by_node.get(name, ()) if not pods_.is_terminating(pod)]
        old = [pod for pod in alive if pod.metadata.labels.get(HASH) != version]
        new = [pod for pod in alive if pod.metadata.labels.get(HASH) == version]
        new_serves = any(pods_.is_available(pod, minimum, now) for pod in new)
        old_serves = any(pods_.is_available(pod, minimum, now) for pod in old)
        if surge:
            if old and new_serves:
                decision.delete += old
            elif old and new:
                surging += 1
                if not old_serves:
                    decision.delete += old
            elif old and not old_serves:
                decision.create.append(name)  # nothing is lost by a second pod there
                surging += 1
            elif old:
                surge_wanted.append(name)
            continue
        if not new_serves and not old_serves:
            unavailable += 1
            decision.delete += old  # it serves nobody, so replacing it costs nothing
        elif old and not new:
            candidates += old
    allowed = max(0, most_unavailable - unavailable)
    decision.delete += candidates[:allowed]
    decision.create += surge_wanted[: max(0, surge - surging)]
    wait = pods_.until_next_available((pod for some in by_node.values() for pod in some), minimum, now)
    return decision, wait


def budget(ds: DaemonSet, desired: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in nodes; percentages round up, and not both are 0."""
    rolling = ds.spec.update_strategy.rolling_update if ds.spec.update_strategy is not None else None
    surge = resolved(rolling.max_surge if rolling is not None else None, desired, round_up=True)
    field_ = 1 if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable
    unavailable = resolved(field_, desired, round_up=True)
    return surge, unavailable if surge or unavailable else 1


def observed(
    ds: DaemonSet, nodes: Sequence[Node], by_node: Mapping[str, Sequence[Pod]], now: datetime
) -> DaemonSetStatus:
    """Pure: the status that nodes and pods amount to."""
    version = revision_hash(ds)
    minimum = ds.spec.min_ready_seconds or 0
    desired = current = ready = available = updated = misscheduled = 0
    for node in nodes:
        some = by_node.get(node.metadata.name or "", ())
        if not suits(ds.spec.template.spec, node)[0]:
            misscheduled += bool(some)
            continue
        desired += 1
        alive = [pod for pod in some if not pods_.is_terminating(pod)]
        current += bool(some)
        ready += any(pods_.is_ready(pod) for pod in alive)
        available += any(pods_.is_available(pod, minimum, now) for pod in alive)
        updated += any(pod.metadata.labels.get(HASH) == version for pod in alive)
    return DaemonSetStatus(
        desired_number_scheduled=desired,
        current_number_scheduled=current,
        number_misscheduled=misscheduled,
        number_ready=ready,
        updated_number_scheduled=updated or None,
        number_available=available or None,
        number_unavailable=(desired - available) or None,
        observed_generation=ds.metadata.generation,
        collision_count=ds.status.collision_count,
        conditions=ds.status.conditions,
    )


def plan(ds: DaemonSet, nodes: Sequence[Node], pods: Sequence[Pod], now: datetime) -> Iterator[Action]:
    """Pure: what to do about a daemon set."""
    by_node: dict[str, list[Pod]] = {}
    for pod in pods:
        by_node.setdefault(node_of(pod), []).append(pod)
    if ds.metadata.deletion_timestamp is None:
        rolling = ds.spec.update_strategy is None or ds.spec.update_strategy.type != "OnDelete"
        surging = rolling and budget(ds, len(nodes))[0] > 0
        decision = place(ds, nodes, by_node, surging)
        # A pod that fails at once must not be replaced in a tight circle.
        young = [pod for pod in decision.failed if (now - pods_.created_at(pod)[0]).total_seconds() < FAILED_SECONDS]
        if young:
            decision.failed = [pod for pod in decision.failed if pod not in young]
            yield RequeueAfter(FAILED_SECONDS)
        if rolling and not decision.create and not decision.delete and not decision.failed:
            decision, wait = replace(ds, nodes, by_node, now)
            if wait is not None:
                yield RequeueAfter(wait)
        for pod in decision.failed:
            where = f"{pod.metadata.namespace}/{pod.metadata.name} on node {node_of(pod)}"
            text = f"Found failed daemon pod {where}, will try to kill it"
            yield Event(DAEMON_SETS, ds, WARNING, "FailedDaemonPod", text)
        yield from _perform(ds, decision)
    yield SetStatus(DAEMON_SETS, ds, observed(ds, nodes, by_node, now))


def _perform(ds: DaemonSet, decision: Decision) -> Iterator[Action]:
    def failed(error: Exception, _done: int, _untried: int) -> Iterator[Action]:
        if not namespace_is_terminating(error):
            yield Event(DAEMON_SETS, ds, WARNING, "FailedCreate", f"Error creating: {error}")

    version = revision_hash(ds)
    if decision.create:
        creations = [pods_.create(new_pod(ds, node, version), ds, DAEMON_SETS) for node in decision.create]
        yield Batch(creations, failed)
    doomed = [*decision.delete, *decision.failed]
    if doomed:
        yield Batch(
            [
                Delete(
                    PODS,
                    pod,
                    then=(Event(DAEMON_SETS, ds, NORMAL, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}"),),
                )
                for pod in doomed
            ]
        )


def reconcile(ds: DaemonSet, world: World) -> Iterator[Action]:
    """Claim the pods, then follow the plan."""
    selector = selector_of(ds.spec.selector)
    if not selector:
        text = "This daemon set is selecting all pods. A non-empty selector is required."
        yield Event(DAEMON_SETS, ds, WARNING, "SelectingAll", text)
        return
    claimed = claim(ds, DAEMON_SETS, selector, PODS, world)
    yield from claimed.actions
    history = claim(ds, DAEMON_SETS, selector, CONTROLLER_REVISIONS, world)
    yield from history.actions
    if ds.metadata.deletion_timestamp is None:
        in_use = {pod.metadata.labels.get(HASH, "") for pod in claimed.owned}
        yield from record(ds, revision_hash(ds), history.owned, in_use)
    nodes = sorted(world.all(NODES), key=lambda node: node.metadata.name or "")
    yield from plan(ds, nodes, claimed.owned, world.now)


def _node_changed(change: Change[Node], world: World) -> Iterator[Key]:
    old, new = change.old, change.new
    if old is not None and new is not None:
        same = old.metadata.labels == new.metadata.labels and old.spec.taints == new.spec.taints
        if same:
            return
    yield from (key_of(ds) for ds in world.all(DAEMON_SETS))


DAEMON_SET = Controller(
    name="daemonset-controller",
    of=DAEMON_SETS,
    reconcile=reconcile,
    owns=(PODS, CONTROLLER_REVISIONS),
    selector=lambda ds: selector_of(ds.spec.selector),
    watches=(Watch(NODES, _node_changed),),
)
