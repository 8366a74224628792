"""Manifests: reading objects from files, folders and standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kctl.errors import UsageError

SUFFIXES = (".yaml", ".yml", ".json")


class Manifest:
    """One object as a file describes it, and what is being done with it, for messages."""

    def __init__(self, value: dict[str, Any], source: str) -> None:
        self.value, self.source, self.doing = value, source, ""

    def _text(self, key: str) -> str:
        found = (self.value.get("metadata") or {}).get(key)
        if found is not None and not isinstance(found, str):
            raise UsageError(f"error parsing {self.source}: metadata.{key} is {found!r}, and a text is wanted")
        return found or ""

    @property
    def name(self) -> str:
        """metadata.name, empty if there is none. Raises UsageError if it is no text."""
        return self._text("name")

    @property
    def namespace(self) -> str:
        """metadata.namespace, empty if there is none. Raises UsageError if it is no text."""
        return self._text("namespace")


def load(paths: Sequence[str], *, recursive: bool = False) -> Iterator[Manifest]:
    """The objects of all files, in order; Lists are opened. Raises UsageError that names the file."""
    if not paths:
        raise UsageError("must specify one of -f and -k")
    for path in paths:
        for source, text in _texts(path, recursive):
            for value in _documents(source, text):
                yield Manifest(value, source)


def _texts(path: str, recursive: bool) -> Iterator[tuple[str, bytes]]:
    if path == "-":
        yield "STDIN", sys.stdin.buffer.read()
        return
    if path.startswith(("http://", "https://")):
        raise UsageError(f"{path}: reading manifests from a URL is not supported; download it and give the file")
    where = Path(path)
    if where.is_dir():
        files = sorted(where.rglob("*") if recursive else where.iterdir())
        chosen = [one for one in files if one.suffix in SUFFIXES and one.is_file()]
        if not chosen:
            raise UsageError(
                f"error reading {[path]}: recognized file extensions are {list(SUFFIXES)}".replace("'", "")
            )
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
    try:
        values = [_Plain().of(value) for value in parsed(text) if value is not None]
    except (ValueError, RecursionError) as error:  # YAML's errors among them, see parsed
        raise UsageError(f"error parsing {source}: {' '.join(str(error).split())}") from error
    for value in values:
        yield from _objects(source, value)


def parsed(text: bytes) -> Iterator[Any]:
    """The documents of a text in YAML or JSON. Raises ValueError."""
    if text.lstrip()[:1] in (b"{", b"["):
        try:
            yield json.loads(text)
            return
        except ValueError:
            pass  # YAML's flow style starts with a brace as well
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen at run time
        """Dates stay the texts that they are."""

        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
            first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
            for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        yield from yaml.load_all(text, Loader=Loader)
    except (yaml.YAMLError, TypeError, AttributeError) as error:  # keys that can't be keys are TypeErrors
        raise ValueError(str(error)) from error


def _objects(source: str, value: Any) -> Iterator[dict[str, Any]]:
    """An object, or those of a List. Raises UsageError."""
    if not isinstance(value, dict):
        raise UsageError(
            f'error validating "{source}": error validating data: invalid object to validate;'
            " if you choose to ignore these errors, turn validation off with --validate=false"
        )
    kind = value.get("kind")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _objects(source, item)
        return
    missing = [key for key in ("apiVersion", "kind") if not isinstance(value.get(key), str) or not value[key]]
    if missing:
        listed = ", ".join(f"{key} not set" for key in missing)
        raise UsageError(
            f'error validating "{source}": error validating data: '
            + (f"[{listed}]" if len(missing) > 1 else listed)
            + "; if you choose to ignore these errors, turn validation off with --validate=false"
        )
    if not isinstance(value.get("metadata") or {}, dict):
        raise UsageError(f'error validating "{source}": error validating data: metadata is not an object')
    value["metadata"] = value.get("metadata") or {}
    yield value


class _Plain:
    """Makes values that JSON can carry. An alias may stand for a whole tree, so what comes out is counted."""

    DEEPEST = 200
    MOST = 1_000_000

    def __init__(self) -> None:
        self._made = 0

    def of(self, value: Any, depth: int = 0) -> Any:
        """All keys as texts. Raises ValueError for what JSON has not."""
        self._made += 1
        if depth > self.DEEPEST:
            raise ValueError(f"nested more than {self.DEEPEST} levels deep")
        if self._made > self.MOST:
            raise ValueError(f"more than {self.MOST} values, aliases counted as often as they are used")
        if isinstance(value, dict):
            return {_key(key): self.of(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list):
            return [self.of(one, depth + 1) for one in value]
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            raise ValueError(f"{value} is no JSON number")
        if value is None or isinstance(value, str | int | float):
            return value
        raise ValueError(f"a {type(value).__name__} is nothing that JSON can carry")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return "null" if key is None else str(key)
