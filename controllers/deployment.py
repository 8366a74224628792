"""Deployments: a replica set for each version of a template, and the walk from the old ones to the new one.

Safety: at no moment do the replica sets ask for more than replicas + maxSurge pods, nor is an available pod given up
while fewer than replicas - maxUnavailable would remain.
Sources: Deployment's documentation and API reference; annotations, reasons and messages are upstream's, because
`kubectl rollout` reads them. Elsewhere: the numbers (rollout.py), the status (deployment_status.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers import pods as pods_
from controllers.conditions import selector_of
from controllers.deployment_status import (
    judged,
    paused_conditions,
    progressing,
    seconds_to_deadline,
)
from controllers.rollout import DESIRED, MAX, Fence, new_size, proportional, scale_down_old
from sampan.actions import Action, Create, Delete, Event, Patch, RequeueAfter, SetStatus, Stale, Turn
from sampan.api.apps_v1 import Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec
from sampan.api.core_v1 import Pod, PodTemplateSpec
from sampan.api.meta_v1 import LabelSelector, ObjectMeta
from sampan.events import NORMAL, WARNING
from sampan.informer import Change
from sampan.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from sampan.loop import Controller, Watch, claim
from sampan.objects import Key, controller_of, key_of, owned_by
from sampan.world import CONTROLLER, World

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
OWN_ANNOTATIONS = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX,
        "deprecated.deployment.rollback.to",
    }
)
"""Annotations that are not copied from a deployment to its replica sets."""
DEFAULT_HISTORY = 10


@dataclass
class Sets:
    """The replica sets of a deployment: the one of the present template, if it is there, and the others by age."""

    new: ReplicaSet | None
    old: list[ReplicaSet]
    revision: int = field(init=False)

    def __post_init__(self) -> None:
        self.revision = max((revision(one) for one in self.old), default=0) + 1

    @property
    def all(self) -> list[ReplicaSet]:
        """All of them."""
        return [*self.old, self.new] if self.new is not None else self.old


def revision(rs: ReplicaSet) -> int:
    """A replica set's revision, 0 when it has none."""
    text = rs.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdigit() else 0


def same_template(a: PodTemplateSpec, b: PodTemplateSpec) -> bool:
    """Whether two pod templates are equal, the hash label apart."""

    def bare(template: PodTemplateSpec) -> tuple[object, ...]:
        m = template.metadata
        return template.spec, {key: one for key, one in m.labels.items() if key != HASH}, m.annotations, m.finalizers

    return bare(a) == bare(b)


def sorted_out(deployment: Deployment, owned: Sequence[ReplicaSet]) -> Sets:
    """Pure: which replica set is the new one. Of several the oldest is, so that all observers agree."""
    by_age = sorted(owned, key=pods_.created_at)
    new = next((one for one in by_age if same_template(one.spec.template, deployment.spec.template)), None)
    return Sets(new, [one for one in by_age if one is not new])


def plan(deployment: Deployment, owned: Sequence[ReplicaSet], pods: Sequence[Pod], now: datetime) -> Iterator[Action]:
    """Pure: what to do about a deployment, given its replica sets and their pods."""
    sets = sorted_out(deployment, owned)
    if deployment.metadata.deletion_timestamp is not None:
        yield from _status(deployment, sets, now)
        return
    deployment, changed = paused_conditions(deployment, now)
    if changed:
        yield SetStatus(DEPLOYMENTS, changed, deployment.status)
    fence = Fence.of(deployment)
    if deployment.spec.paused or _is_scaling(sets, fence):
        sizes = proportional(fence, sets.new, sets.old)
        yield from _resize(deployment, sets, sizes, fence)
        if deployment.spec.paused:
            yield from _clean_up(deployment, sets)
        yield from _status(deployment, sets, now)
        return
    if sets.new is None and fence.recreate and (any(_size(one) for one in sets.old) or _running(pods, sets.old)):
        yield from _resize(deployment, sets, {_uid(one): 0 for one in sets.old}, fence)
        yield from _status(deployment, sets, now)
        return
    if sets.new is None:
        yield from _new_set(deployment, sets, fence, now)
        return
    yield from _annotate_deployment(deployment, sets)
    sizes = {}
    if fence.recreate:
        sizes = {_uid(one): 0 for one in sets.old if _size(one)}
        if not sizes and not _running(pods, sets.old):
            sizes = {_uid(sets.new): fence.replicas}
    else:
        grown = new_size(fence, sets.new, sets.old)
        if grown != _size(sets.new):
            sizes = {_uid(sets.new): grown}
        elif all(_is_observed(one) for one in sets.all):
            # A report from before the last change of size may count pods that are going.
            sizes = scale_down_old(fence, sets.new, sets.old)
    yield from _resize(deployment, sets, sizes, fence)
    status = judged(deployment, sets.new, sets.old, now)
    if not sizes and _is_complete(deployment, status):
        yield from _clean_up(deployment, sets)
    yield from _status(deployment, sets, now)


