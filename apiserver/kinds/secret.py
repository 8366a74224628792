"""Secrets: stringData is written into data, and each type has the keys that its users read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Context, Kind, Strategy
from apiserver.kinds.cells import look, text
from apiserver.kinds.data import MOST_BYTES, check_binary, check_closed, check_keys, decoded_size
from sampan.api.core_v1 import Secret
from sampan.errors import FieldError
from sampan.kinds import SECRETS

REQUIRED = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
SERVICE_ACCOUNT = "kubernetes.io/service-account.name"


def merged(secret: Secret) -> None:
    """stringData is for writing only."""
    written = {key: base64.b64encode(one.encode()).decode() for key, one in secret.string_data.items()}
    secret.data = secret.data | written
    secret.string_data = {}


def begin(secret: Secret, context: Context) -> None:
    """A secret without a type is Opaque."""
    merged(secret)
    secret.type = secret.type or "Opaque"


def change(new: Secret, old: Secret, context: Context) -> None:
    """A type that is left out stays."""
    merged(new)
    if not new.type or (new.type == "Opaque" and "type" not in new.model_fields_set):
        new.type = old.type


def validate(secret: Secret) -> Iterator[FieldError]:
    """Keys are file names; those of the type are there."""
    yield from check_keys(secret.data, "data")
    yield from check_binary(secret.data, "data")
    if sum(decoded_size(one) or 0 for one in secret.data.values()) > MOST_BYTES:
        yield FieldError.too_long("data", MOST_BYTES)
    kind = secret.type or ""
    for key in REQUIRED.get(kind, ()):
        if key not in secret.data:
            yield FieldError.required(f"data[{key}]")
        elif key.startswith(".docker") and not is_json(secret.data[key]):
            yield FieldError.invalid(f"data[{key}]", "<secret contents redacted>", "invalid character in JSON")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & secret.data.keys():
        yield FieldError.required("data[username]")
        yield FieldError.required("data[password]")
    if kind == "kubernetes.io/service-account-token" and not secret.metadata.annotations.get(SERVICE_ACCOUNT):
        yield FieldError.required(f"metadata.annotations[{SERVICE_ACCOUNT}]")


def is_json(encoded: str) -> bool:
    """Whether a base64 text is JSON."""
    try:
        json.loads(base64.b64decode(encoded))
    except (ValueError, RecursionError):
        return False
    return True


def validate_update(new: Secret, old: Secret) -> Iterator[FieldError]:
    """The type stays; an immutable one stays as it is."""
    if new.type != old.type:
        yield FieldError.invalid("type", new.type, "field is immutable")
    yield from check_closed((new.immutable, {"data": new.data}), (old.immutable, {"data": old.data}))


SECRET = Kind(
    SECRETS,
    columns=(
        NAME,
        Column("Type", text("type"), description="What it is for."),
        Column("Data", lambda o: len(o.get("data") or ()), type="integer", description="How many keys it has."),
        AGE,
    ),
    strategy=Strategy[Secret](
        prepare_create=begin,
        prepare_update=change,
        validate=validate,
        validate_update=validate_update,
        selectable={"type": lambda o: look(o, "type") or ""},
    ),
)
