"""Kinds that answer whether somebody may: the four access reviews of authorization.k8s.io/v1."""

from __future__ import annotations

from typing import Any

from apiserver.authz.authorize import Authorize, rules_of
from apiserver.authz.policy import Attributes
from apiserver.decode import bad
from apiserver.kind import Answer, AnyKind, Call, Json, Kind, User
from sampan.api import authorization_v1 as api
from sampan.errors import FieldError, InvalidError
from sampan.resource import Resource, Scope

GROUP = "authorization.k8s.io"
ACCESS = Resource(GROUP, "v1", "SubjectAccessReview", "subjectaccessreviews", api.SubjectAccessReview, Scope.CLUSTER)
SELF_ACCESS = Resource(
    GROUP, "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", api.SelfSubjectAccessReview, Scope.CLUSTER
)
LOCAL_ACCESS = Resource(
    GROUP, "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", api.LocalSubjectAccessReview
)
SELF_RULES = Resource(
    GROUP, "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", api.SelfSubjectRulesReview, Scope.CLUSTER
)


def asked_in(spec: Json, kind: str) -> Attributes:
    """The attributes a review asks about. Raises InvalidError."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise InvalidError(kind, GROUP, "", [FieldError.invalid("spec.resourceAttributes", resource, why)])
    if path is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", "") or "/")
    assert resource is not None
    return Attributes(
        resource.get("verb", ""),
        resource.get("group", ""),
        resource.get("resource", ""),
        resource.get("subresource", ""),
        resource.get("namespace", ""),
        resource.get("name", ""),
    )


def kinds(authorize: Authorize) -> tuple[AnyKind, ...]:
    """The four kinds."""

    def answer(resource: Resource[Any], call: Call, user: User) -> Answer:
        spec = (call.body or {}).get("spec") or {}
        allowed, why = authorize.decide(user, asked_in(spec, resource.kind))
        status: Json = {"allowed": allowed}
        if why:
            status["reason"] = why
        metadata: Json = {"creationTimestamp": None}
        if call.namespace:
            metadata["namespace"] = call.namespace
        value = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        return Answer(value | {"spec": spec, "status": status}, 201)

    def subject(call: Call) -> User:
        spec = (call.body or {}).get("spec") or {}
        if not spec.get("user") and not spec.get("groups"):
            why = "at least one of user or group must be specified"
            raise InvalidError(call.kind.resource.kind, GROUP, "", [FieldError.invalid("spec.user", "", why)])
        return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()))

    async def access(call: Call) -> Answer:
        return answer(ACCESS, call, subject(call))

    async def self_access(call: Call) -> Answer:
        return answer(SELF_ACCESS, call, call.user)

    async def local_access(call: Call) -> Answer:
        spec = (call.body or {}).get("spec") or {}
        if (spec.get("resourceAttributes") or {}).get("namespace", call.namespace) != call.namespace:
            raise bad("spec.resourceAttributes.namespace must match metadata.namespace")
        return answer(LOCAL_ACCESS, call, subject(call))

    async def self_rules(call: Call) -> Answer:
        resources: list[Json] = []
        urls: list[Json] = []
        for rule in rules_of(call.user.name, call.user.groups):
            if rule.urls:
                urls.append({"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)})
            else:
                made: Json = {
                    "verbs": list(rule.verbs),
                    "apiGroups": list(rule.groups),
                    "resources": list(rule.resources),
                }
                resources.append(made | ({"resourceNames": list(rule.names)} if rule.names else {}))
        value: Json = {
            "kind": "SelfSubjectRulesReview",
            "apiVersion": f"{GROUP}/v1",
            "metadata": {"creationTimestamp": None},
            "spec": (call.body or {}).get("spec") or {},
            "status": {"resourceRules": resources, "nonResourceRules": urls, "incomplete": False},
        }
        return Answer(value, 201)

    only = ("create",)
    return (
        Kind(ACCESS, verbs=only, create=access),
        Kind(SELF_ACCESS, verbs=only, create=self_access),
        Kind(LOCAL_ACCESS, verbs=only, create=local_access),
        Kind(SELF_RULES, verbs=only, create=self_rules),
    )