def _size(rs: ReplicaSet) -> int:
    return 1 if rs.spec.replicas is None else rs.spec.replicas


def _is_observed(rs: ReplicaSet) -> bool:
    return (rs.status.observed_generation or 0) >= (rs.metadata.generation or 0)


def _uid(rs: ReplicaSet) -> str:
    return rs.metadata.uid or ""


def _running(pods: Sequence[Pod], sets: Sequence[ReplicaSet]) -> bool:
    """Whether a pod of one of these sets may still run: Recreate waits for that to end."""
    uids = {_uid(one) for one in sets}
    owners = ((pod, controller_of(pod)) for pod in pods if not pods_.is_finished(pod))
    return any(owner is not None and owner.uid in uids for _, owner in owners)


def _is_scaling(sets: Sets, fence: Fence) -> bool:
    """Whether `replicas` was changed: the active sets still carry the number wished for before."""
    for rs in sets.all:
        desired = rs.metadata.annotations.get(DESIRED, "")
        if _size(rs) > 0 and desired.isdigit() and int(desired) != fence.replicas:
            return True
    return False


def _is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    wanted = 1 if deployment.spec.replicas is None else deployment.spec.replicas
    counts = (status.updated_replicas or 0, status.replicas or 0, status.available_replicas or 0)
    return counts == (wanted, wanted, wanted)


def _status(deployment: Deployment, sets: Sets, now: datetime) -> Iterator[Action]:
    status = judged(deployment, sets.new, sets.old, now)
    yield SetStatus(DEPLOYMENTS, deployment, status)
    wait = seconds_to_deadline(deployment, status, now)
    if wait is not None:
        yield RequeueAfter(wait)


def _annotations(deployment: Deployment, sets: Sets, rs: ReplicaSet | None, fence: Fence) -> dict[str, str]:
    """The annotations of the new set: the deployment's, its revision (history kept) and the wished-for numbers."""
    kept = dict(rs.metadata.annotations) if rs is not None else {}
    kept |= {key: value for key, value in deployment.metadata.annotations.items() if key not in OWN_ANNOTATIONS}
    had = revision(rs) if rs is not None else 0
    if had < sets.revision:
        if had:
            kept[REVISION_HISTORY] = ",".join(filter(None, (kept.get(REVISION_HISTORY), str(had))))
        kept[REVISION] = str(sets.revision)
    return kept | fence.annotations()


def _resize(deployment: Deployment, sets: Sets, sizes: Mapping[str, int], fence: Fence) -> Iterator[Action]:
    """Give the sets named by UID these sizes, and bring the annotations of all active ones up to date."""
    for rs in sets.all:
        size = sizes.get(_uid(rs), _size(rs))
        if rs is sets.new:
            wanted = _annotations(deployment, sets, rs, fence)
        elif size or _size(rs):
            wanted = rs.metadata.annotations | fence.annotations()
        else:
            continue
        patch: dict[str, object] = {}
        if wanted != rs.metadata.annotations:
            patch["metadata"] = {"annotations": wanted}
        spec: dict[str, object] = {} if size == _size(rs) else {"replicas": size}
        minimum = deployment.spec.min_ready_seconds or 0
        if rs is sets.new and (rs.spec.min_ready_seconds or 0) != minimum:
            spec["minReadySeconds"] = minimum
        if spec:
            patch["spec"] = spec
        if not patch:
            continue
        metadata = dict(patch.get("metadata") or {})  # type: ignore[call-overload]  # made above
        patch["metadata"] = metadata | {"resourceVersion": rs.metadata.resource_version}
        yield Patch(REPLICA_SETS, rs, patch)
        if size != _size(rs):
            yield _scaled(deployment, rs.metadata.name or "", _size(rs), size)


def _scaled(deployment: Deployment, name: str, before: int, after: int) -> Event:
    verb = "up" if after > before else "down"
    text = f"Scaled {verb} replica set {name} from {before} to {after}"
    return Event(DEPLOYMENTS, deployment, NORMAL, "ScalingReplicaSet", text)


def _annotate_deployment(deployment: Deployment, sets: Sets) -> Iterator[Action]:
    assert sets.new is not None
    text = str(max(revision(sets.new), sets.revision))
    if deployment.metadata.annotations.get(REVISION) != text:
        yield Patch(DEPLOYMENTS, deployment, {"metadata": {"annotations": {REVISION: text}}})


