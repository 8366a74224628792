"""Image references: `[registry[:port]/]path[:tag][@digest]`, with Docker's short forms.

The grammar is that of the distribution project's reference package, which Docker, containerd and Kubernetes share:
`app` means `docker.io/library/app:latest`; the first component is a registry only if it has a dot or a colon or is
`localhost`. Nothing here touches a disk or a network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from nodeagent.runtime.images.digests import is_digest
from nodeagent.runtime.images.errors import InvalidReference

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"

_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?\Z")
_HEX_ID = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference. `explicit` says that the registry was written, not filled in."""

    registry: str
    path: str
    tag: str | None
    digest: str | None = None
    explicit: bool = True

    @property
    def repository(self) -> str:
        """The name without tag and digest: `docker.io/library/app`."""
        return f"{self.registry}/{self.path}"

    @property
    def name(self) -> str:
        """`repository:tag`. Raises InvalidReference for a reference that has a digest only."""
        if self.tag is None:
            raise InvalidReference(str(self), "has no tag")
        return f"{self.repository}:{self.tag}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """The normal form of a reference as a person or a pod wrote it. Raises InvalidReference."""

    def wrong(what: str, remedy: str = "") -> InvalidReference:
        return InvalidReference(f"image reference {text[:300]!r}", what, remedy)

    if not text:
        raise wrong("is empty")
    if len(text) > 512:
        raise wrong(f"has {len(text)} characters, at most 512 are allowed")
    if _HEX_ID.match(text) or is_digest(text):
        raise wrong("is an image ID, not a name")
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise wrong(f"digest {digest!r} is not sha256:<64 hexadecimal digits>")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.match(tag):
        raise wrong(f"tag {tag!r} is not 1 to 128 letters, digits, '_', '.' or '-' (not first)")
    name = head + slash + last
    first, slash, rest = name.partition("/")
    explicit = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, path = (first, rest) if explicit else (DEFAULT_REGISTRY, name)
    if not _REGISTRY.match(registry):
        raise wrong(f"registry {registry!r} is not a host name with an optional port")
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    for component in path.split("/"):
        if component != component.lower():
            raise wrong(f"name {component!r} has upper-case letters", f"write {component.lower()!r}")
        if not _COMPONENT.match(component):
            raise wrong(f"name {component!r} is not lower-case letters and digits, separated by '.', '_', '__' or '-'")
    if len(f"{registry}/{path}") > 255:
        raise wrong("has a name of more than 255 characters")
    return Reference(
        registry=registry,
        path=path,
        tag=tag if colon else (None if at else DEFAULT_TAG),
        digest=digest if at else None,
        explicit=explicit,
    )


def image_id(text: str) -> str | None:
    """`sha256:<hex>` if the text is an image ID, with or without its algorithm, else None."""
    if _HEX_ID.match(text):
        return "sha256:" + text
    return text if is_digest(text) else None


def spellings(reference: Reference) -> tuple[Reference, ...]:
    """The references under which the same image may be stored, best first.

    A locally built image answers to its name with and without `localhost/`, as it does in Docker, Podman and kind. A
    name whose registry was written out is never looked for in another registry.
    """
    if reference.registry == "localhost":
        path = reference.path if "/" in reference.path else f"library/{reference.path}"
        return (reference, replace(reference, registry=DEFAULT_REGISTRY, path=path))
    if not reference.explicit:
        path = reference.path.removeprefix("library/")
        return (reference, replace(reference, registry="localhost", path=path))
    return (reference,)
