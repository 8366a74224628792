"""Requests and limits as cgroups understand them, and quality-of-service classes. Pure.

Source: the Kubernetes documentation, "Pod Quality of Service Classes", "Node-pressure Eviction" (oom_score_adj);
cpu.shares and cpu.cfs_quota_us of cgroup v1, which CRI speaks for v2 too.
Elsewhere: who writes the pods' cgroups and those above (pod_cgroups.py), and the containers' (the runtime).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from nodeagent.restart import Kind, Member, members
from sampan import quantity
from sampan.api import core_v1
from sampan.cri import api_pb2 as cri

CPU_PERIOD_US = 100_000
LEAST_QUOTA_US = 1_000
SHARES_PER_CPU = 1024
LEAST_SHARES = 2
MOST_SHARES = 262_144
GUARANTEED_OOM = -997
BEST_EFFORT_OOM = 1000
LEAST_BURSTABLE_OOM = 3
HUGEPAGES = "hugepages-"


class QosClass(StrEnum):
    """How a pod fares when its node runs short."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


def qos_class(pod: core_v1.Pod) -> QosClass:
    """The class that a pod's requests and limits put it in: pod-level ones, where given, else its containers'."""
    wanted: list[core_v1.ResourceRequirements] = []
    if pod.spec.resources is not None and (pod.spec.resources.requests or pod.spec.resources.limits):
        wanted = [pod.spec.resources]
    else:
        wanted = [
            spec.resources or core_v1.ResourceRequirements()
            for spec in (*pod.spec.init_containers, *pod.spec.containers)
        ]
    guaranteed, any_at_all = True, False
    for one in wanted:
        limits = {name: quantity.parse(one.limits[name]) for name in ("cpu", "memory") if name in one.limits}
        requests = {name: quantity.parse(one.requests[name]) for name in ("cpu", "memory") if name in one.requests}
        for amounts in (limits, requests):
            any_at_all |= any(amount.nano > 0 for amount in amounts.values())
        for name in ("cpu", "memory"):
            limit = limits.get(name)
            if limit is None or limit.nano == 0 or requests.get(name, limit) != limit:
                guaranteed = False
    if not any_at_all:
        return QosClass.BEST_EFFORT
    return QosClass.GUARANTEED if guaranteed and wanted else QosClass.BURSTABLE


def class_cgroup(root: str, qos: QosClass) -> str:
    """The cgroup of a class of pods in the cgroupfs driver's form: `/<root>/kubepods/burstable`; Guaranteed pods
    lie in `kubepods` itself."""
    base = "/" + root.strip("/") if root.strip("/") else ""
    tier = {QosClass.GUARANTEED: "", QosClass.BURSTABLE: "/burstable", QosClass.BEST_EFFORT: "/besteffort"}
    return f"{base}/kubepods{tier[qos]}"


def cgroup_parent(root: str, pod: core_v1.Pod) -> str:
    """The pod's cgroup: `/<root>/kubepods/burstable/pod<uid>`."""
    return f"{class_cgroup(root, qos_class(pod))}/pod{pod.metadata.uid}"


