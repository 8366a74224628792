"""Every filter and score over columns agrees with the obvious one, which asks node after node from the API objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampan import selectors
from sampan.api.core_v1 import Node, Pod
from sampan.api.meta_v1 import LabelSelector
from sampan.selectors import of_map
from scheduler import filters, scores
from scheduler.columns import Columns
from scheduler.filters import FILTERS
from scheduler.place import Failure, Placement, Waiting, is_steady, place
from scheduler.preempt import preempt
from scheduler.scores import SCORES
from scheduler.shape import Shapes, amounts, pod_requests

JSON = dict[str, Any]
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
NAMESPACES = {"one": {"team": "a"}, "two": {"team": "b"}, "three": {}}


@dataclass
class World:
    """Nodes, pods on them by node name, and how they look as columns."""

    nodes: list[Node]
    placed: list[tuple[Pod, str]]

    def columns(self, asked: Pod | None = None) -> Columns:
        """The columns of it all. `asked` is asked about when they are still empty, so that all counts are kept."""
        columns = Columns()
        for space, labels in NAMESPACES.items():
            columns.tallies.set_namespace(space, labels)
        shapes = Shapes()
        if asked is not None:
            scores.evaluate(columns, shapes.of(asked), filters.run(columns, shapes.of(asked)).feasible)
        half = len(self.nodes) // 2
        for node in self.nodes[:half]:
            columns.set_node(node)
        for pod, name in self.placed:  # some arrive before their nodes
            meta = pod.metadata
            columns.place(
                meta.uid or "", meta.namespace or "", meta.name or "", shapes.of(pod), name,
                dying=meta.deletion_timestamp is not None,
            )  # fmt: skip
        for node in self.nodes[half:]:
            columns.set_node(node)
        self.shapes = shapes
        return columns

    def on(self, node: Node) -> list[Pod]:
        return [pod for pod, name in self.placed if name == node.metadata.name]


# Worlds are drawn from a seed: hypothesis' own composite strategies would take a hundred times as long.


class Draw(Random):
    """Small universes, so that rules meet. A narrow one has fewer kinds of things still, so that they meet often."""

    narrow = False

    def some(self, make: Callable[[], Any], most: int) -> list[Any]:
        return [make() for _ in range(self.randint(0, most))]

    def optional(self, **values: Sequence[Any]) -> JSON:
        return {key.replace("__", "."): self.choice(one) for key, one in values.items() if self.random() < 0.5}

    def selector(self) -> JSON | None:
        match self.randrange(20 if self.narrow else 6):
            case 0:
                return None
            case 1:
                return {}
            case 2:
                operator = self.choice(["In", "NotIn"])
                values = self.sample("xyz", self.randint(1, 2))
                return {"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}
            case 3:
                operator = self.choice(["Exists", "DoesNotExist"])
                return {"matchExpressions": [{"key": self.choice(["app", "tier"]), "operator": operator}]}
        return {"matchLabels": {"app": "x" if self.narrow else self.choice("xyz")}}

    def node_requirement(self) -> JSON:
        match self.randrange(3):
            case 0:
                values = self.sample("abc", self.randint(1, 2))
                return {"key": self.choice(["disk", ZONE]), "operator": self.choice(["In", "NotIn"]), "values": values}
            case 1:
                return {"key": self.choice(["disk", "size"]), "operator": self.choice(["Exists", "DoesNotExist"])}
        return {"key": "size", "operator": self.choice(["Gt", "Lt"]), "values": [str(self.randint(0, 4))]}

    def named(self) -> JSON:
        name = self.choice(["n0", "n1", "n9"])
        return {"key": "metadata.name", "operator": self.choice(["In", "NotIn"]), "values": [name]}

    def node_term(self) -> JSON:
        return {"matchExpressions": self.some(self.node_requirement, 2), "matchFields": self.some(self.named, 1)}

    def pod_term(self) -> JSON:
        term: JSON = {"topologyKey": self.choice([HOST, ZONE, "disk"])}
        term["namespaces"] = self.choice([[], [], ["one"], ["two"]])
        term |= self.optional(namespaceSelector=[{}, {"matchLabels": {"team": "a"}}], matchLabelKeys=[["tier"]])
        selector = self.selector()
        return term if selector is None else term | {"labelSelector": selector}

    def toleration(self) -> JSON:
        return {
            "key": self.choice(["", "t", "u", "node.kubernetes.io/unschedulable"]),
            "operator": self.choice([None, "Equal", "Exists", "Exists"]),
            "value": self.choice(["", "1", "2"]),
            "effect": self.choice(["", "", "NoSchedule", "PreferNoSchedule"]),
        }

    def spread(self) -> JSON:
        found: JSON = {"topologyKey": self.choice([HOST, ZONE]), "maxSkew": 1 if self.narrow else self.randint(1, 3)}
        found["whenUnsatisfiable"] = self.choice(["DoNotSchedule", "ScheduleAnyway"])
        found |= self.optional(
            minDomains=[1, 2, 3, 4],
            nodeAffinityPolicy=["Honor", "Ignore"],
            nodeTaintsPolicy=["Honor", "Ignore"],
            matchLabelKeys=[["tier"]],
        )
        selector = self.selector()
        return found if selector is None else found | {"labelSelector": selector}

    def resources(self) -> JSON:
        found = self.optional(cpu=["0", "100m", "250m", "1", "1.5"], memory=["0", "64Mi", "100M", "1Gi"])
        return found | (self.optional(gpu__x=["0", "1"]) if self.random() < 0.2 else {})

    def pod(self, index: int) -> Pod:
        rich = self.random() < (0.3 if self.narrow and index < 50 else 0.8)
        container: JSON = {"name": "c", "image": self.choice(["web", "web:1", "db:2"])}
        container["resources"] = {"requests": self.resources()}
        if self.random() < 0.3:
            port = {"containerPort": 80, "hostPort": self.choice([80, 81]), "protocol": self.choice(["TCP", "UDP"])}
            container["ports"] = [port | {"hostIP": self.choice(["", "10.0.0.1", "10.0.0.2", "0.0.0.0"])}]
        spec: JSON = {"containers": [container], "priority": self.choice([0, 0, 10, -5])}
        spec["tolerations"] = self.some(self.toleration, 2)
        if rich:
            spec["nodeSelector"] = self.choice([{}, {}, {}, {"disk": "a"}])
            node: JSON = {"preferredDuringSchedulingIgnoredDuringExecution": self.some(
                lambda: {"weight": self.randint(1, 100), "preference": self.node_term()}, 2)}  # fmt: skip
            if self.random() < (0.1 if self.narrow else 0.4):
                terms = [self.node_term() for _ in range(self.randint(1, 2))]
                node["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
            affinity = {"nodeAffinity": node}
            for name in ("podAffinity", "podAntiAffinity"):
                preferred = self.some(lambda: {"weight": self.randint(1, 100), "podAffinityTerm": self.pod_term()}, 1)
                affinity[name] = {
                    "requiredDuringSchedulingIgnoredDuringExecution": (
                        [] if self.narrow and self.random() < 0.7 else self.some(self.pod_term, 1)
                    ),
                    "preferredDuringSchedulingIgnoredDuringExecution": preferred,
                }
            spec["affinity"] = affinity
            constraints = {(one := self.spread())["topologyKey"]: one for _ in range(self.randint(0, 2))}
            spec["topologySpreadConstraints"] = list(constraints.values())
        meta: JSON = {"name": f"p{index}", "namespace": self.space(), "uid": f"u{index}"}
        meta["labels"] = self.optional(app="xxxy" if self.narrow else "xyz", tier="12")
        if self.random() < 0.15:
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        return Pod.from_json({"metadata": meta, "spec": spec})

    def space(self) -> str:
        return "one" if self.narrow else self.choice(list(NAMESPACES))

    def node(self, index: int) -> Node:
        labels = self.optional(disk="ab", size=["1", "3", "big"])
        labels |= {ZONE: self.choice("ab")} if self.random() < 0.8 else {}
        labels |= {HOST: f"n{index}"} if self.random() < 0.9 else {}

        def taint() -> JSON:
            effect = self.choice(["NoSchedule", "NoExecute", "PreferNoSchedule", "PreferNoSchedule"])
            return {"key": self.choice("tu"), "value": self.choice(["", "1"]), "effect": effect}

        images = [
            {"names": [name], "sizeBytes": self.choice([10, 300, 4000]) * 2**20}
            for name in self.sample(["web:latest", "db:2"], self.randint(0, 2))
        ]
        if self.narrow:
            labels |= {ZONE: self.choice("abc")}
        allocatable = {"pods": self.choice(["1", "3", "110", "110"])}
        allocatable |= self.optional(cpu=["1", "2", "16"], memory=["1Gi", "2Gi", "64Gi"], gpu__x=["1"])
        if self.narrow and self.random() < 0.7:
            allocatable |= {"cpu": "16", "memory": "64Gi"}
        return Node.from_json(
            {
                "metadata": {"name": f"n{index}", "labels": labels},
                "spec": {
                    "taints": list({(t["key"], t["effect"]): t for t in self.some(taint, 2)}.values()),
                    "unschedulable": self.random() < 0.15,
                },
                "status": {"allocatable": allocatable, "images": images},
            }
        )

    def world(self) -> World:
        self.narrow = self.random() < 0.6
        found = [self.node(index) for index in range(self.randint(3, 5) if self.narrow else self.randint(0, 5))]
        placed = []
        for index in range(self.randint(4, 14) if self.narrow else self.randint(0, 6) if found else 0):
            placed.append((self.pod(index), self.choice(found).metadata.name or ""))
        return World(found, placed)


SEEDS = st.integers(0, 2**32)


# The obvious forms


def untolerated(pod: Pod, node: Node, effects: tuple[str, ...]) -> int:
    found = 0
    for taint in node.spec.taints:
        if taint.effect not in effects:
            continue
        for one in pod.spec.tolerations:
            if (one.effect and one.effect != taint.effect) or (one.key and one.key != taint.key):
                continue
            if one.operator == "Exists" or (one.key and (one.value or "") == (taint.value or "")):
                break
        else:
            found += 1
    return found


HARD = ("NoSchedule", "NoExecute")


def cordoned(world: World, pod: Pod, node: Node) -> bool:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    mirror = Node.from_json({"spec": {"taints": [taint]}})
    return not node.spec.unschedulable or not untolerated(pod, mirror, HARD)


def tainted(world: World, pod: Pod, node: Node) -> bool:
    return not untolerated(pod, node, HARD)


def requirement_holds(one: Any, value: str | None) -> bool:
    match one.operator:
        case "In":
            return value in one.values
        case "NotIn":
            return value not in one.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    try:
        number = int(value or "")
    except ValueError:
        return False
    return number > int(one.values[0]) if one.operator == "Gt" else number < int(one.values[0])


def node_term_holds(term: Any, node: Node) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False
    labels = node.metadata.labels
    return all(requirement_holds(one, labels.get(one.key)) for one in term.match_expressions) and all(
        requirement_holds(one, node.metadata.name) for one in term.match_fields
    )


def node_chosen(world: World, pod: Pod, node: Node) -> bool:
    if any(node.metadata.labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    return required is None or any(node_term_holds(one, node) for one in required.node_selector_terms)


def ports_of(pod: Pod) -> list[tuple[str, int, str]]:
    return [
        (port.protocol or "TCP", port.host_port, port.host_ip or "0.0.0.0")
        for container in pod.spec.containers
        for port in container.ports
        if port.host_port
    ]


def ports_free(world: World, pod: Pod, node: Node) -> bool:
    for other in world.on(node):
        for protocol, number, address in ports_of(other):
            for mine in ports_of(pod):
                if mine[:2] == (protocol, number) and (mine[2] == address or "0.0.0.0" in (mine[2], address)):
                    return False
    return True


def resources_free(world: World, pod: Pod, node: Node) -> bool:
    has = amounts(node.status.allocatable)
    others = world.on(node)
    if len(others) + 1 > has.get("pods", 0):
        return False
    for name, amount in pod_requests(pod).items():
        used = sum(pod_requests(other).get(name, 0) for other in others)
        if amount and used + amount > has.get(name, 0):
            return False
    return True


def selected(selector: LabelSelector | None, labels: dict[str, str], own: Pod, same: list[str]) -> bool:
    compiled = selectors.of_object(selector)
    if compiled is None or not compiled.matches(labels):
        return False
    return all(labels.get(key) == own.metadata.labels[key] for key in same if key in own.metadata.labels)


def in_term(term: Any, owner: Pod, other: Pod) -> bool:
    """Whether `other` is one of the pods that a term of `owner`'s speaks of."""
    space = other.metadata.namespace or ""
    spaces = set(term.namespaces)
    if not spaces and term.namespace_selector is None:
        spaces = {owner.metadata.namespace}
    chosen = selectors.of_object(term.namespace_selector)
    if space not in spaces and not (chosen is not None and chosen.matches(NAMESPACES[space])):
        return False
    return selected(term.label_selector, other.metadata.labels, owner, term.match_label_keys)


