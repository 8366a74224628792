"""User impersonation: an administrator asks as somebody else ("User impersonation" of the authentication reference)."""

from __future__ import annotations

from aiohttp import web

from apiserver.decode import bad
from apiserver.kind import User
from sampan.errors import ApiError, Reason


def impersonated(user: User, request: web.BaseRequest) -> User:
    """The user that an administrator wants to be taken for ("User impersonation"). Raises ApiError 403."""
    headers = request.headers
    name = headers.get("Impersonate-User", "")
    if not name:
        raise bad("groups, a uid or extra values are to be impersonated without impersonating a user")
    if "system:masters" not in user.groups:
        raise ApiError(
            403,
            Reason.FORBIDDEN,
            f'users "{name}" is forbidden: User "{user.name}" cannot impersonate resource "users" in API group "" at '
            "the cluster scope",
            details={"name": name, "kind": "users"},
        )
    prefix = "impersonate-extra-"
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in headers.items():
        if key.lower().startswith(prefix):
            extra[key.lower().removeprefix(prefix)] = (*extra.get(key.lower().removeprefix(prefix), ()), value)
    groups = tuple(headers.getall("Impersonate-Group", []))
    if name.startswith("system:serviceaccount:") and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}")
    return User(
        name, headers.get("Impersonate-Uid", ""), tuple(dict.fromkeys((*groups, "system:authenticated"))), extra
    )
