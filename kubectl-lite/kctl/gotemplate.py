"""Go templates, as `-o go-template=...` takes them: the language of text/template over JSON values. Pure.

Source: the documentation of Go's text/template package, and kubectl's `exists` and `base64decode`. There: text, fields,
variables, pipelines, if/else if, range with break, continue and else, with, define/template/block, comments, trim marks
and the built-in functions but js and call.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kctl.gotext import go_text
from sampan.errors import SampanError

MOST_TEXT = 1 << 26
"""So many characters a template may make."""
DEEPEST = 100
"""So deep templates may call each other."""


class TemplateError(SampanError):
    """A template can't be read, or does what can't be done with the value."""


@dataclass(frozen=True)
class _Text:
    text: str


@dataclass(frozen=True)
class _Pipe:
    """`$x, $y := a b | c`: the commands, and the variables that take the result."""

    commands: tuple[tuple[Any, ...], ...]
    names: tuple[str, ...] = ()
    declares: bool = False


@dataclass(frozen=True)
class _Branch:
    """if, with or range."""

    word: str
    pipe: _Pipe
    body: tuple[Any, ...]
    otherwise: tuple[Any, ...]


@dataclass(frozen=True)
class _Call:
    name: str
    pipe: _Pipe | None


@dataclass(frozen=True)
class _Jump:
    word: str


@dataclass(frozen=True)
class _Chain:
    """A value and the fields that are taken from it. `base` is '.', a `$name`, a function's name or a _Pipe."""

    base: Any
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Constant:
    value: Any


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Missing:
    """What a field that is not there comes to."""


MISSING = _Missing()
TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<declare>:=)|(?P<assign>=)|(?P<mark>[(),|])|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<raw>`[^`]*`)"""
    r"""|(?P<char>'(?:[^'\\]|\\.)+')|(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?))"""
    r"""|(?P<field>(?:\.\w+)+)|(?P<variable>\$\w*)|(?P<dot>\.)|(?P<word>[^\W\d]\w*)"""
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    glued: bool
    """Nothing stands between it and the token before."""


@dataclass
class _Reader:
    """Reads pieces of text and actions into a tree."""

    pieces: list[tuple[bool, str]]
    defined: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    at: int = 0

    def block(self, ends: Sequence[str], inside: str = "") -> tuple[tuple[Any, ...], str]:
        """Nodes until an action that begins with one of these words, and that action."""
        nodes: list[Any] = []
        while self.at < len(self.pieces):
            action, text = self.pieces[self.at]
            self.at += 1
            if not action:
                nodes.append(_Text(text))
                continue
            word = text.split(None, 1)[0] if text.split() else ""
            if word in ends:
                return tuple(nodes), text
            nodes += self._action(word, text, inside)
        if ends:
            raise TemplateError("unexpected EOF")
        return tuple(nodes), ""

    def _action(self, word: str, text: str, inside: str) -> Iterator[Any]:
        rest = text[len(word) :].strip() if word else ""
        if word in ("if", "with", "range"):
            yield self._branch(word, rest, "range" if word == "range" else inside)
        elif word in ("end", "else"):
            raise TemplateError(f"unexpected {{{{{word}}}}}")
        elif word in ("break", "continue"):
            if inside != "range" or rest:
                raise TemplateError(f"{{{{{word}}}}} outside {{{{range}}}}")
            yield _Jump(word)
        elif word in ("define", "block"):
            tokens = _tokens(rest)
            if not tokens or tokens[0].kind not in ("text", "raw"):
                raise TemplateError(f"missing name in {word} clause")
            name = _unquoted(tokens[0])
            body, _ = self.block(("end",))
            self.defined[name] = body
            if word == "block":
                yield _Call(name, _pipe(tokens[1:], text))
        elif word == "template":
            tokens = _tokens(rest)
            if not tokens or tokens[0].kind not in ("text", "raw"):
                raise TemplateError("missing name in template clause")
            yield _Call(_unquoted(tokens[0]), _pipe(tokens[1:], text) if tokens[1:] else None)
        elif not word:
            raise TemplateError("missing value for command")
        else:
            yield _pipe(_tokens(text), text)

    def _branch(self, word: str, rest: str, inside: str) -> _Branch:
        pipe = _pipe(_tokens(rest), f"{word} {rest}")
        body, end = self.block(("end", "else"), inside)
        otherwise: tuple[Any, ...] = ()
        if end.split()[0] == "else":
            again = end.split(None, 1)[1].strip() if len(end.split(None, 1)) > 1 else ""
            if again:
                inner = again.split(None, 1)[0]
                if inner != word or word == "range":
                    raise TemplateError(f"unexpected <{again}> in else")
                otherwise = (self._branch(word, again[len(inner) :].strip(), inside),)
            else:
                otherwise, end = self.block(("end", "else"), inside)
                if end.split()[0] == "else":
                    raise TemplateError("expected end; found {{else}}")
        return _Branch(word, pipe, body, otherwise)


def _pieces(template: str) -> list[tuple[bool, str]]:
    """(is action, text), with comments gone and trim marks obeyed."""
    found: list[tuple[bool, str]] = []
    at, trim = 0, False
    while at < len(template):
        begin = template.find("{{", at)
        text = template[at:] if begin < 0 else template[at:begin]
        at = len(template) if begin < 0 else begin + 2
        if trim:
            text = text.lstrip(" \t\r\n")
        trim = False
        if begin >= 0:
            if template[at : at + 1] == "-" and template[at + 1 : at + 2] in (" ", "\t", "\r", "\n"):
                text, at = text.rstrip(" \t\r\n"), at + 2
            end = _action_end(template, at)
            action = template[at:end].strip()
            at = end + 2
            if template[:end].endswith(("\t-", " -", "\n-", "\r-")):
                action, trim = action[:-1].rstrip(), True
            if text:
                found.append((False, text))
            if action.startswith("/*"):
                if not action.endswith("*/") or len(action) < 4:
                    raise TemplateError("unclosed comment")
                continue
            found.append((True, action))
        elif text:
            found.append((False, text))
    return found


def _action_end(template: str, at: int) -> int:
    quote = ""
    while at < len(template):
        mark = template[at]
        if quote:
            if mark == "\\" and quote != "`":
                at += 1
            elif mark == quote:
                quote = ""
        elif template.startswith("/*", at):
            at = template.find("*/", at)
            if at < 0:
                raise TemplateError("unclosed comment")
            at += 1
        elif mark in "\"'`":
            quote = mark
        elif template.startswith("}}", at):
            return at
        at += 1
    raise TemplateError("unclosed action")


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, glued = 0, False
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise TemplateError(f"unexpected {json.dumps(text[at], ensure_ascii=False)} in {text[:60]}")
        at = match.end()
        if match.lastgroup == "space":
            glued = False
            continue
        found.append(_Token(match.lastgroup, match[0], glued))
        glued = True
    return found


