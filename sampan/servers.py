"""The API servers of one cluster, and which of them is called now. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Servers:
    """URLs in order of preference. One is current until it fails."""

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = tuple(dict.fromkeys(configured))
        self._urls = self._configured
        self.current = self._urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """All that are known: those of the configuration first."""
        return self._urls

    def learn(self, living: Iterable[str]) -> bool:
        """Take in which servers the cluster says live; the configured ones stay. Whether anything is different.

        The current one stays current while it is known at all.
        """
        urls = tuple(dict.fromkeys((*self._configured, *living)))
        changed = urls != self._urls
        self._urls = urls
        if self.current not in urls:
            self.current = urls[0]
        return changed

    def failed(self, url: str) -> bool:
        """`url` does not answer: go on to the next, unless that has happened already. Whether there is another."""
        if len(self._urls) < 2:
            return False
        if url == self.current:
            self.current = self._urls[(self._urls.index(url) + 1) % len(self._urls)]
        return True
