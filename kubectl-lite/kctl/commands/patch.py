"""Change fields of an object by a patch: strategic merge, JSON merge (RFC 7396) or JSON patch (RFC 6902)."""

from __future__ import annotations

import json
import sys
from typing import Any

from kctl import flags, manifests, openapi, targets
from kctl.discovery import ApiResource
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Session
from kctl.writes import Write, declare
from sampan.api_error import ApiError

TYPES = {"strategic": STRATEGIC_PATCH, "merge": MERGE_PATCH, "json": JSON_PATCH}


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(-f FILENAME | TYPE NAME) [-p PATCH | --patch-file FILE] [flags]"
    targets.declare(flags)
    flags.text("patch", "the patch, in JSON or YAML", short="p")
    flags.text("patch-file", "a file with the patch")
    flags.text("type", "json, merge or strategic", default="strategic")
    flags.text("subresource", "patch this subresource: status or scale")
    declare(flags)


def run(values: Values) -> int:
    """Patch each object."""
    if values.type not in TYPES:
        raise UsageError(f"--type must be one of [json merge strategic], not {json.dumps(values.type)}")
    if bool(values.patch) == bool(values.patch_file):
        raise UsageError(
            "must specify --patch or --patch-file containing the contents of the patch"
            if not values.patch
            else "cannot specify --patch and --patch-file together"
        )
    text = values.patch.encode("utf-8", "surrogateescape") if values.patch else _read(values.patch_file)
    patch = _parsed(text)
    write = Write(values, "kubectl-patch")
    session = flags.session(values)
    failed = False
    for found in targets.targets(session, values):
        try:
            before: dict[str, Any] = targets.read(session, found)
            if write.pretends:
                after = _locally(session, found.resource, before, patch, values.type)
            else:
                path = found.path(values.subresource)
                after = session.call("PATCH", path, write.query, patch, content_type=TYPES[values.type])
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        if write.output or (before != after and not write.pretends):
            write.report(found.resource, after, "patched")
        else:  # here kubectl leaves "(dry run)" out
            done = "patched" if before != after else "patched (no change)"
            print(f"{found.resource.label(found.name)} {done}", flush=True)
    return 1 if failed else 0


def _locally(session: Session, resource: ApiResource, value: dict[str, Any], patch: Any, kind: str) -> dict[str, Any]:
    """What the patch would make of an object. Raises PatchError."""
    from sampan.patches import json_patch, merge_patch, strategic
    from sampan.patches.schema import UNTYPED, OpenApi

    if kind == "json":
        after = json_patch.apply(value, patch)
    elif kind == "merge":
        after = merge_patch.apply(value, patch)
    else:
        schemas, node = openapi.schema_of(session, resource)
        after = strategic.apply(value, patch, OpenApi(schemas, node) if node else UNTYPED)
    if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
        raise UsageError("the patch leaves no object")
    return after


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"unable to read patch file: open {path}: {said}") from error


def _parsed(text: bytes) -> Any:
    try:
        found = list(manifests.parsed(text))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"unable to parse {json.dumps(text.decode(errors='replace')[:200])}: {error}") from error
    return found[0] if found else {}
