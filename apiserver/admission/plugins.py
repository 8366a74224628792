"""The admission plugins in the order in which they run: each mutates; after defaults and rules, each validates."""

from __future__ import annotations

from apiserver.admission.accounts import SERVICE_ACCOUNT
from apiserver.admission.certificates import APPROVAL, SIGNING, SUBJECT_RESTRICTION
from apiserver.admission.namespaces import NAMESPACE_LIFECYCLE
from apiserver.admission.nodes import NODE_RESTRICTION
from apiserver.admission.priority import PRIORITY, PRIORITY_CLASS
from apiserver.admission.runtime_classes import RUNTIME_CLASS
from apiserver.admission.taints import DEFAULT_TOLERATION_SECONDS, TAINT_NODES_BY_CONDITION
from apiserver.kind import Admission

ALL: tuple[Admission, ...] = (
    NAMESPACE_LIFECYCLE,
    SERVICE_ACCOUNT,
    NODE_RESTRICTION,
    TAINT_NODES_BY_CONDITION,
    PRIORITY,
    DEFAULT_TOLERATION_SECONDS,
    RUNTIME_CLASS,
    PRIORITY_CLASS,
    APPROVAL,
    SIGNING,
    SUBJECT_RESTRICTION,
)
