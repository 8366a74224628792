"""File name patterns: the globs of COPY and ADD, and .dockerignore.

Source: Dockerfile reference, ".dockerignore file" and Go's filepath.Match: `*` and `?` stay within a name, `[a-z]`
is a class, `**` spans directories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


class PatternError(ValueError):
    pass


def is_glob(text: str) -> bool:
    return any(char in text for char in "*?[")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression for a whole relative path. Raises PatternError."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            out.append("(?:[^/]+/)*")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*")
            at += 2
        elif char == "*":
            out.append("[^/]*")
            at += 1
        elif char == "?":
            out.append("[^/]")
            at += 1
        elif char == "[":
            end = pattern.find("]", at + 2 if pattern[at + 1 : at + 2] != "^" else at + 3)
            if end < 0:
                raise PatternError(f"pattern {pattern!r} has an unclosed [")
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{inside}]")
            at = end + 1
        elif char == "\\" and at + 1 < len(pattern):
            out.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            out.append(re.escape(char))
            at += 1
    try:
        return re.compile("".join(out) + r"\Z", re.DOTALL)
    except re.error as error:
        raise PatternError(f"pattern {pattern!r} is not valid ({error})") from None


@dataclass(frozen=True, slots=True)
class Ignore:
    """What .dockerignore leaves out: the last rule that matches a path, or a directory above it, decides."""

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Ignore:
        """Raises PatternError."""
        rules = []
        for line in text.removeprefix("\ufeff").splitlines():
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            keep = pattern.startswith("!")
            cleaned = _clean(pattern.removeprefix("!").strip())
            if cleaned:
                rules.append((compile_pattern(cleaned), keep))
        return cls(tuple(rules))

    def ignores(self, path: str) -> bool:
        ignored = False
        names = path.split("/")
        prefixes = ["/".join(names[: n + 1]) for n in range(len(names))]
        for pattern, keep in self.rules:
            if ignored is keep and any(pattern.match(prefix) for prefix in prefixes):
                ignored = not keep
        return ignored

    @property
    def has_exceptions(self) -> bool:
        return any(keep for _, keep in self.rules)


def _clean(pattern: str) -> str:
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """The names, of one directory, that one component of a pattern matches."""
    expression = compile_pattern(pattern)
    return [name for name in names if expression.match(name)]
