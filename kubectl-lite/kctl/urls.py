"""Percent-encoding, without urllib: importing that takes longer than a request."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str) -> str:
    """A text as one segment of a path, or as a value in a query (RFC 3986's unreserved characters stay)."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in PLAIN else f"%{byte:02X}" for byte in data)


def with_query(path: str, query: Mapping[str, str] | Iterable[tuple[str, str]] | None) -> str:
    """A path with a query string. A name may stand more than once if pairs are given."""
    if not query:
        return path
    pairs = query.items() if hasattr(query, "items") else query
    return f"{path}?" + "&".join(f"{quote(key)}={quote(value)}" for key, value in pairs)
