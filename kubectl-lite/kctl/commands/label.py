"""Change the labels, or the annotations, of objects: KEY=VALUE sets, KEY- removes."""

from __future__ import annotations

import re
import sys
from typing import Any

from kctl import flags, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import MERGE_PATCH, Session
from kctl.targets import Found
from kctl.writes import Write, declare
from sampan.api_error import ApiError

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "[--overwrite] (-f FILENAME | TYPE NAME) KEY=VALUE ... KEY- ..."
    targets.declare(flags)
    flags.switch("overwrite", "change what has a value already")
    flags.switch("list", "show them")
    flags.text("resource-version", "only if the object is still at this version")
    declare(flags)


def run(values: Values) -> int:
    """Patch each object."""
    annotations = values.invoked_as == "annotate"
    field = "annotations" if annotations else "labels"
    wanted, removed = _changes(values, field[:-1])
    write = Write(values, f"kubectl-{values.invoked_as}")
    session = flags.session(values)
    failed = False
    chosen = targets.targets(session, values)
    for found in chosen:
        try:
            live = targets.read(session, found)
            if values.list:
                _list(found, live, field, several=len(chosen) > 1)
            else:
                _change(session, found, live, field, wanted, removed, values, write)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _changes(values: Values, noun: str) -> tuple[dict[str, str], list[str]]:
    """What to set and what to remove; takes those words away. Raises UsageError."""
    words = values.words
    first = next((at for at, word in enumerate(words) if "=" in word or (word.endswith("-") and at > 0)), len(words))
    changes, values.words = words[first:], words[:first]
    wanted: dict[str, str] = {}
    removed: list[str] = []
    for word in changes:
        key, equals, value = word.partition("=")
        if equals and key:
            if noun == "label":
                _check_label(word, value)
            wanted[key] = value
        elif word.endswith("-") and len(word) > 1:
            removed.append(word[:-1])
        else:
            raise UsageError(f'unknown command "{word}": KEY=VALUE or KEY- is wanted')
    if set(wanted) & set(removed):
        article = "an annotation" if noun == "annotation" else "a label"
        raise UsageError(f"can not both modify and remove {article} in the same command")
    if not words and not values.filename:
        raise UsageError("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    if not changes and not values.list:
        raise UsageError(f"at least one {noun} update is required")
    return wanted, removed


def _check_label(word: str, value: str) -> None:
    """Raises UsageError for a value that no label can have; of the key, the server judges."""
    if "=" in value:
        raise UsageError(f"invalid label spec: {word}")
    if len(value) > 63 or (value and not LABEL_VALUE.fullmatch(value)):
        pattern = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
        raise UsageError(
            f'invalid label value: "{word}": a valid label must be an empty string or consist of alphanumeric'
            " characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',"
            f"  or 'my_value',  or '12345', regex used for validation is '{pattern}')"
            if len(value) <= 63
            else f'invalid label value: "{word[:80]}...": must be no more than 63 characters'
        )


def _list(found: Found, live: dict[str, Any], field: str, *, several: bool) -> None:
    if several:
        print(f"Listing {field} for {found.resource.kind}.{found.resource.group}/{found.name}:")
    for key, value in sorted((live["metadata"].get(field) or {}).items()):
        print(f"{' ' if several else ''}{key}={value}")


def _change(
    session: Session,
    found: Found,
    live: dict[str, Any],
    field: str,
    wanted: dict[str, str],
    removed: list[str],
    values: Values,
    write: Write,
) -> None:
    own = live["metadata"].get(field) or {}
    if not values.overwrite:
        taken = [
            f"'{key}' already has a value ({own[key]}), and --overwrite is false"
            for key in wanted
            if key in own and own[key] != wanted[key]
        ]
        if taken:
            if field == "annotations":
                declared = "; ".join(text.removesuffix(", and --overwrite is false") for text in taken)
                raise UsageError(f"--overwrite is false but found the following declared annotation(s): {declared}")
            raise UsageError(taken[0] if len(taken) == 1 else f"[{', '.join(taken)}]")
    for key in removed:
        if key not in own and field == "labels":
            print(f'label "{key}" not found.')
    gone = [key for key in removed if key in own]
    changed = any(own.get(key) != value for key, value in wanted.items())
    metadata: dict[str, Any] = {field: {**wanted, **dict.fromkeys(gone)}}
    if values.resource_version:
        metadata["resourceVersion"] = values.resource_version
    if (changed or gone) and not write.pretends:
        patch = {"metadata": metadata}
        live = session.call("PATCH", found.path(), write.query, patch, content_type=MERGE_PATCH)
    done = "labeled" if changed else "unlabeled" if gone else "not labeled"
    write.report(found.resource, live, "annotated" if field == "annotations" else done)
