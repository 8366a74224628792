"""Kubernetes quantities ("500m", "1.5Gi", "1e3"), exactly.

A quantity is a whole number of billionths; anything finer rounds away from zero, as upstream does, so that a
request for some of a resource is never a request for none.
Source: the grammar in the API reference, "Quantity".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from sampan.errors import SampanError

NANO = 10**9
LONGEST = 256
LARGEST_EXPONENT = 400
LARGEST_BINARY = (2**63 - 1) * NANO
"""Binary quantities are capped at the largest 64-bit integer."""

DECIMAL_EXPONENTS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY_EXPONENTS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in DECIMAL_EXPONENTS.items()}
BINARY_SUFFIXES = ("", *BINARY_EXPONENTS)

NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?", re.ASCII)
EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,9})", re.ASCII)
WHOLE = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)


class QuantityError(SampanError, ValueError):
    """A text is no quantity. The message is upstream's."""


class Format(StrEnum):
    """How a quantity was written, which is how it is written back."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"


@dataclass(frozen=True, order=True)
class Quantity:
    """An amount in billionths. Quantities compare by amount, however they were written."""

    nano: int
    format: Format = field(default=Format.DECIMAL, compare=False)

    @property
    def milli(self) -> int:
        """Thousandths, rounded away from zero."""
        return divided_up(self.nano, 10**6)

    @property
    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return divided_up(self.nano, NANO)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano + other.nano, self.format if self.nano else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano - other.nano, self.format if self.nano else other.format)

    def rounded_to_milli(self) -> Quantity:
        """The same, without anything finer than thousandths; resource lists are stored like this."""
        return Quantity(self.milli * 10**6, self.format)

    def __str__(self) -> str:
        """The canonical form: no fraction, and the largest suffix that keeps it exact."""
        if self.nano == 0:
            return "0"
        whole, rest = divmod(self.nano, NANO)
        if self.format is Format.BINARY and rest == 0 and abs(whole) >= 1024:
            step = 0
            while step < len(BINARY_SUFFIXES) - 1 and whole % 1024 == 0:
                whole //= 1024
                step += 1
            return f"{whole}{BINARY_SUFFIXES[step]}"
        mantissa, exponent = self.nano, -9
        largest = LARGEST_EXPONENT if self.format is Format.EXPONENT else 18
        while mantissa % 1000 == 0 and exponent < largest:
            mantissa //= 1000
            exponent += 3
        if self.format is Format.EXPONENT:
            return f"{mantissa}e{exponent}" if exponent else str(mantissa)
        return f"{mantissa}{DECIMAL_SUFFIXES[exponent]}"


def divided_up(amount: int, divisor: int) -> int:
    """Divide, rounding away from zero."""
    return -(-amount // divisor) if amount >= 0 else amount // divisor


@lru_cache(maxsize=4096)
def parse(text: str) -> Quantity:
    """Read a quantity. Raises QuantityError."""
    wrong = QuantityError(f"quantities must match the regular expression '^{WHOLE.pattern}$'")
    if not text or len(text) > LONGEST:
        raise wrong
    number = NUMBER.match(text)
    assert number is not None
    sign, whole, part = number.group(1), number.group(2), number.group(3) or ""
    if not whole and not part:
        raise wrong
    suffix = text[number.end() :]
    numerator = int(whole + part) * (-1 if sign == "-" else 1)
    places = len(part)
    if suffix in BINARY_EXPONENTS:
        nano = divided_up((numerator << BINARY_EXPONENTS[suffix]) * NANO, 10**places)
        nano = min(nano, LARGEST_BINARY)
        return Quantity(nano, Format.DECIMAL if 0 < nano < NANO else Format.BINARY)
    if suffix in DECIMAL_EXPONENTS:
        exponent, form = DECIMAL_EXPONENTS[suffix], Format.DECIMAL
    elif exponential := EXPONENT.fullmatch(suffix):
        exponent, form = int(exponential.group(1)), Format.EXPONENT
        if abs(exponent) > LARGEST_EXPONENT:
            raise QuantityError("unable to parse quantity's suffix")
    elif WHOLE.fullmatch(text):
        raise QuantityError("unable to parse quantity's suffix")
    else:
        raise wrong
    shift = 9 + exponent - places
    nano = numerator * 10**shift if shift >= 0 else divided_up(numerator, 10**-shift)
    return Quantity(nano, form)


def milli(text: str) -> int:
    """Thousandths of a quantity, rounded up: `milli("0.5") == 500`. Raises QuantityError."""
    return parse(text).milli


def value(text: str) -> int:
    """Whole units of a quantity, rounded up: `value("1Ki") == 1024`. Raises QuantityError."""
    return parse(text).value


def canonical(text: str) -> str:
    """As the API server writes it back: "0.5" -> "500m", "1024Mi" -> "1Gi". Raises QuantityError."""
    return str(parse(text))


def compare(left: str, right: str) -> int:
    """-1, 0 or 1. Raises QuantityError."""
    a, b = parse(left), parse(right)
    return (a > b) - (a < b)


def add(left: str, right: str) -> str:
    """The sum, written in the left one's format unless that is zero. Raises QuantityError."""
    return str(parse(left) + parse(right))