def same_domain(key: str, a: Node, b: Node) -> bool:
    return key in a.metadata.labels and a.metadata.labels.get(key) == b.metadata.labels.get(key)


def everywhere(world: World) -> Iterator[tuple[Pod, Node]]:
    for node in world.nodes:
        for pod in world.on(node):
            yield pod, node


def required_terms(pod: Pod, kind: str) -> list[Any]:
    affinity = getattr(pod.spec.affinity, kind) if pod.spec.affinity else None
    return affinity.required_during_scheduling_ignored_during_execution if affinity else []


def near_and_far(world: World, pod: Pod, node: Node) -> bool:
    wanted = required_terms(pod, "pod_affinity")
    friends = [(p, n) for p, n in everywhere(world) if all(in_term(t, pod, p) for t in wanted)]
    if wanted:
        anywhere = any(t.topology_key in n.metadata.labels for t in wanted for _, n in friends)
        near = all(any(same_domain(t.topology_key, node, n) for _, n in friends) for t in wanted)
        first = not anywhere and all(in_term(t, pod, pod) for t in wanted)
        labelled = all(t.topology_key in node.metadata.labels for t in wanted)
        if not near and not (first and labelled):
            return False
    for term in required_terms(pod, "pod_anti_affinity"):
        if any(in_term(term, pod, p) and same_domain(term.topology_key, node, n) for p, n in everywhere(world)):
            return False
    return not any(
        in_term(term, p, pod) and same_domain(term.topology_key, node, n)
        for p, n in everywhere(world)
        for term in required_terms(p, "pod_anti_affinity")
    )