def _unquoted(token: _Token) -> str:
    if token.kind == "raw":
        return token.text[1:-1]
    inner = token.text[1:-1].replace("\\'", "'") if token.kind == "char" else token.text[1:-1]
    if token.kind == "char":
        inner = inner.replace('"', '\\"')
    try:
        inner = re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", inner)
        inner = re.sub(r"\\([av0])", lambda mark: f"\\u00{ {'a': '07', 'v': '0b', '0': '00'}[mark[1]] }", inner)
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        raise TemplateError(f"invalid syntax: {token.text}") from None


def _pipe(tokens: list[_Token], source: str) -> _Pipe:
    names: list[str] = []
    declares = False
    for at, token in enumerate(tokens[:4]):
        if token.kind in ("declare", "assign"):
            names = [one.text for one in tokens[:at] if one.kind == "variable"]
            if len(names) != (at + 1) // 2 or not names:
                raise TemplateError(f"unexpected {token.text} in {source[:60]}")
            declares, tokens = token.kind == "declare", tokens[at + 1 :]
            break
    commands, rest = _commands(tokens, source)
    if rest:
        raise TemplateError(f"unexpected {rest[0].text} in {source[:60]}")
    return _Pipe(commands, tuple(names), declares)


def _commands(tokens: list[_Token], source: str) -> tuple[tuple[tuple[Any, ...], ...], list[_Token]]:
    """The commands of a pipeline up to a closing bracket, and what is left."""
    commands: list[tuple[Any, ...]] = []
    words: list[Any] = []
    while tokens:
        token = tokens[0]
        if token.text == ")" and token.kind == "mark":
            break
        tokens = tokens[1:]
        if token.kind == "mark" and token.text == "|":
            if not words:
                raise TemplateError("missing value for command")
            commands.append(tuple(words))
            words = []
        elif token.kind == "mark" and token.text == "(":
            inner, tokens = _commands(tokens, source)
            if not tokens:
                raise TemplateError("unclosed left paren")
            words.append(_Chain(_Pipe(inner)))
            tokens = tokens[1:]
        elif token.kind == "field" and token.glued and words and isinstance(words[-1], _Chain):
            words[-1] = _Chain(words[-1].base, (*words[-1].fields, *token.text[1:].split(".")))
        else:
            words.append(_operand(token, source))
    if not words:
        raise TemplateError("missing value for command")
    for each in (*commands[1:], *([tuple(words)] if commands else [])):
        if isinstance(each[0], _Constant):
            raise TemplateError(f"non executable command in pipeline stage {len(commands) + 1}")
    return (*commands, tuple(words)), tokens


