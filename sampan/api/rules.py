"""What a field's value must be, as data beside the field; only the API server's writes evaluate it.

`check` knows, for every model class, which fields have rules or must be given, and reports all broken ones at once,
worded as upstream words them. What depends on more than one field is in the kind's strategy (apiserver/kinds/).
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from sampan import names, quantity
from sampan.api.base import KubeObject, Object
from sampan.errors import FieldError

PERCENT = re.compile(r"[0-9]+%", re.ASCII)
PERCENT_TEXT = names.regex_text(
    "a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%", "93%"
)


class Rule:
    """One rule. `errors` is asked about a value that is there."""

    absent: bool = False
    """Whether `errors` is asked about an absent value (None) too."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """What is wrong with the value of the field at `path`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Given(Rule):
    """It must be there and not empty, although the published schema does not say so."""

    detail: str = ""
    absent = True

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """An empty value is an absent one."""
        return () if value not in (None, "", [], {}) else (FieldError.required(path, self.detail),)


class MayBeEmpty(Rule):
    """The schema requires it, but the empty text is a value (an HTTP header's, say)."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Nothing is wrong."""
        return ()


class Elsewhere(Rule):
    """What is in the field is not looked into here: general rules of all objects cover it."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Nothing is wrong."""
        return ()


class ZeroIsUnset(Rule):
    """A zero means that the number is not given, so that it gets its default (sampan.api.defaults)."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Nothing is wrong."""
        return ()


class OneOf(Rule):
    """A closed list of texts; with `or_empty` the empty one stands for any of them."""

    def __init__(self, *values: str, or_empty: bool = False) -> None:
        self.values = values
        self.or_empty = or_empty

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """The supported values are told, in the order given."""
        if self.or_empty and not value:
            return ()
        return () if value in self.values else (FieldError.not_supported(path, value, self.values),)


class Range(Rule):
    """A number between two, both included."""

    def __init__(self, low: int, high: int, text: str = "", *, zero_is_absent: bool = False) -> None:
        self.low = low
        self.high = high
        self.text = text or f"must be between {low} and {high}, inclusive"
        self.zero_is_absent = zero_is_absent

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """The bounds are told."""
        if value == 0 and self.zero_is_absent:
            return (FieldError.required(path),)
        return () if self.low <= value <= self.high else (FieldError.invalid(path, value, self.text),)


class AtLeast(Rule):
    """A number that is not too small."""

    def __init__(self, low: int, text: str = "") -> None:
        self.low = low
        self.text = text or f"must be greater than or equal to {low}"

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """The bound is told."""
        return () if value >= self.low else (FieldError.invalid(path, value, self.text),)


class Text(Rule):
    """A text by one of the rules of sampan.names. The empty text counts as absent."""

    def __init__(self, rule: names.Rule) -> None:
        self.rule = rule

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """All complaints of the rule."""
        return [FieldError.invalid(path, value, text) for text in self.rule(value)] if value else ()


