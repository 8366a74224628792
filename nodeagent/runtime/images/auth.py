"""What a registry wants to know about us (the fields of the CRI's AuthConfig and of a pull secret)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from nodeagent.runtime.images.errors import RegistryError


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user and password, or a token. Its repr shows no secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, ...)"

    def basic(self) -> str:
        """The Authorization header of HTTP's Basic scheme (RFC 7617, in UTF-8)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @classmethod
    def from_basic(cls, auth: str) -> Credentials:
        """From a pull secret's `auth` field: base64 of user:password. Raises RegistryError."""
        try:
            user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise RegistryError("registry credentials", "`auth` is not base64 of user:password") from None
        if not colon:
            raise RegistryError("registry credentials", "`auth` is not base64 of user:password")
        return cls(username=user, password=password.rstrip("\0"))