def _operand(token: _Token, source: str) -> Any:
    if token.kind in ("text", "raw"):
        return _Constant(_unquoted(token))
    if token.kind == "char":
        inner = _unquoted(token)
        if len(inner) != 1:
            raise TemplateError(f"malformed character constant: {token.text}")
        return _Constant(ord(inner))
    if token.kind == "number":
        text = token.text.replace("_", "")
        try:
            return _Constant(
                int(text, 0) if re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]+|[1-9]\d*|0)", text) else float(text)
            )
        except (ValueError, OverflowError):
            raise TemplateError(f"bad number syntax: {token.text[:40]}") from None
    if token.kind == "dot":
        return _Chain(".")
    if token.kind == "field":
        return _Chain(".", tuple(token.text[1:].split(".")))
    if token.kind == "variable":
        return _Chain(token.text)
    if token.kind == "word":
        if token.text in ("true", "false"):
            return _Constant(token.text == "true")
        if token.text == "nil":
            return _Constant(None)
        if token.text not in FUNCTIONS and token.text not in ("and", "or"):
            raise TemplateError(f'function "{token.text}" not defined')
        return _Chain(token.text)
    raise TemplateError(f"unexpected {token.text} in {source[:60]}")


def render(template: str, value: Any) -> str:
    """Fill the template in. Raises TemplateError."""
    try:
        reader = _Reader(_pieces(template))
        nodes, _ = reader.block(())
    except RecursionError:
        raise TemplateError("error parsing template: it is nested too deeply") from None
    except TemplateError as error:
        raise TemplateError(f"error parsing template {template[:200]}, template: output:1: {error}") from None
    run = _Run(value, reader.defined)
    try:
        run.nodes(nodes, value)
    except RecursionError:
        raise TemplateError("error executing template: it is nested too deeply") from None
    except TemplateError as error:
        raise TemplateError(f'error executing template "{template[:200]}": template: output: {error}') from None
    return "".join(run.out)


