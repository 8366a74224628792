"""The errors that a short-lived program needs, free of imports: kctl starts with them on every call.

The whole tree is drawn in sampan.errors, which has all of these names too.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs more to import than all that is here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class SampanError(Exception):
    """The root of all errors that Sampan raises on purpose."""


class ApiError(SampanError):
    """A failed API call: what the server says, or what a client was told. `details` is the wire form."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    @property
    def is_not_found(self) -> bool:
        """404: no such object (or no such resource)."""
        return self.reason == "NotFound"

    @property
    def is_already_exists(self) -> bool:
        """409 on create: the name is taken."""
        return self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        """409 on a write: the object has changed since it was read, or a precondition fails."""
        return self.reason == "Conflict"

    @property
    def is_gone(self) -> bool:
        """410: the asked resourceVersion is no longer kept; list again."""
        return self.reason in ("Expired", "Gone")

    def to_status(self) -> dict[str, Any]:
        """The `Status` object on the wire."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = str(self.reason)
        if self.details:
            status["details"] = self.details
        return status | {"code": self.code}

    @classmethod
    def from_status(cls, status: Mapping[str, Any], code: int = 0) -> ApiError:
        """Read a `Status` that a server sent."""
        return ApiError(
            int(status.get("code") or code or 500),
            str(status.get("reason") or ""),
            str(status.get("message") or "unknown"),
            details=status.get("details"),
        )
