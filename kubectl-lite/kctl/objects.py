"""Manifests: reading objects from files, folders and standard input, and naming objects on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kctl.__main__ import UsageError
from kctl.discovery import ApiResource
from kctl.session import Session

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Manifest:
    """One object as a file describes it."""

    value: dict[str, Any]
    source: str

    @property
    def name(self) -> str:
        return str(self.value.get("metadata", {}).get("name") or "")


def load(paths: Sequence[str], *, recursive: bool = False) -> Iterator[Manifest]:
    """The objects of all files, in order; Lists are opened. Raises UsageError that names the file."""
    if not paths:
        raise UsageError("must specify one of -f and -k")
    found = False
    for path in paths:
        for source, text in _texts(path, recursive):
            for value in _documents(source, text):
                found = True
                yield Manifest(value, source)
    if not found:
        raise UsageError("no objects passed to apply")


def _texts(path: str, recursive: bool) -> Iterator[tuple[str, bytes]]:
    if path == "-":
        yield "standard input", sys.stdin.buffer.read()
        return
    if path.startswith(("http://", "https://")):
        raise UsageError(f"{path}: reading manifests from a URL is not supported; download it and give the file")
    where = Path(path)
    if where.is_dir():
        files = sorted(where.rglob("*") if recursive else where.iterdir())
        chosen = [one for one in files if one.suffix in SUFFIXES and one.is_file()]
    else:
        chosen = [where]
    for one in chosen:
        try:
            yield str(one), one.read_bytes()
        except FileNotFoundError as error:
            raise UsageError(f'the path "{path}" does not exist') from error
        except OSError as error:
            raise UsageError(f"{one}: {error.strerror}") from error


def _documents(source: str, text: bytes) -> Iterator[dict[str, Any]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        values = [value for value in yaml.load_all(text, Loader=loader) if value is not None]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"error parsing {source}: {' '.join(str(error).split())}") from error
    for value in values:
        if not isinstance(value, dict):
            raise UsageError(f"{source}: an object is wanted, not a {type(value).__name__}")
        plain = _plain(value)
        if str(plain.get("kind") or "").endswith("List") and isinstance(plain.get("items"), list):
            yield from plain["items"]
            continue
        for key in ("apiVersion", "kind"):
            if not isinstance(plain.get(key), str) or not plain[key]:
                raise UsageError(f'error validating "{source}": {key} not set')
        if not isinstance(plain.get("metadata", {}), dict):
            raise UsageError(f'error validating "{source}": metadata is not an object')
        yield plain


def _plain(value: Any) -> Any:
    """YAML's dates as the texts that they were, and all keys as texts: what JSON can carry."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "Z")
    return value


@dataclass(frozen=True)
class Reference:
    """Objects that the command line names: one when `name` is given, else all that selectors choose."""

    resource: ApiResource
    name: str = ""


def references(session: Session, words: Sequence[str]) -> list[Reference]:
    """`pods`, `pods,svc`, `pod x y`, `pod/x svc/y`, `all`. Raises UsageError and UnknownKind."""
    if not words:
        raise UsageError('You must specify the type of resource to get. Use "kctl api-resources" for a complete list.')
    if any("/" in word for word in words):
        found = []
        for word in words:
            kind, slash, name = word.partition("/")
            if not slash or not name or "/" in name:
                raise UsageError(
                    "there is no need to specify a resource type as a separate argument when passing arguments in"
                    " resource/name form (e.g. 'kctl get resource/<resource_name>' instead of 'kctl get resource"
                    f" resource/<resource_name>'): {word!r}"
                )
            found.append(Reference(session.discovery.named(kind), name))
        return found
    kinds: list[ApiResource] = []
    for word in words[0].split(","):
        kinds += session.discovery.category(word) or [session.discovery.named(word)]
    if len(words) == 1:
        return [Reference(kind) for kind in kinds]
    return [Reference(kind, name) for kind in kinds for name in words[1:]]


def chosen(session: Session, arguments: Any) -> list[tuple[ApiResource, str]]:
    """What `TYPE NAME ...`, `TYPE/NAME ...`, `TYPE -l SELECTOR` or `TYPE --all` choose in the session's namespace.

    Raises UsageError when kinds are named and no objects.
    """
    found: list[tuple[ApiResource, str]] = []
    for one in references(session, arguments.words):
        if one.name:
            found.append((one.resource, one.name))
            continue
        if not (arguments.selector or getattr(arguments, "all", False)):
            raise UsageError("resource(s) were provided, but no name was specified")
        query = {"labelSelector": arguments.selector} if arguments.selector else None
        items = session.get(one.resource.path(session.namespace), query).get("items") or ()
        found += [(one.resource, item["metadata"]["name"]) for item in items]
    return found
