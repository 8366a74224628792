"""The record that apply keeps in an object's annotation: making it, showing it, setting it."""

from __future__ import annotations

import json
import sys
from typing import Any

from kctl import flags, manifests, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import MERGE_PATCH
from kctl.targets import Found
from kctl.writes import Write, declare
from sampan.api_error import ApiError

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def annotated(value: dict[str, Any]) -> dict[str, Any]:
    """The object with a record of itself in its annotation."""
    metadata = dict(value.get("metadata") or {})
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    plain = value | {"metadata": metadata | {"annotations": annotations}}
    text = json.dumps(plain, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    return value | {"metadata": metadata | {"annotations": annotations | {LAST_APPLIED: text}}}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags of `apply view-last-applied` and `apply set-last-applied`."""
    targets.declare(flags)
    if verb == "view-last-applied":
        flags.text("output", "yaml or json", short="o", default="yaml")
        return
    flags.switch("create-annotation", "of objects too that have no such record")
    declare(flags)


def run(values: Values) -> int:
    """Show or set the records."""
    return _view(values) if values.verb == "view-last-applied" else _set(values)


def _view(values: Values) -> int:
    if values.output not in ("yaml", "json"):
        raise UsageError(
            f"Unexpected -o output mode: {values.output}, the flag 'output' must be one of yaml|json\n"
            "See 'kctl apply view-last-applied -h' for help and examples"
        )
    session = flags.session(values)
    for found in targets.targets(session, values):
        recorded = (targets.read(session, found)["metadata"].get("annotations") or {}).get(LAST_APPLIED)
        if recorded is None:
            name = found.resource.label(found.name)
            raise UsageError(f"no last-applied-configuration annotation found on resource: {name}")
        try:
            value = json.loads(recorded)
        except ValueError as error:
            raise UsageError(f"{found.resource.label(found.name)}: the record is no JSON: {error}") from error
        if values.output == "json":
            print(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))
        else:
            from kctl.printers import to_yaml

            print(to_yaml(value), end="")
    return 0


def _set(values: Values) -> int:
    if values.words:
        raise UsageError("set-last-applied takes files alone: -f FILENAME")
    write = Write(values, "kubectl-set-last-applied")
    session = flags.session(values)
    failed = False
    for manifest in manifests.load(values.filename, recursive=values.recursive):
        resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
        namespace = (manifest.namespace or session.namespace) if resource.namespaced else ""
        found = Found(resource, namespace, manifest.name)
        if resource.namespaced:
            manifest.value["metadata"]["namespace"] = namespace
        record = annotated(manifest.value)["metadata"]["annotations"][LAST_APPLIED]
        try:
            live = targets.read(session, found)
            before = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
            if before is None and not values.create_annotation:
                raise UsageError(
                    f"no last-applied-configuration annotation found on resource: {manifest.name},"
                    " to create the annotation, run the command with --create-annotation"
                )
            if before == record:
                print(f"set-last-applied {manifest.name}: no changes required.")
                continue
            if not write.pretends:
                patch = {"metadata": {"annotations": {LAST_APPLIED: record}}}
                live = session.call("PATCH", found.path(), write.query, patch, content_type=MERGE_PATCH)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        write.report(resource, live, "configured")
    return 1 if failed else 0
