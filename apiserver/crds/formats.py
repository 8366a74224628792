"""The formats of strings that custom resources' schemas may ask for; all others are not checked.

Source: "Validation" of the CRD documentation (the table of formats), and the RFCs that they stand for.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime

from sampan import names

SIMPLE = {
    "bsonobjectid": r"[0-9a-f]{24}",
    "mac": r"(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}",
    "uuid": r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}",
    "uuid3": r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?3[0-9A-Fa-f]{3}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}",
    "uuid4": r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?4[0-9A-Fa-f]{3}-?[89ABab][0-9A-Fa-f]{3}-?[0-9A-Fa-f]{12}",
    "uuid5": r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?5[0-9A-Fa-f]{3}-?[89ABab][0-9A-Fa-f]{3}-?[0-9A-Fa-f]{12}",
    "ssn": r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}",
    "hexcolor": r"#?(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})",
    "rgbcolor": r"rgb\(\s*(?:[0-9]{1,3})\s*,\s*(?:[0-9]{1,3})\s*,\s*(?:[0-9]{1,3})\s*\)",
    "hostname": r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
    "email": r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?",
    "uri": r"(?:[A-Za-z][A-Za-z0-9+.-]*:[^\s]+|/[^\s]*)",
}
DURATION = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)", re.ASCII)
LONG_DURATION = re.compile(
    r"[0-9]+\s*(?:ns|nanos?|us|micros?|ms|millis?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)"
)


def _isbn(text: str) -> bool:
    return _isbn10(text) or _isbn13(text)


def _isbn10(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "").upper()
    if not re.fullmatch("[0-9]{9}[0-9X]", digits):
        return False
    return sum((10 - at) * (10 if one == "X" else int(one)) for at, one in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if not re.fullmatch("[0-9]{13}", digits):
        return False
    return sum(int(one) * (3 if at % 2 else 1) for at, one in enumerate(digits)) % 10 == 0


def _card(text: str) -> bool:
    digits = re.sub("[^0-9]", "", text)
    if not 12 <= len(digits) <= 19:
        return False
    total = 0
    for at, one in enumerate(reversed(digits)):
        doubled = int(one) * (2 if at % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _date(text: str) -> None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    date.fromisoformat(text)


def _date_time(text: str) -> None:
    shape = r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
    found = re.fullmatch(shape, text)
    if not found:
        raise ValueError(text)
    datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3].upper().replace('Z', '+00:00')}")


def _duration(text: str) -> bool:
    if text in ("0", "+0", "-0"):
        return True
    rest = text.lstrip("+-") if text[:1] in "+-" else text
    while rest:
        found = DURATION.match(rest) or LONG_DURATION.match(rest)
        if not found:
            return False
        rest = rest[found.end() :].lstrip()
    return bool(text)


def _shaped(shape: str) -> Callable[[str], bool]:
    pattern = re.compile(shape)
    return lambda text: pattern.fullmatch(text) is not None


CHECKS: dict[str, Callable[[str], bool]] = {
    **{name: _shaped(shape) for name, shape in SIMPLE.items()},
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda text: ipaddress.ip_interface(text) if "/" in text else int("no mask")),
    "isbn": _isbn,
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _card,
    "byte": _parses(lambda text: base64.b64decode(text, validate=True)),
    "password": lambda text: True,
    "date": _parses(_date),
    "date-time": _parses(_date_time),
    "datetime": _parses(_date_time),
    "duration": _duration,
    "k8s-short-name": lambda text: not names.dns_label(text),
    "k8s-long-name": lambda text: not names.dns_subdomain(text),
}
NUMBERS = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
KNOWN = {*CHECKS, *NUMBERS, "float", "double"}


def fits(name: str, text: str) -> bool:
    """Whether a text has a format; unknown formats fit everything."""
    check = CHECKS.get(name)
    return check is None or check(text)
