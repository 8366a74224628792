"""Answers that are a Status, worded as upstream words them."""

from __future__ import annotations

from typing import Any

from apiserver.kind import Json
from sampan.errors import ApiError, Reason
from sampan.resource import Resource


def _details(resource: Resource[Any], name: str) -> Json:
    made = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in made.items() if value}


def not_found(resource: Resource[Any], name: str) -> ApiError:
    """404: no such object."""
    return ApiError(
        404,
        Reason.NOT_FOUND,
        f'{resource.group_resource} "{name}" not found',
        details=_details(resource, name),
    )


def no_such_path() -> ApiError:
    """404: no such resource."""
    return ApiError(404, Reason.NOT_FOUND, "the server could not find the requested resource")


def already_exists(resource: Resource[Any], name: str) -> ApiError:
    """409: the name is taken."""
    return ApiError(
        409,
        Reason.ALREADY_EXISTS,
        f'{resource.group_resource} "{name}" already exists',
        details=_details(resource, name),
    )


def conflict(resource: Resource[Any], name: str, why: str = "") -> ApiError:
    """409: the object is not as the client thinks."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    return ApiError(
        409,
        Reason.CONFLICT,
        f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}',
        details=_details(resource, name),
    )


def success(resource: Resource[Any], name: str, uid: str) -> Json:
    """What a deletion answers."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": _details(resource, name) | {"uid": uid},
    }


def not_allowed(verb: str) -> ApiError:
    """405: the resource does not support the method."""
    return ApiError(405, Reason.METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource")
