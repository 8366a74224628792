"""Regular expressions in RE2's syntax, matched in time linear in the text, whatever the pattern.

A custom resource's `pattern` comes from one user and is matched against another's text, so a backtracking engine will
not do. The pattern becomes a nondeterministic automaton; its sets of states are made and remembered as texts need them.
Source: the syntax page of RE2. Left out, with an error that says so: Unicode classes (`\\p{...}`), `\\C`, `\\Q...\\E`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

MOST_REPEATS = 1000
MOST_STATES = 20_000
MOST_STEPS = 20_000
LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]

DIGIT: Ranges = ((48, 57),)
SPACE: Ranges = ((9, 10), (12, 13), (32, 32))
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
LETTERS = {"d": DIGIT, "s": SPACE, "w": WORD}
NAMED: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
ESCAPES = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}


class PatternError(ValueError):
    """A pattern that RE2 would not take, or that is too big. Says where and why."""


@dataclass(frozen=True)
class Chars:
    """One character out of ranges."""

    ranges: Ranges


@dataclass(frozen=True)
class Place:
    """No character, but a condition on where we are: begin, end, line-begin, line-end, word, not-word."""

    kind: str


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """One of several."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """From `least` to `most` times; None: without end."""

    node: Node
    least: int
    most: int | None


Node = Chars | Place | Sequence | Choice | Repeat


def merged(ranges: list[tuple[int, int]]) -> Ranges:
    """Ordered ranges that neither overlap nor touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """All other characters."""
    found, at = [], 0
    for low, high in merged(list(ranges)):
        if low > at:
            found.append((at, low - 1))
        at = high + 1
    if at <= LAST:
        found.append((at, LAST))
    return tuple(found)


def folded(ranges: Ranges) -> Ranges:
    """With the other case of each ASCII letter."""
    more = list(ranges)
    for low, high in ranges:
        for first, shift in ((65, 32), (97, -32)):
            start, end = max(low, first), min(high, first + 25)
            if start <= end:
                more.append((start + shift, end + shift))
    return merged(more)


