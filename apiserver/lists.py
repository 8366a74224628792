"""The list verb: from the cache when it may, from etcd's history when it must.

What resourceVersion, resourceVersionMatch, limit and continue mean: "Resource versions" and "Retrieving large results
sets in chunks" of the API concepts.
Elsewhere: selectors (matching.py), forms (tables.py), streaming (watches.py).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.cache import Cache, Shelf
from apiserver.decode import bad
from apiserver.kind import AnyKind, Json
from apiserver.matching import Match, converts, value_of, view
from apiserver.registry import storage_name
from apiserver.ring import Item
from apiserver.storage import PREFIX, Compacted
from sampan.errors import ApiError, FieldError, InvalidError, Reason

WAIT_SECONDS = 3.0
MOST_DIGITS = 18
TOO_OLD = "The resourceVersion for the provided list is too old."
CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
ANY = -1
"""The revision of a continue token that goes on with whatever is there now."""


@dataclass(frozen=True)
class Options:
    """The query parameters of a list."""

    limit: int = 0
    token: str = ""
    version: str = ""
    match: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Options:
        """From a query. Raises ApiError 400 or 422."""
        made = cls(
            whole(query, "limit"),
            query.get("continue", ""),
            query.get("resourceVersion", ""),
            query.get("resourceVersionMatch", ""),
        )
        whole(query, "timeoutSeconds")
        if "sendInitialEvents" in query:
            error = FieldError.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
            raise InvalidError("ListOptions", "meta.k8s.io", "", [error])
        if made.match:
            made._check_match()
        if made.token and made.version not in ("", "0"):
            raise bad("specifying resource version is not allowed when using continue")
        return made

    def _check_match(self) -> None:
        path = "resourceVersionMatch"
        if self.match not in ("Exact", "NotOlderThan"):
            error = FieldError.not_supported(path, self.match, ("Exact", "NotOlderThan"))
        elif not self.version:
            error = FieldError.forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided")
        elif self.token:
            error = FieldError.forbidden(path, "resourceVersionMatch is forbidden when continue is provided")
        elif self.match == "Exact" and self.version == "0":
            error = FieldError.forbidden(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
        else:
            return
        raise InvalidError("ListOptions", "meta.k8s.io", "", [error])


def whole(query: Mapping[str, str], name: str) -> int:
    """A query parameter that is a whole number, 0 when absent. Raises ApiError 400."""
    text = query.get(name, "")
    if not text:
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise bad(f'strconv.ParseInt: parsing "{text}": invalid syntax in query parameter {name}')
    if len(digits) > MOST_DIGITS:
        raise bad(f'strconv.ParseInt: parsing "{text}": value out of range in query parameter {name}')
    return int(text)


def parse_version(text: str) -> int:
    """A resourceVersion as a number. Raises ApiError 400."""
    if text.isascii() and text.isdecimal() and len(text) < 20:
        return int(text)
    raise bad(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')


def make_token(revision: int, after: str) -> str:
    """A continue token: where the next chunk begins, at which revision."""
    return base64.urlsafe_b64encode(orjson.dumps({"v": "sampan/1", "rv": revision, "after": after})).decode()


def read_token(text: str) -> tuple[int, str]:
    """(revision, path after which the chunk begins). Raises ApiError 400."""
    try:
        value = orjson.loads(base64.urlsafe_b64decode(text.encode()))
        revision = value["rv"]
        if value["v"] != "sampan/1" or type(revision) is not int or not ANY <= revision < 2**63:
            raise ValueError(value["v"])
        return revision, str(value["after"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise bad("continue key is not valid: it was made by another server or altered") from error


class ContinueExpired(ApiError):
    """410 for a continue token; says how to go on without consistency."""

    def __init__(self, after: str) -> None:
        super().__init__(410, Reason.EXPIRED, CONTINUE_TOO_OLD)
        self.after = after

    def to_status(self) -> dict[str, Any]:
        """With metadata.continue, as upstream sends it."""
        return super().to_status() | {"metadata": {"continue": make_token(ANY, self.after)}}


def too_large(asked: int, current: int) -> ApiError:
    """504 for a version that the server has not reached."""
    return ApiError(
        504,
        Reason.TIMEOUT,
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        headers={"Retry-After": "1"},
    )


async def not_older(cache: Cache, version: str) -> None:
    """Wait until the cache may answer for a version: empty means the newest. Raises ApiError 503 or 504."""
    if version == "":
        await cache.fresh()
        return
    revision = parse_version(version)
    try:
        await cache.reach(revision, WAIT_SECONDS)
    except TimeoutError:
        raise too_large(revision, cache.revision) from None


@dataclass(frozen=True)
class Chunk:
    """What a list found. `joined` are the bytes of all items when they were at hand."""

    items: list[Item]
    revision: int
    token: str = ""
    remaining: int | None = None
    joined: bytes | None = None

    @property
    def metadata(self) -> Json:
        """ListMeta."""
        made: Json = {"resourceVersion": str(self.revision)}
        if self.token:
            made["continue"] = self.token
            if self.remaining is not None:
                made["remainingItemCount"] = self.remaining
        return made


async def find(cache: Cache, kind: AnyKind, match: Match, options: Options, *, plain: bool = False) -> Chunk:
    """Carry out a list. With `plain` the caller is content with joined bytes. Raises ApiError."""
    resource = storage_name(kind.storage)
    if options.token:
        revision, after = read_token(options.token)
        if revision == ANY:
            await cache.fresh()
            return _chunk(cache.shelf(resource).select(match.prefix, after), match, options.limit, cache.revision)
        return await _at(cache, resource, match, options.limit, revision, after)
    exact = options.match == "Exact" or (options.limit and not options.match and options.version not in ("", "0"))
    if exact:
        revision = parse_version(options.version)
        await not_older(cache, options.version)
        return await _at(cache, resource, match, options.limit, revision, "")
    await not_older(cache, options.version)
    shelf = cache.shelf(resource)
    if plain and match.everything and not options.limit and not converts(kind):
        return Chunk([], cache.revision, joined=shelf.joined(match.prefix))
    if match.name and (match.prefix or not kind.resource.namespaced):
        item = shelf.items.get(match.prefix + match.name)
        return Chunk([item] if item is not None and match.selects(item) else [], cache.revision)
    return _chunk(shelf.select(match.prefix), match, options.limit, cache.revision, shelf)


def _chunk(items: Iterable[Item], match: Match, limit: int, revision: int, shelf: Shelf | None = None) -> Chunk:
    found: list[Item] = []
    for item in items:
        if not match.selects(item):
            continue
        if limit and len(found) == limit:
            last = found[-1].path
            remaining = len(shelf.paths(match.prefix, last)) if shelf and match.everything else None
            return Chunk(found, revision, make_token(revision, last), remaining)
        found.append(item)
    return Chunk(found, revision)


async def _at(cache: Cache, resource: str, match: Match, limit: int, revision: int, after: str) -> Chunk:
    """The state at one revision: from the cache when nothing has changed since, otherwise from etcd's history."""
    shelf = cache.shelf(resource)
    if shelf.changed <= revision <= cache.revision:
        return _chunk(shelf.select(match.prefix, after), match, limit, revision, shelf)
    root = PREFIX + resource.encode() + b"/"
    start = root + (after.encode() + b"\0" if after else match.prefix.encode())
    end = (root + match.prefix.encode())[:-1] + b"0"
    found: list[Item] = []
    while True:
        try:
            page = await cache.storage.page(start, end, revision=revision, limit=limit + 1 if limit else 2000)
        except Compacted:
            if after:
                raise ContinueExpired(after) from None
            raise ApiError(410, Reason.EXPIRED, TOO_OLD) from None
        for at, one in enumerate(page.entries):
            item = cache.item_of(one)
            if not match.selects(item):
                continue
            if limit and len(found) == limit:
                last = found[-1].path
                remaining = page.remaining + len(page.entries) - at if match.everything else None
                return Chunk(found, revision, make_token(revision, last), remaining)
            found.append(item)
        if not page.more:
            return Chunk(found, revision)
        start = page.entries[-1].key + b"\0"


def body(kind: AnyKind, chunk: Chunk) -> bytes:
    """A plain JSON list, joined from the items' own bytes."""
    joined = chunk.joined
    if joined is None:
        joined = b",".join([view(kind, item).bytes for item in chunk.items])
    head = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        kind.resource.list_kind.encode(),
        kind.resource.api_version.encode(),
        orjson.dumps(chunk.metadata),
    )
    return b"".join((head, joined, b"]}\n"))


def values(kind: AnyKind, chunk: Chunk) -> Iterable[Json]:
    """The items as plain values in the kind's version."""
    return (value_of(kind, item.value) for item in chunk.items)
