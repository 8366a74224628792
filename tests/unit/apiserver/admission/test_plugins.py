# ruff: noqa: E501 - the messages stand as they are sent
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.admission.nodes import may_set
from apiserver.admission.plugins import ALL
from apiserver.kind import AnyKind, Attempt, Context, Json, User
from apiserver.kinds.lease import LEASE
from apiserver.kinds.namespace import NAMESPACE
from apiserver.kinds.node import NODE
from apiserver.kinds.pod import POD
from apiserver.kinds.priorityclass import PRIORITY_CLASS
from apiserver.statuses import not_found
from sampan.api.core_v1 import Pod
from sampan.errors import ApiError
from sampan.resource import Resource

ADMIN = User("admin", groups=("system:masters",))
NODE_1 = User("system:node:n1", groups=("system:nodes",))
WEB = {"name": "web", "image": "web:1"}


class Objects:
    """The cluster's state as plain objects, and a clock that only counts."""

    def __init__(self, *objects: Json) -> None:
        self.objects = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}, "status": {"phase": "Active"}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}},
            *objects,
        ]
        self.clock = self
        self.slept = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def peek_all(self, resource: Resource[Any], namespace: str = "") -> list[Json]:
        return [one for one in self.objects if one["kind"] == resource.kind]

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Json | None:
        found = (one for one in self.peek_all(resource) if one["metadata"]["name"] == name)
        return next((one for one in found if one["metadata"].get("namespace", "") == namespace), None)

    async def read(self, resource: Resource[Any], namespace: str, name: str) -> Json:
        found = self.peek(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found


async def admit(
    kind: AnyKind,
    value: Json | None,
    *objects: Json,
    operation: str = "CREATE",
    subresource: str = "",
    old: Json | None = None,
    user: User = ADMIN,
    namespace: str = "default",
    server: Objects | None = None,
) -> Any:
    model = kind.resource.model
    made = model.from_json(value) if value is not None else None
    before = model.from_json(old) if old is not None else None
    meta = (made or before).metadata  # type: ignore[union-attr]  # one of them is given
    world: Any = server or Objects(*objects)
    context = Context(world, user, namespace, datetime(2026, 1, 1, tzinfo=UTC))
    where = namespace if kind.resource.namespaced else ""
    attempt = Attempt(operation, kind, subresource, where, meta.name or "", made, before, context)
    for phase in ("mutate", "validate"):
        for plugin in ALL:
            action = getattr(plugin, phase)
            if action is None or operation not in plugin.operations or subresource not in plugin.subresources:
                continue
            if not plugin.resources or kind.resource in plugin.resources:
                await action(attempt)
    return attempt.object


def pod(**spec: Any) -> Json:
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [WEB], **spec}}


