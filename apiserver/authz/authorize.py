"""Whether a user may: the rules, the nodes' rights, and how a refusal is worded."""

from __future__ import annotations

from functools import lru_cache

from apiserver.authz.node import NodeRights, name_of
from apiserver.authz.policy import GROUPS, USERS, Attributes, Rule
from apiserver.http.request import Asked
from apiserver.kind import Server, User
from sampan.errors import ApiError, Reason


@lru_cache(maxsize=1024)
def rules_of(name: str, groups: tuple[str, ...]) -> tuple[Rule, ...]:
    """All built-in rules for a user."""
    found = list(USERS.get(name, ()))
    for group in groups:
        found += GROUPS.get(group, ())
    return tuple(found)


def granted(user: User, asked: Attributes) -> bool:
    """Whether the built-in rules allow it; a node's own rights are not looked at."""
    return "system:masters" in user.groups or any(rule.allows(asked) for rule in rules_of(user.name, user.groups))


def attributes(asked: Asked) -> Attributes:
    """What authorization looks at, of a request."""
    if not asked.plural:
        return Attributes(asked.verb, path=asked.path)
    namespace = asked.name if asked.plural == "namespaces" and not asked.group else asked.namespace
    return Attributes(
        asked.verb,
        asked.group,
        asked.plural,
        asked.subresource,
        namespace,
        asked.name,
        field_selector=asked.query.get("fieldSelector", ""),
    )


def refusal(user: User, asked: Attributes, why: str = "") -> ApiError:
    """403, worded as upstream words it."""
    after = f": {why}" if why else ""
    if asked.path:
        return ApiError(
            403, Reason.FORBIDDEN, f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"{after}'
        )
    what = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    named = f'{what} "{asked.name}"' if asked.name else what
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    return ApiError(
        403,
        Reason.FORBIDDEN,
        f'{named} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API group '
        f'"{asked.group}" {where}{after}',
        details={key: value for key, value in details.items() if value},
    )


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))


class Authorize:
    """Decides for every request."""

    def __init__(self, server: Server) -> None:
        self._nodes = NodeRights(server)

    def decide(self, user: User, asked: Attributes) -> tuple[bool, str]:
        """Whether the user may, and why not if there is more to say."""
        if granted(user, asked):
            return True, ""
        node = name_of(user)
        if node and not asked.path:
            return self._nodes.decide(node, asked)
        return False, ""

    async def __call__(self, user: User, asked: Asked) -> None:
        """Raises ApiError 403."""
        if "system:masters" in user.groups:
            return
        wanted = attributes(asked)
        allowed, why = self.decide(user, wanted)
        if not allowed:
            raise refusal(user, wanted, why)

    def stranger(self, asked: Asked) -> User | None:
        """`system:anonymous`, if even that user may."""
        return ANONYMOUS if granted(ANONYMOUS, attributes(asked)) else None