def evenly_spread(world: World, pod: Pod, node: Node) -> bool:
    hard = [one for one in pod.spec.topology_spread_constraints if one.when_unsatisfiable == "DoNotSchedule"]
    if any(one.topology_key not in node.metadata.labels for one in hard):
        return False
    for one in hard:
        domains: dict[str, int] = {}
        for other in world.nodes:
            if any(c.topology_key not in other.metadata.labels for c in hard):
                continue
            if (one.node_affinity_policy or "Honor") == "Honor" and not node_chosen(world, pod, other):
                continue
            if one.node_taints_policy == "Honor" and not tainted(world, pod, other):
                continue
            domain = other.metadata.labels[one.topology_key]
            domains[domain] = domains.get(domain, 0) + sum(counts_for(one, pod, p) for p in world.on(other))
        least = min(domains.values(), default=0) if len(domains) >= (one.min_domains or 1) else 0
        itself = selected(one.label_selector, pod.metadata.labels, pod, one.match_label_keys)
        here = domains.get(node.metadata.labels[one.topology_key], 0)
        if here + itself - least > one.max_skew:
            return False
    return True


def counts_for(constraint: Any, pod: Pod, other: Pod) -> bool:
    return (
        other.metadata.namespace == pod.metadata.namespace
        and other.metadata.deletion_timestamp is None
        and selected(constraint.label_selector, other.metadata.labels, pod, constraint.match_label_keys)
    )


