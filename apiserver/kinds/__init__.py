"""The built-in kinds: a file each, and here all of them."""

from __future__ import annotations

from apiserver.kind import AnyKind
from apiserver.kinds.certificatesigningrequest import CERTIFICATE_SIGNING_REQUEST
from apiserver.kinds.configmap import CONFIG_MAP
from apiserver.kinds.controllerrevision import CONTROLLER_REVISION
from apiserver.kinds.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from apiserver.kinds.daemonset import DAEMON_SET
from apiserver.kinds.deployment import DEPLOYMENT
from apiserver.kinds.endpoints import ENDPOINTS
from apiserver.kinds.endpointslice import ENDPOINT_SLICE
from apiserver.kinds.events import EVENT, EVENT_V1
from apiserver.kinds.job import JOB
from apiserver.kinds.lease import LEASE
from apiserver.kinds.namespace import NAMESPACE
from apiserver.kinds.node import NODE
from apiserver.kinds.pod import BINDING, POD
from apiserver.kinds.priorityclass import PRIORITY_CLASS
from apiserver.kinds.replicaset import REPLICA_SET
from apiserver.kinds.secret import SECRET
from apiserver.kinds.service import SERVICE
from apiserver.kinds.serviceaccount import SERVICE_ACCOUNT

ALL: tuple[AnyKind, ...] = (
    BINDING,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    ENDPOINTS,
    EVENT,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    SERVICE,
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    JOB,
    CERTIFICATE_SIGNING_REQUEST,
    LEASE,
    ENDPOINT_SLICE,
    EVENT_V1,
    PRIORITY_CLASS,
)
