"""Create or change objects as files describe them.

A three-way merge between what was applied last (kept in an annotation), the file, and the live object: fields that
others set are left alone, fields that the file no longer has are removed.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from kctl import flags, objects, printers
from kctl.__main__ import UsageError
from kctl.discovery import ApiResource
from kctl.objects import Manifest
from kctl.session import MERGE_PATCH, STRATEGIC_PATCH, Session
from sampan.errors import ApiError

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ATTEMPTS = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-f", "--filename", action="append", default=[], help="file, folder or - for standard input")
    parser.add_argument("-R", "--recursive", action="store_true", help="folders with all that is below them")
    parser.add_argument("-k", "--kustomize", help=argparse.SUPPRESS)
    parser.add_argument("--server-side", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--prune", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dry-run", nargs="?", const="unchanged", default="none", help="none, client or server")
    parser.add_argument("-o", "--output", default="", help="name|yaml|json|...")
    parser.add_argument("-l", "--selector", default="", help="only objects of the files with these labels")
    parser.add_argument("--overwrite", default="true", help="resolve conflicts by the file (always so)")
    parser.add_argument("--validate", nargs="?", const="strict", default="strict", help="strict, warn or ignore")
    parser.add_argument("--wait", action="store_true", help=argparse.SUPPRESS)
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Apply every object, in the order of the files; an error of one does not stop the others."""
    for flag, what in (("kustomize", "-k"), ("server_side", "--server-side"), ("prune", "--prune")):
        if getattr(arguments, flag):
            raise UsageError(f"{what} is not supported yet; apply plain manifests with -f")
    if arguments.dry_run not in ("none", "client", "server"):
        raise UsageError(f'Invalid dry-run value ({arguments.dry_run}). Must be "none", "server", or "client".')
    session = flags.session(arguments)
    manifests = list(objects.load(arguments.filename, recursive=arguments.recursive))
    if arguments.selector:
        manifests = [one for one in manifests if _chosen(one, arguments.selector)]
    failed = False
    for manifest in manifests:
        try:
            resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
            name, verdict, value = _apply(session, resource, manifest, arguments)
        except ApiError as error:
            from kctl.__main__ import wording

            prefix = f'error when applying "{manifest.source}": ' if len(manifests) > 1 else ""
            print(prefix + wording(error), file=sys.stderr)
            failed = True
            continue
        if arguments.output:
            printers.show_values([value], arguments.output, as_list=False, names=[resource.label(name)])
        else:
            suffix = {"none": "", "client": " (dry run)", "server": " (server dry run)"}[arguments.dry_run]
            print(f"{resource.label(name)} {verdict}{suffix}")
    return 1 if failed else 0


def _chosen(manifest: Manifest, selector: str) -> bool:
    from sampan import selectors

    return selectors.parse(selector).matches(manifest.value.get("metadata", {}).get("labels") or {})


def _apply(
    session: Session, resource: ApiResource, manifest: Manifest, arguments: argparse.Namespace
) -> tuple[str, str, Any]:
    value = manifest.value
    metadata = value.setdefault("metadata", {})
    if not manifest.name:
        raise UsageError(
            f"{manifest.source}: from {metadata.get('generateName') or 'it'}: cannot use generate name with apply"
        )
    namespace = namespace_of(session, resource, manifest, arguments)
    if resource.namespaced:
        metadata["namespace"] = namespace
    modified = annotated(value)
    query = {"fieldManager": "kubectl-client-side-apply", "fieldValidation": arguments.validate.capitalize()}
    if arguments.validate in ("true", "false"):
        query["fieldValidation"] = "Strict" if arguments.validate == "true" else "Ignore"
    if arguments.dry_run == "server":
        query["dryRun"] = "All"
    path = resource.path(namespace, quote(manifest.name, safe=""))
    for attempt in range(ATTEMPTS):
        try:
            live = session.get(path)
        except ApiError as error:
            if not error.is_not_found:
                raise
            if arguments.dry_run == "client":
                return manifest.name, "created", modified
            return manifest.name, "created", session.call("POST", resource.path(namespace), query, modified)
        patch, content_type = _patch(session, resource, modified, live)
        if not patch:
            return manifest.name, "unchanged", live
        if arguments.dry_run == "client":
            return manifest.name, "configured", live
        try:
            after = session.call("PATCH", path, query, patch, content_type=content_type)
        except ApiError as error:
            if error.is_conflict and attempt < ATTEMPTS - 1:
                continue
            raise
        same = after["metadata"].get("resourceVersion") == live["metadata"].get("resourceVersion")
        return manifest.name, "unchanged" if same else "configured", after
    raise AssertionError("the last attempt returns or raises")


def namespace_of(session: Session, resource: ApiResource, manifest: Manifest, arguments: argparse.Namespace) -> str:
    """Where an object of a manifest lives. Raises UsageError when flag and file disagree."""
    if not resource.namespaced:
        return ""
    own = str(manifest.value.get("metadata", {}).get("namespace") or "")
    if own and arguments.namespace and own != arguments.namespace:
        raise UsageError(
            f'the namespace from the provided object "{own}" does not match the namespace "{arguments.namespace}".'
            f" You must pass '--namespace={own}' to perform this operation."
        )
    return own or session.namespace


def annotated(value: dict[str, Any]) -> dict[str, Any]:
    """The object with a record of itself in its annotation."""
    metadata = dict(value.get("metadata") or {})
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    plain = value | {"metadata": metadata | {"annotations": annotations}}
    text = json.dumps(plain, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    return value | {"metadata": metadata | {"annotations": annotations | {LAST_APPLIED: text}}}


def _patch(session: Session, resource: ApiResource, modified: Any, live: Any) -> tuple[dict[str, Any], str]:
    from sampan.patches import three_way

    recorded = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        original = json.loads(recorded) if recorded else None
    except ValueError:
        original = None
    if recorded is None:
        print(
            f"Warning: resource {resource.plural}/{live['metadata']['name']} is missing the {LAST_APPLIED} annotation"
            " which is required by kctl apply. The missing annotation will be patched automatically.",
            file=sys.stderr,
        )
    schema = _schema(session, resource)
    if schema is None:
        return three_way.json_merge(original, modified, live), MERGE_PATCH
    return three_way.strategic(original, modified, live, schema), STRATEGIC_PATCH


def _schema(session: Session, resource: ApiResource) -> Any:
    """The kind's merge rules out of the server's OpenAPI; None for custom resources, which merge as JSON."""
    from kctl.openapi import schema_of
    from sampan.patches.schema import OpenApi

    document, node = schema_of(session, resource)
    if node is None:
        return None
    return OpenApi(document, node)
