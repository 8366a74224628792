"""Create or change objects as files describe them.

A three-way merge between what was applied last (kept in an annotation), the file, and the live object: fields that
others set are left alone, fields that the file no longer has are removed. With --server-side the server does that, by
what it keeps of who manages which field.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from kctl import flags, last_applied, manifests, pruning
from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.failures import told
from kctl.flags import Flags, Values
from kctl.last_applied import LAST_APPLIED, annotated
from kctl.manifests import Manifest
from kctl.session import APPLY_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Session
from kctl.urls import quote
from kctl.writes import Write, declare, declare_validation, validation
from sampan.api_error import ApiError, SampanError

ATTEMPTS = 5
UNSUPPORTED = {
    "kustomize": "-k is not supported yet; build the manifests with kustomize and apply them with -f",
}
"""Flags of kubectl's that are refused, and what to do instead."""


VERBS = {
    "view-last-applied": "show what was applied last: TYPE/NAME",
    "set-last-applied": "record what a file says as applied last, and change nothing else",
}
VERBS_OPTIONAL = True


def configure(flags: Flags, verb: str = "") -> None:
    """Declare the flags."""
    if verb:
        last_applied.configure(flags, verb)
        return
    flags.usage = "(-f FILENAME) [flags]"
    flags.at_most(0)
    flags.texts("filename", "file, folder or - for standard input", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")
    flags.text("selector", "only objects of the files with these labels", short="l")
    flags.switch("overwrite", "resolve conflicts by the file (always so)", default=True)
    flags.switch("force", "delete and create anew what can't be changed in place (not supported)")
    flags.text("kustomize", "", short="k")
    flags.switch("server-side", "let the server merge, and keep account of who manages which field")
    flags.switch("force-conflicts", "with --server-side: take fields over that others manage")
    flags.switch("wait", "until what was applied is really up, or say why it will not be")
    flags.duration("timeout", "with --wait: how long; 0 for ever", default="5m")
    pruning.declare(flags)
    declare(flags)
    declare_validation(flags)


def run(values: Values) -> int:
    """Apply every object, in the order of the files; an error of one does not stop the others."""
    if values.verb:
        return last_applied.run(values)
    for flag, why in UNSUPPORTED.items():
        if getattr(values, flag):
            raise UsageError(why)
    if values.force:
        raise UsageError("--force is not supported yet; use kctl replace --force")
    if values.force_conflicts and not values.server_side:
        raise UsageError("--force-conflicts only works with --server-side")
    if values.server_side and values.dry_run == "client":
        raise UsageError("--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)")
    pruning.check(values)
    if values.wait and values.dry_run != "none":
        raise UsageError("--wait can't be used with --dry-run: nothing is there to wait for")
    patience = flags.seconds(values.timeout)
    write = Write(values, "kubectl" if values.server_side else "kubectl-client-side-apply")
    validation(values)
    chosen = list(manifests.load(values.filename, recursive=values.recursive))
    session = flags.session(values)
    if values.selector:
        chosen = [one for one in chosen if _matches(one, values.selector)]
    if not chosen:
        raise UsageError("no objects passed to apply")
    failures: list[tuple[Manifest, SampanError]] = []
    applied: list[tuple[ApiResource, dict[str, Any]]] = []
    for manifest in chosen:
        try:
            resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
            done, value = _apply(session, resource, manifest, values, write)
        except SampanError as error:
            failures.append((manifest, error))
        else:
            applied.append((resource, value))
            write.report(resource, value, done, gather=True)
    write.show_gathered()
    sys.stdout.flush()
    for text in told(failures):
        print(text, file=sys.stderr)
    if failures:
        return 1  # nothing is pruned, nor waited for, by half of what was wanted
    if values.prune:
        uids = {str(value["metadata"].get("uid")) for _, value in applied}
        places = {str(value["metadata"].get("namespace") or "") for _, value in applied} - {""}
        if values.namespace:
            places.add(session.namespace)
        pruning.prune(session, values, uids, places, write)
    if values.wait:
        from kctl.settling import settle

        settle(session, applied, patience)
    return 0


def _matches(manifest: Manifest, selector: str) -> bool:
    from sampan import selectors

    return selectors.parse(selector).matches(manifest.value.get("metadata", {}).get("labels") or {})


def _apply(
    session: Session, resource: ApiResource, manifest: Manifest, values: Values, write: Write
) -> tuple[str, Any]:
    """What was done with one object, and the object."""
    value = manifest.value
    if not manifest.name:
        prefix = value["metadata"].get("generateName") if isinstance(value.get("metadata"), dict) else ""
        raise UsageError(f"from {prefix or manifest.source}: cannot use generate name with apply")
    namespace = namespace_of(session, resource, manifest, values)
    metadata = value.setdefault("metadata", {})
    if resource.namespaced:
        metadata["namespace"] = namespace
    query = write.query | {"fieldValidation": validation(values)}
    path = resource.path(quote(namespace), quote(manifest.name))
    if values.server_side:
        manifest.doing = "applying"
        query["force"] = str(bool(values.force_conflicts)).lower()
        return "serverside-applied", session.call("PATCH", path, query, value, content_type=APPLY_PATCH)
    modified = annotated(value)
    for attempt in range(ATTEMPTS):
        manifest.doing = "retrieving current configuration of"
        try:
            live = session.get(path)
        except ApiError as error:
            if not error.is_not_found:
                raise
            manifest.doing = "creating"
            if write.pretends:
                return "created", modified
            return "created", session.call("POST", resource.path(quote(namespace)), query, modified)
        patch, content_type = patch_for(session, resource, modified, live)
        if not patch:
            return "unchanged", live
        if write.pretends:
            return "configured", _locally(session, resource, live, patch, content_type)
        manifest.doing = "patching"
        try:
            after = session.call("PATCH", path, query, patch, content_type=content_type)
        except ApiError as error:
            if error.is_conflict and attempt < ATTEMPTS - 1:
                continue
            raise
        return "configured", after
    raise AssertionError("the last attempt returns or raises")


def _locally(session: Session, resource: ApiResource, live: Any, patch: Any, content_type: str) -> Any:
    """What the patch makes of the object, asked of nobody."""
    from sampan.patches import merge_patch, strategic

    schema = _schema(session, resource)
    if content_type == MERGE_PATCH or schema is None:
        return merge_patch.apply(live, patch)
    return strategic.apply(live, patch, schema)


def namespace_of(session: Session, resource: ApiResource, manifest: Manifest, values: Values) -> str:
    """Where an object of a manifest lives. Raises UsageError when flag and file disagree."""
    if not resource.namespaced:
        return ""
    own = manifest.namespace
    if own and values.namespace and own != values.namespace:
        raise UsageError(
            f'the namespace from the provided object "{own}" does not match the namespace "{values.namespace}".'
            f" You must pass '--namespace={own}' to perform this operation."
        )
    return own or session.namespace


def patch_for(
    session: Session, resource: ApiResource, modified: Any, live: Any, *, quiet: bool = False
) -> tuple[dict[str, Any], str]:
    """The patch that makes the live object as it is wanted, and its content type; empty if it is so already."""
    from sampan.patches import three_way

    recorded = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        original = json.loads(recorded) if recorded else None
    except ValueError:
        original = None
    if recorded is None and not quiet:
        print(
            f"Warning: resource {resource.plural}/{live['metadata']['name']} is missing the {LAST_APPLIED} annotation"
            " which is required by kctl apply. kctl apply should only be used on resources created declaratively by"
            " either kctl create --save-config or kctl apply. The missing annotation will be patched automatically.",
            file=sys.stderr,
        )
    schema = _schema(session, resource)
    if schema is None:
        return three_way.json_merge(original, modified, live), MERGE_PATCH
    return three_way.strategic(original, modified, live, schema), STRATEGIC_PATCH


def patch_between(session: Session, resource: ApiResource, before: Any, after: Any) -> tuple[dict[str, Any], str]:
    """The patch that makes one form of an object of another, and its content type."""
    from sampan.patches import three_way

    schema = _schema(session, resource)
    if schema is None:
        return three_way.json_merge(before, after, before), MERGE_PATCH
    return three_way.strategic(before, after, before, schema), STRATEGIC_PATCH


def _schema(session: Session, resource: ApiResource) -> Any:
    """The kind's merge rules out of the server's OpenAPI; None for custom resources, which merge as JSON."""
    from kctl.openapi import schema_of
    from sampan.patches.schema import OpenApi

    document, node = schema_of(session, resource)
    if node is None:
        return None
    return OpenApi(document, node)