PLAIN: dict[str, Callable[[World, Pod, Node], bool]] = {
    "NodeUnschedulable": cordoned,
    "NodeName": lambda world, pod, node: True,
    "TaintToleration": tainted,
    "NodeAffinity": node_chosen,
    "NodePorts": ports_free,
    "NodeResourcesFit": resources_free,
    "PodTopologySpread": evenly_spread,
    "InterPodAffinity": near_and_far,
}


def rows(world: World, columns: Columns, found: Any) -> list[Any]:
    return [found[columns.rows[node.metadata.name or ""]] for node in world.nodes]


LIGHT = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("rule", FILTERS, ids=lambda one: one.name)
@given(seed=SEEDS)
@LIGHT
def test_a_vector_filter_agrees_with_the_plain_one(rule: filters.Filter, seed: int) -> None:
    draw = Draw(seed)
    world, pod = draw.world(), draw.pod(99)
    columns = world.columns()
    passed = np.ones(columns.size, dtype=np.bool_)
    for refusal in rule.check(columns, world.shapes.of(pod)):
        passed &= ~refusal.nodes
    assert rows(world, columns, passed) == [PLAIN[rule.name](world, pod, node) for node in world.nodes]


@given(seed=SEEDS)
@LIGHT
def test_all_filters_together_leave_what_every_plain_one_leaves(seed: int) -> None:
    draw = Draw(seed)
    world, pod = draw.world(), draw.pod(99)
    columns = world.columns()
    found = filters.run(columns, world.shapes.of(pod))
    expected = [all(rule(world, pod, node) for rule in PLAIN.values()) for node in world.nodes]
    assert rows(world, columns, found.feasible) == expected
    refused = sum(np.count_nonzero(r.nodes) > 0 for _, r in found.refusals)
    assert (refused == 0) == all(expected)


