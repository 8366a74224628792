"""What kinds the server has: by name as a user types them, and by apiVersion and kind as manifests say.

What is known is rows of plain values, kept in a file between calls; only a row that is asked for becomes an object.
"""

from __future__ import annotations

import sys
import time
import zlib

from kctl import cache
from sampan.api_error import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Row = list[Any]

FRESH_SECONDS = 6 * 3600
FORMAT = 2
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class UnknownKind(SampanError):
    """The server has no such kind."""


class ApiResource:
    """One kind in one version, as discovery tells."""

    __slots__ = (
        "categories", "group", "kind", "namespaced", "plural", "short_names", "singular", "subresources", "verbs",
        "version",
    )  # fmt: skip

    def __init__(
        self,
        group: str,
        version: str,
        kind: str,
        plural: str,
        singular: str,
        namespaced: bool,
        short_names: list[str],
        categories: list[str],
        verbs: list[str],
        subresources: list[str],
    ) -> None:
        self.group, self.version, self.kind, self.plural = group, version, kind, plural
        self.singular, self.namespaced, self.short_names = singular, namespaced, short_names
        self.categories, self.verbs, self.subresources = categories, verbs, subresources

    @classmethod
    def unasked(cls, api_version: str, kind: str) -> ApiResource:
        """What a kind is probably called, where no server is to be asked."""
        group, _, version = api_version.rpartition("/")
        singular = kind.lower()
        return cls(group, version, kind, f"{singular}s", singular, True, [], [], [], [])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiResource) and self.path() == other.path()

    def __hash__(self) -> int:
        return hash(self.path())

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
        """The URL path; `namespace` and `name` are quoted already if they have to be."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        rest = (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")
        return f"{base}{within}/{self.plural}{rest}"


class Discovery:
    """The server's kinds, asked for once in a while and again when a name is unknown."""

    def __init__(self, server: str, fetch: Callable[[str, str], Any]) -> None:
        self._fetch = fetch
        self._server = server
        self._key = f"discovery-{zlib.crc32(server.encode()):08x}"
        self._fresh = False
        known = cache.read(self._key)
        if (
            isinstance(known, dict)
            and known.get("format") == FORMAT
            and known.get("server") == server
            and 0 <= time.time() - known["at"] < FRESH_SECONDS
        ):
            self._rows: list[Row] = known["rows"]
        else:
            self._refresh()

    def everything(self) -> list[ApiResource]:
        """All kinds, asked for anew."""
        self._refresh()
        return [ApiResource(*row) for row in self._rows]

    def named(self, word: str) -> ApiResource:
        """A kind by plural, singular, short name, or any of these with `.group` or `.version.group`.

        Raises UnknownKind.
        """
        name, dot, group = word.partition(".")
        missing = f'the server doesn\'t have a resource type "{name}"' + (f' in group "{group}"' if dot else "")
        found = self._find(lambda: self._by_name(word), missing)
        if word in found.short_names:
            for row in self._rows:
                if word in row[6] and row[0] != found.group:
                    other = ApiResource(*row).qualified
                    print(
                        f'Warning: short name "{word}" could also match lower priority resource {other}',
                        file=sys.stderr,
                    )
        return found

    def known(self, word: str) -> ApiResource | None:
        """A kind that is known already by this name; the server is not asked."""
        return self._by_name(word)

    def everything_known(self) -> list[ApiResource]:
        """All kinds, as far as they are known already."""
        return [ApiResource(*row) for row in self._rows]

    def category(self, word: str) -> list[ApiResource]:
        """The kinds of a category such as `all`."""
        return [ApiResource(*row) for row in self._rows if word in row[7]]

    def of_kind(self, api_version: str, kind: str) -> ApiResource:
        """A kind as a manifest names it. Raises UnknownKind."""
        group, _, version = api_version.rpartition("/")

        def match() -> ApiResource | None:
            return next((ApiResource(*row) for row in self._rows if row[:3] == [group, version, kind]), None)

        return self._find(
            match,
            f'no matches for kind "{kind}" in version "{api_version}"\nensure CRDs are installed first',
        )

    def _by_name(self, word: str) -> ApiResource | None:
        name, _, rest = word.lower().partition(".")
        for row in self._rows:
            group, version, kind, plural, singular = row[:5]
            if name not in (plural, singular) and name not in row[6] and name != kind.lower():
                continue
            if rest in ("", group, f"{version}.{group}"):
                return ApiResource(*row)
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
        if self._fresh:
            return
        rows: list[Row] = []
        for root in ("/api", "/apis"):
            for group in self._fetch(root, ACCEPT).get("items") or ():
                rows += _rows(group)
        self._rows = rows
        self._fresh = True
        stored = {"format": FORMAT, "server": self._server, "at": time.time(), "rows": rows}
        cache.write(self._key, stored)


def _rows(group: dict[str, Any]) -> list[Row]:
    """The kinds of one APIGroupDiscovery, in the order of ApiResource's arguments."""
    found: list[Row] = []
    for version in group.get("versions") or ():
        for one in version.get("resources") or ():
            kind = (one.get("responseKind") or {}).get("kind", "")
            found.append(
                [
                    group.get("metadata", {}).get("name", ""),
                    version["version"],
                    kind,
                    one["resource"],
                    one.get("singularResource") or kind.lower(),
                    one.get("scope") == "Namespaced",
                    one.get("shortNames") or [],
                    one.get("categories") or [],
                    one.get("verbs") or [],
                    [sub["subresource"] for sub in one.get("subresources") or ()],
                ]
            )
    return found
