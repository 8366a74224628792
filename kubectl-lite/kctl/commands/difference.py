"""Show what apply would change, or with --since what has changed: a unified diff.

With -f, of the live objects and of what a server-side dry run makes of them. With --since, of the objects as they were
then and as they are now.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from typing import Any

from kctl import flags, manifests
from kctl.commands.apply import namespace_of, patch_for
from kctl.discovery import ApiResource
from kctl.errors import Exit, UsageError
from kctl.flags import Flags, Values
from kctl.last_applied import annotated
from kctl.manifests import Manifest
from kctl.printers import to_yaml
from kctl.session import Session
from kctl.targets import Found
from kctl.urls import quote
from sampan.api_error import ApiError, SampanError

RESTLESS = ("Event", "Lease", "Endpoints", "EndpointSlice")
"""Kinds that a diff of everything leaves out: they tell of what happens, or renew themselves all the time."""
QUERY = {"fieldManager": "kubectl-client-side-apply", "dryRun": "All"}


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "-f FILENAME | --since 5m [TYPE ... | TYPE/NAME ...]"
    flags.text("since", "what has changed since: 5m, or an RFC 3339 time, as far as the server keeps history")
    flags.text("selector", "with --since: label selector", short="l")
    flags.switch("all-namespaces", "with --since: in all namespaces", short="A")
    flags.texts("filename", "file, folder or - for standard input", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")
    flags.text("field-manager", "(accepted)")
    flags.switch("server-side", "")


def run(values: Values) -> int:
    """Exit code 0: nothing differs; 1: something does; 2: it could not be told."""
    if values.server_side:
        raise UsageError("--server-side is not supported yet")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="LIVE-") as live,
            tempfile.TemporaryDirectory(prefix="MERGED-") as after,
        ):
            session = flags.session(values)
            if values.since:
                _write_past(session, values, live, after)
                return _compare(live, after)
            for manifest in manifests.load(values.filename, recursive=values.recursive):
                _write_both(session, manifest, values, live, after)
            return _compare(live, after)
    except SampanError as error:
        from kctl.errors import wording

        print(wording(error), file=sys.stderr)
        raise Exit(2) from error


def _write_both(session: Session, manifest: Manifest, values: Values, live: str, after: str) -> None:
    resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
    namespace = namespace_of(session, resource, manifest, values)
    found = Found(resource, namespace, manifest.name)
    modified = annotated(manifest.value)
    name = _file_name(resource, {"metadata": {"namespace": namespace, "name": manifest.name}})
    try:
        before: dict[str, Any] = session.get(found.path())
    except ApiError as error:
        if not error.is_not_found:
            raise
        made = session.call("POST", resource.path(quote(namespace)), QUERY, modified)
        _store(after, name, made)
        return
    patch, content_type = patch_for(session, resource, modified, before, quiet=True)
    merged = session.call("PATCH", found.path(), QUERY, patch, content_type=content_type) if patch else before
    _store(live, name, before)
    _store(after, name, merged)


def _write_past(session: Session, values: Values, then: str, now: str) -> None:
    """What was, and what is. Without words: all kinds but those that change by themselves."""
    from kctl import past, references

    if values.filename:
        raise UsageError("-f and --since can't be used together")
    before = past.revision_at(session, values.since)
    if values.words:
        wanted = [(one.resource, one.name) for one in references.references(session, values.words)]
    else:
        kinds = session.discovery.everything()
        wanted = [(one, "") for one in kinds if "watch" in one.verbs and one.kind not in RESTLESS]
        if not values.all_namespaces:
            wanted = [one for one in wanted if one[0].namespaced]
    present = str(session.get("/api/v1/namespaces", {"limit": "1"})["metadata"]["resourceVersion"])
    selector = {"labelSelector": values.selector} if values.selector else {}
    for resource, name in wanted:
        chosen = {"fieldSelector": f"metadata.name={name}"} if name else selector
        namespace = "" if values.all_namespaces else session.namespace
        for directory, revision in ((then, before), (now, present)):
            for value in past.objects_at(session, resource, namespace, revision, chosen):
                _store(directory, _file_name(resource, value), value)


def _file_name(resource: ApiResource, value: dict[str, Any]) -> str:
    metadata = value["metadata"]
    kind = f"{resource.api_version.replace('/', '.')}.{resource.kind}"
    return f"{kind}.{metadata.get('namespace', '')}.{metadata['name']}".replace("/", "-")


def _store(directory: str, name: str, value: dict[str, Any]) -> None:
    metadata = {key: part for key, part in value["metadata"].items() if key != "managedFields"}
    if (annotations := dict(metadata.get("annotations") or {})) and annotations.pop(
        "kubectl.kubernetes.io/last-applied-configuration", None
    ):
        metadata = {key: part for key, part in metadata.items() if key != "annotations"}
        metadata |= {"annotations": annotations} if annotations else {}
    with open(os.path.join(directory, name), "w") as out:
        out.write(to_yaml(value | {"metadata": metadata}))


def _compare(live: str, after: str) -> int:
    program = shlex.split(os.environ.get("KUBECTL_EXTERNAL_DIFF") or "diff -u -N")
    try:
        done = subprocess.run([*program, live, after], check=False)
    except OSError as error:
        raise UsageError(f"{program[0]}: {error.strerror}; install diff, or set KUBECTL_EXTERNAL_DIFF") from error
    return done.returncode
