"""Change one part of objects: images, environment, resources, selector or service account."""

from __future__ import annotations

import base64
import copy
import sys
from collections.abc import Callable, Iterator
from typing import Any

from kctl import environment, flags, manifests, references, targets
from kctl.commands.apply import patch_between
from kctl.discovery import ApiResource
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.generators import pairs
from kctl.session import Session
from kctl.targets import Found
from kctl.templates import matching, pod_spec
from kctl.writes import Write, declare
from sampan import quantity
from sampan.api_error import ApiError, SampanError

VERBS = {
    "env": "change environment variables of containers: KEY=VALUE or KEY-",
    "image": "change the image of containers: CONTAINER=IMAGE",
    "resources": "change requests and limits of containers",
    "selector": "change the selector of a service",
    "serviceaccount": "change the service account of pods",
    "sa": "the same as serviceaccount",
}
DONE = {
    "env": "env updated",
    "image": "image updated",
    "resources": "resource requirements updated",
    "selector": "selector updated",
    "serviceaccount": "serviceaccount updated",
}
Change = Callable[[Found, dict[str, Any]], None]
"""Changes an object in place. Raises UsageError."""


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    targets.declare(flags)
    declare(flags)
    flags.switch("local", "change what -f gives, and ask no server")
    flags.usage = "(-f FILENAME | TYPE NAME | TYPE/NAME) ..."
    if verb in ("env", "resources"):
        flags.text("containers", "names of containers, * and ? stand for anything", short="c", default="*")
    if verb == "env":
        flags.texts("env", "KEY=VALUE", short="e")
        flags.text("from", "take all keys of this ConfigMap or Secret, TYPE/NAME")
        flags.text("prefix", "in front of the names that --from gives")
        flags.texts("keys", "of --from only these keys", split=True)
        flags.switch("list", "show the variables")
        flags.switch("resolve", "with --list: what references come to")
        flags.switch("overwrite", "change what has a value already", default=True)
    if verb == "resources":
        flags.text("limits", "such as cpu=1,memory=256Mi")
        flags.text("requests", "such as cpu=100m,memory=64Mi")
    if verb == "selector":
        flags.text("resource-version", "only if the object is still at this version")


