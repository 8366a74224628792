"""Change an object in an editor: $KUBE_EDITOR, $EDITOR, or vi."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from typing import Any

from kctl import flags, manifests, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.printers import to_yaml
from kctl.session import MERGE_PATCH, Session
from kctl.targets import Found
from kctl.writes import Write, declare, declare_validation, validation
from sampan.api_error import ApiError

HEADING = """# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
"""


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(TYPE NAME | TYPE/NAME | -f FILENAME)"
    targets.declare(flags)
    flags.text("subresource", "edit this subresource")
    declare(flags)
    declare_validation(flags)


def run(values: Values) -> int:
    """Edit each object in turn."""
    write = Write(values, "kubectl-edit")
    query = write.query | {"fieldValidation": validation(values)}
    session = flags.session(values)
    found = targets.targets(session, values)
    if not found:
        print("No resources found", file=sys.stderr)
    code = 0
    for one in found:
        code = max(code, _edit(session, one, values.subresource, query, write))
    return code


def _edit(session: Session, found: Found, subresource: str, query: dict[str, str], write: Write) -> int:
    """Open the editor until the server takes what is saved, or nothing more changes."""
    live: dict[str, Any] = session.get(found.path(subresource))
    live.get("metadata", {}).pop("managedFields", None)
    original = to_yaml(live)
    text, trouble = original, ""
    while True:
        path = _temporary(HEADING + trouble + text)
        try:
            _run_editor(path)
            with open(path) as stream:
                edited = _uncommented(stream.read())
        finally:
            kept = path
        if edited.strip() in ("", original.strip()) or (trouble and edited == text):
            if trouble:
                print(f'A copy of your changes has been stored to "{kept}"', file=sys.stderr)
                raise UsageError("Edit cancelled, no valid changes were saved.")
            os.unlink(kept)
            print("Edit cancelled, " + ("no changes made." if edited.strip() else "saved file was empty."))
            return 0
        text = edited
        try:
            value = next(iter(manifests.parsed(edited.encode())))
            if not isinstance(value, dict):
                raise ValueError("an object is wanted")
            patch = difference(live, value)
            if not write.pretends:
                live = session.call("PATCH", found.path(subresource), query, patch, content_type=MERGE_PATCH)
        except (ValueError, StopIteration, ApiError) as error:
            said = wording(error) if isinstance(error, ApiError) else f"error: {error}"
            trouble = "".join(f"# {line}\n" for line in [*said.splitlines(), ""])
            os.unlink(kept)
            continue
        os.unlink(kept)
        write.report(found.resource, live, "edited")
        return 0


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch from one object to another; lists are replaced whole."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := difference(old, value):
                patch[key] = inner
        elif key not in before or old != value:
            patch[key] = value
    return patch


def _temporary(text: str) -> str:
    descriptor, path = tempfile.mkstemp(prefix="kubectl-edit-", suffix=".yaml")
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    return path


def _uncommented(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def _run_editor(path: str) -> None:
    chosen = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi"
    with contextlib.suppress(ValueError):
        words = shlex.split(chosen)
    try:
        done = subprocess.run([*words, path], check=False)
    except OSError as error:
        raise UsageError(f"unable to launch the editor {chosen!r}: {error.strerror}; set EDITOR") from error
    if done.returncode:
        raise UsageError(f"there was a problem with the editor {chosen!r}: it ended with exit code {done.returncode}")
