"""Which objects a selector means: label selectors and field selectors, compiled once, asked often.

Always: a compiled selector holds no reference to what it was parsed from, and `matches` never raises.
Sources: "Labels and Selectors", "Field Selectors"; the complaints are worded as upstream's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from sampan.errors import SampanError
from sampan.names import label_value, qualified_name

Labels = Mapping[str, str]
Predicate = Callable[[Labels], bool]

LONGEST = 64 * 1024
"""Most letters of a selector's text."""


class SelectorError(SampanError, ValueError):
    """A selector cannot be understood."""


class Operator(StrEnum):
    """What a requirement asks. The values are LabelSelectorRequirement's and NodeSelectorRequirement's."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)


def integer(text: str) -> int | None:
    """A 64-bit integer as Go's ParseInt reads it, or None."""
    number = int(text) if INTEGER.fullmatch(text) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


@dataclass(frozen=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def predicate(self) -> Predicate:
        """A function from labels to whether they fulfil it."""
        key, values = self.key, self.values
        match self.operator:
            case Operator.IN if len(values) == 1:
                (only,) = values
                return lambda labels: labels.get(key) == only
            case Operator.IN:
                return lambda labels: labels.get(key) in values
            case Operator.NOT_IN:
                return lambda labels: labels.get(key) not in values
            case Operator.EXISTS:
                return lambda labels: key in labels
            case Operator.DOES_NOT_EXIST:
                return lambda labels: key not in labels
        (text,) = values
        bound = integer(text)
        assert bound is not None
        greater = self.operator is Operator.GT

        def compare(labels: Labels) -> bool:
            number = integer(labels.get(key, ""))
            if number is None:
                return False
            return number > bound if greater else number < bound

        return compare

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={values}"
            case Operator.IN:
                return f"{self.key} in ({values})"
            case Operator.NOT_IN if len(self.values) == 1:
                return f"{self.key}!={values}"
            case Operator.NOT_IN:
                return f"{self.key} notin ({values})"
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.GT:
                return f"{self.key}>{values}"
        return f"{self.key}<{values}"


def checked(requirement: Requirement) -> Requirement:
    """The requirement itself. Raises SelectorError if it asks the impossible."""
    for complaint in qualified_name(requirement.key):
        raise SelectorError(f'key: Invalid value: "{requirement.key}": {complaint}')
    values = requirement.values
    match requirement.operator:
        case Operator.IN | Operator.NOT_IN if not values:
            raise SelectorError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
        case Operator.EXISTS | Operator.DOES_NOT_EXIST if values:
            raise SelectorError("values: Invalid value: values set must be empty for exists and does not exist")
        case Operator.GT | Operator.LT:
            if len(values) != 1:
                raise SelectorError("values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is required")
            for text in values:
                if integer(text) is None:
                    raise SelectorError(
                        f"values[0]: Invalid value: \"{text}\": for 'Gt', 'Lt' operators, the value must be an integer"
                    )
    for index, text in enumerate(sorted(values)):
        for complaint in label_value(text):
            raise SelectorError(f'values[{index}][{requirement.key}]: Invalid value: "{text}": {complaint}')
    return requirement


def everything_of(predicates: Sequence[Predicate]) -> Predicate:
    """All of the conditions at once."""
    match len(predicates):
        case 0:
            return lambda labels: True
        case 1:
            return predicates[0]
    return lambda labels: all(predicate(labels) for predicate in predicates)


@dataclass(frozen=True)
class Selector:
    """A conjunction of requirements; with none it selects everything. Call `matches` with an object's labels."""

    requirements: tuple[Requirement, ...] = ()
    matches: Predicate = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", everything_of([one.predicate() for one in self.requirements]))

    def __str__(self) -> str:
        return ",".join(str(one) for one in self.requirements)

    def __bool__(self) -> bool:
        """Whether it asks anything at all."""
        return bool(self.requirements)


EVERYTHING = Selector()
TOKENS = re.compile(r"\s*(!=|==|[()!,<>=]|[^\s()!,<>=]+|$)")
OPERATORS = ("!=", "<", "=", "==", ">", "in", "notin")
SPECIAL = frozenset({"(", ")", "!", ",", "<", ">", "=", "==", "!=", ""})


class Tokens:
    """The words of a selector, one ahead. The end is the empty word."""

    def __init__(self, text: str) -> None:
        self.words = [found.group(1) for found in TOKENS.finditer(text)]
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self) -> str:
        word = self.peek()
        self.at += 1
        return word


def parse(text: str) -> Selector:
    """Read `a=b,c!=d,e in (x,y),!f,g,h>1`. The empty text selects everything. Raises SelectorError."""
    if len(text) > LONGEST:
        raise SelectorError(f"the selector is longer than {LONGEST} letters")
    tokens = Tokens(text)
    found: list[Requirement] = []
    if tokens.peek() == "":
        return EVERYTHING
    if tokens.peek() in SPECIAL - {"!"}:
        raise SelectorError(f"found '{tokens.peek()}', expected: !, identifier, or 'end of string'")
    while True:
        try:
            found.append(checked(parse_requirement(tokens)))
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from None
        word = tokens.take()
        if word == "":
            return Selector(tuple(sorted(found, key=lambda one: one.key)))
        if word != ",":
            raise SelectorError(f"found '{word}', expected: ',' or 'end of string'")
        if tokens.peek() in SPECIAL - {"!"}:
            raise SelectorError(f"found '{tokens.peek()}', expected: identifier after ','")


