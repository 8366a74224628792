"""Changes of a kubeconfig's entries: what `config set`, `unset`, `set-cluster` and `set-credentials` do. Reads files
that are to be embedded, else pure.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from typing import Any, TypeVar

from kctl.errors import UsageError

FLAGS = {
    "set-cluster": ("server", "certificate-authority", "insecure-skip-tls-verify", "tls-server-name", "proxy-url"),
    "set-credentials": ("client-certificate", "client-key", "token", "username", "password"),
}
"""Verb -> the flags that are fields of an entry."""
FILES = ("certificate-authority", "client-certificate", "client-key")
LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}
FIELDS = {
    "clusters": (*FLAGS["set-cluster"], "certificate-authority-data", "disable-compression"),
    "users": (
        *FLAGS["set-credentials"], "client-certificate-data", "client-key-data", "tokenFile", "as", "as-uid",
    ),
    "contexts": ("cluster", "user", "namespace"),
}  # fmt: skip
Entry = dict[str, Any]
Where = TypeVar("Where")


def changed(entry: Entry, given: dict[str, Any], *, embed: bool) -> Entry:
    """An entry's fields after flags. Raises UsageError."""
    after = dict(entry)
    if given.get("token") and (given.get("username") or given.get("password")):
        raise UsageError(
            "you cannot specify more than one authentication method at the same time: --token or --username"
        )
    for name, value in given.items():
        if name in FILES:
            after.pop(f"{name}-data", None)
            after.pop(name, None)
            if value and embed:
                after[f"{name}-data"] = base64.b64encode(_content(name, value)).decode()
            elif value:
                after[name] = os.path.abspath(value)
        elif value in ("", False):
            after.pop(name, None)
        else:
            after[name] = value
    return after


def _content(name: str, path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"could not read {name} data from {path}: open {path}: {said}") from error


def assign(
    files: Sequence[tuple[Where, Entry]], name: str, value: str | None, *, raw: bool = True
) -> tuple[Where, str]:
    """Set one value, or remove it when it is None. What was done, and the file that has it. Raises UsageError."""
    words = name.split(".")
    if words == ["current-context"]:
        where, document = next((one for one in files if one[1].get("current-context")), files[0])
        document["current-context"] = value or ""
        return where, "set" if value is not None else "unset"
    if words[0] not in LISTS or len(words) < 2:
        raise UsageError(f"unable to parse {name}: NAME is current-context, or clusters|users|contexts.ENTRY[.FIELD]")
    plural, field = words[0], LISTS[words[0]]
    last = words[-1] if len(words) > 2 and words[-1] in FIELDS[plural] else ""
    if not last and not (value is None and len(words) == 2):
        raise UsageError(
            f"unable to parse {name}: {words[-1]!r} is no field of {plural}; {', '.join(FIELDS[plural])} are"
        )
    entry_name = ".".join(words[1:-1] if last else words[1:])
    for where, document in files:
        for entry in document.get(plural) or ():
            if isinstance(entry, dict) and entry.get("name") == entry_name:
                if not last:
                    document[plural] = [one for one in document[plural] if one is not entry]
                    return where, "unset"
                entry[field] = _assigned(entry.get(field) or {}, last, value, raw)
                return where, "set" if value is not None else "unset"
    if value is None:
        raise UsageError(f"unable to unset {name}: there is no {field} {entry_name!r}")
    where, document = files[0]
    document[plural] = [*(document.get(plural) or ()), {"name": entry_name, field: _assigned({}, last, value, raw)}]
    return where, "set"


def _assigned(entry: Entry, field: str, value: str | None, raw: bool) -> Entry:
    rest = {key: one for key, one in entry.items() if key != field}
    if value is None:
        return rest
    if field.endswith("-data"):
        if raw:
            value = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UsageError(f"{field}: illegal base64 data: {error}; --set-raw-bytes takes plain text") from error
    if field in ("insecure-skip-tls-verify", "disable-compression"):
        if value not in ("true", "false"):
            raise UsageError(f"{field} is true or false, not {value!r}")
        return rest | {field: value == "true"}
    return rest | {field: value}
