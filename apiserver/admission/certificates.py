"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction: who may decide about which signer's requests.

Source: "Certificates and Certificate Signing Requests" (authorization of the verbs `approve` and `sign` on signers);
"Admission Controllers". Elsewhere: the rights themselves (authz/policy.py).
"""

from __future__ import annotations

from cryptography.x509.oid import NameOID

from apiserver.admission.refusals import forbidden
from apiserver.authz.authorize import granted
from apiserver.authz.policy import Attributes
from apiserver.kind import Admission, Attempt, User
from apiserver.kinds.certificate_rules import FAILED, read_request
from sampan.api.certificates_v1 import CertificateSigningRequest
from sampan.kinds import CERTIFICATE_SIGNING_REQUESTS

GROUP = "certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


def may(user: User, verb: str, signer: str) -> bool:
    """Whether somebody has a verb on a signer, by its name or by `DOMAIN/*`."""
    domain = signer.partition("/")[0]
    names = (signer, f"{domain}/*")
    return any(granted(user, Attributes(verb, GROUP, "signers", name=one)) for one in names)


async def approve(attempt: Attempt) -> None:
    """Raises ApiError 403 for somebody who may not approve this signer's requests."""
    request: CertificateSigningRequest = attempt.old
    signer = request.spec.signer_name
    if not may(attempt.context.user, "approve", signer):
        raise forbidden(attempt, f'user not permitted to approve requests with signerName "{signer}"')


async def sign(attempt: Attempt) -> None:
    """Raises ApiError 403 for somebody who sets a certificate, or a Failed condition, and is not the signer."""
    new: CertificateSigningRequest = attempt.object
    old: CertificateSigningRequest = attempt.old
    failed = [[one for one in request.status.conditions if one.type == FAILED] for request in (new, old)]
    if new.status.certificate == old.status.certificate and failed[0] == failed[1]:
        return
    signer = old.spec.signer_name
    if not may(attempt.context.user, "sign", signer):
        raise forbidden(attempt, f'user not permitted to sign requests with signerName "{signer}"')


async def restrict(attempt: Attempt) -> None:
    """Nobody becomes a cluster administrator by a request. Raises ApiError 403."""
    request: CertificateSigningRequest = attempt.object
    if request.spec.signer_name != CLIENT_SIGNER:
        return
    try:
        subject = read_request(request.spec.request).subject
    except ValueError:
        return  # the rules on fields say so

    if any(one.value == "system:masters" for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
        raise forbidden(attempt, f"use of {CLIENT_SIGNER} signer with system:masters group is not allowed")


RESOURCES = (CERTIFICATE_SIGNING_REQUESTS,)
APPROVAL = Admission("CertificateApproval", frozenset({"UPDATE"}), RESOURCES, ("approval",), validate=approve)
SIGNING = Admission("CertificateSigning", frozenset({"UPDATE"}), RESOURCES, ("status",), validate=sign)
SUBJECT_RESTRICTION = Admission("CertificateSubjectRestriction", frozenset({"CREATE"}), RESOURCES, validate=restrict)
