"""Naming objects on the command line: `pods`, `pods,svc`, `pod x y`, `pod/x svc/y`, `all`."""

from __future__ import annotations

from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.urls import quote
from sampan.api_error import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kctl.flags import Values
    from kctl.session import Session

NOTHING_NAMED = """You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'"""
NO_NAME = "resource(s) were provided, but no name was specified"


class Reference:
    """Objects that the command line names: one when `name` is given, else all that selectors choose."""

    __slots__ = ("name", "resource")

    def __init__(self, resource: ApiResource, name: str = "") -> None:
        self.resource, self.name = resource, name


def references(session: Session, words: Sequence[str]) -> list[Reference]:
    """What the words name. Raises UsageError and UnknownKind."""
    if not words:
        raise UsageError(NOTHING_NAMED)
    if any("/" in word for word in words):
        return _slashed(session, words)
    kinds: list[ApiResource] = []
    for word in words[0].split(","):
        kinds += session.discovery.category(word) or [session.discovery.named(word)]
    if len(words) == 1:
        return [Reference(kind) for kind in kinds]
    if len(kinds) > 1:
        # kubectl looks every name up in every kind
        return [Reference(kind, name) for kind in kinds for name in words[1:]]
    return [Reference(kinds[0], name) for name in words[1:]]


def _slashed(session: Session, words: Sequence[str]) -> list[Reference]:
    found = []
    for word in words:
        kind, slash, name = word.partition("/")
        if not slash:
            raise UsageError(
                "there is no need to specify a resource type as a separate argument when passing arguments in"
                " resource/name form (e.g. 'kctl get resource/<resource_name>' instead of 'kctl get resource"
                " resource/<resource_name>'"
            )
        if "/" in name:
            raise UsageError("arguments in resource/name form may not have more than one slash")
        if not kind or not name:
            raise UsageError("arguments in resource/name form must have a single resource and name")
        found.append(Reference(session.discovery.named(kind), name))
    return found


def unmatched(error: ApiError, resource: ApiResource, labels: str, fields: str) -> ApiError:
    """What is said of a list that the server refuses: that its selectors are at fault, if there are any."""
    if error.reason != "BadRequest" or not (labels or fields):
        return error
    where = f'"{resource.group}/{resource.version}, Resource={resource.plural}"'
    selectors = f'label selector "{labels}", field selector "{fields}"'
    return ApiError(400, "BadRequest", f"Unable to find {where} that match {selectors}: {error.message}")


def chosen(session: Session, values: Values) -> list[tuple[ApiResource, str, str]]:
    """What `TYPE NAME ...`, `TYPE/NAME ...`, `TYPE -l SELECTOR` or `TYPE --all` choose: (kind, name, namespace).

    Without --all-namespaces all are of the session's namespace. Raises UsageError when kinds are named and no objects.
    """
    found: list[tuple[ApiResource, str, str]] = []
    fields = getattr(values, "field_selector", "")
    for one in references(session, values.words):
        if one.name:
            if values.selector or fields:
                raise UsageError("name cannot be provided when a selector is specified")
            found.append((one.resource, one.name, session.namespace if one.resource.namespaced else ""))
            continue
        if not (values.selector or fields or getattr(values, "all", False)):
            raise UsageError(NO_NAME)
        query = {"labelSelector": values.selector, "fieldSelector": fields}
        where = one.resource.path("" if getattr(values, "all_namespaces", False) else quote(session.namespace))
        try:
            items = session.get(where, {key: value for key, value in query.items() if value}).get("items") or ()
        except ApiError as error:
            raise unmatched(error, one.resource, values.selector, fields) from error
        found += [(one.resource, item["metadata"]["name"], item["metadata"].get("namespace", "")) for item in items]
    return found