class Parser:
    """RE2's syntax, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._flags = frozenset[str]()

    def parse(self) -> Node:
        """The whole pattern. Raises PatternError."""
        node = self._choice()
        if self._at < len(self._text):
            raise self._wrong("unexpected )")
        return node

    def _wrong(self, why: str) -> PatternError:
        return PatternError(f"error parsing regexp: {why}: `{self._text}`, at {self._at}")

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._wrong("unexpected end")
        self._at += 1
        return self._text[self._at - 1]

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            node = self._atom()
            if node is not None:
                parts.append(self._repeated(node))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, node: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        self._take("?")  # lazy: the same texts match
        if self._at < len(self._text) and (self._text[self._at] in "*+?" or self._peek_bounds()):
            raise self._wrong("invalid nested repetition operator")
        return Repeat(node, *bounds)

    def _peek_bounds(self) -> bool:
        before = self._at
        found = self._bounds() is not None
        self._at = before
        return found

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        end = self._text.find("}", self._at)
        if not self._peek("{") or end < 0:
            return None
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        if not (low.isascii() and low.isdigit()) or not (high == "" or (high.isascii() and high.isdigit())):
            return None  # RE2 takes the brace literally
        self._at = end + 1
        least = int(low[:6])
        most = int(high[:6]) if high else None if comma else least
        if least > MOST_REPEATS or (most is not None and (most > MOST_REPEATS or most < least)):
            raise self._wrong("invalid repeat count")
        return least, most

    def _atom(self) -> Node | None:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return Chars(self._class())
        if char == ".":
            return Chars(((0, LAST),) if "s" in self._flags else complement(((10, 10),)))
        if char == "^":
            return Place("line-begin" if "m" in self._flags else "begin")
        if char == "$":
            return Place("line-end" if "m" in self._flags else "end")
        if char in "*+?":
            raise self._wrong("missing argument to repetition operator")
        if char == "\\":
            return self._escape()
        return self._one(ord(char))

    def _one(self, code: int) -> Chars:
        ranges: Ranges = ((code, code),)
        return Chars(folded(ranges) if "i" in self._flags else ranges)

    def _group(self) -> Node | None:
        before = self._flags
        if self._take("?"):
            if self._take("P<") or self._take("<"):
                end = self._text.find(">", self._at)
                name = self._text[self._at : end]
                if end < 0 or not name.isidentifier() or not name.isascii():
                    raise self._wrong("invalid named capture")
                self._at = end + 1
            else:
                flags, on = set(self._flags), True
                while (char := self._next()) not in ":)":
                    if char == "-" and on:
                        on = False
                    elif char in "imsU":
                        (flags.add if on else flags.discard)(char)
                    else:
                        raise self._wrong("invalid or unsupported Perl syntax")
                self._flags = frozenset(flags)
                if char == ")":
                    return None
        self._depth += 1
        if self._depth > 100:
            raise self._wrong("expression nests too deeply")
        node = self._choice()
        self._depth -= 1
        if not self._take(")"):
            raise self._wrong("missing closing )")
        self._flags = before
        return node

    def _escape(self) -> Node:
        char = self._next()
        if char in "AzbB":
            return Place({"A": "begin", "z": "end", "b": "word", "B": "not-word"}[char])
        if char.lower() in LETTERS:
            return Chars(self._letter(char))
        return self._one(self._code(char))

    def _letter(self, char: str) -> Ranges:
        ranges = LETTERS[char.lower()]
        return complement(ranges) if char.isupper() else ranges

    def _code(self, char: str) -> int:
        if char in ESCAPES:
            return ESCAPES[char]
        if char in "01234567" and (char == "0" or self._text[self._at : self._at + 1] in tuple("01234567")):
            digits = char
            while len(digits) < 3 and self._text[self._at : self._at + 1] in tuple("01234567"):
                digits += self._next()
            return int(digits, 8)
        if char == "x":
            digits = ""
            if self._take("{"):
                while (one := self._next()) != "}":
                    digits += one
            else:
                digits = self._next() + self._next()
            try:
                code = int(digits, 16)
            except ValueError:
                raise self._wrong("invalid escape sequence") from None
            if code > LAST:
                raise self._wrong("invalid escape sequence")
            return code
        if char in "pPQEC":
            raise self._wrong(f"\\{char} is not supported by this server")
        if char.isalnum():
            raise self._wrong(f"invalid escape sequence \\{char}")
        return ord(char)

    def _class(self) -> Ranges:
        negated = self._take("^")
        found: list[tuple[int, int]] = []
        first = True
        while first or not self._peek("]"):
            first = False
            if self._peek("[:") and (end := self._text.find(":]", self._at)) > 0:
                name = self._text[self._at + 2 : end]
                ranges = NAMED.get(name.removeprefix("^"))
                if ranges is None:
                    raise self._wrong("invalid character class range")
                self._at = end + 2
                found += complement(ranges) if name.startswith("^") else ranges
                continue
            low = self._class_item()
            if isinstance(low, tuple):
                found += low
                continue
            if self._peek("-") and not self._peek("-]"):
                self._at += 1
                high = self._class_item()
                if isinstance(high, tuple) or high < low:
                    raise self._wrong("invalid character class range")
                found.append((low, high))
            else:
                found.append((low, low))
        self._at += 1
        ranges = merged(found)
        if "i" in self._flags:
            ranges = folded(ranges)
        return complement(ranges) if negated else ranges

    def _class_item(self) -> int | Ranges:
        char = self._next()
        if char != "\\":
            return ord(char)
        char = self._next()
        if char.lower() in LETTERS:
            return self._letter(char)
        return self._code(char)


class Automaton:
    """States as parallel lists: a state takes a character, asks for a place, or goes on for free."""

    def __init__(self, node: Node) -> None:
        self.chars: list[Ranges | None] = []
        self.place: list[str] = []
        self.free: list[list[int]] = []
        self.then: list[int] = []
        self.end = self._state()
        self.start = self._build(node, self.end)

    def _state(self, chars: Ranges | None = None, place: str = "", then: int = -1) -> int:
        if len(self.then) >= MOST_STATES:
            raise PatternError("error parsing regexp: expression is too large")
        self.chars.append(chars)
        self.place.append(place)
        self.free.append([])
        self.then.append(then)
        return len(self.then) - 1

    def _build(self, node: Node, then: int) -> int:
        """The first state of what matches `node` and goes on at `then`."""
        if isinstance(node, Chars):
            return self._state(node.ranges, then=then)
        if isinstance(node, Place):
            return self._state(place=node.kind, then=then)
        if isinstance(node, Sequence):
            for part in reversed(node.parts):
                then = self._build(part, then)
            return then
        if isinstance(node, Choice):
            state = self._state()
            self.free[state] = [self._build(option, then) for option in node.options]
            return state
        if node.most is None:
            loop = self._state()
            self.free[loop] = [self._build(node.node, loop), then]
            then = loop
        else:
            after = then
            for _ in range(node.most - node.least):
                fork = self._state()
                self.free[fork] = [self._build(node.node, then), after]
                then = fork
        for _ in range(node.least):
            then = self._build(node.node, then)
        return then


BEGIN, END = -1, -2


def _is_word(code: int) -> bool:
    return any(low <= code <= high for low, high in WORD)


def _holds(place: str, before: int, after: int) -> bool:
    """Whether a place's condition holds between two characters."""
    if place == "begin":
        return before == BEGIN
    if place == "end":
        return after == END
    if place == "line-begin":
        return before in (BEGIN, 10)
    if place == "line-end":
        return after in (END, 10)
    return (_is_word(before) != _is_word(after)) is (place == "word")


class Pattern:
    """A compiled pattern. Raises PatternError when made of what is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._automaton = Automaton(Parser(text).parse())
        self._steps: dict[tuple[frozenset[int], int, int], frozenset[int] | None] = {}

    def found_in(self, text: str) -> bool:
        """Whether any part of a text matches."""
        states: frozenset[int] = frozenset()
        before = BEGIN
        steps = self._steps
        for char in text:
            code = ord(char)
            key = (states, before, code)
            following = steps.get(key, states)
            if following is states and key not in steps:
                if len(steps) >= MOST_STEPS:
                    steps.clear()
                following = steps[key] = self._step(states, before, code)
            if following is None:
                return True
            states = following
            before = code if code == 10 else 97 if _is_word(code) else 32
        return self._automaton.end in self._closure(states, before, END)

    def _closure(self, states: frozenset[int], before: int, after: int) -> set[int]:
        automaton = self._automaton
        todo = [automaton.start, *states]
        seen: set[int] = set()
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            todo += automaton.free[state]
            if automaton.place[state] and _holds(automaton.place[state], before, after):
                todo.append(automaton.then[state])
        return seen

    def _step(self, states: frozenset[int], before: int, code: int) -> frozenset[int] | None:
        """The states after a character; None once a match is certain."""
        automaton = self._automaton
        closure = self._closure(states, before, code)
        if automaton.end in closure:
            return None
        following = set()
        for state in closure:
            ranges = automaton.chars[state]
            if ranges is not None and any(low <= code <= high for low, high in ranges):
                following.add(automaton.then[state])
        return frozenset(following)


@lru_cache(maxsize=1024)
def compiled(text: str) -> Pattern:
    """A pattern, made once. Raises PatternError."""
    return Pattern(text)


Matcher = Callable[[str], bool]
