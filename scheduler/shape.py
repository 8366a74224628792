"""What a pod asks for, compiled once: pods that ask for the same share one Shape and are placed as a batch.

Always: two pods with the same Shape get the same verdict of every filter and score in the same state.
Elsewhere: what nodes have (columns.py), the default spread of a service's pods (defaults.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

from sampan import quantity
from sampan.api.core_v1 import (
    Container,
    Pod,
    PodAffinityTerm,
    ResourceRequirements,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from sampan.selectors import Operator, Requirement, Selector, of_map
from scheduler.terms import (
    AllTerms,
    Labels,
    Near,
    NodeTerm,
    PodTerm,
    Spread,
    Taint,
    Tolerance,
    compile_selector,
)

Requests = dict[str, int]
"""Amounts by resource: cpu in thousandths of a core, everything else in whole units."""
Port = tuple[str, int, str]
"""Protocol, host port, host IP (0.0.0.0 for any)."""
CPU, MEMORY, STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
UNASKED_CPU, UNASKED_MEMORY = 100, 200 * 1024 * 1024
"""What a container that asks for nothing counts for in scores (upstream's defaults), so that such pods spread too."""
LARGEST = 2**52
"""Amounts are clamped to this, so that sums over a node's pods stay within 64 bits."""


@dataclass(eq=False)
class Shape:
    """What a pod asks for. Compared by identity: `Shapes` makes one for each distinct demand."""

    key: object
    namespace: str
    labels: Labels
    priority: int = 0
    may_preempt: bool = True
    requests: Requests = field(default_factory=dict)
    scored_cpu: int = UNASKED_CPU
    scored_memory: int = UNASKED_MEMORY
    node_name: str = ""
    tolerations: tuple[Tolerance, ...] = ()
    node_selector: tuple[Requirement, ...] = ()
    node_terms: tuple[NodeTerm, ...] | None = None
    preferred_nodes: tuple[tuple[int, NodeTerm], ...] = ()
    ports: tuple[Port, ...] = ()
    affinity: tuple[Near, ...] = ()
    anti_affinity: tuple[Near, ...] = ()
    preferred: tuple[tuple[int, Near], ...] = ()
    """Preferred (anti-)affinity; anti has negative weights."""
    hard_spread: tuple[Spread, ...] = ()
    soft_spread: tuple[Spread, ...] = ()
    spread_defaulted: bool = False
    images: tuple[str, ...] = ()

    @cached_property
    def pinned(self) -> frozenset[str] | None:
        """The only nodes that every required term allows by name, None if any term allows others."""
        if not self.node_terms:
            return None
        names: set[str] = set()
        for term in self.node_terms:
            wanted = [one.values for one in term.names if one.operator is Operator.IN]
            if not wanted:
                return None
            names |= frozenset.intersection(*wanted)
        return frozenset(names)

    @cached_property
    def all_affinity(self) -> AllTerms | None:
        """Pods that match every required affinity term at once, None when there is no such term."""
        return AllTerms(tuple(near.term for near in self.affinity)) if self.affinity else None

    def tolerates(self, taint: Taint) -> bool:
        """Whether any toleration accepts a taint."""
        return any(one.accepts(taint) for one in self.tolerations)

    @property
    def carries(self) -> bool:
        """Whether a placed pod of this shape changes where other pods may or would rather go."""
        return bool(self.affinity or self.anti_affinity or self.preferred)


class Shapes:
    """Compiles pods; keeps each Shape as long as somebody holds it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[object, Shape] = WeakValueDictionary()

    def of(self, pod: Pod, default_selector: Selector | None = None) -> Shape:
        """The shape of a pod. `default_selector` selects the pods it spreads from when it says nothing itself."""
        key = (demand(pod), default_selector)
        found = self._known.get(key)
        if found is None:
            found = compile_shape(pod, key, default_selector)
            self._known[key] = found
        return found


def demand(pod: Pod) -> tuple[Any, ...]:
    """Everything of a pod that a Shape depends on, as a hashable value that is cheap to make."""
    spec = pod.spec
    return (
        pod.metadata.namespace,
        tuple(pod.metadata.labels.items()),
        spec.priority,
        spec.preemption_policy,
        tuple([_container_demand(one) for one in spec.containers]),
        tuple([(_container_demand(one), one.restart_policy) for one in spec.init_containers]),
        spec.resources.model_dump_json() if spec.resources is not None else None,
        tuple(spec.overhead.items()),
        spec.host_network,
        tuple(spec.node_selector.items()),
        tuple([(t.key, t.operator, t.value, t.effect) for t in spec.tolerations]),
        spec.affinity.model_dump_json() if spec.affinity is not None else None,
        tuple([one.model_dump_json() for one in spec.topology_spread_constraints]),
    )


def _container_demand(container: Container) -> tuple[Any, ...]:
    resources = container.resources
    return (
        container.image,
        (tuple(resources.requests.items()), tuple(resources.limits.items())) if resources is not None else None,
        tuple([(p.protocol, p.host_port, p.host_ip, p.container_port) for p in container.ports]),
    )


def compile_shape(pod: Pod, key: object, default_selector: Selector | None) -> Shape:
    """Read a pod. What the API server's validation would refuse matches nothing rather than raising."""
    spec, labels, namespace = pod.spec, pod.metadata.labels, pod.metadata.namespace or ""
    affinity = spec.affinity
    node = affinity.node_affinity if affinity else None
    near = affinity.pod_affinity if affinity else None
    far = affinity.pod_anti_affinity if affinity else None
    required_nodes = node.required_during_scheduling_ignored_during_execution if node else None
    hard, soft, defaulted = _spreads(spec.topology_spread_constraints, namespace, labels, default_selector)
    requests = pod_requests(pod)
    scored = pod_requests(pod, {CPU: UNASKED_CPU, MEMORY: UNASKED_MEMORY})
    containers = [*spec.init_containers, *spec.containers]
    return Shape(
        key=key,
        namespace=namespace,
        labels=dict(labels),
        priority=spec.priority or 0,
        may_preempt=spec.preemption_policy != "Never",
        requests=requests,
        scored_cpu=scored.get(CPU, 0),
        scored_memory=scored.get(MEMORY, 0),
        tolerations=tuple(
            Tolerance(one.key or "", one.operator or "", one.value or "", one.effect or "") for one in spec.tolerations
        ),
        node_selector=of_map(spec.node_selector).requirements,
        node_terms=None if required_nodes is None else tuple(map(NodeTerm.of, required_nodes.node_selector_terms)),
        preferred_nodes=tuple(
            (one.weight, NodeTerm.of(one.preference))
            for one in (node.preferred_during_scheduling_ignored_during_execution if node else ())
            if one.weight
        ),
        ports=_host_ports(containers, host_network=bool(spec.host_network)),
        affinity=tuple(
            _near(one, namespace, labels)
            for one in (near.required_during_scheduling_ignored_during_execution if near else ())
        ),
        anti_affinity=tuple(
            _near(one, namespace, labels)
            for one in (far.required_during_scheduling_ignored_during_execution if far else ())
        ),
        preferred=(
            *_weighted(near.preferred_during_scheduling_ignored_during_execution if near else (), 1, namespace, labels),
            *_weighted(far.preferred_during_scheduling_ignored_during_execution if far else (), -1, namespace, labels),
        ),
        hard_spread=hard,
        soft_spread=soft,
        spread_defaulted=defaulted,
        images=tuple(full_image_name(one.image or "") for one in containers),
    )


def full_image_name(image: str) -> str:
    """An image as nodes report it: with a tag."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


# Resources


def amounts(quantities: Mapping[str, str]) -> Requests:
    """Quantities as integers, clamped; those that can't be read or are negative count as nothing."""
    found: Requests = {}
    for name, text in quantities.items():
        try:
            amount = quantity.milli(text) if name == CPU else quantity.value(text)
        except quantity.QuantityError:
            continue
        found[name] = max(0, min(amount, LARGEST))
    return found


def container_requests(resources: ResourceRequirements | None, unasked: Requests) -> Requests:
    """What a container asks for; a limit without a request is a request (Resource Management for Pods)."""
    if resources is None:
        return dict(unasked)
    return unasked | amounts(resources.limits) | amounts(resources.requests)


def pod_requests(pod: Pod, unasked: Requests | None = None) -> Requests:
    """What a pod takes from a node (KEP-753: sidecars count for good, other init containers one after another).

    `unasked` is assumed for each container that says nothing.
    """
    spec = pod.spec
    floor = unasked or {}
    total: Requests = {}
    for container in spec.containers:
        _add(total, container_requests(container.resources, floor))
    sidecars: Requests = {}
    peak: Requests = {}
    for container in spec.init_containers:
        own = container_requests(container.resources, floor)
        if container.restart_policy == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        for name, amount in own.items():
            peak[name] = max(peak.get(name, 0), amount)
    for name, amount in peak.items():
        total[name] = max(total.get(name, 0), amount)
    if spec.resources is not None:  # KEP-2837: what the pod itself asks for wins
        total |= amounts(spec.resources.limits) | amounts(spec.resources.requests)
    _add(total, amounts(spec.overhead))
    return {name: min(amount, LARGEST) for name, amount in total.items() if amount or unasked}


def _add(total: Requests, more: Requests) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _host_ports(containers: Iterable[Container], *, host_network: bool) -> tuple[Port, ...]:
    found = []
    for container in containers:
        for port in container.ports:
            number = port.host_port or (port.container_port if host_network else 0)
            if number:
                found.append((port.protocol or "TCP", number, port.host_ip or "0.0.0.0"))
    return tuple(dict.fromkeys(found))


# Rules about other pods


def _own_labels(
    selector: Selector | None, labels: Labels, same: Iterable[str], different: Iterable[str] = ()
) -> Selector | None:
    """Add `matchLabelKeys` and `mismatchLabelKeys`: the pod's own values of these labels."""
    if selector is None:
        return None
    more = [Requirement(key, Operator.IN, frozenset({labels[key]})) for key in same if key in labels]
    more += [Requirement(key, Operator.NOT_IN, frozenset({labels[key]})) for key in different if key in labels]
    return Selector((*selector.requirements, *more)) if more else selector


def _near(term: PodAffinityTerm, namespace: str, labels: Labels) -> Near:
    chosen = compile_selector(term.namespace_selector)
    names = frozenset(term.namespaces)
    if not names and term.namespace_selector is None:
        names = frozenset({namespace})
    selector = _own_labels(
        compile_selector(term.label_selector), labels, term.match_label_keys, term.mismatch_label_keys
    )
    return Near(PodTerm(names, (selector,), chosen), term.topology_key)


def _weighted(
    terms: Iterable[WeightedPodAffinityTerm], sign: int, namespace: str, labels: Labels
) -> Iterable[tuple[int, Near]]:
    return ((sign * one.weight, _near(one.pod_affinity_term, namespace, labels)) for one in terms if one.weight)


def _spreads(
    constraints: Iterable[TopologySpreadConstraint], namespace: str, labels: Labels, default: Selector | None
) -> tuple[tuple[Spread, ...], tuple[Spread, ...], bool]:
    constraints = list(constraints)
    if not constraints:
        if default is None:
            return (), (), False
        term = PodTerm(frozenset({namespace}), (default,), living=True)
        return (), (Spread(term, HOSTNAME, 3), Spread(term, ZONE, 5)), True
    hard: list[Spread] = []
    soft: list[Spread] = []
    for one in constraints:
        selector = _own_labels(compile_selector(one.label_selector), labels, one.match_label_keys)
        spread = Spread(
            term=PodTerm(frozenset({namespace}), (selector,), living=True),
            topology_key=one.topology_key,
            max_skew=max(1, one.max_skew),
            min_domains=one.min_domains or 1,
            honor_affinity=(one.node_affinity_policy or "Honor") == "Honor",
            honor_taints=one.node_taints_policy == "Honor",
            matches_self=selector is not None and selector.matches(labels),
        )
        (soft if one.when_unsatisfiable == "ScheduleAnyway" else hard).append(spread)
    return tuple(hard), tuple(soft), False