DNS_LABEL = Text(names.dns_label)
SUBDOMAIN = Text(names.dns_subdomain)
QUALIFIED_NAME = Text(names.qualified_name)
LABEL_VALUE = Text(names.label_value)
ENV_NAME = Text(names.env_name)
PORT_NAME = Text(names.port_name)
HEADER_NAME = Text(names.http_header_name)
IP = Text(names.ip_address)
CIDR = Text(names.cidr)
NON_NEGATIVE = AtLeast(0)
PORT = Range(1, 65535)
GIVEN_PORT = Range(1, 65535, zero_is_absent=True)
FILE_MODE = Range(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive")
USER_ID = Range(0, 2**31 - 1)
WEIGHT = Range(1, 100, "must be in the range 1-100")


class Labels(Rule):
    """A map of labels."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Keys first, then values."""
        return names.label_errors(value, path)


class Annotations(Rule):
    """A map of annotations."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Keys, then the size of all."""
        return names.annotation_errors(value, path)


class Each(Rule):
    """A rule for every element of a list."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """With the element's index in the path."""
        return [error for index, one in enumerate(value) for error in self.rule.errors(one, f"{path}[{index}]")]


class AtMost(Rule):
    """A list that is not too long."""

    def __init__(self, most: int) -> None:
        self.most = most

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """The count and the limit are told."""
        return (FieldError.too_many(path, len(value), self.most),) if len(value) > self.most else ()


class PortOrName(Rule):
    """A port's number or name."""

    absent = True

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """An absent one is port 0."""
        texts = names.port_name(value) if isinstance(value, str) else names.port_number(value or 0)
        return [FieldError.invalid(path, value or 0 if not isinstance(value, str) else value, text) for text in texts]


class OptionalPortOrName(PortOrName):
    """A port's number or name, if it is given."""

    absent = False


class CountOrPercent(Rule):
    """A number of pods, or a percentage of them."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Numbers are not negative; texts end in %."""
        if isinstance(value, str):
            return () if PERCENT.fullmatch(value) else (FieldError.invalid(path, value, PERCENT_TEXT),)
        return NON_NEGATIVE.errors(value, path)


class Amount(Rule):
    """A quantity that is not negative."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Malformed or negative."""
        try:
            amount = quantity.parse(value)
        except quantity.QuantityError as error:
            return (FieldError.invalid(path, value, str(error)),)
        return (FieldError.invalid(path, value, "must be greater than or equal to 0"),) if amount.nano < 0 else ()


CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})


class Resources(Rule):
    """A map from resource to amount."""

    def __init__(self, *, of_containers: bool = False) -> None:
        self.of_containers = of_containers

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """The name's rules, then the amount's; hugepages and whole units are checked by the pod's strategy."""
        amount = Amount()
        for name, one in value.items():
            at = f"{path}[{name}]"
            texts = names.qualified_name(name)
            yield from (FieldError.invalid(at, name, text) for text in texts)
            if not texts and "/" not in name and name not in CONTAINER_RESOURCES and not name.startswith("hugepages-"):
                if self.of_containers:
                    yield FieldError.invalid(at, name, "must be a standard resource for containers")
                elif name not in ("pods", "storage"):
                    yield FieldError.invalid(at, name, "must be a standard resource type or fully qualified")
            yield from amount.errors(one, at)


