"""The description of a certificate signing request: kubectl's, and why it was refused, if it was."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kctl.ages import human
from kctl.describe.small import head
from kctl.describe.text import line, time

Value = dict[str, Any]
SUBJECT = {
    "Organization": "2.5.4.10",
    "Organizational Unit": "2.5.4.11",
    "Country": "2.5.4.6",
    "Locality": "2.5.4.7",
    "Province": "2.5.4.8",
    "StreetAddress": "2.5.4.9",
    "PostalCode": "2.5.4.17",
}
"""Parts of a subject that may be there several times, by object identifier (RFC 4519)."""
COMMON_NAME, SERIAL_NUMBER = "2.5.4.3", "2.5.4.5"


def request_lines(value: Value) -> Iterable[str]:
    """Who asks whom for what, and what became of it."""
    spec = value["spec"]
    yield from head(value, namespaced=False)
    yield line("CreationTimestamp", time(value["metadata"].get("creationTimestamp")))
    yield line("Requesting User", spec.get("username", ""))
    if spec.get("signerName"):
        yield line("Signer", spec["signerName"])
    if spec.get("expirationSeconds") is not None:
        yield line("Requested Duration", human(spec["expirationSeconds"]))
    conditions = {one.get("type"): one for one in (value.get("status") or {}).get("conditions") or ()}
    yield line("Status", _status(value, conditions))
    for kind in ("Denied", "Failed"):
        if kind in conditions:
            one = conditions[kind]
            yield line(kind, ": ".join(part for part in (one.get("reason"), one.get("message")) if part))
    yield from _asked(spec.get("request", ""))


def _status(value: Value, conditions: Mapping[Any, Any]) -> str:
    made = ["Denied" if "Denied" in conditions else "Approved" if "Approved" in conditions else "Pending"]
    made += ["Failed"] if "Failed" in conditions else []
    return ",".join([*made, *(["Issued"] if (value.get("status") or {}).get("certificate") else [])])


def _asked(request: str) -> Iterable[str]:
    from cryptography import x509  # late: it loads OpenSSL's bindings

    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(request))
    except ValueError as error:
        yield line("Subject", f"<the request cannot be read: {error}>")
        return
    parts: dict[str, list[str]] = {}
    for one in parsed.subject:
        parts.setdefault(one.oid.dotted_string, []).append(str(one.value))
    yield "Subject:"
    yield f"\tCommon Name:\t{''.join(parts.get(COMMON_NAME, []))}"
    yield f"\tSerial Number:\t{''.join(parts.get(SERIAL_NUMBER, []))}"
    for name, identifier in SUBJECT.items():
        yield from _below(name, parts.get(identifier, []))
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield "Subject Alternative Names:"
    yield from _below("DNS Names", names.get_values_for_type(x509.DNSName))
    yield from _below("Email Addresses", names.get_values_for_type(x509.RFC822Name))
    yield from _below("URIs", names.get_values_for_type(x509.UniformResourceIdentifier))
    yield from _below("IP Addresses", [str(one) for one in names.get_values_for_type(x509.IPAddress)])


def _below(name: str, values: Sequence[str]) -> Iterable[str]:
    for at, one in enumerate(values):
        yield f"\t{name}:\t{one}" if at == 0 else f"\t\t{one}"
