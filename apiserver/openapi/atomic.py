"""Which models are replaced as a whole wherever they stand: x-kubernetes-map-type of their definitions is atomic.

By the names under which their schemas are published; those of kinds that are not served yet are here already.
"""

from __future__ import annotations

_CORE = (
    "ConfigMapKeySelector", "EndpointAddress", "EndpointPort", "EvictionResponder", "FileKeySelector",
    "LocalObjectReference", "NodeSelector", "NodeSelectorTerm", "ObjectFieldSelector", "ObjectReference",
    "ResourceFieldSelector", "ScopeSelector", "SecretKeySelector", "SecretReference", "TopologySelectorTerm",
    "TypedLocalObjectReference",
)  # fmt: skip
_ADMISSION = ("MatchResources", "NamedRuleWithOperations", "ParamKind", "ParamRef", "Variable")
_META = ("LabelSelector", "OwnerReference")
ATOMIC = frozenset(
    {
        *(f"io.k8s.api.core.v1.{name}" for name in _CORE),
        *(f"io.k8s.api.admissionregistration.v1.{name}" for name in _ADMISSION),
        *(f"io.k8s.apimachinery.pkg.apis.meta.v1.{name}" for name in _META),
        "io.k8s.api.autoscaling.v1.CrossVersionObjectReference",
        "io.k8s.api.discovery.v1.EndpointPort",
        "io.k8s.api.networking.v1.ServiceBackendPort",
        "io.k8s.api.rbac.v1.RoleRef",
        "io.k8s.api.rbac.v1.Subject",
    }
)
