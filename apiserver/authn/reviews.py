"""Kinds that answer who somebody is: TokenReview, SelfSubjectReview; and serviceaccounts/token."""

from __future__ import annotations

from typing import Any

from apiserver.authn.bootstrap import BootstrapTokens
from apiserver.authn.tokens import BOUND, Tokens, expiry
from apiserver.kind import Answer, AnyKind, Call, Json, Kind, Subresource, User
from sampan.api.authentication_v1 import SelfSubjectReview, TokenRequest, TokenReview
from sampan.errors import ApiError, FieldError, InvalidError, Reason
from sampan.kinds import SERVICE_ACCOUNTS
from sampan.resource import Resource, Scope

GROUP = "authentication.k8s.io"
TOKEN_REVIEWS = Resource(GROUP, "v1", "TokenReview", "tokenreviews", TokenReview, Scope.CLUSTER)
SELF_SUBJECT_REVIEWS = Resource(
    GROUP, "v1", "SelfSubjectReview", "selfsubjectreviews", SelfSubjectReview, Scope.CLUSTER
)
SHORTEST, LONGEST = 600, 2**32
DEFAULT_SECONDS = 3600
NO_TOKEN = "the token is not one of this cluster's, has expired, or what it is bound to is gone"


def user_info(user: User) -> Json:
    """UserInfo on the wire."""
    made: Json = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        made["uid"] = user.uid
    if user.extra:
        made["extra"] = {key: list(values) for key, values in user.extra.items()}
    return made


def _base(resource: Resource[Any]) -> Json:
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {"creationTimestamp": None}}


async def self_subject_review(call: Call) -> Answer:
    """Who the caller is."""
    return Answer(_base(SELF_SUBJECT_REVIEWS) | {"status": {"userInfo": user_info(call.user)}}, 201)


def kinds(tokens: Tokens, bootstrap: BootstrapTokens) -> tuple[AnyKind, ...]:
    """The kinds that need to read tokens."""

    def machine(token: str) -> tuple[User | None, str]:
        try:
            return bootstrap.user(token), ""
        except ApiError as error:
            return None, error.message

    async def token_review(call: Call) -> Answer:
        spec = (call.body or {}).get("spec") or {}
        token, audiences = spec.get("token", ""), spec.get("audiences") or []
        if not token:
            raise ApiError(400, Reason.BAD_REQUEST, "token is required for TokenReview in authentication")
        user, why = tokens.user(token, audiences), ""
        if user is None and not audiences:
            user, why = machine(token)
        status: Json = {"user": {}}
        if user is None:
            status["error"] = (
                why or "the token is not one of this cluster's, has expired, or what it is bound to is gone"
            )
        else:
            claims = tokens.claims(token) or {"aud": [tokens.issuer]}
            wanted = audiences or [tokens.issuer]
            status = {
                "authenticated": True,
                "user": user_info(user),
                "audiences": [one for one in wanted if one in claims["aud"]],
            }
        return Answer(_base(TOKEN_REVIEWS) | {"spec": spec, "status": status}, 201)

    return (
        Kind(TOKEN_REVIEWS, verbs=("create",), create=token_review),
        Kind(SELF_SUBJECT_REVIEWS, verbs=("create",), create=self_subject_review),
    )


def token_subresource(tokens: Tokens) -> Subresource:
    """POST serviceaccounts/NAME/token makes a token (TokenRequest)."""

    async def request_token(call: Call) -> Answer:
        account = await call.server.read(SERVICE_ACCOUNTS, call.namespace, call.name)
        body = call.body or {}
        spec: Json = body.get("spec") or {}
        seconds = spec.get("expirationSeconds")
        seconds = DEFAULT_SECONDS if seconds is None else seconds
        errors = []
        if seconds < SHORTEST:
            errors.append(
                FieldError.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
            )
        if seconds > LONGEST:
            errors.append(
                FieldError.invalid(
                    "spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"
                )
            )
        if errors:
            raise InvalidError("TokenRequest", GROUP, call.name, errors)
        bound = _bound(call, spec.get("boundObjectRef") or {})
        audiences = spec.get("audiences") or [tokens.issuer]
        made = spec | {"audiences": audiences, "expirationSeconds": seconds}
        status = {
            "token": tokens.issue(account, audiences, seconds, bound),
            "expirationTimestamp": expiry(call.server.clock.now(), seconds),
        }
        metadata = {"name": call.name, "namespace": call.namespace, "creationTimestamp": None}
        value = {"kind": "TokenRequest", "apiVersion": f"{GROUP}/v1", "metadata": metadata}
        return Answer(value | {"spec": made, "status": status}, 201)

    return Subresource("token", ("create",), request_token, "TokenRequest", GROUP, "v1", TokenRequest)


def _bound(call: Call, reference: Json) -> dict[str, dict[str, str]]:
    if not reference:
        return {}
    what = str(reference.get("kind", "")).lower()
    if what not in BOUND or reference.get("apiVersion", "v1") != "v1":
        path = "spec.boundObjectRef.kind"
        error = FieldError.invalid(path, reference.get("kind", ""), "only supports v1 Pod, Secret and Node")
        raise InvalidError("TokenRequest", GROUP, call.name, [error])
    resource = BOUND[what]
    name = str(reference.get("name", ""))
    found = call.server.peek(resource, call.namespace if resource.namespaced else "", name)
    if found is None:
        raise ApiError(404, Reason.NOT_FOUND, f'{resource.plural} "{name}" not found')
    uid = found["metadata"]["uid"]
    if reference.get("uid") and reference["uid"] != uid:
        raise ApiError(
            409,
            Reason.CONFLICT,
            f'Operation cannot be fulfilled on {resource.plural} "{name}": the UID in the bound object reference '
            f"({reference['uid']}) does not match the UID in record. The object might have been deleted and then "
            "recreated",
        )
    if what == "pod" and found.get("spec", {}).get("serviceAccountName", "default") != call.name:
        error = FieldError.invalid("spec.boundObjectRef", name, f"pod does not run as service account {call.name}")
        raise InvalidError("TokenRequest", GROUP, call.name, [error])
    return {what: {"name": name, "uid": uid}}
