"""What a certificate request's parts must look like, worded as upstream words it. Pure.

Source: CertificateSigningRequest API reference; "Certificates and Certificate Signing Requests".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from cryptography import x509

from sampan import names
from sampan.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from sampan.errors import FieldError

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
DECISIONS = (APPROVED, DENIED, FAILED)
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)-----END \1-----", re.DOTALL)
SHOWN = 40
LONGEST_SIGNER = names.SUBDOMAIN_LENGTH + 1 + names.SUBDOMAIN_LENGTH + names.LABEL_LENGTH + 1


def blocks(data: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """The PEM blocks of a text: type, DER, whether it has headers. Raises ValueError for broken base64."""
    for found in PEM.finditer(data):
        body = found[2]
        head, blank, rest = body.replace(b"\r\n", b"\n").partition(b"\n\n")
        headed = bool(blank) and b":" in head
        try:
            der = base64.b64decode(b"".join((rest if headed else body).split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"a PEM block cannot be decoded: {error}") from error
        yield found[1].decode(), der, headed


def decoded(value: str) -> bytes:
    """The bytes of a base64 field. Raises ValueError."""
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("illegal base64 data") from error


def read_request(value: str) -> x509.CertificateSigningRequest:
    """The request in a base64 field, its signature checked. Raises ValueError."""
    found = next(blocks(decoded(value)), None)
    if found is None or found[0] != "CERTIFICATE REQUEST":
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    try:
        request = x509.load_der_x509_csr(found[1])
        valid = request.is_signature_valid
    except Exception as error:  # the library raises several kinds for what is no request, or no key that it knows
        raise ValueError(f"the certificate request cannot be parsed: {error}") from error
    if not valid:
        raise ValueError("the request's signature does not match its key")
    return request


def check_request(value: str, path: str) -> Iterator[FieldError]:
    """It is PEM, it parses, and whoever made it has the key."""
    if not value:
        return  # said by the field's own rule
    try:
        read_request(value)
    except ValueError as error:
        yield FieldError.invalid(path, value if len(value) <= SHOWN else f"{value[:SHOWN]}...", str(error))


def check_signer(value: str, path: str) -> Iterator[FieldError]:
    """`example.com/signer-name`."""
    if not value:
        return
    if value == LEGACY_SIGNER:
        yield FieldError.invalid(path, value, "the legacy signerName is not allowed via this API version")
        return
    domain, slash, rest = value.partition("/")
    if not slash or "/" in rest:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield FieldError.invalid(path, value, why)
        return
    if len(domain) > names.SUBDOMAIN_LENGTH:
        yield FieldError.too_long(path, names.SUBDOMAIN_LENGTH)
    yield from _labels(domain, path, names.dns_label)
    if "." not in domain:
        yield FieldError.invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from _labels(rest, path, names.dns_subdomain)
    if len(value) > LONGEST_SIGNER:
        yield FieldError.too_long(path, LONGEST_SIGNER)


def _labels(text: str, path: str, rule: Callable[[str], list[str]]) -> Iterator[FieldError]:
    for label in text.split("."):
        complaints = rule(label)
        if complaints:
            for one in complaints:
                yield FieldError.invalid(path, text, f'validating label "{label}": {one}')
            return


def check_usages(usages: Sequence[str], path: str) -> Iterator[FieldError]:
    """None stands twice."""
    for index, one in enumerate(usages):
        if one in usages[:index]:
            yield FieldError.duplicate(f"{path}[{index}]", one)


def check_certificate(value: str | None, path: str) -> Iterator[FieldError]:
    """Certificates as PEM, and nothing else."""
    if not value:
        return
    try:
        problem = _problem(decoded(value))
    except ValueError as error:
        problem = str(error)
    if problem:
        yield FieldError.invalid(path, "<certificate data>", problem)


def _problem(data: bytes) -> str:
    count = 0
    for kind, der, headed in blocks(data):
        if kind != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind}"'
        if headed:
            return "no PEM block headers are permitted"
        count += 1
        try:
            x509.load_der_x509_certificate(der)
        except Exception as error:  # several kinds, for what is no certificate
            return f"a certificate cannot be parsed: {error}"
    return "" if count else "must contain at least one CERTIFICATE PEM block"


def check_conditions(conditions: Sequence[CertificateSigningRequestCondition], path: str) -> Iterator[FieldError]:
    """Each type once; the decisions are True; nothing is both approved and denied."""
    seen: set[str] = set()
    for index, one in enumerate(conditions):
        at = f"{path}[{index}]"
        if not one.type:
            yield FieldError.required(f"{at}.type")
        allowed = ("True",) if one.type in DECISIONS else ("False", "True", "Unknown")
        if not one.status:
            yield FieldError.required(f"{at}.status")
        elif one.status not in allowed:
            yield FieldError.not_supported(f"{at}.status", one.status, allowed)
        if (one.type == APPROVED and DENIED in seen) or (one.type == DENIED and APPROVED in seen):
            why = "Approved and Denied conditions are mutually exclusive"
            yield FieldError.invalid(f"{at}.type", one.type, why)
        if one.type in seen:
            yield FieldError.duplicate(f"{at}.type", one.type)
        seen.add(one.type)


def check_decisions(
    new: CertificateSigningRequest, old: CertificateSigningRequest, *, approving: bool
) -> Iterator[FieldError]:
    """Decisions are never taken back; only the approval subresource makes new ones of Approved and Denied."""
    path = "status.conditions"
    for kind in DECISIONS:
        before, after = _count(old.status.conditions, kind), _count(new.status.conditions, kind)
        if after < before:
            yield FieldError.forbidden(path, f'updates may not remove a condition of type "{kind}"')
        if after > before and kind != FAILED and not approving:
            yield FieldError.forbidden(path, f'updates may not add a condition of type "{kind}"')


def _count(conditions: Iterable[CertificateSigningRequestCondition], kind: str) -> int:
    return sum(one.type == kind for one in conditions)
