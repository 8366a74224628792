"""When a certificate ends, read without OpenSSL's bindings: a machine that boots has no time to load them.

Source: RFC 5280, 4.1; X.690 (DER).
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

SEQUENCE, EXPLICIT_VERSION, UTC_TIME = 0x30, 0xA0, 0x17
END = "-----END CERTIFICATE-----"


def ends(path: Path) -> datetime:
    """The end of the first certificate in a PEM file. Raises OSError, and ValueError for what is no certificate."""
    pem, mark, _ = path.read_text().partition(END)
    return end_of(ssl.PEM_cert_to_DER_cert(pem + mark))


def end_of(certificate: bytes) -> datetime:
    """A certificate's notAfter. Raises ValueError."""
    try:
        rest = _inside(_inside(certificate))  # Certificate, then its TBSCertificate
        if rest[0] == EXPLICIT_VERSION:
            rest = rest[_size(rest) :]
        for _ in ("serialNumber", "signature", "issuer"):
            rest = rest[_size(rest) :]
        validity = _inside(rest)
        after = validity[_size(validity) :]
        kind, text = after[0], after[2 : _size(after)].decode("ascii")
    except IndexError as error:
        raise ValueError("is cut off, or no certificate") from error
    if kind == UTC_TIME:  # two digits of a year before 2050
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _head(data: bytes) -> tuple[int, int]:
    """(length of the tag and the length, length of the contents) of the element that begins here."""
    if data[1] < 0x80:
        return 2, data[1]
    count = data[1] & 0x7F
    if not count or len(data) < 2 + count:
        raise ValueError("has a length that DER does not know")
    return 2 + count, int.from_bytes(data[2 : 2 + count], "big")


def _size(data: bytes) -> int:
    head, contents = _head(data)
    if len(data) < head + contents:
        raise ValueError("is cut off")
    return head + contents


def _inside(data: bytes) -> bytes:
    if data[0] != SEQUENCE:
        raise ValueError("is no certificate")
    return data[_head(data)[0] : _size(data)]