class _Run:
    """One filling in."""

    def __init__(self, root: Any, defined: dict[str, tuple[Any, ...]]) -> None:
        self.out: list[str] = []
        self._size = 0
        self._defined = defined
        self._variables: list[tuple[str, Any]] = [("$", root)]
        self._depth = 0

    def nodes(self, nodes: tuple[Any, ...], dot: Any) -> None:
        for node in nodes:
            if isinstance(node, _Text):
                self._say(node.text)
            elif isinstance(node, _Pipe):
                value = self._pipe(node, dot)
                if not node.names:
                    self._say("<no value>" if value is MISSING or value is None else go_text(value))
            elif isinstance(node, _Branch):
                mark = len(self._variables)
                self._branch(node, dot)
                del self._variables[mark:]
            elif isinstance(node, _Call):
                self._template(node, dot)
            else:
                raise _Break if node.word == "break" else _Continue

    def _say(self, text: str) -> None:
        self._size += len(text)
        if self._size > MOST_TEXT:
            raise TemplateError(f"it makes more than {MOST_TEXT >> 20} MB of text")
        self.out.append(text)

    def _template(self, node: _Call, dot: Any) -> None:
        if node.name not in self._defined:
            raise TemplateError(f'template "{node.name}" not defined')
        if self._depth >= DEEPEST:
            raise TemplateError(f"exceeded maximum template depth ({DEEPEST})")
        given = self._pipe(node.pipe, dot) if node.pipe else None
        outer, self._variables = self._variables, [("$", given)]
        self._depth += 1
        self.nodes(self._defined[node.name], given)
        self._depth -= 1
        self._variables = outer

    def _branch(self, node: _Branch, dot: Any) -> None:
        if node.word != "range":
            value = self._pipe(node.pipe, dot)
            if truth(value):
                self.nodes(node.body, value if node.word == "with" else dot)
            else:
                self.nodes(node.otherwise, dot)
            return
        value = self._pipe(_Pipe(node.pipe.commands), dot)
        names = node.pipe.names
        count = 0
        for key, one in _each(value):
            count += 1
            mark = len(self._variables)
            chosen = (one,) if len(names) == 1 else (key, one)
            for name, given in zip(names, chosen, strict=False):
                self._variables.append((name, given)) if node.pipe.declares else self._assign(name, given)
            try:
                self.nodes(node.body, one)
            except _Break:
                break
            except _Continue:
                continue
            finally:
                del self._variables[mark:]
        if not count:
            self.nodes(node.otherwise, dot)

    def _assign(self, name: str, value: Any) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return
        raise TemplateError(f"undefined variable: {name}")

    def _pipe(self, pipe: _Pipe, dot: Any) -> Any:
        value: Any = _NOTHING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.names:
            if pipe.declares:
                self._variables.append((name, value))
            else:
                self._assign(name, value)
        return value

    def _command(self, words: tuple[Any, ...], dot: Any, last: Any) -> Any:
        first = words[0]
        if (
            isinstance(first, _Chain)
            and isinstance(first.base, str)
            and first.base not in (".",)
            and first.base[0] != "$"
        ):
            return self._function(first.base, words[1:], dot, last)
        if len(words) > 1 or last is not _NOTHING:
            raise TemplateError(f"can't give argument to non-function {_shown(first)}")
        return self._value(first, dot)

    def _function(self, name: str, words: tuple[Any, ...], dot: Any, last: Any) -> Any:
        if name in ("and", "or"):
            value: Any = MISSING
            for word in words:
                value = self._value(word, dot)
                if truth(value) == (name == "or"):
                    return value
            return value if last is _NOTHING else last
        given = [self._value(word, dot) for word in words] + ([] if last is _NOTHING else [last])
        try:
            return FUNCTIONS[name](*given)
        except TypeError:
            raise TemplateError(f"error calling {name}: wrong number or type of arguments") from None

    def _value(self, word: Any, dot: Any) -> Any:
        if isinstance(word, _Constant):
            return word.value
        if isinstance(word.base, _Pipe):
            value = self._pipe(word.base, dot)
        elif word.base == ".":
            value = dot
        elif word.base.startswith("$"):
            known = [one for name, one in self._variables if name == word.base]
            if not known:
                raise TemplateError(f"undefined variable: {word.base}")
            value = known[-1]
        else:
            return self._function(word.base, (), dot, _NOTHING)
        for name in word.fields:
            if isinstance(value, dict):
                value = value.get(name, MISSING)
            elif value is not MISSING and value is not None:
                raise TemplateError(f"can't evaluate field {name} in type interface {{}}")
        return value


_NOTHING = object()


def truth(value: Any) -> bool:
    """Whether a value counts as true: not false, 0, empty or missing."""
    return value is not MISSING and bool(value)


