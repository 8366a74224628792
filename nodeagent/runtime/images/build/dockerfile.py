"""A Dockerfile's text as a list of instructions, each with the line it starts on. Nothing is expanded or run here.

Source: Docker's Dockerfile reference (format, parser directives, here-documents).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.runtime.images.errors import BuildError

MOST_BYTES = 1 << 20
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*\Z")
_HEREDOC = re.compile(r"<<(-?)(?:([\"'])([A-Za-z_][A-Za-z0-9_.]*)\2|([A-Za-z_][A-Za-z0-9_.]*))")
_WITH_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})
KNOWN = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
        *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
_FLAGS = {
    "FROM": {"platform"},
    "COPY": {"from", "chown", "chmod", "link"},
    "ADD": {"chown", "chmod", "link"},
    "HEALTHCHECK": {"interval", "timeout", "start-period", "start-interval", "retries"},
}


@dataclass(frozen=True, slots=True)
class Heredoc:
    """`name` as the instruction refers to it, `text` its lines; `literal` if its delimiter was quoted."""

    name: str
    text: str
    literal: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `rest` is its text after the flags; `items` the list, if that text is a JSON array."""

    name: str
    rest: str
    line: int
    where: str
    flags: tuple[tuple[str, str], ...] = ()
    items: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()

    def flag(self, name: str) -> str | None:
        return dict(self.flags).get(name)

    def wrong(self, what: str, remedy: str = "") -> BuildError:
        return BuildError(self.where, f"{self.name}: {what}", remedy)

    def __str__(self) -> str:
        flags = "".join(f"--{key}={value} " if value else f"--{key} " for key, value in self.flags)
        return f"{self.name} {flags}{self.rest}"


@dataclass(frozen=True, slots=True)
class Dockerfile:
    instructions: tuple[Instruction, ...]
    escape: str = "\\"


def parse(text: str, name: str) -> Dockerfile:
    """The instructions of a Dockerfile called `name`. Raises BuildError with file and line."""
    if "\0" in text:
        raise BuildError(name, "is not a text file")
    lines = text.removeprefix("\ufeff").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    escape = _directives(lines, name)
    instructions: list[Instruction] = []
    at = 0
    while at < len(lines):
        start = at
        logical, at = _logical_line(lines, at, escape)
        if not logical.strip():
            continue
        where = f"{name}:{start + 1 + _leading(lines[start:at])}"
        word, _, rest = logical.strip().partition(" ") if " " in logical.strip() else _split_tab(logical.strip())
        instruction = word.upper()
        if instruction not in KNOWN:
            raise BuildError(where, f"unknown instruction {word!r}", f"known are {', '.join(sorted(KNOWN))}")
        heredocs: list[Heredoc] = []
        if instruction in _WITH_HEREDOCS:
            at = _heredocs(lines, at, rest, heredocs, where)
        flags, rest = _flags(instruction, rest.strip(), where)
        if not rest and instruction != "HEALTHCHECK":
            raise BuildError(where, f"{instruction} needs an argument")
        instructions.append(
            Instruction(
                name=instruction,
                rest=rest,
                line=start + 1,
                where=where,
                flags=flags,
                items=json_array(rest),
                heredocs=tuple(heredocs),
            )
        )
    if not instructions:
        raise BuildError(name, "has no instruction", "begin with FROM")
    return Dockerfile(tuple(instructions), escape)


def _directives(lines: Sequence[str], name: str) -> str:
    escape = "\\"
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.match(line.strip())
        if not match:
            break
        key, value = match.group(1).lower(), match.group(2)
        if key not in ("escape", "syntax", "check"):
            break
        if key in seen:
            raise BuildError(f"{name}:{number}", f"parser directive {key!r} is given twice")
        seen.add(key)
        if key == "escape":
            if value not in ("\\", "`"):
                raise BuildError(f"{name}:{number}", f"escape {value!r} is neither \\ nor `")
            escape = value
        elif key == "syntax" and not re.match(r"(docker\.io/)?docker/dockerfile(:|@|\Z)", value):
            raise BuildError(f"{name}:{number}", f"syntax {value!r} is not supported", "use docker/dockerfile:1")
    return escape


def _logical_line(lines: Sequence[str], at: int, escape: str) -> tuple[str, int]:
    """The text of one instruction, continuations joined and comments left out, and the number of the next line."""
    text = ""
    going_on = False
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.lstrip().startswith("#") or (going_on and not line.strip()):
            if not going_on:
                return "", at
            continue
        stripped = line.rstrip(" \t")
        if stripped.endswith(escape):
            text += stripped[:-1]
            going_on = True
            continue
        return text + line, at
    return text, at


def _leading(lines: Sequence[str]) -> int:
    """How many lines of a logical line come before its first word."""
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            return number
    return 0


def _split_tab(text: str) -> tuple[str, str, str]:
    return text.partition("\t")


def _heredocs(lines: Sequence[str], at: int, rest: str, into: list[Heredoc], where: str) -> int:
    for dash, quote, quoted, plain in _HEREDOC.findall(_outside_quotes(rest)):
        name = quoted or plain
        body: list[str] = []
        while True:
            if at >= len(lines):
                raise BuildError(where, f"here-document {name!r} has no end", f"add a line {name}")
            line = lines[at]
            at += 1
            if dash:
                line = line.lstrip("\t")
            if line == name:
                break
            body.append(line + "\n")
        into.append(Heredoc(name, "".join(body), bool(quote)))
    return at


def _outside_quotes(text: str) -> str:
    """The text with quoted stretches blanked, except a here-document's own quoted delimiter."""
    out, quote = [], ""
    for number, char in enumerate(text):
        if quote:
            if char == quote:
                quote = ""
            out.append(" ")
        elif char in "\"'" and not re.search(r"<<-?\Z", text[:number]) and not _closes_delimiter(text, number):
            quote = char
            out.append(" ")
        else:
            out.append(char)
    return "".join(out)


def _closes_delimiter(text: str, number: int) -> bool:
    return re.search(r"<<-?([\"'])[A-Za-z0-9_.]+\Z", text[:number]) is not None


def _flags(instruction: str, rest: str, where: str) -> tuple[tuple[tuple[str, str], ...], str]:
    flags: list[tuple[str, str]] = []
    allowed = _FLAGS.get(instruction, set())
    if instruction == "RUN" and rest.startswith("--"):
        raise BuildError(where, f"RUN: flag {rest.split()[0]!r} is not supported")
    while instruction in _FLAGS and rest.startswith("--"):
        word, _, rest = rest.partition(" ")
        rest = rest.lstrip()
        name, _, value = word[2:].partition("=")
        if name not in allowed:
            raise BuildError(where, f"{instruction}: flag --{name} is not supported")
        if not value and name != "link":
            raise BuildError(where, f"{instruction}: flag --{name} needs a value")
        flags.append((name, value))
    return tuple(flags), rest


def json_array(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(value)
