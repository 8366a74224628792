"""What every API type shares: wire names, parsing, dumping, and how a field is declared.

A field declares its type, its default, its documentation and its merge rule in one place; validation rules are
metadata (`sampan.api.rules`) that only the API server's writes evaluate, so that reading an object costs
pydantic's compiled parser and nothing else.
Elsewhere: what the rules mean (rules.py), the JSON schema made of all this (apiserver.openapi).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import not_
from typing import Annotated, Any, ClassVar, Literal, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

INITIALISMS = {
    word: word.upper() for word in ("ip", "cidr", "id", "uid", "pid", "ipc", "uuid", "url", "gid", "tls")
} | {"ips": "IPs", "cidrs": "CIDRs", "ids": "IDs", "urls": "URLs"}
"""Words that Kubernetes writes in capitals when they end a name (API conventions, "Naming conventions")."""


def wire_name(attribute: str) -> str:
    """The JSON name of a snake_case attribute: `pod_ip` -> `podIP`, `restart_policy` -> `restartPolicy`."""
    first, *rest = attribute.rstrip("_").split("_")
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(word.title() for word in middle) + INITIALISMS.get(last, last.title())


class Object(BaseModel):
    """A JSON object of the Kubernetes API. Treat instances as values: copy, never assign."""

    model_config = ConfigDict(
        alias_generator=wire_name,
        populate_by_name=True,
        strict=True,
        extra="ignore",
        defer_build=True,
        protected_namespaces=(),
    )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Parse a decoded JSON object. Raises pydantic.ValidationError."""
        return cls.model_validate(value)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse JSON text. Raises pydantic.ValidationError."""
        return cls.model_validate_json(data)

    def to_json(self) -> dict[str, Any]:
        """The wire form: absent values, empty lists and empty maps are left out, as Go's omitempty does."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")

    def to_bytes(self) -> bytes:
        """The wire form as JSON text."""
        return orjson.dumps(self.to_json())


def field(
    default: Any = None,
    *,
    doc: str = "",
    default_factory: Callable[[], Any] | None = None,
    required: bool = False,
    merge_key: str | None = None,
    patch: Literal["merge", "replace", "retainKeys", "merge,retainKeys"] | None = None,
    list_type: Literal["atomic", "set", "map"] | None = None,
    list_map_keys: tuple[str, ...] = (),
    map_type: Literal["atomic", "granular"] | None = None,
    alias: str | None = None,
    rules: tuple[Any, ...] = (),
) -> Any:
    """Declare a field.

    `required` means that the API server's validation asks for it; parsing never does, as in Go.
    `merge_key` and `patch` are strategic merge patch's, `list_type`, `list_map_keys` and `map_type` are server-side
    apply's; all of them are published in OpenAPI under upstream's `x-kubernetes-` names.
    `rules` (sampan.api.rules) are what the API server checks of a write.
    """
    extra: dict[str, Any] = {
        key: value
        for key, value in {
            "x-kubernetes-patch-merge-key": merge_key,
            "x-kubernetes-patch-strategy": patch,
            "x-kubernetes-list-type": list_type,
            "x-kubernetes-list-map-keys": list(list_map_keys) or None,
            "x-kubernetes-map-type": map_type,
        }.items()
        if value is not None
    }
    if required:
        extra["required"] = True
    options: dict[str, Any] = {"description": doc or None, "json_schema_extra": extra or None}
    if alias is not None:
        options["alias"] = alias
    if default_factory in (list, dict):
        options["exclude_if"] = not_
    declared: Any = (
        Field(default, **options) if default_factory is None else Field(default_factory=default_factory, **options)
    )
    declared.metadata.extend(rules)
    return declared


def _time_out(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time_out(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _number_out(value: float) -> float | int:
    return int(value) if float(value).is_integer() and abs(value) < 1e21 else value


def _quantity_in(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Time = Annotated[datetime, Field(strict=False), PlainSerializer(_time_out, return_type=str)]
"""metav1.Time: RFC 3339 in UTC, to the second."""
MicroTime = Annotated[datetime, Field(strict=False), PlainSerializer(_micro_time_out, return_type=str)]
"""metav1.MicroTime: RFC 3339 in UTC, to the microsecond."""
Quantity = Annotated[str, BeforeValidator(_quantity_in)]
"""resource.Quantity on the wire: a string such as `500m` or `1Gi`; a bare number is taken too."""
Number = Annotated[float, PlainSerializer(_number_out)]
"""Any JSON number; a whole one is written without a point, as Go does."""
IntOrString = int | str
JSON = Any
"""Any JSON value, kept as it came."""
Base64 = Annotated[str, "base64"]
"""Bytes on the wire: base64 with padding."""


@dataclass(frozen=True)
class Named:
    """Beside `JSON`, in Annotated: the name under which OpenAPI publishes this sort of value."""

    name: str


class KubeObject(Object):
    """An object with an identity of its own: apiVersion and kind are fixed by its class."""

    API_VERSION: ClassVar[str]
    KIND: ClassVar[str]
