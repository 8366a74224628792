"""The exceptions of Sampan, as a tree.

SampanError
|- ApiError              what an API server answered, or will answer: a Kubernetes Status
|  `- InvalidError       422: one or more fields break a rule (FieldError values)
`- ClusterError          something about this machine or a local cluster: where, what, and what to do

Only an edge turns one of these into a Status, a gRPC code or an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any  # noqa: F401

from sampan.api_error import ApiError as ApiError
from sampan.api_error import SampanError as SampanError


class Reason(StrEnum):
    """`reason` of a Status (API conventions, "Response Status Kind"), the ones in use."""

    BAD_REQUEST = "BadRequest"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    NOT_ACCEPTABLE = "NotAcceptable"
    ALREADY_EXISTS = "AlreadyExists"
    CONFLICT = "Conflict"
    GONE = "Gone"
    EXPIRED = "Expired"
    TOO_LARGE = "RequestEntityTooLarge"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"
    INVALID = "Invalid"
    TOO_MANY_REQUESTS = "TooManyRequests"
    INTERNAL_ERROR = "InternalError"
    NOT_IMPLEMENTED = "NotImplemented"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"
    TIMEOUT = "Timeout"
    SERVER_TIMEOUT = "ServerTimeout"
    UNKNOWN = ""


@dataclass(frozen=True)
class FieldError:
    """One broken rule. `kind` is the cause's reason on the wire, `text` upstream's wording after the path."""

    path: str
    kind: str
    text: str

    @classmethod
    def required(cls, path: str, detail: str = "") -> FieldError:
        """A field that must be given is not."""
        return cls(path, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")

    @classmethod
    def invalid(cls, path: str, value: object, detail: str) -> FieldError:
        """A value breaks a rule."""
        return cls(path, "FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}")

    @classmethod
    def not_supported(cls, path: str, value: object, supported: Sequence[str]) -> FieldError:
        """A value is not one of a closed list."""
        values = ", ".join(f'"{one}"' for one in supported)
        text = f"Unsupported value: {shown(value)}: supported values: {values}"
        return cls(path, "FieldValueNotSupported", text)

    @classmethod
    def duplicate(cls, path: str, value: object) -> FieldError:
        """A value stands twice where it may stand once."""
        return cls(path, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")

    @classmethod
    def forbidden(cls, path: str, detail: str) -> FieldError:
        """A field may not be set, or not be changed."""
        return cls(path, "FieldValueForbidden", f"Forbidden: {detail}")

    @classmethod
    def not_found(cls, path: str, value: object) -> FieldError:
        """A name refers to nothing."""
        return cls(path, "FieldValueNotFound", f"Not found: {shown(value)}")

    @classmethod
    def too_many(cls, path: str, count: int, most: int) -> FieldError:
        """A list is longer than allowed."""
        return cls(path, "FieldValueTooMany", f"Too many: {count}: must have at most {most} items")

    @classmethod
    def too_long(cls, path: str, most: int) -> FieldError:
        """A value is longer than allowed, in bytes."""
        return cls(path, "FieldValueTooLong", f"Too long: may not be more than {most} bytes")

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def shown(value: object) -> str:
    """A value as upstream's messages quote it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    import json  # not orjson: a hostile integer may have any size

    plain = value if isinstance(value, str | dict | list) else str(value)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=str)


class InvalidError(ApiError):
    """422 Invalid: all broken rules of one object, in the order found."""

    def __init__(self, kind: str, group: str, name: str, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        qualified = f"{kind}.{group}" if group else kind
        texts = [str(error) for error in errors]
        joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
        causes = [{"reason": e.kind, "message": e.text, "field": e.path} for e in errors]
        super().__init__(
            422,
            Reason.INVALID,
            f'{qualified} "{name}" is invalid: {joined}',
            details={
                key: value
                for key, value in {"name": name, "group": group, "kind": kind, "causes": causes}.items()
                if value
            },
        )


class ClusterError(SampanError):
    """Something about a machine or a local cluster: where, what is wrong, and what to do about it."""

    def __init__(self, *, where: str, what: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {what}" + (f"; {remedy}" if remedy else ""))
        self.where = where
        self.what = what
        self.remedy = remedy