def run(values: Values) -> int:
    """Change each object; an error of one does not stop the others."""
    verb = "serviceaccount" if values.verb == "sa" else values.verb
    if values.local and not values.filename:
        raise UsageError("one or more files must be specified as -f when --local is set")
    write = Write(values, "kubectl-set", local=values.local)
    opened: list[Session] = []

    def session() -> Session:
        if not opened:
            opened.append(flags.session(values))
        return opened[0]

    change = CHANGES[verb](values, session)
    if change is None:
        return 0
    failed = False
    for found, value in _objects(session, values):
        try:
            if isinstance(value, ApiError):
                raise value
            _apply(session, found, value, change, write, DONE[verb])
        except SampanError as error:
            sys.stdout.flush()
            print(wording(error), file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _objects(session: Callable[[], Session], values: Values) -> Iterator[tuple[Found, dict[str, Any] | ApiError]]:
    if values.local:
        for one in manifests.load(values.filename, recursive=values.recursive):
            version, kind = one.value["apiVersion"], one.value["kind"]
            resource = ApiResource.unasked(version, kind)
            yield Found(resource, one.namespace or "default", one.name), one.value
        return
    for found in targets.targets(session(), values):
        try:
            yield found, targets.read(session(), found)
        except ApiError as error:
            yield found, error


def _apply(
    session: Callable[[], Session], found: Found, value: dict[str, Any], change: Change, write: Write, done: str
) -> None:
    after = copy.deepcopy(value)
    change(found, after)
    if after == value and not write.pretends and done in (DONE["image"], DONE["resources"]):
        return  # as kubectl does: the same is no news
    if after != value and not write.pretends:
        patch, content_type = patch_between(session(), found.resource, value, after)
        after = session().call("PATCH", found.path(), write.query, patch, content_type=content_type)
    if not (done == DONE["env"] and after == value):
        write.report(found.resource, after, done)


def _template(found: Found, value: dict[str, Any]) -> dict[str, Any]:
    spec = pod_spec(value)
    if not spec:
        name, kind = f"{found.resource.plural}/{found.name}", found.resource.kind
        raise UsageError(
            f"{name} the object is not a pod or does not have a pod template: *{found.resource.version}.{kind}"
        )
    return spec


def _need_objects(values: Values) -> None:
    if not values.words and not values.filename:
        raise UsageError(references.NOTHING_NAMED)


def _images(values: Values, session: Callable[[], Session]) -> Change:
    images = dict(word.split("=", 1) for word in values.words if "=" in word)
    values.words = [word for word in values.words if "=" not in word]
    _need_objects(values)
    if not images:
        raise UsageError("at least one image update is required")
    if "*" in images and len(images) > 1:
        raise UsageError("all containers are already specified by *, but saw more than one container_name=image pairs")

    def change(found: Found, value: dict[str, Any]) -> None:
        containers = matching(_template(found, value), "*")
        known = {one["name"] for one in containers}
        for name in images:
            if name != "*" and name not in known:
                raise UsageError(f'unable to find container named "{name}"')
        for one in containers:
            one["image"] = images.get(one["name"], images.get("*", one.get("image")))

    return change


def _resources(values: Values, session: Callable[[], Session]) -> Change:
    _need_objects(values)
    wanted = {key: _amounts(getattr(values, key)) for key in ("limits", "requests") if getattr(values, key)}
    if not wanted:
        raise UsageError("you must specify an update to requests or limits (in the form of --requests/--limits)")

    def change(found: Found, value: dict[str, Any]) -> None:
        containers = matching(_template(found, value), values.containers, init=False)
        if not containers:
            raise UsageError(f"unable to find container named {values.containers}")
        for one in containers:
            resources = one.setdefault("resources", {})
            for key, amounts in wanted.items():
                resources[key] = (resources.get(key) or {}) | amounts

    return change


def _amounts(text: str) -> dict[str, str]:
    found = {}
    for word in text.split(","):
        name, equals, amount = word.partition("=")
        if not equals or "=" in amount:
            raise UsageError(f"invalid argument syntax {word}, expected <resource>=<value>")
        try:
            quantity.milli(amount)
        except quantity.QuantityError:
            pattern = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
            raise UsageError(f"quantities must match the regular expression '{pattern}'") from None
        found[name] = amount
    return found


def _selector(values: Values, session: Callable[[], Session]) -> Change:
    chosen = [word for word in values.words if "=" in word]
    values.words = [word for word in values.words if "=" not in word]
    if not chosen:
        raise UsageError(references.NOTHING_NAMED)
    if len(chosen) > 1:
        raise UsageError("give the selector as one word: KEY=VALUE,...")
    labels = pairs(chosen[0].split(","))

    def change(found: Found, value: dict[str, Any]) -> None:
        if value.get("kind") != "Service":
            raise UsageError("setting a selector is only supported for Services")
        value["spec"]["selector"] = labels
        if values.resource_version:
            value["metadata"]["resourceVersion"] = values.resource_version

    return change


def _service_account(values: Values, session: Callable[[], Session]) -> Change:
    if not values.words or (len(values.words) < 2 and not values.filename):
        raise UsageError(references.NOTHING_NAMED if values.words else "serviceaccount is required")
    name = values.words.pop()

    def change(found: Found, value: dict[str, Any]) -> None:
        spec = _template(found, value)
        spec["serviceAccountName"] = name
        if "serviceAccount" in spec:
            spec["serviceAccount"] = name

    return change


def _environment(values: Values, session: Callable[[], Session]) -> Change | None:
    at = next((at for at, word in enumerate(values.words) if environment.is_change(word)), len(values.words))
    words, values.words = values.words[at:], values.words[:at]
    if late := [word for word in words if not environment.is_change(word)]:
        raise UsageError(f"all resources must be specified before environment changes: {' '.join(late)}")
    if not values.words and not values.filename:
        raise UsageError("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    wanted, removed = environment.changes([*words, *values.env])
    if getattr(values, "from"):
        given, warnings = environment.references(
            _source(session(), getattr(values, "from")), values.keys, values.prefix
        )
        wanted += given
        for warning in warnings:
            print(warning, file=sys.stderr)
    if values.list:
        for found, value in _objects(session, values):
            if isinstance(value, ApiError):
                raise value
            _list(session, found, value, values)
        return None

    def change(found: Found, value: dict[str, Any]) -> None:
        containers = matching(_template(found, value), values.containers)
        if not containers:
            print(
                f"Warning: {found.resource.kind}/{found.name} does not have any containers matching"
                f' "{values.containers}"',
                file=sys.stderr,
            )
        for one in containers:
            before = one.get("env") or []
            new = {each["name"] for each in wanted}
            for each in before if not values.overwrite else ():
                if each["name"] in new:
                    raise UsageError(
                        f"{found.resource.plural}/{found.name} '{each['name']}' already has a value"
                        f" ({each.get('value', '')}), and --overwrite is false"
                    )
            if after := environment.merged(before, wanted, removed):
                one["env"] = after
            else:
                one.pop("env", None)

    return change


def _source(session: Session, word: str) -> dict[str, Any]:
    kind, _, name = word.partition("/")
    resource = session.discovery.named(kind)
    if resource.kind not in ("ConfigMap", "Secret"):
        raise UsageError(f"unsupported resource specified in --from: {resource.kind} is no ConfigMap and no Secret")
    if not name:
        raise UsageError("--from must be in resource/name form")
    found: dict[str, Any] = session.read(resource, name, session.namespace)
    return {"kind": resource.kind} | found


def _list(session: Callable[[], Session], found: Found, value: dict[str, Any], values: Values) -> None:
    for one in matching(_template(found, value), values.containers):
        print(f"# {found.resource.kind} {found.name}, container {one['name']}")
        for each in one.get("env") or ():
            source = each.get("valueFrom")
            if not source:
                print(f"{each['name']}={each.get('value', '')}")
                continue
            if values.resolve:
                try:
                    print(f"{each['name']}={_resolved(session(), found, value, source)}")
                    continue
                except SampanError as error:
                    print(f"error retrieving reference for {each['name']}: {error}", file=sys.stderr)
            print(f"# {each['name']} from {environment.source_text(source)}")


def _resolved(session: Session, found: Found, value: dict[str, Any], source: dict[str, Any]) -> str:
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if ref := source.get(key):
            data = session.read(session.discovery.of_kind("v1", kind), ref["name"], found.namespace).get("data") or {}
            if ref["key"] not in data:
                raise UsageError(f"key {ref['key']} not found in {kind} {ref['name']}")
            text = str(data[ref["key"]])
            return base64.b64decode(text).decode(errors="replace") if kind == "Secret" else text
    path = (source.get("fieldRef") or {}).get("fieldPath", "")
    if path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return str(value["metadata"].get(path.rpartition(".")[2], ""))
    raise UsageError(f"unsupported fieldPath: {path}" if path else "unsupported reference")


CHANGES: dict[str, Callable[[Values, Callable[[], Session]], Change | None]] = {
    "env": _environment,
    "image": _images,
    "resources": _resources,
    "selector": _selector,
    "serviceaccount": _service_account,
}
