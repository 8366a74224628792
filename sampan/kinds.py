"""The built-in kinds, as values that client and server share."""

from __future__ import annotations

from sampan.api import (
    apiextensions_v1,
    apps_v1,
    batch_v1,
    certificates_v1,
    coordination_v1,
    core_v1,
    discovery_v1,
    events_v1,
    scheduling_v1,
)
from sampan.resource import Resource, Scope

ALL = ("all",)

NAMESPACES = Resource("", "v1", "Namespace", "namespaces", core_v1.Namespace, Scope.CLUSTER, ("ns",))
NODES = Resource("", "v1", "Node", "nodes", core_v1.Node, Scope.CLUSTER, ("no",))
PODS = Resource("", "v1", "Pod", "pods", core_v1.Pod, short_names=("po",), categories=ALL)
SERVICES = Resource("", "v1", "Service", "services", core_v1.Service, short_names=("svc",), categories=ALL)
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", core_v1.Endpoints, short_names=("ep",))
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", core_v1.ConfigMap, short_names=("cm",))
SECRETS = Resource("", "v1", "Secret", "secrets", core_v1.Secret)
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", core_v1.ServiceAccount, short_names=("sa",))
EVENTS = Resource("", "v1", "Event", "events", core_v1.Event, short_names=("ev",))
BINDINGS = Resource("", "v1", "Binding", "bindings", core_v1.Binding)
EVENTS_V1 = Resource("events.k8s.io", "v1", "Event", "events", events_v1.Event, short_names=("ev",))
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", coordination_v1.Lease)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", discovery_v1.EndpointSlice)
DEPLOYMENTS = Resource(
    "apps", "v1", "Deployment", "deployments", apps_v1.Deployment, short_names=("deploy",), categories=ALL
)
REPLICA_SETS = Resource(
    "apps", "v1", "ReplicaSet", "replicasets", apps_v1.ReplicaSet, short_names=("rs",), categories=ALL
)
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets", apps_v1.DaemonSet, short_names=("ds",), categories=ALL)
CONTROLLER_REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions", apps_v1.ControllerRevision)
JOBS = Resource("batch", "v1", "Job", "jobs", batch_v1.Job, categories=ALL)
CERTIFICATE_SIGNING_REQUESTS = Resource(
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    certificates_v1.CertificateSigningRequest,
    Scope.CLUSTER,
    ("csr",),
)
PRIORITY_CLASSES = Resource(
    "scheduling.k8s.io",
    "v1",
    "PriorityClass",
    "priorityclasses",
    scheduling_v1.PriorityClass,
    Scope.CLUSTER,
    ("pc",),
)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    apiextensions_v1.CustomResourceDefinition,
    Scope.CLUSTER,
    ("crd", "crds"),
    ("api-extensions",),
)