@given(seed=SEEDS)
@LIGHT
def test_counts_that_are_kept_equal_those_made_afresh(seed: int) -> None:
    draw = Draw(seed)
    world, pod = draw.world(), draw.pod(99)
    fresh, kept = world.columns(), world.columns(pod)
    shape = world.shapes.of(pod)
    one, other = filters.run(fresh, shape), filters.run(kept, shape)
    assert (one.feasible.tolist(), one.reasons()) == (other.feasible.tolist(), other.reasons())
    every = np.ones(fresh.size, dtype=np.bool_)
    for name, value in scores.evaluate(fresh, shape, every).items():
        assert value.tolist() == scores.evaluate(kept, shape, every)[name].tolist(), name


# Scores, the obvious way: from upstream's documentation of each


def scaled(raw: list[int], *, reverse: bool = False) -> list[int]:
    most = max(raw, default=0)
    if not most:
        return [100 if reverse else 0] * len(raw)
    return [100 - 100 * one // most if reverse else 100 * one // most for one in raw]


def plain_taints(world: World, pod: Pod, feasible: list[Node]) -> list[int]:
    return scaled([untolerated(pod, node, ("PreferNoSchedule",)) for node in feasible], reverse=True)


def plain_node_affinity(world: World, pod: Pod, feasible: list[Node]) -> list[int]:
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    preferred = affinity.preferred_during_scheduling_ignored_during_execution if affinity else []
    return scaled([sum(p.weight for p in preferred if node_term_holds(p.preference, n)) for n in feasible])


def plain_least(world: World, pod: Pod, feasible: list[Node]) -> list[int]:
    unasked = {"cpu": 100, "memory": 200 * 2**20}
    found = []
    for node in feasible:
        has, marks = amounts(node.status.allocatable), []
        for name in ("cpu", "memory"):
            wanted = sum(pod_requests(p, unasked).get(name, 0) for p in [*world.on(node), pod])
            if has.get(name):
                marks.append((has[name] - wanted) * 100 // has[name] if wanted <= has[name] else 0)
        found.append(sum(marks) // len(marks) if marks else 0)
    return found


def plain_balanced(world: World, pod: Pod, feasible: list[Node]) -> list[int]:
    if not any(pod_requests(pod).get(name) for name in ("cpu", "memory")):
        return [0] * len(feasible)
    found = []
    for node in feasible:
        has = amounts(node.status.allocatable)
        shares = [
            min(1.0, sum(pod_requests(p).get(name, 0) for p in [*world.on(node), pod]) / has[name])
            for name in ("cpu", "memory")
            if has.get(name)
        ]
        found.append(int((1 - (abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0)) * 100))
    return found


def plain_images(world: World, pod: Pod, feasible: list[Node]) -> list[int]:
    def size(node: Node, image: str) -> int:
        return next((i.size_bytes or 0 for i in node.status.images if image in i.names), 0)

    found = []
    for node in feasible:
        summed = 0
        for container in pod.spec.containers:
            image = container.image or ""
            image = image if ":" in image else image + ":latest"
            having = sum(1 for n in world.nodes if size(n, image))
            summed += int(size(node, image) * (having / len(world.nodes)))
        low, high = 23 * 2**20, 1000 * 2**20 * len(pod.spec.containers)
        found.append(100 * (min(max(summed, low), high) - low) // (high - low))
    return found


def plain_near(world: World, pod: Pod, feasible: list[Node]) -> list[int]:
    def preferred(p: Pod, kind: str) -> list[Any]:
        affinity = getattr(p.spec.affinity, kind) if p.spec.affinity else None
        return affinity.preferred_during_scheduling_ignored_during_execution if affinity else []

    raw = []
    for node in feasible:
        mark = 0
        for other, where in everywhere(world):
            for kind, sign in (("pod_affinity", 1), ("pod_anti_affinity", -1)):
                for one in preferred(pod, kind):
                    term = one.pod_affinity_term
                    if in_term(term, pod, other) and same_domain(term.topology_key, node, where):
                        mark += sign * one.weight
                for one in preferred(other, kind):
                    term = one.pod_affinity_term
                    if in_term(term, other, pod) and same_domain(term.topology_key, node, where):
                        mark += sign * one.weight
            for term in required_terms(other, "pod_affinity"):
                if in_term(term, other, pod) and same_domain(term.topology_key, node, where):
                    mark += 1
        raw.append(mark)
    if not raw or max(raw) == min(raw):
        return [0] * len(raw)
    return [int(100 * ((one - min(raw)) / (max(raw) - min(raw)))) for one in raw]


def plain_spread(world: World, pod: Pod, feasible: list[Node]) -> list[int]:
    soft = [one for one in pod.spec.topology_spread_constraints if one.when_unsatisfiable == "ScheduleAnyway"]
    if not soft:
        return [0] * len(feasible)
    scored = [n for n in feasible if all(c.topology_key in n.metadata.labels for c in soft)]
    raw: dict[str, int] = {}
    for node in scored:
        mark = 0.0
        for one in soft:
            here = node.metadata.labels[one.topology_key]
            size = (
                len({n.metadata.labels[one.topology_key] for n in scored}) if one.topology_key != HOST else len(scored)
            )
            count = 0
            for other in world.nodes:
                if other.metadata.labels.get(one.topology_key) != here:
                    continue
                if one.topology_key != HOST:
                    if any(c.topology_key not in other.metadata.labels for c in soft):
                        continue
                    if (one.node_affinity_policy or "Honor") == "Honor" and not node_chosen(world, pod, other):
                        continue
                    if one.node_taints_policy == "Honor" and not tainted(world, pod, other):
                        continue
                count += sum(counts_for(one, pod, p) for p in world.on(other))
            mark += count * math.log(size + 2) + one.max_skew - 1
        raw[node.metadata.name or ""] = round(mark)
    low, high = min(raw.values(), default=0), max(raw.values(), default=0)
    found = []
    for node in feasible:
        name = node.metadata.name or ""
        if name not in raw:
            found.append(0)
        else:
            found.append(100 if not high else 100 * (high + low - raw[name]) // high)
    return found


@given(seed=SEEDS)
@LIGHT
def test_by_default_pods_spread_over_hosts_and_zones(seed: int) -> None:
    draw = Draw(seed)
    world, pod = draw.world(), draw.pod(99)
    pod = pod.model_copy(update={"spec": pod.spec.model_copy(update={"topology_spread_constraints": []})})
    columns = world.columns()
    shape = world.shapes.of(pod, of_map({"app": "x"}))
    feasible = [node for node in world.nodes if draw.random() < 0.7]
    mask = np.zeros(columns.size, dtype=np.bool_)
    mask[[columns.rows[node.metadata.name or ""] for node in feasible]] = True
    zones = len({node.metadata.labels.get(ZONE) for node in feasible})

    def alike(node: Node) -> int:
        here = [p for p in world.on(node) if p.metadata.namespace == pod.metadata.namespace]
        return sum(p.metadata.labels.get("app") == "x" and p.metadata.deletion_timestamp is None for p in here)

    raw = []
    for node in feasible:
        mark, zone = 0.0, node.metadata.labels.get(ZONE)
        if HOST in node.metadata.labels:
            mark += alike(node) * math.log(len(feasible) + 2) + 2
        if zone is not None:
            peers = [n for n in world.nodes if n.metadata.labels.get(ZONE) == zone and node_chosen(world, pod, n)]
            mark += sum(map(alike, peers)) * math.log(zones + 2) + 4
        raw.append(round(mark))
    low, high = min(raw, default=0), max(raw, default=0)
    expected = [100 * (high + low - one) // high if high else 100 for one in raw]
    found = scores.topology_spread(columns, shape, mask)
    assert [int(found[columns.rows[node.metadata.name or ""]]) for node in feasible] == expected


PLAIN_SCORES: dict[str, Callable[[World, Pod, list[Node]], list[int]]] = {
    "TaintToleration": plain_taints,
    "NodeAffinity": plain_node_affinity,
    "PodTopologySpread": plain_spread,
    "InterPodAffinity": plain_near,
    "NodeResourcesFit": plain_least,
    "NodeResourcesBalancedAllocation": plain_balanced,
    "ImageLocality": plain_images,
}


@pytest.mark.parametrize("score", SCORES, ids=lambda one: one.name)
@given(seed=SEEDS)
@LIGHT
def test_a_vector_score_agrees_with_the_plain_one(score: scores.Score, seed: int) -> None:
    draw = Draw(seed)
    world, pod = draw.world(), draw.pod(99)
    chosen = {index for index in range(5) if draw.random() < 0.7}
    columns = world.columns()
    feasible = [node for index, node in enumerate(world.nodes) if index in chosen]
    mask = np.zeros(columns.size, dtype=np.bool_)
    mask[[columns.rows[node.metadata.name or ""] for node in feasible]] = True
    found = score.value(columns, world.shapes.of(pod), mask)
    here = [int(found[columns.rows[node.metadata.name or ""]]) for node in feasible]
    assert here == PLAIN_SCORES[score.name](world, pod, feasible)
    assert all(0 <= one <= 100 for one in here)


# Placing


@given(seed=SEEDS)
@settings(LIGHT, max_examples=600)
def test_every_pod_of_a_batch_goes_to_a_best_node_of_its_turn(seed: int) -> None:
    draw = Draw(seed)
    world, pod, number, service = draw.world(), draw.pod(99), draw.randint(1, 8), draw.random() < 0.5
    columns, reference = world.columns(), world.columns()
    default = of_map(pod.metadata.labels) if service and not pod.spec.topology_spread_constraints else None
    shape = world.shapes.of(pod, default)
    batch = [Waiting(f"w{turn}", pod.metadata.namespace or "", f"w{turn}", shape) for turn in range(number)]
    outcomes = place(columns, shape, batch, np.random.default_rng(seed))
    assert [one.pod for one in outcomes] == batch
    for outcome in outcomes:
        found = filters.run(reference, shape)
        if isinstance(outcome, Failure):
            assert not found.feasible.any()
            continue
        row = reference.rows[outcome.node]
        total = scores.total(scores.evaluate(reference, shape, found.feasible))
        assert found.feasible[row]
        assert total[row] == total[found.feasible].max()
        reference.place(outcome.pod.uid, outcome.pod.namespace, outcome.pod.name, shape, outcome.node)


@given(seed=SEEDS)
@settings(LIGHT, max_examples=50)
def test_the_same_seed_gives_the_same_placements(seed: int) -> None:
    draw = Draw(seed)
    world, pod, number = draw.world(), draw.pod(99), draw.randint(1, 8)

    def once() -> list[str | None]:
        columns = world.columns()
        shape = world.shapes.of(pod)
        batch = [Waiting(f"w{turn}", "one", f"w{turn}", shape) for turn in range(number)]
        found = place(columns, shape, batch, np.random.default_rng(seed))
        return [one.node if isinstance(one, Placement) else None for one in found]

    assert once() == once()


@given(seed=SEEDS)
@LIGHT
def test_columns_forget_what_leaves(seed: int) -> None:
    """Adding pods and nodes and taking them away again leaves the verdicts as if they had never been there."""
    draw = Draw(seed)
    world, pod = draw.world(), draw.pod(99)
    columns = world.columns()
    shape = world.shapes.of(pod)
    filters.run(columns, shape)  # makes the tallies
    for node in world.nodes:  # each is another for a while
        columns.set_node(draw.node(int((node.metadata.name or "n0")[1:])))
    filters.run(columns, shape)
    guests = [draw.pod(50 + index) for index in range(3)]
    columns.set_node(draw.node(7))
    for guest in guests:
        name = draw.choice(["n0", "n7", "n8"])
        columns.place(guest.metadata.uid or "", guest.metadata.namespace or "", "g", world.shapes.of(guest), name)
    filters.run(columns, shape)
    draw.shuffle(guests)
    for guest in guests:
        columns.remove(guest.metadata.uid or "")
    columns.remove_node("n7")
    for node in world.nodes:
        columns.set_node(node)
    fresh = world.columns()
    shape_again = world.shapes.of(pod)
    before, after = filters.run(fresh, shape_again), filters.run(columns, shape)
    assert rows(world, columns, after.feasible) == rows(world, fresh, before.feasible)
    assert after.reasons() == before.reasons()
    assert not columns.rows.keys() - {node.metadata.name for node in world.nodes}


@given(seed=SEEDS)
@settings(LIGHT, max_examples=600)
def test_preemption_takes_only_lesser_pods_and_no_more_than_needed(seed: int) -> None:
    draw = Draw(seed)
    world, pod = draw.world(), draw.pod(99)
    pod = pod.model_copy(update={"spec": pod.spec.model_copy(update={"priority": 100})})
    columns = world.columns()
    shape = world.shapes.of(pod)
    found = filters.run(columns, shape)
    if found.feasible.any() or not world.nodes:
        return
    used = columns.used.copy()
    result = preempt(columns, Waiting("w", "one", "w", shape), found, np.random.default_rng(seed))
    assert (columns.used == used).all()
    if result.eviction is None:
        assert result.message.startswith(f"0/{len(world.nodes)} nodes are available: ")
        assert sum(int(part.split()[0]) for part in result.message.split(": ", 1)[1].split(", ")) >= len(world.nodes)
        return
    gone = {victim.uid for victim in result.eviction.victims}
    assert gone
    node = next(n for n in world.nodes if n.metadata.name == result.eviction.node)

    def fits_without(removed: set[str]) -> bool:
        left = World(world.nodes, [(p, n) for p, n in world.placed if (p.metadata.uid or "") not in removed])
        return all(rule(left, pod, node) for rule in PLAIN.values())

    priorities = {p.metadata.uid: p.spec.priority or 0 for p, n in world.placed if n == result.eviction.node}
    assert all(priorities[uid] < (pod.spec.priority or 0) for uid in gone)
    assert fits_without(gone)
    for spared in gone:
        assert not fits_without(gone - {spared})


def test_a_pod_that_would_crowd_its_equals_is_not_steady() -> None:
    shapes = Shapes()
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "x"}}}
    spec = {"containers": [{"name": "c"}]}
    spread = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    meta = {"name": "p", "namespace": "one", "labels": {"app": "x"}}
    plain = Pod.from_json({"metadata": meta, "spec": spec})
    crowd = Pod.from_json({"metadata": meta, "spec": spec | {"affinity": spread}})
    assert is_steady(Columns(), shapes.of(plain))
    assert not is_steady(Columns(), shapes.of(crowd))
