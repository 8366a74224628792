"""A Dockerfile's stages: what each has become so far, how they are named, and which of them another needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nodeagent.runtime.images.build import stage
from nodeagent.runtime.images.build.dockerfile import Instruction
from nodeagent.runtime.images.oci import Descriptor


@dataclass(slots=True)
class Stage:
    """One stage: its instructions, and its config and layers as far as it is built."""

    name: str
    base: str
    instruction: Instruction
    steps: list[Instruction] = field(default_factory=list)
    config: stage.Config = field(default_factory=dict)
    author: str = ""
    layers: list[tuple[Descriptor, str]] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    own_cmd: bool = False
    built: bool = False


def find_stage(stages: Sequence[Stage], name: str) -> Stage | None:
    """The stage that COPY --from or FROM means by a name or a number; those that come later are not in `stages`."""
    for candidate in stages:
        if candidate.name == name.lower():
            return candidate
    if name.isdigit() and int(name) < len(stages):
        return stages[int(name)]
    return None


def needed_stages(stages: Sequence[Stage], last: int) -> list[int]:
    """The stages that the last one is made from, itself included, in order."""
    needed: set[int] = set()
    todo = [last]
    while todo:
        number = todo.pop()
        if number in needed:
            continue
        needed.add(number)
        here = stages[number]
        named = [here.base, *(flag for step in here.steps if (flag := step.flag("from")))]
        todo += [stages.index(s) for name in named if (s := find_stage(stages[:number], name)) is not None]
    return sorted(needed)