def parse_requirement(tokens: Tokens) -> Requirement:
    """One condition. Raises SelectorError."""
    key = tokens.take()
    if key == "!":
        key = tokens.take()
        if key in SPECIAL:
            raise SelectorError(f"found '{key}', expected: identifier")
        return Requirement(key, Operator.DOES_NOT_EXIST)
    if key in SPECIAL:
        raise SelectorError(f"found '{key}', expected: identifier")
    if tokens.peek() in ("", ","):
        return Requirement(key, Operator.EXISTS)
    operator = tokens.take()
    match operator:
        case "in":
            return Requirement(key, Operator.IN, frozenset(parse_values(tokens)))
        case "notin":
            return Requirement(key, Operator.NOT_IN, frozenset(parse_values(tokens)))
        case "=" | "==":
            return Requirement(key, Operator.IN, frozenset({parse_exact(tokens)}))
        case "!=":
            return Requirement(key, Operator.NOT_IN, frozenset({parse_exact(tokens)}))
        case ">":
            return Requirement(key, Operator.GT, frozenset({parse_exact(tokens)}))
        case "<":
            return Requirement(key, Operator.LT, frozenset({parse_exact(tokens)}))
    raise SelectorError(f"found '{operator}', expected: {', '.join(OPERATORS)}")


def parse_exact(tokens: Tokens) -> str:
    """The value after `=`; nothing means the empty value."""
    if tokens.peek() in ("", ","):
        return ""
    word = tokens.take()
    if word in SPECIAL:
        raise SelectorError(f"found '{word}', expected: identifier")
    return word


def parse_values(tokens: Tokens) -> Iterator[str]:
    """`(x,y)`. An empty place means the empty value, so `()` is the set of it."""
    if tokens.peek() != "(":
        raise SelectorError(f"found '{tokens.peek()}' expected: '('")
    tokens.take()
    while True:
        word = tokens.take()
        if word in (",", ")"):
            yield ""
            if word == ")":
                return
            continue
        if word in SPECIAL:
            raise SelectorError(f"found '{word}', expected: ',', ')' or identifier")
        yield word
        word = tokens.take()
        if word == ")":
            return
        if word != ",":
            raise SelectorError(f"found '{word}', expected: ',' or ')'")


class Expression(Protocol):
    """A LabelSelectorRequirement or NodeSelectorRequirement."""

    key: str
    operator: str
    values: list[str]


class LabelSelectorObject(Protocol):
    """A LabelSelector as the models have it."""

    match_labels: dict[str, str]

    @property
    def match_expressions(self) -> Sequence[Expression]: ...


def of_object(selector: LabelSelectorObject | None) -> Selector | None:
    """Compile a LabelSelector. None (absent) selects nothing, an empty one everything. Raises SelectorError."""
    if selector is None:
        return None
    found = [Requirement(key, Operator.IN, frozenset({value})) for key, value in sorted(selector.match_labels.items())]
    found += [of_expression(one) for one in selector.match_expressions]
    return Selector(tuple(checked(one) for one in found))


def of_expression(expression: Expression) -> Requirement:
    """Compile a selector requirement. Raises SelectorError."""
    try:
        operator = Operator(expression.operator)
    except ValueError:
        raise SelectorError(f'"{expression.operator}" is not a valid label selector operator') from None
    return Requirement(expression.key, operator, frozenset(expression.values))


def of_map(labels: Labels) -> Selector:
    """The selector of a Service: every label as given. Unlike a LabelSelector's, nothing in it is checked."""
    return Selector(tuple(Requirement(key, Operator.IN, frozenset({one})) for key, one in sorted(labels.items())))


# Field selectors


@dataclass(frozen=True)
class FieldRequirement:
    """`field=value`, or with `equal` false `field!=value`."""

    field: str
    value: str
    equal: bool = True


@dataclass(frozen=True)
class FieldSelector:
    """A conjunction of conditions on fields; an absent field counts as the empty value."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these selectable fields is meant."""
        return all((fields.get(one.field, "") == one.value) is one.equal for one in self.requirements)

    def exact(self, name: str) -> str | None:
        """The value that a field must have, if the selector says so; `metadata.name` turns a list into a get."""
        return next((one.value for one in self.requirements if one.equal and one.field == name), None)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(f"{one.field}{'=' if one.equal else '!='}{escaped(one.value)}" for one in self.requirements)


ESCAPES = re.compile(r"([\\,=])")


def escaped(value: str) -> str:
    """A value as a field selector writes it."""
    return ESCAPES.sub(r"\\\1", value)


def unescaped(text: str) -> str:
    """The value that a field selector means. Raises SelectorError."""
    letters: list[str] = []
    rest = iter(text)
    for letter in rest:
        if letter == "\\":
            follower = next(rest, "")
            if follower not in ("\\", ",", "="):
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{follower}")
            letters.append(follower)
        elif letter in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {letter}")
        else:
            letters.append(letter)
    return "".join(letters)


TERMS = re.compile(r"((?:\\.|[^\\,])*\\?)(?:,|$)", re.DOTALL)
TERM = re.compile(r"((?:\\.|[^\\=!]|!(?!=))*)(!=|==|=)(.*)", re.DOTALL)


def parse_fields(text: str, supported: Iterable[str] | None = None) -> FieldSelector:
    """Read `metadata.name=web,status.phase!=Running`. Raises SelectorError, for fields not in `supported` too."""
    if len(text) > LONGEST:
        raise SelectorError(f"the selector is longer than {LONGEST} letters")
    known = None if supported is None else frozenset(supported)
    found = []
    for term in (one.group(1) for one in TERMS.finditer(text)):
        if not term:
            continue
        parts = TERM.fullmatch(term)
        if parts is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        name, operator, value = parts.groups()
        if known is not None and name not in known:
            raise SelectorError(f"field label not supported: {name}")
        found.append(FieldRequirement(name, unescaped(value), operator != "!="))
    return FieldSelector(tuple(found))
