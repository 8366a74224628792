"""Which pod goes first when a node runs short, and in which words. Pure.

Source: the Kubernetes documentation, "Node-pressure Eviction", "Pod selection for kubelet eviction": first those that
use more than they requested, of these the lower priority, then whoever is further above its request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nodeagent.eviction.signals import Shortage
from nodeagent.plan import Verdict
from nodeagent.resources import QosClass, pod_total, qos_class
from nodeagent.restart import Kind, Member, members
from sampan import quantity
from sampan.api import core_v1

CRITICAL = 2_000_000_000
EVICTED = "Evicted"
GRACE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class PodUse:
    """What a pod uses: memory and disk in bytes, by container; volumes' disk by volume; files in all."""

    pod: core_v1.Pod
    memory: Mapping[str, int] = field(default_factory=dict)
    disk: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)
    inodes: int = 0

    def of(self, resource: str) -> int:
        """All that it uses of a resource."""
        if resource == "memory":
            return sum(self.memory.values())
        return self.inodes if resource == "inodes" else sum(self.disk.values()) + sum(self.volumes.values())


def is_critical(pod: core_v1.Pod) -> bool:
    """One that the node does not end to help itself."""
    return pod.spec.priority is not None and pod.spec.priority >= CRITICAL


def ranked(uses: Iterable[PodUse], resource: str) -> list[PodUse]:
    """The pods in the order in which they go; critical ones are left out."""

    def order(use: PodUse) -> tuple[bool, int, int]:
        asked = 0 if resource == "inodes" else pod_total(use.pod, resource) // 1000
        used = use.of(resource)
        exceeds = resource == "inodes" or used > asked
        return not exceeds, use.pod.spec.priority or 0, asked - used

    return sorted((use for use in uses if not is_critical(use.pod)), key=order)


def verdict(use: PodUse, short: Shortage) -> Verdict:
    """The end of a pod that goes because of a shortage."""
    resource = short.signal.resource
    text = f"The node was low on resource: {resource}. "
    text += f"Threshold quantity: {shown(short.least, resource)}, available: {shown(short.available, resource)}. "
    used = use.memory if resource == "memory" else use.disk if resource == "ephemeral-storage" else {}
    for member in _counted(use.pod):
        amount, asked = used.get(member.name, 0), _request(member, resource)
        if amount > quantity.value(asked):
            text += (
                f"Container {member.name} was using {shown(amount, resource)}, request is {asked}, "
                f"has larger consumption of {resource}. "
            )
    return evicted(text)


def evicted(message: str) -> Verdict:
    """The verdict on a pod that the node ends."""
    return Verdict("Failed", EVICTED, message, grace=GRACE_SECONDS, disrupted=True)


def over_its_limits(use: PodUse) -> Verdict | None:
    """The end of a pod that uses more of the disk than it may: a volume, all of it, or one of its containers."""
    for volume in use.pod.spec.volumes:
        source = volume.empty_dir
        if source is None or source.medium or not source.size_limit or volume.name not in use.volumes:
            continue
        limit = source.size_limit
        if 0 < quantity.value(limit) < use.volumes[volume.name]:
            return evicted(f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". ')
    limits = {one.name: text for one in _counted(use.pod) if (text := _limit(one))}
    total = sum(quantity.value(limit) for limit in limits.values())
    if limits and use.of("ephemeral-storage") > total:
        allowed = shown(total, "ephemeral-storage")
        return evicted(f"Pod ephemeral local storage usage exceeds the total limit of containers {allowed}. ")
    for name, limit in limits.items():
        if use.disk.get(name, 0) > quantity.value(limit):
            return evicted(f'Container {name} exceeded its local ephemeral storage limit "{limit}". ')
    return None


def has_limits(pod: core_v1.Pod) -> bool:
    """Whether its use of the disk is to be measured at all."""
    return any(_limit(one) for one in _counted(pod)) or any(
        volume.empty_dir is not None and bool(volume.empty_dir.size_limit) and not volume.empty_dir.medium
        for volume in pod.spec.volumes
    )


def refused_under(pod: core_v1.Pod, pressures: Iterable[str]) -> Verdict | None:
    """A node under pressure takes no new pods; short of memory alone, those that have requested some."""
    found = sorted(pressures)
    if not found or is_critical(pod):
        return None
    if found == ["MemoryPressure"]:
        if qos_class(pod) is not QosClass.BEST_EFFORT:
            return None
        key = "node.kubernetes.io/memory-pressure"
        if any(_tolerates(one, key) for one in pod.spec.tolerations):
            return None
    return Verdict("Failed", EVICTED, f"Pod was rejected: The node had condition: [{', '.join(found)}]. ")


def _tolerates(one: core_v1.Toleration, key: str) -> bool:
    return (not one.key or one.key == key) and one.effect in (None, "", "NoSchedule")


def _counted(pod: core_v1.Pod) -> list[Member]:
    return [one for one in members(pod) if one.kind in (Kind.REGULAR, Kind.SIDECAR)]


def _request(member: Member, resource: str) -> str:
    wanted = member.spec.resources
    return "0" if wanted is None else wanted.requests.get(resource, wanted.limits.get(resource, "0"))


def _limit(member: Member) -> str | None:
    return None if member.spec.resources is None else member.spec.resources.limits.get("ephemeral-storage")


def shown(amount: int, resource: str = "") -> str:
    """An amount as upstream prints one of bytes: in the largest binary unit that it is a whole number of."""
    if resource == "inodes" or not amount:
        return str(amount)
    for power, unit in ((60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")):
        if amount % (1 << power) == 0:
            return f"{amount >> power}{unit}"
    return str(amount)
