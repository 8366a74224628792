"""Signs what was approved, for the three signers whose certificates this cluster's own API server and nodes trust.

Source: "Certificates and Certificate Signing Requests", Kubernetes signers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from controllers.certificates import usages
from controllers.certificates.requests import (
    APPROVED,
    CLIENT,
    DENIED,
    FAILED,
    NODE_CLIENT,
    NODE_SERVING,
    Asked,
    asked,
    condition,
    load,
)
from controllers.certificates.sign import Authority
from sampan.actions import Action, Turn, Update
from sampan.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from sampan.kinds import CERTIFICATE_SIGNING_REQUESTS
from sampan.loop import Controller
from sampan.world import World

SIGNERS = (CLIENT, NODE_CLIENT, NODE_SERVING)
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Signing:
    """The authority's files, and for how long a certificate is valid at most."""

    cert: str
    key: str
    duration_seconds: float = YEAR_SECONDS


def problem(request: CertificateSigningRequest, wanted: Asked) -> str:
    """Why a signer does not sign what somebody approved, empty when it does."""
    signer = request.spec.signer_name
    found = usages.OF[signer].problem(request.spec.usages)
    if found:
        return found
    if signer == CLIENT:
        return ""
    if not wanted.node:
        return "the subject is no node: a user system:node:NAME in the one group system:nodes is wanted"
    named = bool(wanted.dns_names or wanted.addresses)
    if signer == NODE_CLIENT:
        return "a node's client certificate has no alternative names" if named or wanted.others else ""
    if not named:
        return "a serving certificate needs a DNS name or an address"
    return "a serving certificate has DNS names and addresses, no other names" if wanted.others else ""


@dataclass(frozen=True)
class Sign(Action):
    """Make the certificate and write it.

    The time is the machine's, not the injected clock's: it is compared with the clocks of TLS libraries.
    """

    request: CertificateSigningRequest
    signing: Signing

    async def perform(self, turn: Turn) -> None:
        seconds = self.signing.duration_seconds
        asked_for = self.request.spec.expiration_seconds
        authority = Authority.load(self.signing.cert, self.signing.key)
        made = authority.sign(
            load(self.request),
            self.request.spec.usages,
            min(seconds, asked_for) if asked_for is not None else seconds,
            datetime.now(UTC),
        )
        status = self.request.status.model_copy(update={"certificate": base64.b64encode(made).decode()})
        await write(self.request, status).perform(turn)


def write(request: CertificateSigningRequest, status: object) -> Update[CertificateSigningRequest]:
    """The write of a status."""
    changed = request.model_copy(update={"status": status})
    return Update(CERTIFICATE_SIGNING_REQUESTS, changed, subresource="status")


def signer(signing: Signing) -> Controller[CertificateSigningRequest]:
    """The controller that signs with an authority."""

    def reconcile(request: CertificateSigningRequest, world: World) -> Iterator[Action]:
        if request.spec.signer_name not in SIGNERS or request.status.certificate:
            return
        if condition(request, APPROVED) is None or condition(request, DENIED) or condition(request, FAILED):
            return
        try:
            found = problem(request, asked(request))
        except ValueError as error:
            found = str(error)
        if found:
            failed = CertificateSigningRequestCondition(
                type=FAILED, status="True", reason="SignerValidationFailure", message=found
            )
            conditions = [*request.status.conditions, failed]
            yield write(request, request.status.model_copy(update={"conditions": conditions}))
        else:
            yield Sign(request, signing)

    return Controller(name="certificate-signer", of=CERTIFICATE_SIGNING_REQUESTS, reconcile=reconcile, workers=2)
