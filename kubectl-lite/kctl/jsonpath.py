"""kubectl's dialect of JSONPath: templates of text and `{...}` expressions.

Source: Kubernetes' reference page "JSONPath Support": fields, quoted fields, wildcards, indices, slices, unions,
recursive descent, filters `[?(@.x=="y")]`, `{range}...{end}`, quoted texts. Regular expressions are not in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sampan.errors import SampanError


class PathError(SampanError):
    """A template can't be read, or names what is not there."""


@dataclass(frozen=True)
class _Field:
    name: str


@dataclass(frozen=True)
class _Quoted(_Field):
    """A name in quotes: a field of that name, or a path of several, `['metadata.name']`."""


@dataclass(frozen=True)
class _Wildcard:
    pass


@dataclass(frozen=True)
class _Descent:
    pass


@dataclass(frozen=True)
class _Slice:
    start: int | None
    stop: int | None
    step: int | None


@dataclass(frozen=True)
class _Index:
    number: int


@dataclass(frozen=True)
class _Union:
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class _Filter:
    left: Any
    operator: str
    right: Any


@dataclass(frozen=True)
class _Path:
    steps: tuple[Any, ...]


@dataclass(frozen=True)
class _Literal:
    value: Any


@dataclass(frozen=True)
class _Range:
    path: _Path
    body: tuple[Any, ...]


def render(template: str, value: Any, *, missing_ok: bool = False) -> str:
    """Fill the template in; with `missing_ok` a field that is not there is empty. Raises PathError."""
    nodes, _ = _nodes(_split(template), 0, inside=False)
    try:
        return "".join(_render(nodes, value, value, not missing_ok))
    except PathError as error:
        raise PathError(f'error executing jsonpath "{template[:200]}": Error executing template: {error}') from None


def find(template: str, value: Any, *, missing_ok: bool = False) -> Iterator[Any]:
    """The values that one expression such as `{.items[*].metadata.name}` names. Raises PathError."""
    text = template.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    path = _Parser(text).path()
    try:
        yield from _walk(path.steps, value, value, not missing_ok)
    except PathError:
        if not missing_ok:
            raise


