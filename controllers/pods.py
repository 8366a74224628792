"""What controllers ask about pods, and the order in which a surplus is deleted. Pure."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from sampan.actions import Action, Create, Event
from sampan.api.base import Object
from sampan.api.core_v1 import Pod, PodCondition, PodTemplateSpec
from sampan.api.meta_v1 import ObjectMeta, OwnerReference
from sampan.events import NORMAL
from sampan.kinds import PODS
from sampan.objects import meta
from sampan.resource import Resource

SUCCEEDED, FAILED, PENDING, RUNNING = "Succeeded", "Failed", "Pending", "Running"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Letters that make no words and no hexadecimal (Kubernetes' alphabet for generated names)."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def condition(pod: Pod, type: str) -> PodCondition | None:
    """One of the pod's conditions."""
    return next((one for one in pod.status.conditions if one.type == type), None)


def is_ready(pod: Pod) -> bool:
    """Whether the pod's Ready condition is true."""
    found = condition(pod, "Ready")
    return found is not None and found.status == "True"


def is_terminating(pod: Pod) -> bool:
    """Whether the pod is being deleted."""
    return pod.metadata.deletion_timestamp is not None


def is_finished(pod: Pod) -> bool:
    """Whether all its containers have ended for good."""
    return pod.status.phase in (SUCCEEDED, FAILED)


def is_active(pod: Pod) -> bool:
    """Whether the pod counts as a replica."""
    return not is_finished(pod) and not is_terminating(pod)


def ready_since(pod: Pod) -> datetime | None:
    """When the pod became ready, if it is."""
    found = condition(pod, "Ready")
    if found is None or found.status != "True":
        return None
    return found.last_transition_time or LONG_AGO


def seconds_to_available(pod: Pod, min_ready_seconds: int, now: datetime) -> float | None:
    """0 when the pod has been ready for long enough, how long it still takes, or None when it is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    if min_ready_seconds <= 0:
        return 0.0
    return max(0.0, (since + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def is_available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for `min_ready_seconds`."""
    return seconds_to_available(pod, min_ready_seconds, now) == 0.0


def until_next_available(pods: Iterable[Pod], min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until one more of the pods is available, if time alone does it."""
    waits = (seconds_to_available(pod, min_ready_seconds, now) for pod in pods)
    return min((wait for wait in waits if wait), default=None)


def restarts(pod: Pod) -> int:
    """The most restarts of one of the pod's containers."""
    return max((status.restart_count for status in pod.status.container_statuses), default=0)


def _deletion_cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def least_useful_first(pods: Iterable[Pod], related: Iterable[Pod], now: datetime) -> list[Pod]:
    """The order of deletion when there are too many.

    Source: ReplicaSet's documentation, "Scaling a ReplicaSet": pending ones, then cheap ones, those on nodes with
    more replicas (of `related`), and newer ones on a logarithmic scale of age.
    """
    crowd = Counter(pod.spec.node_name for pod in related if pod.spec.node_name and is_active(pod))
    phases = {PENDING: 0, "Unknown": 1, RUNNING: 2}

    def age_rank(since: datetime | None) -> float:
        age = (now - since).total_seconds() if since is not None else 0.0
        return 0.0 if age < 1 else math.floor(math.log2(age)) + 1.0

    def rank(pod: Pod) -> tuple[object, ...]:
        created = pod.metadata.creation_timestamp
        return (
            bool(pod.spec.node_name),
            phases.get(pod.status.phase or PENDING, 0),
            is_ready(pod),
            _deletion_cost(pod),
            -crowd[pod.spec.node_name or ""],
            age_rank(ready_since(pod)),
            -restarts(pod),
            age_rank(created),
            pod.metadata.uid or "",
        )

    return sorted(pods, key=rank)


def from_template(
    template: PodTemplateSpec,
    owner: OwnerReference,
    *,
    namespace: str,
    prefix: str,
    name: str | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    finalizers: Iterable[str] = (),
) -> Pod:
    """A new pod of a template."""
    m = template.metadata
    return Pod(
        metadata=ObjectMeta(
            name=name,
            generate_name=None if name else f"{prefix}-",
            namespace=namespace,
            labels={**m.labels, **(labels or {})},
            annotations={**m.annotations, **(annotations or {})},
            finalizers=[*m.finalizers, *finalizers],
            owner_references=[owner],
        ),
        spec=template.spec,
    )


def create(pod: Pod, owner: Object, resource: Resource[Any]) -> Create[Pod]:
    """Create a pod and tell its owner's readers."""

    def tell(made: Pod) -> Iterator[Action]:
        yield Event(resource, owner, NORMAL, "SuccessfulCreate", f"Created pod: {made.metadata.name}")

    return Create(PODS, pod, then=tell)


def template_hash(template: PodTemplateSpec, collisions: int = 0) -> str:
    """A short name for a pod template. `collisions` makes another one when a name is taken by a stranger."""
    text = orjson.dumps(template.to_json(), option=orjson.OPT_SORT_KEYS) + f"/{collisions}".encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    letters = []
    for _ in range(10):
        number, digit = divmod(number, len(SAFE_LETTERS))
        letters.append(SAFE_LETTERS[digit])
    return "".join(letters)


def name_for(prefix: str, suffix: str) -> str:
    """`prefix-suffix`, the prefix cut so that the name stays a DNS label."""
    return f"{prefix[: 63 - 1 - len(suffix)].rstrip('-.')}-{suffix}"


def created_at(obj: Object) -> tuple[datetime, str]:
    """A sort key: the age of an object, then its name."""
    m = meta(obj)
    return m.creation_timestamp or LONG_AGO, m.name or ""
