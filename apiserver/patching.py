"""PATCH bodies: which patch a content type means, and the function from old to new that it makes.

Elsewhere: the patches themselves (sampan.patches); server-side apply (apply/verb.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from apiserver.decode import bad, doubled, loads, strict_error
from apiserver.kind import Json
from apiserver.negotiate import unsupported
from sampan.api.base import Object
from sampan.errors import ApiError, FieldError, InvalidError, Reason
from sampan.patches import json_patch, merge_patch, strategic
from sampan.patches.models import of_model
from sampan.patches.values import PatchError

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def media_type_of(header: str) -> str:
    """The media type of a patch, without parameters."""
    return header.partition(";")[0].strip().lower()


def proposal(
    header: str,
    data: bytes,
    model: type[Object],
    *,
    custom: bool,
    validation: str,
    warn: Callable[[str], None] = lambda text: None,
) -> Callable[[Json], Json]:
    """Read a patch. Raises ApiError 400, 413 or 415; the function raises ApiError 400 or 422."""
    media = media_type_of(header)
    accepted = (JSON_PATCH, MERGE_PATCH) if custom else (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
    if media not in accepted:
        raise unsupported(", ".join((*accepted, APPLY_PATCH)))
    patch, _, _ = loads(data)
    if media == JSON_PATCH:
        if not isinstance(patch, list):
            raise bad("error decoding patch: a JSON patch is a list of operations")
        if len(patch) > json_patch.MOST_OPERATIONS:
            raise ApiError(
                413,
                Reason.TOO_LARGE,
                "Request entity too large: The allowed maximum operations in a JSON patch is "
                f"{json_patch.MOST_OPERATIONS}, got {len(patch)}",
            )
    elif not isinstance(patch, dict):
        raise bad("error decoding patch: the patch is no object")
    elif validation != "Ignore" and (twice := [f'duplicate field "{path}"' for path in doubled(data)]):
        if validation == "Strict":
            raise undecodable(data, strict_error(twice))
        for complaint in twice:
            warn(complaint)

    def propose(old: Json) -> Json:
        try:
            if media == JSON_PATCH:
                return _object(json_patch.apply(old, patch), data)
            if media == MERGE_PATCH:
                return _object(_own(merge_patch.apply(old, patch)), data)
            return _object(_own(strategic.apply(old, patch, of_model(model))), data)
        except PatchError as error:
            if media == JSON_PATCH:
                raise ApiError(
                    422, Reason.INVALID, f"the server rejected our request due to an error in our request: {error}"
                ) from error
            raise bad(str(error)) from error

    return propose


def _own(value: Any) -> Any:
    """A copy that shares nothing with the old object."""
    return orjson.loads(orjson.dumps(value))


def _object(value: Any, data: bytes) -> Json:
    if not isinstance(value, dict):
        raise undecodable(data, "the result is no object")
    return value


def undecodable(data: bytes, why: str) -> InvalidError:
    """422 with cause field `patch`: the patched object cannot be read."""
    return InvalidError("", "", "", [FieldError.invalid("patch", data.decode(errors="replace"), why)])