def text(value: Any) -> str:
    """A value as kubectl prints it: texts bare, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def _split(template: str) -> list[tuple[bool, str]]:
    """(is expression, text) pieces."""
    pieces: list[tuple[bool, str]] = []
    at = 0
    while at < len(template):
        begin = template.find("{", at)
        if begin < 0:
            pieces.append((False, template[at:]))
            break
        if begin > at:
            pieces.append((False, template[at:begin]))
        end, quote = begin + 1, ""
        while end < len(template) and (quote or template[end] != "}"):
            character = template[end]
            if quote and character == "\\":
                end += 1
            elif quote and character == quote:
                quote = ""
            elif not quote and character in "'\"":
                quote = character
            end += 1
        if end >= len(template):
            raise PathError(f"error parsing jsonpath {template}, unclosed action")
        pieces.append((True, template[begin + 1 : end].strip()))
        at = end + 1
    return pieces


def _nodes(pieces: list[tuple[bool, str]], at: int, *, inside: bool) -> tuple[tuple[Any, ...], int]:
    nodes: list[Any] = []
    while at < len(pieces):
        expression, piece = pieces[at]
        at += 1
        if not expression:
            nodes.append(_Literal(piece))
        elif piece == "end":
            if not inside:
                raise PathError(
                    'error executing jsonpath "{end}": Error executing template: not in range, nothing to end'
                )
            return tuple(nodes), at
        elif piece.startswith("range ") or piece == "range":
            body, at = _nodes(pieces, at, inside=True)
            nodes.append(_Range(_Parser(piece[5:].strip()).path(), body))
        elif piece:
            nodes += _Parser(piece).operands()
    if inside:
        raise PathError("error parsing jsonpath, unclosed range")
    return tuple(nodes), at


def _render(nodes: tuple[Any, ...], value: Any, root: Any, strict: bool) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, _Literal):
            yield text(node.value)
        elif isinstance(node, _Range):
            for one in _walk(node.path.steps, value, root, strict):
                yield from _render(node.body, one, root, strict)
        else:
            yield " ".join(text(one) for one in _walk(node.steps, value, root, strict))


def _walk(steps: tuple[Any, ...], value: Any, root: Any, strict: bool) -> Iterator[Any]:
    """What the steps lead to. A union takes its first part of all values, then its second, as kubectl does."""
    values, lenient = [value], False
    for step in steps:
        if isinstance(step, _Descent):
            values, lenient = [below for one in values for below in _descendants(one)], True
            continue
        parts = step.parts if isinstance(step, _Union) else (step,)
        values = [found for part in parts for one in values for found in _taken(part, one, root, strict, lenient)]
    yield from values


def _taken(step: Any, value: Any, root: Any, strict: bool, lenient: bool) -> Iterator[Any]:
    try:
        yield from _step(step, value, root, strict)
    except PathError:
        if not lenient:
            raise


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from _descendants(child)


def _step(step: Any, value: Any, root: Any, strict: bool) -> Iterator[Any]:
    match step:
        case _Field(name):
            if isinstance(value, dict):
                if name in value:
                    yield value[name]
                elif isinstance(step, _Quoted) and "." in name:
                    yield from _walk(tuple(map(_Field, name.split("."))), value, root, strict)
                elif strict:
                    raise PathError(f"{name} is not found")
        case _Wildcard():
            yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        case _Index(number):
            if not isinstance(value, list):
                raise PathError(f"{text(value)[:60]} is not array or slice")
            if not -len(value) <= number < len(value):
                raise PathError(f"array index out of bounds: index {number}, length {len(value)}")
            yield value[number]
        case _Slice(start, stop, size):
            if isinstance(value, list):
                yield from value[start:stop:size]
        case _Filter(left, operator, right):
            for one in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
                if _holds(left, operator, right, one, root):
                    yield one


def _holds(left: Any, operator: str, right: Any, value: Any, root: Any) -> bool:
    first = _operand(left, value, root)
    if not operator:
        return bool(first)
    second = _operand(right, value, root)
    if not first or not second:
        return False
    one, other = first[0], second[0]
    if operator == "==":
        return bool(one == other)
    if operator == "!=":
        return bool(one != other)
    if isinstance(one, str) != isinstance(other, str):
        return False
    return bool({"<": one < other, ">": one > other, "<=": one <= other, ">=": one >= other}[operator])


def _operand(operand: Any, value: Any, root: Any) -> list[Any]:
    if isinstance(operand, _Literal):
        return [operand.value]
    try:
        return list(_walk(operand.steps, value, root, True))
    except PathError:
        return []


_NAME = re.compile(r"(?:[^\s.\[\]{}()'\"|,=<>!@$*?\\]|\\.)+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else ESCAPES.get(found[2], found[2])


class _Parser:
    """A recursive descent over one expression."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0

    def operands(self) -> list[Any]:
        """Texts and paths that stand side by side."""
        found = []
        while self._at < len(self._source):
            if self._source[self._at].isspace():
                self._at += 1
                continue
            literal = self._literal()
            if literal is None and (word := self._word()):
                raise PathError(
                    f'error executing jsonpath "{{{self._source}}}": Error executing template:'
                    f" unrecognized identifier {word}"
                )
            found.append(literal or self._steps())
        return found

    def _word(self) -> str:
        """A bare word where a path is to begin: kubectl's dialect wants a dot before it."""
        found = re.compile(r"[A-Za-z_]\w*").match(self._source, self._at)
        return found[0] if found else ""

    def path(self) -> _Path:
        """One path that fills the whole source."""
        found = self._steps()
        if self._at != len(self._source):
            raise PathError(f"unrecognized character in action: {self._source[self._at :]!r} in {self._source!r}")
        return found

    def _literal(self) -> _Literal | None:
        if quoted := self._take(_QUOTED):
            inner = quoted[1] if quoted[1] is not None else quoted[2]
            return _Literal(_ESCAPE.sub(_unescaped, inner))
        if number := self._take(_NUMBER):
            return _Literal(float(number[0]) if "." in number[0] else int(number[0]))
        for word, value in (("true", True), ("false", False)):
            if self._source.startswith(word, self._at):
                self._at += len(word)
                return _Literal(value)
        return None

    def _steps(self) -> _Path:
        steps: list[Any] = []
        began = self._at
        if self._peek() in ("$", "@"):
            self._at += 1
        while self._at < len(self._source):
            character = self._peek()
            if character == ".":
                self._at += 1
                if self._peek() == ".":
                    self._at += 1
                    steps.append(_Descent())
                if self._peek() == "*":
                    self._at += 1
                    steps.append(_Wildcard())
                elif name := self._take(_NAME):
                    steps.append(_Field(re.sub(r"\\(.)", r"\1", name[0])))
            elif character == "[":
                self._at += 1
                steps.append(self._bracket())
            elif self._at == began and (name := self._take(_NAME)):
                steps.append(_Field(re.sub(r"\\(.)", r"\1", name[0])))
            else:
                break
        if self._at == began:
            raise PathError(f"unrecognized character in action: {self._source[self._at :]!r} in {self._source!r}")
        return _Path(tuple(steps))

    def _bracket(self) -> Any:
        parts = []
        if self._peek() == "?":
            return self._filter()
        while True:
            self._blanks()
            parts.append(self._bracket_part())
            self._blanks()
            character = self._peek()
            self._at += 1
            if character == "]":
                return parts[0] if len(parts) == 1 else _Union(tuple(parts))
            if character != ",":
                raise PathError(f"unterminated array in {self._source!r}")

    def _bracket_part(self) -> Any:
        if self._peek() == "*":
            self._at += 1
            return _Wildcard()
        if quoted := self._take(_QUOTED):
            return _Quoted(quoted[1] if quoted[1] is not None else quoted[2])
        found = self._take(re.compile(r"(-?\d{1,18}|)(?::(-?\d{1,18}|))?(?::(-?\d{1,18}|))?"))
        if found and found[0]:
            if found[2] is None:
                return _Index(int(found[1]))
            start, stop, size = (int(part) if part else None for part in found.groups())
            if size == 0:
                raise PathError("step must be > 0")
            return _Slice(start, stop, size)
        raise PathError(f"invalid array index in {self._source!r}")

    def _filter(self) -> _Filter:
        self._expect("?(")
        self._blanks()
        left = self._literal() or self._steps()
        operator = self._take(_OPERATOR)
        right = (self._literal() or self._steps()) if operator else None
        self._blanks()
        self._expect(")]")
        return _Filter(left, operator[1] if operator else "", right)

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _blanks(self) -> None:
        while self._peek() == " ":
            self._at += 1

    def _expect(self, words: str) -> None:
        if not self._source.startswith(words, self._at):
            raise PathError(f"unterminated filter in {self._source!r}")
        self._at += len(words)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._source, self._at)
        if found and found[0]:
            self._at = found.end()
            return found
        return None
