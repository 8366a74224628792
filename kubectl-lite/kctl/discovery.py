"""What kinds the server has: by name as a user types them, and by apiVersion and kind as manifests say."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from kctl import cache
from sampan.errors import SampanError

FRESH_SECONDS = 6 * 3600
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class UnknownKind(SampanError):
    """The server has no such kind."""


@dataclass(frozen=True)
class ApiResource:
    """One kind in one version, as discovery tells."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`pods`, or `deployments.apps`: what the API's messages call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def label(self, name: str) -> str:
        """`pod/x`, or `deployment.apps/x`: what kubectl calls an object."""
        return f"{self.singular}.{self.group}/{name}" if self.group else f"{self.singular}/{name}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return (
            f"{base}{within}/{self.plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")
        )


class Discovery:
    """The server's kinds, asked for once in a while and again when a name is unknown."""

    def __init__(self, server: str, fetch: Callable[[str, str], Any]) -> None:
        self._fetch = fetch
        self._key = f"discovery-{zlib.crc32(server.encode()):08x}"
        known = cache.read(self._key)
        self._fresh = False
        if (
            isinstance(known, dict)
            and 0 <= time.time() - known.get("at", 0) < FRESH_SECONDS
            and known["server"] == server
        ):
            self._all = [_thaw(one) for one in known["resources"]]
        else:
            self._all = self._ask(server)
        self._server = server

    def everything(self) -> list[ApiResource]:
        """All kinds, asked for anew."""
        self._refresh()
        return self._all

    def named(self, word: str) -> ApiResource:
        """A kind by plural, singular, short name, or any of these with `.group` or `.version.group`.

        Raises UnknownKind.
        """
        return self._find(lambda: self._by_name(word), f'the server doesn\'t have a resource type "{word}"')

    def category(self, word: str) -> list[ApiResource]:
        """The kinds of a category such as `all`."""
        return [one for one in self._all if word in one.categories]

    def of_kind(self, api_version: str, kind: str) -> ApiResource:
        """A kind as a manifest names it. Raises UnknownKind."""

        def match() -> ApiResource | None:
            return next((one for one in self._all if one.api_version == api_version and one.kind == kind), None)

        return self._find(
            match,
            f'no matches for kind "{kind}" in version "{api_version}"\nensure CRDs are installed first',
        )

    def _by_name(self, word: str) -> ApiResource | None:
        name, _, rest = word.lower().partition(".")
        for one in self._all:
            if name not in (one.plural, one.singular, *one.short_names) and name != one.kind.lower():
                continue
            if rest in ("", one.group, f"{one.version}.{one.group}"):
                return one
        return None

    def _find(self, match: Callable[[], ApiResource | None], otherwise: str) -> ApiResource:
        found = match()
        if found is None and not self._fresh:
            self._refresh()
            found = match()
        if found is None:
            raise UnknownKind(otherwise)
        return found

    def _refresh(self) -> None:
        if not self._fresh:
            self._all = self._ask(self._server)

    def _ask(self, server: str) -> list[ApiResource]:
        found: list[ApiResource] = []
        for root in ("/api", "/apis"):
            for group in self._fetch(root, ACCEPT).get("items") or ():
                found += _read_group(group)
        self._fresh = True
        stored = [asdict(one) for one in found]
        cache.write(self._key, {"server": server, "at": time.time(), "resources": stored})
        return found


def _read_group(group: dict[str, Any]) -> list[ApiResource]:
    found = []
    for version in group.get("versions") or ():
        for one in version.get("resources") or ():
            found.append(
                ApiResource(
                    group=group.get("metadata", {}).get("name", ""),
                    version=version["version"],
                    kind=one.get("responseKind", {}).get("kind", ""),
                    plural=one["resource"],
                    singular=one.get("singularResource") or one.get("responseKind", {}).get("kind", "").lower(),
                    namespaced=one.get("scope") == "Namespaced",
                    short_names=tuple(one.get("shortNames") or ()),
                    categories=tuple(one.get("categories") or ()),
                    verbs=tuple(one.get("verbs") or ()),
                    subresources=tuple(sub["subresource"] for sub in one.get("subresources") or ()),
                )
            )
    return found


def _thaw(value: dict[str, Any]) -> ApiResource:
    fields: dict[str, Any] = {key: tuple(part) if isinstance(part, list) else part for key, part in value.items()}
    return ApiResource(**fields)