def shares(milli_cpu: int) -> int:
    """cpu.shares of a request."""
    return min(MOST_SHARES, max(LEAST_SHARES, milli_cpu * SHARES_PER_CPU // 1000))


def quota(milli_cpu: int) -> int:
    """cpu.cfs_quota_us of a limit; 0 for no limit."""
    return max(LEAST_QUOTA_US, milli_cpu * CPU_PERIOD_US // 1000) if milli_cpu > 0 else 0


def oom_score(pod: core_v1.Pod, member: Member, node_memory: int) -> int:
    """oom_score_adj: the less memory a container asked for, the sooner the kernel takes it."""
    if pod.spec.priority is not None and pod.spec.priority >= 2_000_000_000:  # system-node-critical
        return GUARANTEED_OOM
    match qos_class(pod):
        case QosClass.GUARANTEED:
            return GUARANTEED_OOM
        case QosClass.BEST_EFFORT:
            return BEST_EFFORT_OOM
    asked = amount(request_of(member, "memory"))
    score = 1000 - (1000 * asked) // max(1, node_memory)
    if score < 1000 + GUARANTEED_OOM:
        return 1000 + GUARANTEED_OOM
    return score - 1 if score == BEST_EFFORT_OOM else score


def request_of(member: Member, name: str) -> str | None:
    """A container's request, its limit where it has none."""
    wanted = member.spec.resources
    if wanted is None:
        return None
    return wanted.requests.get(name, wanted.limits.get(name))


def limit_of(member: Member, name: str) -> str | None:
    """A container's limit."""
    return member.spec.resources.limits.get(name) if member.spec.resources is not None else None


def amount(text: str | None) -> int:
    """Whole units (bytes), 0 for none."""
    return quantity.value(text) if text else 0


def milli(text: str | None) -> int:
    """Thousandths (of a CPU), 0 for none."""
    return quantity.milli(text) if text else 0


def container_resources(
    pod: core_v1.Pod, member: Member, node_memory: int, unified: Mapping[str, str] | None = None
) -> cri.LinuxContainerResources:
    """What a container's cgroup and process get. `unified` is what every container gets on cgroup v2."""
    cpu_limit = milli(limit_of(member, "cpu"))
    memory_limit = amount(limit_of(member, "memory"))
    made = cri.LinuxContainerResources(
        cpu_period=CPU_PERIOD_US,
        cpu_quota=quota(cpu_limit),
        cpu_shares=shares(milli(request_of(member, "cpu"))),
        memory_limit_in_bytes=memory_limit,
        oom_score_adj=oom_score(pod, member, node_memory),
        unified=unified or {},
    )
    limits = member.spec.resources.limits if member.spec.resources is not None else {}
    for name, text in limits.items():
        if name.startswith(HUGEPAGES):
            made.hugepage_limits.append(cri.HugepageLimit(page_size=page_size(name), limit=quantity.value(text)))
    return made


def page_size(name: str) -> str:
    """`hugepages-2Mi` -> `2MB`, as the kernel's cgroup files are named."""
    size = quantity.value(name.removeprefix(HUGEPAGES))
    for factor, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def pod_resources(pod: core_v1.Pod) -> cri.LinuxContainerResources:
    """What a pod's cgroup gets: the sum over its containers (init containers count as their largest)."""
    cpu, memory = pod_total(pod, "cpu"), pod_total(pod, "memory")
    cpu_limit, memory_limit = pod_limit(pod, "cpu"), pod_limit(pod, "memory")
    return cri.LinuxContainerResources(
        cpu_period=CPU_PERIOD_US,
        cpu_quota=quota(cpu_limit // 1000) if cpu_limit else 0,
        cpu_shares=shares(cpu // 1000),
        memory_limit_in_bytes=memory_limit // 1000 if memory or memory_limit else 0,
    )


def overhead(pod: core_v1.Pod) -> cri.LinuxContainerResources:
    """What the pod costs beyond its containers (KEP-688)."""
    cpu = milli(pod.spec.overhead.get("cpu"))
    return cri.LinuxContainerResources(
        cpu_period=CPU_PERIOD_US if cpu else 0,
        cpu_quota=quota(cpu),
        cpu_shares=shares(cpu) if cpu else 0,
        memory_limit_in_bytes=amount(pod.spec.overhead.get("memory")),
    )


def _thousandths(amounts: Mapping[str, str], name: str) -> int:
    """In milli-CPUs times 1000, or thousandths of bytes: `pod_total` sums in one unit."""
    text = amounts.get(name)
    if not text:
        return 0
    return quantity.milli(text) * (1000 if name == "cpu" else 1)


def pod_total(pod: core_v1.Pod, name: str) -> int:
    """A pod's effective request (KEP-753's formula), overhead included: micro-CPUs, or thousandths of bytes."""
    level = pod.spec.resources
    if level is not None and name in level.requests:
        return _thousandths(level.requests, name) + _thousandths(pod.spec.overhead, name)
    return _sum(members(pod), lambda one: {name: request_of(one, name) or "0"}, name) + _thousandths(
        pod.spec.overhead, name
    )


def pod_limit(pod: core_v1.Pod, name: str) -> int:
    """A pod's limit in the same units; 0 when one of its containers has none."""
    level = pod.spec.resources
    if level is not None and name in level.limits:
        return _thousandths(level.limits, name) + _thousandths(pod.spec.overhead, name)
    counted = [one for one in members(pod) if one.kind is not Kind.EPHEMERAL]
    if not all(limit_of(one, name) for one in counted):
        return 0
    return _sum(counted, lambda one: {name: limit_of(one, name) or "0"}, name) + _thousandths(pod.spec.overhead, name)


def _sum(those: Iterable[Member], amounts: object, name: str) -> int:
    assert callable(amounts)
    together, sidecars, most_at_start = 0, 0, 0
    for member in those:
        value = _thousandths(amounts(member), name)
        match member.kind:
            case Kind.REGULAR:
                together += value
            case Kind.SIDECAR:
                sidecars += value
                most_at_start = max(most_at_start, sidecars)
            case Kind.INIT:
                most_at_start = max(most_at_start, sidecars + value)
    return max(together + sidecars, most_at_start)