class Requirement(Rule):
    """An expression of a LabelSelector, or of a node selector's term, which may compare numbers too."""

    def __init__(self, *, of_nodes: bool = False) -> None:
        self.of_nodes = of_nodes

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Operator and values belong together."""
        at = f"{path}.values"
        match value.operator:
            case "In" | "NotIn":
                if not value.values:
                    yield FieldError.required(at, "must be specified when `operator` is 'In' or 'NotIn'")
            case "Exists" | "DoesNotExist":
                if value.values:
                    yield FieldError.forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
            case "Gt" | "Lt" if self.of_nodes:
                if len(value.values) != 1:
                    yield FieldError.required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'")
            case _:
                yield FieldError.invalid(f"{path}.operator", value.operator, "not a valid selector operator")
        yield from (FieldError.invalid(f"{path}.key", value.key, text) for text in names.qualified_name(value.key))
        if not self.of_nodes:
            for index, one in enumerate(value.values):
                yield from (FieldError.invalid(f"{at}[{index}]", one, text) for text in names.label_value(one))


class NodeField(Rule):
    """A matchFields element of a node selector's term: only the name of the node can be asked for."""

    def errors(self, value: Any, path: str) -> Iterable[FieldError]:
        """Key, operator and value belong together."""
        if value.operator not in ("In", "NotIn"):
            yield FieldError.invalid(f"{path}.operator", value.operator, "not a valid selector operator")
        elif len(value.values) != 1:
            yield FieldError.required(
                f"{path}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
        if value.key != "metadata.name":
            yield FieldError.invalid(f"{path}.key", value.key, "not a valid field selector key")
            return
        for index, one in enumerate(value.values):
            yield from (FieldError.invalid(f"{path}.values[{index}]", one, text) for text in names.dns_subdomain(one))


# The walker


@dataclass(frozen=True)
class Step:
    """What to check of one field."""

    attribute: str
    wire: str
    required: bool
    rules: tuple[Rule, ...]
    rules_of_absent: tuple[Rule, ...]
    child: type[Object] | None


def model_in(annotation: Any) -> type[Object] | None:
    """The model inside a field's type: its own, or that of its list's or map's values."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        known = [one for one in get_args(annotation) if one is not type(None)]
        return model_in(known[0]) if len(known) == 1 else None
    if origin in (Annotated, list, dict):
        return model_in(get_args(annotation)[1 if origin is dict else 0])
    return annotation if isinstance(annotation, type) and issubclass(annotation, Object) else None


def all_steps(model: type[Object]) -> Iterator[Step]:
    """A step for each field that has something to check, or has a model inside."""
    if not model.__pydantic_fields_complete__:
        model.model_rebuild()
    for name, info in model.model_fields.items():
        if name in ("metadata", "status") and issubclass(model, KubeObject):
            continue
        rules = tuple(one for one in info.metadata if isinstance(one, Rule))
        child = model_in(info.annotation)
        if any(isinstance(rule, Elsewhere) for rule in rules):
            continue
        extra = info.json_schema_extra
        required = isinstance(extra, dict) and bool(extra.get("required"))
        if any(isinstance(rule, MayBeEmpty | Given) for rule in rules):
            required = False
        absent = tuple(rule for rule in rules if rule.absent)
        yield Step(name, info.alias or name, required, rules, absent, child)


def matters(model: type[Object], above: frozenset[type[Object]] = frozenset()) -> bool:
    """Whether anything in a model, however deep, has something to check."""
    if model in above:
        return False
    return any(
        step.required or step.rules or (step.child is not None and matters(step.child, above | {model}))
        for step in all_steps(model)
    )


@cache
def steps(model: type[Object]) -> tuple[Step, ...]:
    """What to check of a model, found once."""
    found = []
    for step in all_steps(model):
        child = step.child if step.child is not None and matters(step.child) else None
        if step.required or step.rules or child is not None:
            found.append(replace(step, child=child))
    return tuple(found)


Row = tuple[str, str, bool, bool, tuple[Rule, ...], tuple[Rule, ...], type[Object] | None]


@cache
def plan(model: type[Object]) -> tuple[Row, ...]:
    """The steps as rows, which the walker unpacks faster than it reads attributes."""
    return tuple(
        (
            one.attribute,
            one.wire,
            one.required or bool(one.rules_of_absent),
            one.required,
            one.rules,
            one.rules_of_absent,
            one.child,
        )
        for one in steps(model)
    )


def check(obj: Object, path: str = "") -> list[FieldError]:
    """All broken rules of an object, with JSON paths that start at `path`.

    Its `status` is not looked at, nor its own metadata, of which the API server has general rules.
    """
    found: list[FieldError] = []
    walk(obj, path, found.extend)
    return found


def walk(obj: Object, path: str, report: Callable[[Iterable[FieldError]], None]) -> None:
    """Check one object and what is in it."""
    prefix = f"{path}." if path else ""
    values = obj.__dict__  # pydantic's own attribute access costs more than most rules
    for name, wire, wanted, required, rules, rules_of_absent, child in plan(type(obj)):
        value = values[name]
        if value is None and not wanted:  # most fields of most objects
            continue
        if value is None or (wanted and (value == "" or value == [] or value == {})):
            for rule in rules_of_absent:
                report(rule.errors(value, prefix + wire))
            if required and not rules_of_absent:
                report((FieldError.required(prefix + wire),))
            continue
        if not value and value == []:
            continue
        for rule in rules:
            report(rule.errors(value, prefix + wire))
        if child is not None:
            descend(value, prefix + wire, report)


def descend(
    value: Object | Sequence[Object] | Mapping[str, Object],
    path: str,
    report: Callable[[Iterable[FieldError]], None],
) -> None:
    """Check what a field holds."""
    if isinstance(value, Object):
        walk(value, path, report)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            walk(one, f"{path}[{key}]", report)
    else:
        for index, one in enumerate(value):
            walk(one, f"{path}[{index}]", report)
