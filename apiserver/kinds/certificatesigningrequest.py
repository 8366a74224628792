"""CertificateSigningRequests: who asks is stamped on, what is asked never changes, decisions are made once.

Elsewhere: who may approve and sign (admission/certificates.py), what the parts look like (certificate_rules.py), who
decides and signs by itself (controllers/certificates/).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import orjson

from apiserver.kind import AGE, NAME, Answer, Call, Cell, Column, Context, Json, Kind, Strategy, Subresource
from apiserver.kinds.cells import NONE, Plain, look, text
from apiserver.kinds.certificate_rules import (
    APPROVED,
    DENIED,
    FAILED,
    check_certificate,
    check_conditions,
    check_decisions,
    check_request,
    check_signer,
    check_usages,
)
from apiserver.patching import proposal
from apiserver.statuses import conflict
from apiserver.tables import age
from sampan.api.certificates_v1 import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestStatus,
)
from sampan.errors import ApiError, FieldError, InvalidError, Reason
from sampan.kinds import CERTIFICATE_SIGNING_REQUESTS
from sampan.resource import Resource

Request = CertificateSigningRequest
Condition = CertificateSigningRequestCondition
RESOURCE: Resource[Request] = CERTIFICATE_SIGNING_REQUESTS


def condition(o: Plain) -> Cell:
    """`Approved,Issued` and the like."""
    types = {one.get("type") for one in look(o, "status", "conditions") or ()}
    made = [DENIED if DENIED in types else APPROVED if APPROVED in types else "Pending"]
    if FAILED in types:
        made.append(FAILED)
    if look(o, "status", "certificate"):
        made.append("Issued")
    return ",".join(made)


def duration(o: Plain) -> Cell:
    """How long the certificate should be valid, as an age is shown."""
    seconds = look(o, "spec", "expirationSeconds")
    return NONE if seconds is None else age(int(seconds))


def begin(request: Request, context: Context) -> None:
    """Who asks is what authentication found, whatever the body says."""
    user = context.user
    request.spec.username, request.spec.uid = user.name, user.uid or None
    request.spec.groups = list(user.groups)
    request.spec.extra = {key: list(values) for key, values in user.extra.items()}


def change(new: Request, old: Request, context: Context) -> None:
    """What is asked never changes."""
    if new.spec != old.spec:
        context.warn("spec: a certificate request never changes once it is created; the spec stays as it was")
    new.spec = old.spec


def change_status(new: Request, old: Request, context: Context) -> None:
    """Times are filled in; an Approved or Denied condition that is there stays as it was."""
    before = {one.type: one for one in old.status.conditions}
    new.status.conditions = [
        before[one.type] if one.type in (APPROVED, DENIED) and one.type in before else one
        for one in new.status.conditions
    ]
    stamp(new.status.conditions, old.status.conditions, context.now)


def stamp(new: list[Condition], old: list[Condition], now: datetime) -> None:
    """Fill in the times that are not given."""
    for one in new:
        one.last_update_time = one.last_update_time or now
        if one.last_transition_time is None:
            same = (other for other in old if other.type == one.type and other.status == one.status)
            known = (other.last_transition_time for other in same if other.last_transition_time is not None)
            one.last_transition_time = next(known, now)


def validate(request: Request) -> Iterator[FieldError]:
    """The request and its signer."""
    yield from check_request(request.spec.request, "spec.request")
    yield from check_usages(request.spec.usages, "spec.usages")
    yield from check_signer(request.spec.signer_name, "spec.signerName")


def validate_status(new: Request, old: Request) -> Iterator[FieldError]:
    """Conditions and certificate; neither is taken back."""
    yield from check_conditions(new.status.conditions, "status.conditions")
    yield from check_certificate(new.status.certificate, "status.certificate")
    yield from check_decisions(new, old, approving=False)
    if old.status.certificate and new.status.certificate != old.status.certificate:
        yield FieldError.forbidden("status.certificate", "updates may not modify existing certificate content")


async def approval(call: Call) -> Answer:
    """GET, PUT and PATCH of NAME/approval: decide. Only the conditions change."""
    stored = await call.server.read(RESOURCE, "", call.name)
    if call.verb == "get":
        return Answer(stored)
    if call.body is None:
        raise ApiError(400, Reason.BAD_REQUEST, "the body of the request is empty")
    body = call.body
    if call.verb == "patch":
        header = call.request.headers.get("Content-Type", "")
        propose = proposal(header, orjson.dumps(body), Request, custom=False, validation="Ignore")
    else:

        def propose(old: Json) -> Json:
            return body

    def change(old: Json) -> Json:
        return decided(old, propose(old), call.context.now)

    if call.context.dry_run:
        return Answer(change(stored))
    return Answer(await call.server.modify(RESOURCE, "", call.name, change, subresource="approval", user=call.user))


def decided(old: Json, proposed: Json, now: datetime) -> Json:
    """The old request with the conditions of a proposal. Raises InvalidError; ApiError 400 and 409."""
    name = old["metadata"]["name"]
    given = proposed.get("metadata") or {}
    if given.get("uid") not in (None, "", old["metadata"].get("uid")):
        uid = old["metadata"].get("uid")
        raise conflict(
            RESOURCE, name, f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {uid}"
        )
    if given.get("resourceVersion") not in (None, "", old["metadata"].get("resourceVersion")):
        raise conflict(RESOURCE, name)
    before = Request.from_json(old)
    try:
        after = Request.from_json(old | {"status": proposed.get("status") or {}})
    except ValueError as error:
        raise ApiError(400, Reason.BAD_REQUEST, f"the request's status cannot be read: {error}") from error
    errors = [
        *check_conditions(after.status.conditions, "status.conditions"),
        *check_decisions(after, before, approving=True),
    ]
    if errors:
        raise InvalidError(RESOURCE.kind, RESOURCE.group, name, errors)
    stamp(after.status.conditions, before.status.conditions, now)
    status = CertificateSigningRequestStatus(
        certificate=before.status.certificate, conditions=after.status.conditions
    ).to_json()
    return old | {"status": status}


CERTIFICATE_SIGNING_REQUEST = Kind(
    RESOURCE,
    columns=(
        NAME,
        AGE,
        Column("SignerName", text("spec", "signerName"), description="Who should sign."),
        Column("Requestor", text("spec", "username"), description="Who created it."),
        Column("RequestedDuration", duration, description="How long the certificate should be valid."),
        Column("Condition", condition, description="What was decided."),
    ),
    strategy=Strategy[Request](
        prepare_create=begin,
        prepare_update=change,
        prepare_status=change_status,
        validate=validate,
        validate_status=validate_status,
        selectable={"spec.signerName": lambda o: look(o, "spec", "signerName") or ""},
    ),
    status=True,
    subresources=(
        Subresource("approval", ("get", "patch", "update"), approval, body_kind="CertificateSigningRequest"),
    ),
)
