"""OpenAPI paths: which verbs a kind has at which address, with the parameters that clients look for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.kind import AnyKind, Subresource
from apiserver.openapi.schemas import META

Path = dict[str, Any]
JSON, YAML = "application/json", "application/yaml"
APPLY = "application/apply-patch+yaml"
PATCHES_OF_CUSTOM = ("application/json-patch+json", "application/merge-patch+json", APPLY)
PATCHES = (*PATCHES_OF_CUSTOM, "application/strategic-merge-patch+json")
GVK = "x-kubernetes-group-version-kind"
SCALE = {"group": "autoscaling", "version": "v1", "kind": "Scale"}


def _query(name: str, kind: str, text: str) -> Path:
    return {"name": name, "in": "query", "description": text, "schema": {"type": kind, "uniqueItems": True}}


PRETTY = _query("pretty", "string", "If 'true', the output is indented.")
DRY_RUN = _query("dryRun", "string", "'All' checks and answers as if it wrote, and writes nothing.")
FIELD_MANAGER = _query("fieldManager", "string", "Who makes the change.")
FIELD_VALIDATION = _query("fieldValidation", "string", "What unknown and doubled fields are: Ignore, Warn or Strict.")
LIST = (
    _query("labelSelector", "string", "Only objects whose labels match."),
    _query("fieldSelector", "string", "Only objects whose fields match."),
    _query("limit", "integer", "The most objects in one answer."),
    _query("continue", "string", "Where the last answer ended."),
    _query("resourceVersion", "string", "How fresh the answer must be."),
    _query("resourceVersionMatch", "string", "How resourceVersion is to be understood."),
    _query("watch", "boolean", "Send changes as they happen."),
    _query("allowWatchBookmarks", "boolean", "Send bookmarks too."),
    _query("sendInitialEvents", "boolean", "Begin a watch with all objects there are."),
    _query("timeoutSeconds", "integer", "How long the call may take."),
)
DELETE = (
    DRY_RUN,
    _query("gracePeriodSeconds", "integer", "How long the object may take to end."),
    _query("propagationPolicy", "string", "What becomes of what it owns: Orphan, Background or Foreground."),
    _query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
)
WRITE = (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)


def _at(name: str, text: str) -> Path:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": text,
        "schema": {"type": "string", "uniqueItems": True},
    }


NAMESPACE = _at("namespace", "The namespace.")
NAME = _at("name", "The object's name.")


def paths_of(kind: AnyKind, component: str, served_list: str) -> Iterator[tuple[str, Path]]:
    """(path, path item) of a kind and its subresources. The names are its schemas'."""
    resource = kind.resource
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    collection = (
        f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{root}/{resource.plural}"
    )
    place = [NAMESPACE] if resource.namespaced else []
    verbs = set(kind.verbs)
    if kind.look is not None:
        return  # aggregated APIs publish their own document, and so far nobody has asked for this one
    if not kind.stored:
        yield (
            collection,
            {"parameters": [*place, PRETTY], "post": _operation(kind, "post", component, WRITE, body=component)},
        )
        return
    operations: Path = {"parameters": [*place, PRETTY]}
    if "list" in verbs:
        operations["get"] = _operation(kind, "list", served_list, LIST)
    if "create" in verbs:
        operations["post"] = _operation(kind, "post", component, WRITE, body=component)
    if "deletecollection" in verbs:
        operations["delete"] = _operation(
            kind, "deletecollection", f"{META}.Status", (*LIST, *DELETE), body=f"{META}.DeleteOptions"
        )
    yield collection, operations
    if resource.namespaced and "list" in verbs:
        yield (
            f"{root}/{resource.plural}",
            {"parameters": [PRETTY], "get": _operation(kind, "list", served_list, LIST, suffix="ForAllNamespaces")},
        )
    item = f"{collection}/{{name}}"
    yield item, _item(kind, component, verbs, [NAME, *place, PRETTY])
    if kind.status:
        yield (
            f"{item}/status",
            _item(kind, component, {"get", "update", "patch"}, [NAME, *place, PRETTY], suffix="Status"),
        )
    if kind.scale is not None:
        scale = "io.k8s.api.autoscaling.v1.Scale"
        yield f"{item}/scale", _item(kind, scale, {"get", "update", "patch"}, [NAME, *place, PRETTY], suffix="Scale")
    for subresource in kind.subresources:
        yield f"{item}/{subresource.name}", _subresource(kind, subresource, [NAME, *place, PRETTY])


def _item(kind: AnyKind, component: str, verbs: set[str], parameters: list[Path], suffix: str = "") -> Path:
    item: Path = {"parameters": parameters}
    if "get" in verbs:
        item["get"] = _operation(kind, "get", component, (), suffix=suffix)
    if "update" in verbs:
        item["put"] = _operation(kind, "put", component, WRITE, body=component, suffix=suffix)
    if "patch" in verbs:
        force = _query("force", "boolean", "Take over fields that others manage.")
        media = PATCHES if kind.parse is None else PATCHES_OF_CUSTOM
        item["patch"] = _operation(
            kind, "patch", component, (*WRITE, force), body=f"{META}.Patch", suffix=suffix, media=media
        )
    if "delete" in verbs:
        item["delete"] = _operation(
            kind, "delete", f"{META}.Status", DELETE, body=f"{META}.DeleteOptions", suffix=suffix
        )
    return item


def _subresource(kind: AnyKind, subresource: Subresource, place: list[Path]) -> Path:
    item: Path = {"parameters": place}
    for verb in subresource.verbs:
        method = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}[verb]
        name = "".join(part.title() for part in subresource.name.split("/"))
        parameters = WRITE if method in ("post", "put", "patch") and not subresource.connect else ()
        item[method] = _operation(kind, "connect" if subresource.connect else method, "", parameters, suffix=name)
        item[method][GVK] = _body_kind(kind, subresource)
    return item


def _body_kind(kind: AnyKind, subresource: Subresource) -> dict[str, str]:
    """What a subresource's operation is about; kubectl takes all operations of an object's own kind for the kind's."""
    resource = kind.resource
    group, version = (subresource.group, subresource.version) if subresource.version else ("", "")
    options = f"{resource.kind}{subresource.name.title().replace('/', '')}Options" if subresource.connect else ""
    return {
        "group": group if version else resource.group,
        "version": version or resource.version,
        "kind": subresource.body_kind or options or resource.kind,
    }


def _operation(
    kind: AnyKind,
    action: str,
    answer: str,
    parameters: tuple[Path, ...],
    *,
    body: str = "",
    suffix: str = "",
    media: tuple[str, ...] = (JSON, YAML),
) -> Path:
    resource = kind.resource
    group = (resource.group.split(".")[0] or "core").title()
    where = "Namespaced" if resource.namespaced and suffix != "ForAllNamespaces" else ""
    verb = {"post": "create", "put": "replace", "get": "read"}.get(action, action)
    content = (
        {JSON: {"schema": {"$ref": f"#/components/schemas/{answer}"}}}
        if answer
        else {"*/*": {"schema": {"type": "string"}}}
    )
    operation: Path = {
        "description": f"{verb} {resource.kind}{' ' + suffix.lower() if suffix else ''}",
        "operationId": f"{verb}{group}{resource.version.title()}{where}{resource.kind}{suffix}",
        "tags": [f"{group.lower()}_{resource.version}"],
        "x-kubernetes-action": action,
        GVK: SCALE
        if suffix == "Scale"
        else {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "responses": {"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}},
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        reference = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        operation["requestBody"] = {"content": dict.fromkeys(media, reference)}
    return operation
