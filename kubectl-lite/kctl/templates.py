"""Pod templates within objects, and changes of their containers. Pure."""

from __future__ import annotations

import fnmatch
from typing import Any

Object = dict[str, Any]


def pod_spec(value: Object) -> Object:
    """The pod spec of a pod or of a workload's template, the very part of the object; empty if it has none."""
    spec: Object = value.get("spec") or {}
    if value.get("kind") == "Pod":
        return spec
    if value.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return (spec.get("template") or {}).get("spec") or {}


def matching(spec: Object, pattern: str, *, init: bool = True) -> list[Object]:
    """The containers whose names match a shell pattern, those of the pod first."""
    keys = ("containers", "initContainers") if init else ("containers",)
    return [one for key in keys for one in spec.get(key) or () if fnmatch.fnmatchcase(one["name"], pattern)]
