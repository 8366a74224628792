"""Rules, shaped as RBAC's, and the built-in ones: who may do what without anybody having granted it.

Source: "Using RBAC Authorization" (default roles); the RBAC kinds will add to these.
Elsewhere: nodes, whose rights depend on which pods they run (node.py).
"""

from __future__ import annotations

from dataclasses import dataclass

ANY = ("*",)
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete")
DISCOVERY = (
    "/", "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/healthz/*", "/livez/*", "/readyz/*",
    "/openapi", "/openapi/*", "/version", "/version/", "/openid/*", "/.well-known/*",
)  # fmt: skip


@dataclass(frozen=True)
class Attributes:
    """What authorization looks at. `path` is set for what is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""

    @property
    def full_resource(self) -> str:
        """`pods` or `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Rule:
    """A PolicyRule, in one namespace or (empty) in all of them."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    namespace: str = ""

    def allows(self, asked: Attributes) -> bool:
        """Whether this rule covers a request."""
        if asked.verb not in self.verbs and "*" not in self.verbs:
            return False
        if asked.path:
            return any(
                asked.path == url or url == "*" or (url.endswith("*") and asked.path.startswith(url[:-1]))
                for url in self.urls
            )
        return (
            (asked.group in self.groups or "*" in self.groups)
            and (not self.namespace or self.namespace == asked.namespace)
            and self._covers(asked)
            and (not self.names or asked.name in self.names)
        )

    def _covers(self, asked: Attributes) -> bool:
        return (
            "*" in self.resources
            or asked.full_resource in self.resources
            or (bool(asked.subresource) and f"*/{asked.subresource}" in self.resources)
        )


EVERYTHING = (Rule(ANY, ANY, ANY), Rule(ANY, urls=ANY))
REVIEWS = Rule(("create",), ("authentication.k8s.io",), ("tokenreviews",))
ACCESS_REVIEWS = Rule(("create",), ("authorization.k8s.io",), ("subjectaccessreviews",))
EVENTS = Rule(("create", "update", "patch"), ("", "events.k8s.io"), ("events",))
AUTHENTICATED = (
    Rule(("get",), urls=DISCOVERY),
    Rule(("create",), ("authentication.k8s.io",), ("selfsubjectreviews",)),
    Rule(("create",), ("authorization.k8s.io",), ("selfsubjectaccessreviews", "selfsubjectrulesreviews")),
)
SCHEDULER = (
    EVENTS,
    REVIEWS,
    ACCESS_REVIEWS,
    Rule((*READ, *WRITE), ("coordination.k8s.io",), ("leases",)),
    Rule(READ, ("",), ("nodes", "namespaces", "services", "replicationcontrollers", "persistentvolumeclaims")),
    Rule(READ, ("",), ("persistentvolumes",)),
    Rule((*READ, "delete"), ("",), ("pods",)),
    Rule(("create",), ("",), ("bindings", "pods/binding")),
    Rule(("post",), urls=("/sampan/bindings",)),
    Rule(("update", "patch"), ("",), ("pods/status",)),
    Rule(READ, ("apps",), ("replicasets", "statefulsets", "deployments", "daemonsets")),
    Rule(READ, ("policy",), ("poddisruptionbudgets",)),
    Rule(READ, ("scheduling.k8s.io",), ("priorityclasses",)),
    Rule(READ, ("storage.k8s.io",), ("csinodes", "storageclasses", "csidrivers", "csistoragecapacities")),
)
CERTIFICATE_REQUESTS = Rule(("create", *READ), ("certificates.k8s.io",), ("certificatesigningrequests",))
JOIN_FACTS = Rule(("get",), ("",), ("configmaps",), names=("sampan-config",), namespace="kube-system")
"""What a machine must know of the cluster to become a node, and a node to stay one."""
CLUSTER_INFO = Rule(("get",), ("",), ("configmaps",), names=("cluster-info",), namespace="kube-public")
BOOTSTRAPPERS = (
    CERTIFICATE_REQUESTS,
    JOIN_FACTS,
    CLUSTER_INFO,
    Rule(("get",), ("",), ("nodes",)),
    Rule(("get",), ("",), ("secrets",), names=("sampan-certs",), namespace="kube-system"),
)
"""A machine that joins: it asks for a certificate, and learns whether its name is taken.

One that becomes a server also reads the shared keys, which are encrypted and there for two hours at most."""
CONTROLLERS = (
    Rule((*READ, *WRITE, "deletecollection"), ANY, ANY),
    Rule(("approve", "sign"), ("certificates.k8s.io",), ("signers",)),
    Rule(("get",), urls=("/metrics",)),
)
FAKE_NODES = (
    Rule((*READ, "create", "patch"), ("",), ("nodes",)),
    Rule(("patch",), ("",), ("nodes/status", "pods/status")),
    Rule((*READ, "delete"), ("",), ("pods",)),
    Rule(("create", "get", "patch"), ("coordination.k8s.io",), ("leases",), namespace="kube-node-lease"),
)
"""The one agent of all fake nodes: what an agent may do with its own node and pods, with those of any."""

USERS: dict[str, tuple[Rule, ...]] = {
    "system:kube-scheduler": SCHEDULER,
    "system:sampan:fake-nodes": FAKE_NODES,
    "system:kube-controller-manager": CONTROLLERS,
}
GROUPS: dict[str, tuple[Rule, ...]] = {
    "system:masters": EVERYTHING,
    "system:authenticated": AUTHENTICATED,
    "system:bootstrappers": BOOTSTRAPPERS,
    "system:unauthenticated": (CLUSTER_INFO,),
    "system:monitoring": (Rule(("get",), urls=("/metrics", *(f"/{one}" for one in ("livez", "readyz", "healthz")))),),
}
