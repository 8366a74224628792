"""What taints of conditions mean for new pods and new nodes.

DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached.
TaintNodesByCondition: a new node takes pods once it is ready.
"""

from __future__ import annotations

from apiserver.kind import Admission, Attempt
from sampan.api.core_v1 import Node, Pod, Taint, Toleration
from sampan.kinds import NODES, PODS

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
SECONDS = 300


async def tolerate(attempt: Attempt) -> None:
    """Add the tolerations that the pod does not speak of itself."""
    spec = (attempt.object if isinstance(attempt.object, Pod) else Pod()).spec
    for key in (NOT_READY, UNREACHABLE):
        if not any(one.key in (key, None, "") and one.effect in ("NoExecute", None, "") for one in spec.tolerations):
            spec.tolerations = [
                *spec.tolerations,
                Toleration(key=key, operator="Exists", effect="NoExecute", toleration_seconds=SECONDS),
            ]


async def taint(attempt: Attempt) -> None:
    """Taint a new node."""
    node: Node = attempt.object
    if not any(one.key == NOT_READY and one.effect == "NoSchedule" for one in node.spec.taints):
        node.spec.taints = [*node.spec.taints, Taint(key=NOT_READY, effect="NoSchedule")]


DEFAULT_TOLERATION_SECONDS = Admission(
    "DefaultTolerationSeconds", frozenset({"CREATE"}), resources=(PODS,), mutate=tolerate
)
TAINT_NODES_BY_CONDITION = Admission("TaintNodesByCondition", frozenset({"CREATE"}), resources=(NODES,), mutate=taint)