def _new_set(deployment: Deployment, sets: Sets, fence: Fence, now: datetime) -> Iterator[Action]:
    """Create the set of the present template. Its name may be taken: then another hash is tried next time."""
    template = deployment.spec.template
    suffix = pods_.template_hash(template, deployment.status.collision_count or 0)
    name = pods_.name_for(deployment.metadata.name or "", suffix)
    labels = {**template.metadata.labels, HASH: suffix}
    selector = deployment.spec.selector
    size = new_size(fence, None, sets.old)
    wanted = ReplicaSet(
        metadata=ObjectMeta(
            name=name,
            namespace=deployment.metadata.namespace,
            labels=labels,
            annotations=_annotations(deployment, sets, None, fence),
            owner_references=[owned_by(deployment, DEPLOYMENTS)],
        ),
        spec=ReplicaSetSpec(
            replicas=size,
            min_ready_seconds=deployment.spec.min_ready_seconds,
            selector=LabelSelector(
                match_labels={**selector.match_labels, HASH: suffix}, match_expressions=selector.match_expressions
            ),
            template=template.model_copy(update={"metadata": template.metadata.model_copy(update={"labels": labels})}),
        ),
    )

    def made(rs: ReplicaSet) -> Iterator[Action]:
        if size:
            yield _scaled(deployment, name, 0, size)
        status = judged(deployment, rs, sets.old, now)
        text = f'Created new replica set "{name}"'
        conditions = progressing(deployment, status.conditions, "True", "NewReplicaSetCreated", text, now)
        yield SetStatus(DEPLOYMENTS, deployment, status.model_copy(update={"conditions": conditions}))

    def exists(there: ReplicaSet) -> Iterator[Action]:
        owner = controller_of(there)
        ours = owner is not None and owner.uid == deployment.metadata.uid
        if ours and same_template(there.spec.template, template):
            yield _LookAgain(f"replica set {name} is there already")
            return
        count = (deployment.status.collision_count or 0) + 1
        yield SetStatus(DEPLOYMENTS, deployment, deployment.status.model_copy(update={"collision_count": count}))
        yield _LookAgain(f"the name {name} is taken by another replica set")

    yield Create(REPLICA_SETS, wanted, then=made, exists=exists)


@dataclass(frozen=True)
class _LookAgain(Action):
    """End the turn: the cache is behind."""

    why: str

    async def perform(self, turn: Turn) -> None:
        raise Stale(self.why)


def _clean_up(deployment: Deployment, sets: Sets) -> Iterator[Action]:
    """Delete old sets beyond revisionHistoryLimit, lowest revisions first, and only those at rest."""
    limit = deployment.spec.revision_history_limit
    surplus = len(sets.old) - (DEFAULT_HISTORY if limit is None else limit)
    at_rest = [
        one
        for one in sorted(sets.old, key=lambda rs: (revision(rs), pods_.created_at(rs)))
        if not _size(one)
        and not one.status.replicas
        and (one.status.observed_generation or 0) >= (one.metadata.generation or 0)
        and one.metadata.deletion_timestamp is None
    ]
    yield from (Delete(REPLICA_SETS, one) for one in at_rest[: max(0, surplus)])


def reconcile(deployment: Deployment, world: World) -> Iterator[Action]:
    """Claim the replica sets, then follow the plan."""
    selector = selector_of(deployment.spec.selector)
    if not selector:
        text = "This deployment is selecting all pods. A non-empty selector is required."
        yield Event(DEPLOYMENTS, deployment, WARNING, "SelectingAll", text)
        if (deployment.status.observed_generation or 0) < (deployment.metadata.generation or 0):
            observed = {"observed_generation": deployment.metadata.generation}
            yield SetStatus(DEPLOYMENTS, deployment, deployment.status.model_copy(update=observed))
        return
    claimed = claim(deployment, DEPLOYMENTS, selector, REPLICA_SETS, world)
    yield from claimed.actions
    pods: list[Pod] = []
    if Fence.of(deployment).recreate:  # nothing else asks for pods, and there may be many
        pods = [pod for rs in claimed.owned for pod in world.by(PODS, CONTROLLER, rs.metadata.uid or "")]
    yield from plan(deployment, claimed.owned, pods, world.now)


def _pod_left(change: Change[Pod], world: World) -> Iterator[Key]:
    """Recreate waits for pods to be gone: the deployments whose pod has just gone or ended."""
    if change.new is not None and not pods_.is_finished(change.new):
        return
    owner = controller_of(change.object)
    if owner is None or owner.kind != REPLICA_SETS.kind:
        return
    rs = world.get(REPLICA_SETS, change.object.metadata.namespace or "", owner.name)
    above = controller_of(rs) if rs is not None else None
    if rs is not None and above is not None and above.kind == DEPLOYMENTS.kind:
        yield Key(key_of(rs).namespace, above.name)


DEPLOYMENT = Controller(
    name="deployment-controller",
    of=DEPLOYMENTS,
    reconcile=reconcile,
    owns=(REPLICA_SETS,),
    selector=lambda deployment: selector_of(deployment.spec.selector),
    watches=(Watch(PODS, _pod_left),),
)
