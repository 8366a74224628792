"""Random histories of rollouts: templates change at any moment, caches lag, pods become ready in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.conditions import find
from controllers.deployment import DEPLOYMENT, REVISION, revision
from controllers.pods import is_active, is_available, is_terminating
from controllers.replicaset import REPLICA_SET
from controllers.rollout import Fence, size
from sampan.api.apps_v1 import Deployment
from sampan.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from sampan.objects import Key, key_of
from simulation import Cluster, Runner

KEY = Key("ns", "web")


def deployment(replicas: int = 3, image: str = "v1", **spec: Any) -> Deployment:
    return Deployment.from_json(
        {
            "metadata": {"namespace": "ns", "name": "web"},
            "spec": {
                "replicas": replicas,
                "progressDeadlineSeconds": 600,
                "revisionHistoryLimit": 10,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "main", "image": image}]},
                },
                **spec,
            },
        }
    )


class Rollout:
    """A deployment with its two controllers."""

    def __init__(self, wanted: Deployment) -> None:
        self.cluster = Cluster()
        self.deployments = Runner(self.cluster, DEPLOYMENT)
        self.sets = Runner(self.cluster, REPLICA_SET)
        self.run(self.cluster.create(DEPLOYMENTS, wanted))

    @staticmethod
    def run(work: Any) -> None:
        import simulation

        simulation._finish(work)

    @property
    def deployment(self) -> Deployment:
        return self.cluster.objects[DEPLOYMENTS][KEY]  # type: ignore[no-any-return]

    def change(self, **spec: Any) -> None:
        self.run(self.cluster.patch(DEPLOYMENTS, "web", {"spec": spec}, namespace="ns"))

    def image(self, image: str) -> None:
        self.change(template={"spec": {"containers": [{"name": "main", "image": image}]}})

    def step(self, choice: int, patient: bool) -> None:
        """Let one thing happen, chosen by a number."""
        kind, which = choice % 4, choice // 4
        if kind == 0:
            self.deployments.turn(KEY, patient=patient)
        elif kind == 1:
            sets = sorted(self.cluster.all(REPLICA_SETS), key=key_of)
            if sets:
                self.sets.turn(key_of(sets[which % len(sets)]), patient=patient)
        elif kind == 2:
            waiting = [p for p in self.cluster.all(PODS) if is_active(p) and not p.status.conditions]
            if waiting:
                pod = waiting[which % len(waiting)]
                self.cluster.pod_ready(self.cluster.pod_bound(pod, f"n{which % 3}"))
        else:
            going = [p for p in self.cluster.all(PODS) if is_terminating(p)]
            if going:
                self.cluster.pod_ended(going[which % len(going)])
        self.cluster.advance(1)

    def settle(self, turns: int = 60) -> None:
        """Let everything happen, fairly, until nothing changes any more."""
        for _ in range(turns):
            before = self.cluster.version
            self.deployments.turn(KEY)
            for rs in self.cluster.all(REPLICA_SETS):
                self.sets.turn(key_of(rs))
            for choice in (2, 2, 3, 3):
                self.step(choice, patient=True)
            if self.cluster.version == before:
                return
        raise AssertionError("it never comes to rest")

    def asked(self) -> int:
        return sum(size(rs) for rs in self.cluster.all(REPLICA_SETS))

    def available(self) -> int:
        minimum = self.deployment.spec.min_ready_seconds or 0
        return sum(is_active(p) and is_available(p, minimum, self.cluster.now) for p in self.cluster.all(PODS))


budgets = st.one_of(st.integers(0, 4), st.integers(0, 100).map(lambda n: f"{n}%"))
histories = st.lists(st.tuples(st.integers(0, 63), st.booleans()), max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(1, 7),
    surge=budgets,
    unavailable=budgets,
    minimum=st.sampled_from([0, 0, 3]),
    acts=st.lists(st.tuples(st.sampled_from(["v1", "v2", "v3", "v4"]), histories), min_size=1, max_size=4),
)
def test_a_rollout_never_leaves_its_budget_and_always_arrives(
    replicas: int,
    surge: int | str,
    unavailable: int | str,
    minimum: int,
    acts: list[tuple[str, list[tuple[int, bool]]]],
) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    rollout = Rollout(deployment(replicas, strategy=rolling, minReadySeconds=minimum))
    rollout.settle()
    rollout.cluster.advance(minimum + 1)
    rollout.settle()
    fence = Fence.of(rollout.deployment)
    assert rollout.available() == replicas
    for image, history in acts:
        rollout.image(image)
        for choice, patient in history:
            rollout.step(choice, patient)
            assert rollout.asked() <= fence.most, "more than maxSurge above"
            assert rollout.available() >= fence.fewest, "more than maxUnavailable below"
    for _ in range(30):
        rollout.settle()
        rollout.cluster.advance(5)
    status = rollout.deployment.status
    assert (status.replicas, status.updated_replicas, status.available_replicas) == (replicas,) * 3
    assert status.unavailable_replicas is None
    progressing = find(status.conditions, "Progressing")
    assert progressing is not None
    assert progressing.reason == "NewReplicaSetAvailable"
    (active,) = [rs for rs in rollout.cluster.all(REPLICA_SETS) if size(rs)]
    assert active.spec.template.spec.containers[0].image == acts[-1][0]
    assert rollout.deployment.metadata.annotations[REVISION] == str(revision(active))
    assert revision(active) == max(revision(rs) for rs in rollout.cluster.all(REPLICA_SETS))


@settings(max_examples=25, deadline=None)
@given(replicas=st.integers(1, 5), history=histories)
def test_recreate_never_runs_two_versions_at_once(replicas: int, history: list[tuple[int, bool]]) -> None:
    rollout = Rollout(deployment(replicas, strategy={"type": "Recreate"}))
    rollout.settle()
    rollout.image("v2")
    for choice, patient in [*history, *[(n, True) for n in range(200)]]:
        rollout.step(choice, patient)
        images = {pod.spec.containers[0].image for pod in rollout.cluster.all(PODS)}
        assert len(images) <= 1, "an old pod is still there beside a new one"
    rollout.settle()
    assert rollout.deployment.status.updated_replicas == replicas


@settings(max_examples=25, deadline=None)
@given(
    replicas=st.integers(1, 9),
    steps=st.integers(0, 40),
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_scaling_amid_a_rollout_keeps_the_sum(replicas: int, steps: int, sizes: list[int], seed: int) -> None:
    rollout = Rollout(deployment(replicas))
    rollout.settle()
    rollout.image("v2")
    for number in range(steps):
        rollout.step(number * 7 + seed, patient=True)
    for wanted in sizes:
        rollout.change(replicas=wanted)
        rollout.deployments.turn(KEY)
        fence = Fence.of(rollout.deployment)
        assert rollout.asked() <= fence.most
    rollout.settle(300)
    assert (rollout.deployment.status.updated_replicas or 0) == sizes[-1]


def test_undo_takes_the_old_set_again_with_a_new_revision() -> None:
    rollout = Rollout(deployment())
    rollout.settle()
    rollout.image("v2")
    rollout.settle()
    rollout.image("v1")
    rollout.settle()
    sets = {rs.spec.template.spec.containers[0].image: rs for rs in rollout.cluster.all(REPLICA_SETS)}
    assert {image: revision(rs) for image, rs in sets.items()} == {"v1": 3, "v2": 2}
    assert sets["v1"].metadata.annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert ("Normal", "ScalingReplicaSet") in {(kind, reason) for kind, reason, _ in rollout.cluster.events}


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    rollout = Rollout(deployment())
    rollout.settle()
    rollout.change(paused=True)
    rollout.image("v2")
    rollout.change(replicas=5)
    rollout.settle()
    assert [size(rs) for rs in rollout.cluster.all(REPLICA_SETS)] == [5]
    progressing = find(rollout.deployment.status.conditions, "Progressing")
    assert progressing is not None
    assert (progressing.status, progressing.reason) == ("Unknown", "DeploymentPaused")
    rollout.change(paused=False)
    rollout.settle()
    assert rollout.deployment.status.updated_replicas == 5


def test_a_rollout_that_stands_still_times_out() -> None:
    rollout = Rollout(deployment(progressDeadlineSeconds=10))
    for _ in range(3):
        rollout.deployments.turn(KEY)
        for rs in rollout.cluster.all(REPLICA_SETS):
            rollout.sets.turn(key_of(rs))
    assert rollout.deployments.again_after is not None
    assert 10 <= rollout.deployments.again_after <= 12
    rollout.cluster.advance(12)
    rollout.deployments.turn(KEY)
    progressing = find(rollout.deployment.status.conditions, "Progressing")
    assert progressing is not None
    assert (progressing.status, progressing.reason) == ("False", "ProgressDeadlineExceeded")
    assert "has timed out progressing." in (progressing.message or "")


def test_old_sets_beyond_the_limit_go() -> None:
    rollout = Rollout(deployment(revisionHistoryLimit=1))
    for image in ("v1", "v2", "v3", "v4"):
        rollout.image(image)
        rollout.settle()
    images = {rs.spec.template.spec.containers[0].image for rs in rollout.cluster.all(REPLICA_SETS)}
    assert images == {"v3", "v4"}


def test_a_name_taken_by_a_stranger_leads_to_another() -> None:
    first = Rollout(deployment())
    first.deployments.turn(KEY)
    (taken,) = first.cluster.all(REPLICA_SETS)
    stranger = taken.model_copy(update={"metadata": taken.metadata.model_copy(update={"owner_references": []})})
    other = Rollout(deployment())
    labels = {"app": "other"}
    stranger = stranger.model_copy(
        update={
            "spec": stranger.spec.model_copy(update={"replicas": 0}),
            "metadata": stranger.metadata.model_copy(update={"labels": labels}),
        }
    )
    other.cluster.put(REPLICA_SETS, stranger)
    other.deployments.turn(KEY)
    assert other.deployment.status.collision_count == 1
    other.settle()
    assert other.deployment.status.available_replicas == 3
