"""Variables and quotes in Dockerfile arguments: `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}`, `${NAME:?word}`.

Source: Dockerfile reference, "Environment replacement". Unlike in a shell, the value of a variable is never split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ExpansionError(ValueError):
    """What is wrong with the text; the caller knows where it stands."""


def words(text: str, variables: Mapping[str, str], escape: str = "\\", *, raw: bool = False) -> list[str]:
    """The words of a text, split at blanks outside quotes, expanded and without quotes; `raw` keeps both as they are.

    Raises ExpansionError.
    """
    scan = _Scan(text, variables, escape)
    found: list[str] = []
    while True:
        scan.skip_blanks()
        if scan.done:
            return found
        start = scan.at
        word = scan.word(until=" \t")
        found.append(text[start : scan.at] if raw else word)


def expand(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The text as one word. Raises ExpansionError."""
    return _Scan(text, variables, escape).word(until="")


class _Scan:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str, depth: int = 0) -> None:
        self.text = text
        self.variables = variables
        self.escape = escape
        self.at = 0
        self.depth = depth
        if depth > 20:
            raise ExpansionError("variables are nested too deeply")

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def skip_blanks(self) -> None:
        while not self.done and self.text[self.at] in " \t":
            self.at += 1

    def word(self, until: str) -> str:
        out: list[str] = []
        while not self.done and self.text[self.at] not in until:
            char = self.text[self.at]
            self.at += 1
            if char == "'":
                end = self.text.find("'", self.at)
                if end < 0:
                    raise ExpansionError("a ' is not closed")
                out.append(self.text[self.at : end])
                self.at = end + 1
            elif char == '"':
                out.append(self._double_quoted())
            elif char == self.escape:
                if not self.done:
                    out.append(self.text[self.at])
                    self.at += 1
            elif char == "$":
                out.append(self._variable())
            else:
                out.append(char)
        return "".join(out)

    def _double_quoted(self) -> str:
        out: list[str] = []
        while not self.done:
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                return "".join(out)
            if char == self.escape and not self.done and self.text[self.at] in f'"${self.escape}':
                out.append(self.text[self.at])
                self.at += 1
            elif char == "$":
                out.append(self._variable())
            else:
                out.append(char)
        raise ExpansionError('a " is not closed')

    def _variable(self) -> str:
        if not self.done and self.text[self.at] == "{":
            end = self._closing_brace()
            inside, self.at = self.text[self.at + 1 : end], end + 1
            return self._braced(inside)
        match = _NAME.match(self.text, self.at)
        if not match:
            return "$"
        self.at = match.end()
        return self.variables.get(match.group(), "")

    def _closing_brace(self) -> int:
        depth = 0
        for at in range(self.at, len(self.text)):
            if self.text[at] == "{":
                depth += 1
            elif self.text[at] == "}":
                depth -= 1
                if depth == 0:
                    return at
        raise ExpansionError("a ${ is not closed")

    def _braced(self, inside: str) -> str:
        match = _NAME.match(inside)
        if not match:
            raise ExpansionError(f"${{{inside}}} has no variable name")
        name, rest = match.group(), inside[match.end() :]
        value = self.variables.get(name)
        if not rest:
            return value or ""
        there = bool(value) if rest.startswith(":") else value is not None
        operator, argument = rest.removeprefix(":")[:1], rest.removeprefix(":")[1:]
        if operator not in ("-", "+", "?") or not operator:
            raise ExpansionError(f"${{{inside}}} is not supported; there are :-, :+, :?, -, + and ?")
        if operator == "+":
            return self._inner(argument) if there else ""
        if there:
            return value or ""
        if operator == "?":
            raise ExpansionError(f"{name}: {self._inner(argument) or 'is not set'}")
        return self._inner(argument)

    def _inner(self, text: str) -> str:
        return _Scan(text, self.variables, self.escape, self.depth + 1).word(until="")