def _each(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from ((key, value[key]) for key in sorted(value))
    elif isinstance(value, list):
        yield from enumerate(value)
    elif value is not None and value is not MISSING:
        raise TemplateError(f"range can't iterate over {go_text(value)[:60]}")


def _shown(word: Any) -> str:
    if isinstance(word, _Constant):
        return json.dumps(word.value)
    return (
        ("." if word.base == "." else str(word.base)) + ".".join(word.fields) if isinstance(word.base, str) else "(...)"
    )


def _type(value: Any) -> str:
    names = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}
    return names.get(type(value), "interface {}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise TemplateError(f"error calling index: value has type {_type(key)}; should be string")
            value = value.get(key, MISSING)
        elif isinstance(value, list | str):
            if not isinstance(key, int) or isinstance(key, bool):
                raise TemplateError(f"error calling index: cannot index slice/array with type {_type(key)}")
            if not 0 <= key < len(value):
                raise TemplateError(f"error calling index: index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise TemplateError("error calling index: index of untyped nil")
    return value


def _slice(value: Any, *ends: Any) -> Any:
    if not isinstance(value, list | str) or len(ends) > 2 or any(type(one) is not int for one in ends):
        raise TemplateError("error calling slice: a list or text and up to two numbers are wanted")
    bounds = [*ends, *[0, len(value)][len(ends) :]]
    start, stop = int(bounds[0]), int(bounds[1])
    if not 0 <= start <= stop <= len(value):
        raise TemplateError(f"error calling slice: index out of range: {start}, {stop}")
    return value[start:stop]


def _length(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise TemplateError(f"error calling len: len of type {_type(value)}")
    return len(value.encode()) if isinstance(value, str) else len(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        raise TemplateError("error calling eq: incompatible types for comparison")
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if not (one is None or other is None or one is MISSING or other is MISSING) and (
        isinstance(one, bool) != isinstance(other, bool) or (not numbers and type(one) is not type(other))
    ):
        raise TemplateError("error calling eq: incompatible types for comparison")
    return bool(one == other)


def _less(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if (
        isinstance(one, bool)
        or isinstance(other, bool)
        or not (numbers or isinstance(one, str) is isinstance(other, str) is True)
    ):
        raise TemplateError("error calling lt: incompatible types for comparison")
    return bool(one < other)


def _printf(pattern: Any, *given: Any) -> str:
    """`%s %v %d %q %t %x %5.2f %%`, with flags and widths. Raises TemplateError."""
    left = list(given)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        if int(width or 0) > 10_000 or int(precision or 0) > 10_000:
            raise TemplateError("error calling printf: a width of more than 10000")
        value = left.pop(0)
        text = _formatted(verb, value, precision)
        return (
            text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0), "0" if "0" in flags else " ")
        )

    text = re.sub(r"%([-+# 0]*)(\d*)(?:\.(\d*))?([a-zA-Z%])", one, str(pattern))
    extra = "".join(f"{', ' if at else ''}{_type(value)}={go_text(value)}" for at, value in enumerate(left))
    return text + (f"%!(EXTRA {extra})" if left else "")


def _formatted(verb: str, value: Any, precision: str | None) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if verb in "vs":
        if verb == "s" and (number or isinstance(value, bool)):
            return f"%!s({_type(value)}={go_text(value)})"
        text = "<no value>" if value is MISSING else go_text(value)
        return text[: int(precision)] if precision else text
    if verb == "q" and isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if verb == "t" and isinstance(value, bool):
        return go_text(value)
    if verb in "dxXob" and isinstance(value, int) and not isinstance(value, bool):
        return format(value, verb)
    if verb in "xX" and isinstance(value, str):
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    if verb in "feEgG" and number:
        return format(float(value), f".{precision or 6}{verb}")
    return f"%!{verb}({_type(value)}={go_text(value)})"


def _decoded(text: Any) -> str:
    try:
        return base64.b64decode(str(text), validate=True).decode(errors="replace")
    except (binascii.Error, ValueError) as error:
        raise TemplateError(f"error calling base64decode: {error}") from None


def _exists(value: Any, *keys: Any) -> bool:
    for key in keys:
        try:
            value = _index(value, key)
        except TemplateError:
            return False
        if value is MISSING:
            return False
    return True


def _spaced(*given: Any) -> str:
    """Operands as fmt.Sprint puts them: a blank between two that are no texts."""
    text = ""
    for at, value in enumerate(given):
        if at and not isinstance(value, str) and not isinstance(given[at - 1], str):
            text += " "
        text += "<nil>" if value is MISSING else go_text(value)
    return text


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "index": _index,
    "slice": _slice,
    "len": _length,
    "not": lambda value: not truth(value),
    "eq": lambda one, *others: any(_same(one, other) for other in others),
    "ne": lambda one, other: not _same(one, other),
    "lt": _less,
    "le": lambda one, other: _less(one, other) or _same(one, other),
    "gt": lambda one, other: not _less(one, other) and not _same(one, other),
    "ge": lambda one, other: not _less(one, other),
    "print": _spaced,
    "println": lambda *given: " ".join(map(go_text, given)) + "\n",
    "printf": _printf,
    "html": lambda *given: html.escape(_spaced(*given)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "urlquery": lambda *given: urllib.parse.quote_plus(_spaced(*given)),
    "base64decode": _decoded,
    "exists": _exists,
}
"""Name -> what it does."""
