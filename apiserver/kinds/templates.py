"""What controllers of pods share: a selector, and a template whose labels it matches."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kinds.pod_rules import check_template
from sampan import selectors
from sampan.api.core_v1 import PodTemplateSpec
from sampan.api.meta_v1 import LabelSelector
from sampan.errors import FieldError

IMMUTABLE = "field is immutable"


def check_selector(selector: LabelSelector | None, of: str) -> Iterator[FieldError]:
    """It is there and selects something in particular. `of` is the kind's word in upstream's text."""
    if selector is None:
        yield FieldError.required("spec.selector")
    elif not selector.match_labels and not selector.match_expressions:
        yield FieldError.invalid("spec.selector", selector.to_json(), f"empty selector is invalid for {of}")


def check_matches(selector: LabelSelector | None, template: PodTemplateSpec) -> Iterator[FieldError]:
    """The controller would find its own pods."""
    try:
        compiled = selectors.of_object(selector)
    except selectors.SelectorError:
        return  # the rules on the selector's fields tell it
    if compiled and not compiled.matches(template.metadata.labels):
        yield FieldError.invalid(
            "spec.template.metadata.labels", template.metadata.labels, "`selector` does not match template `labels`"
        )


def check_lasting(template: PodTemplateSpec, kind: str) -> Iterator[FieldError]:
    """A template of pods that are meant to go on for ever."""
    yield from check_template(template, "spec.template")
    policy = template.spec.restart_policy
    if policy != "Always":
        yield FieldError.not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if template.spec.active_deadline_seconds is not None:
        yield FieldError.forbidden(
            "spec.template.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported"
        )


def check_same_selector(new: LabelSelector | None, old: LabelSelector | None) -> Iterator[FieldError]:
    """Another selector would leave pods behind."""
    if new != old:
        yield FieldError.invalid("spec.selector", new.to_json() if new is not None else None, IMMUTABLE)


def percent(value: int | str | None) -> int | None:
    """The number before the %, if it is a percentage."""
    return int(value[:-1]) if isinstance(value, str) and value[:-1].isdigit() and value.endswith("%") else None


def is_zero(value: int | str | None) -> bool:
    """Whether a number or percentage of pods is none of them."""
    return value is None or value == 0 or percent(value) == 0


def check_percent(value: int | str | None, path: str) -> Iterator[FieldError]:
    """Nobody can spare more than all pods."""
    part = percent(value)
    if part is not None and part > 100:
        yield FieldError.invalid(path, value, "must not be greater than 100%")
