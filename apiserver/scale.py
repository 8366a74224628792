"""The scale subresource: autoscaling/v1 Scale as a window on a few fields of an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from apiserver.decode import bad, clean, typed
from apiserver.kind import Json, Scale
from apiserver.writes import Body
from sampan.api import autoscaling_v1
from sampan.api.meta_v1 import LabelSelector
from sampan.errors import FieldError, InvalidError
from sampan.resource import Resource
from sampan.selectors import of_object

SCALE = autoscaling_v1.Scale


def _at(value: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)  # type: ignore[assignment]  # the last step may be any JSON value
    return value


def to_scale(where: Scale, value: Mapping[str, Any]) -> Json:
    """The object's Scale."""
    metadata = value["metadata"]
    if where.selector is not None:
        selector = where.selector(value)
    elif where.selector_path:
        selector = _at(value, where.selector_path) or ""
    else:
        found = _at(value, ("spec", "selector"))
        selector = str(of_object(LabelSelector.from_json(found)) or "") if isinstance(found, dict) else ""
    status: Json = {"replicas": _at(value, where.status_replicas) or 0}
    if selector:
        status["selector"] = selector
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": _at(value, where.spec_replicas) or 0},
        "status": status,
    }


def read_scale(body: Body) -> Json:
    """A Scale that was PUT. Raises ApiError 400."""
    value = body.value
    if value.get("kind", "Scale") != "Scale":
        raise bad(f"expected input object type to be Scale, but {value['kind']}")
    complaints = [*body.complaints, *clean(value, SCALE, body.text)]
    if complaints and body.validation == "Strict":
        raise bad(f'Scale in version "v1" cannot be handled as a Scale: strict decoding error: {", ".join(complaints)}')
    typed(value, SCALE)
    return value


def scale_change(where: Scale, old: Json, scale: Json) -> Json:
    """The object with the Scale's replicas, insisting on the Scale's resourceVersion. Raises InvalidError."""
    clean(scale, SCALE, None)
    parsed = typed(scale, SCALE)
    replicas = parsed.spec.replicas or 0
    metadata = scale.get("metadata") or {}
    if replicas < 0:
        name = str(old["metadata"].get("name", ""))
        error = FieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise InvalidError("Scale", "autoscaling", name, [error])
    new: Json = orjson.loads(orjson.dumps(old))
    place = new
    for key in where.spec_replicas[:-1]:
        place = place.setdefault(key, {})
    place[where.spec_replicas[-1]] = replicas
    for key in ("resourceVersion", "uid"):
        if metadata.get(key):
            new["metadata"][key] = metadata[key]
    return new


def applied_scale(where: Scale, old: Json, scale: Json, resource: Resource[Any]) -> Json:
    """An applied Scale as a configuration of the object behind it. Raises ApiError 400, 422."""
    if (scale.get("apiVersion"), scale.get("kind")) != ("autoscaling/v1", "Scale"):
        raise bad(
            "expected input object type to be autoscaling/v1, Kind=Scale, but "
            f"{scale.get('apiVersion') or ''}, Kind={scale.get('kind') or ''}"
        )
    read_scale(Body(scale, validation="Strict"))
    scale_change(where, old, scale)
    value: Json = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": scale.get("metadata") or {}}
    if "replicas" in (scale.get("spec") or {}):
        place = value
        for key in where.spec_replicas[:-1]:
            place = place.setdefault(key, {})
        place[where.spec_replicas[-1]] = scale["spec"]["replicas"]
    return value


__all__ = ["SCALE", "applied_scale", "read_scale", "scale_change", "to_scale"]