def refused(error: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    return error.value.code, error.value.message


async def test_a_pod_gets_its_account_token_tolerations_and_priority() -> None:
    made: Pod = await admit(POD, pod())
    spec = made.to_json()["spec"]
    assert spec["serviceAccountName"] == "default"
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert len(volume["name"]) == len("kube-api-access-") + 5
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
    ]
    assert [(one["key"], one["tolerationSeconds"]) for one in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")


async def test_a_pod_that_speaks_for_itself_is_left_alone() -> None:
    value = pod(automountServiceAccountToken=False, tolerations=[{"operator": "Exists"}])
    made: Pod = await admit(POD, value)
    assert made.spec.volumes == []
    assert len(made.spec.tolerations) == 1


@pytest.mark.parametrize(
    ("value", "objects", "code", "message"),
    [
        (pod(serviceAccountName="ghost"), [], 403,
         'pods "p" is forbidden: error looking up service account default/ghost: serviceaccount "ghost" not found'),
        (pod(priorityClassName="ghost"), [], 403, 'pods "p" is forbidden: no PriorityClass with name ghost was found'),
        (pod(priorityClassName="high", priority=1),
         [{"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 5}], 403,
         'pods "p" is forbidden: the integer value of priority (1) must not be provided in pod spec; priority admission '
         "controller computed 5 from the given PriorityClass name"),
    ],
)  # fmt: skip
async def test_a_pod_is_refused(value: Json, objects: list[Json], code: int, message: str) -> None:
    with pytest.raises(ApiError) as error:
        await admit(POD, value, *objects)
    assert refused(error) == (code, message)


async def test_a_pod_waits_a_moment_for_the_default_account() -> None:
    world = Objects()
    world.objects = world.objects[:1]
    with pytest.raises(ApiError, match='serviceaccount "default" not found'):
        await admit(POD, pod(), server=world)
    assert 0 < world.slept < 2


async def test_the_class_decides_and_one_of_them_may_be_for_all() -> None:
    high = {"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 5, "preemptionPolicy": "Never"}
    made: Pod = await admit(POD, pod(priorityClassName="high"), high)
    assert (made.spec.priority, made.spec.preemption_policy) == (5, "Never")
    made = await admit(POD, pod(), high | {"globalDefault": True})
    assert (made.spec.priority_class_name, made.spec.priority) == ("high", 5)
    made = await admit(POD, pod(priorityClassName="system-node-critical"))
    assert made.spec.priority == 2_000_001_000
    second = {"metadata": {"name": "low"}, "value": 1, "globalDefault": True}
    with pytest.raises(ApiError, match="PriorityClass high is already marked as default"):
        await admit(PRIORITY_CLASS, second, high | {"globalDefault": True})


async def test_nothing_is_created_where_there_is_no_namespace() -> None:
    with pytest.raises(ApiError) as error:
        await admit(POD, pod(), namespace="ghost")
    assert refused(error) == (404, 'namespaces "ghost" not found')


async def test_nothing_is_created_in_a_namespace_that_ends() -> None:
    ending = {"kind": "Namespace", "metadata": {"name": "old", "deletionTimestamp": "x"}}
    with pytest.raises(ApiError) as error:
        await admit(POD, pod(), ending, namespace="old")
    assert refused(error) == (
        403,
        'pods "p" is forbidden: unable to create new content in namespace old because it is being terminated',
    )
    assert error.value.details["causes"][0]["reason"] == "NamespaceTerminating"


async def test_the_default_namespace_stays() -> None:
    with pytest.raises(ApiError) as error:
        await admit(NAMESPACE, None, operation="DELETE", old={"metadata": {"name": "default"}})
    assert refused(error) == (403, 'namespaces "default" is forbidden: this namespace may not be deleted')


async def test_a_new_node_takes_no_pods_yet() -> None:
    made = await admit(NODE, {"metadata": {"name": "n"}})
    assert [(taint.key, taint.effect) for taint in made.spec.taints] == [("node.kubernetes.io/not-ready", "NoSchedule")]


def node(name: str = "n1", **labels: str) -> Json:
    return {"metadata": {"name": name, "labels": labels}}


def lease(name: str = "n1") -> Json:
    return {"metadata": {"name": name}}


ON_N1, ON_N2 = pod(nodeName="n1"), pod(nodeName="n2")
KUBE_NODE_LEASE = {"kind": "Namespace", "metadata": {"name": "kube-node-lease"}}


@pytest.mark.parametrize(
    ("kind", "options", "refusal"),
    [
        (NODE, {"value": node()}, None),
        (NODE, {"value": node("n2")}, 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'),
        (NODE, {"value": node(), "old": node(), "operation": "UPDATE", "subresource": "status"}, None),
        (NODE, {"value": node() | {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}, "old": node(),
                "operation": "UPDATE"}, 'nodes "n1" is forbidden: node "n1" is not allowed to modify taints'),
        (NODE, {"value": {"metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/master": ""}}}},
         'nodes "n1" is forbidden: node "n1" is not allowed to modify labels: node-role.kubernetes.io/master'),
        (POD, {"value": ON_N1}, 'pods "p" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, '
         'node "n1" can only create mirror pods'),
        (POD, {"value": ON_N1, "old": ON_N1, "operation": "UPDATE", "subresource": "status"}, None),
        (POD, {"value": ON_N2, "old": ON_N2, "operation": "UPDATE", "subresource": "status"},
         'pods "p" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself'),
        (POD, {"value": ON_N1, "old": ON_N1, "operation": "UPDATE"},
         'pods "p" is forbidden: node "n1" may not update pods'),
        (POD, {"value": ON_N1, "old": ON_N1, "operation": "UPDATE", "subresource": "binding"},
         'pods "p" is forbidden: node "n1" may not update pods/binding'),
        (POD, {"value": None, "old": ON_N1, "operation": "DELETE"}, None),
        (POD, {"value": None, "old": ON_N2, "operation": "DELETE"},
         'pods "p" is forbidden: node "n1" can only delete pods with spec.nodeName set to itself'),
        (LEASE, {"value": lease(), "namespace": "kube-node-lease"}, None),
        (LEASE, {"value": lease("n2"), "namespace": "kube-node-lease"},
         'leases.coordination.k8s.io "n2" is forbidden: can only access node lease with the same name as the '
         "requesting node"),
        (LEASE, {"value": lease()}, 'leases.coordination.k8s.io "n1" is forbidden: can only access leases in the '
         '"kube-node-lease" system namespace'),
    ],
)  # fmt: skip
async def test_a_node_writes_what_is_its_own(kind: AnyKind, options: dict[str, Any], refusal: str | None) -> None:
    value = options.pop("value")
    if refusal is None:
        await admit(kind, value, KUBE_NODE_LEASE, user=NODE_1, **options)
        return
    with pytest.raises(ApiError) as error:
        await admit(kind, value, KUBE_NODE_LEASE, user=NODE_1, **options)
    assert refused(error) == (403, refusal)


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("team", True),
        ("example.com/team", True),
        ("kubernetes.io/hostname", True),
        ("node.kubernetes.io/anything", True),
        ("kubernetes.io/anything", False),
        ("node-role.kubernetes.io/worker", False),
        ("node-restriction.kubernetes.io/pci", False),
        ("a.node-restriction.kubernetes.io/pci", False),
    ],
)
def test_a_node_sets_only_labels_that_are_a_nodes_to_set(label: str, allowed: bool) -> None:
    assert may_set(label) is allowed
