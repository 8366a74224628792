"""What each signer's certificates may be good for. Pure.

Source: "Certificates and Certificate Signing Requests", Kubernetes signers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controllers.certificates.requests import CLIENT, NODE_CLIENT, NODE_SERVING

CLIENT_AUTH, SERVER_AUTH = "client auth", "server auth"
SIGNATURE, ENCIPHERMENT = "digital signature", "key encipherment"


@dataclass(frozen=True)
class Wanted:
    """Usages that must be asked for, and that may be."""

    needed: frozenset[str]
    allowed: frozenset[str]

    def problem(self, usages: Sequence[str]) -> str:
        """What is wrong with the usages, empty when nothing is."""
        asked = set(usages)
        if missing := sorted(self.needed - asked):
            return f"the usage {missing[0]!r} is missing"
        if extra := sorted(asked - self.needed - self.allowed):
            return f"the usage {extra[0]!r} is not for this signer"
        return ""


OF: Mapping[str, Wanted] = {
    CLIENT: Wanted(frozenset({CLIENT_AUTH}), frozenset({SIGNATURE, ENCIPHERMENT})),
    NODE_CLIENT: Wanted(frozenset({CLIENT_AUTH, SIGNATURE}), frozenset({ENCIPHERMENT})),
    NODE_SERVING: Wanted(frozenset({SERVER_AUTH, SIGNATURE}), frozenset({ENCIPHERMENT})),
}
"""By signer. An elliptic key cannot encipher keys, so nobody must ask for that."""
