"""Change the taints of nodes: KEY[=VALUE]:EFFECT sets, KEY[:EFFECT]- removes."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import MERGE_PATCH
from kctl.writes import Write, declare
from sampan.api_error import ApiError

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
Taints = list[dict[str, Any]]


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "node NAME KEY=VALUE:EFFECT ... KEY:EFFECT- ..."
    flags.switch("overwrite", "change taints that are there already")
    flags.text("selector", "all nodes with these labels", short="l")
    flags.switch("all", "all nodes")
    declare(flags)


def run(values: Values) -> int:
    """Patch each node."""
    at = next((i for i, word in enumerate(values.words) if ":" in word or (word.endswith("-") and i)), None)
    if at is None:
        if not values.words:
            raise UsageError("one or more resources must be specified as <resource> <name>")
        raise UsageError("at least one taint update is required")
    changes = values.words[at:]
    values.words, values.filename = values.words[:at], []
    added = [parsed(word) for word in changes if not word.endswith("-")]
    removed = [word[:-1] for word in changes if word.endswith("-")]
    _check(added, removed)
    write = Write(values, "kubectl-taint")
    session = flags.session(values)
    failed = False
    for found in targets.targets(session, values):
        if found.resource.kind != "Node":
            raise UsageError(f"invalid resource type {found.resource.singular}, only node types are supported")
        try:
            live = targets.read(session, found)
            after = changed(live.get("spec", {}).get("taints") or [], added, removed, found.name, values.overwrite)
            if not write.pretends:
                version = live["metadata"]["resourceVersion"]
                patch = {"metadata": {"resourceVersion": version}, "spec": {"taints": after or None}}
                live = session.call("PATCH", found.path(), write.query, patch, content_type=MERGE_PATCH)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        done = "modified" if values.overwrite and added else "tainted" if added else "untainted"
        write.report(found.resource, live, done)
    return 1 if failed else 0


def parsed(word: str) -> dict[str, Any]:
    """`KEY=VALUE:EFFECT` or `KEY:EFFECT`. Raises UsageError."""
    pair, _, effect = word.rpartition(":")
    key, equals, value = pair.partition("=")
    if not key or effect not in EFFECTS:
        wrong = f"effect: {effect}, unsupported taint effect" if key else f"spec: {word}"
        raise UsageError(f"invalid taint {wrong}\nSee 'kctl taint -h' for help and examples")
    return {"key": key, **({"value": value} if equals and value else {}), "effect": effect}


def _check(added: Taints, removed: list[str]) -> None:
    """Raises UsageError for taints that are given twice, or both set and removed."""
    marks: set[tuple[str, str]] = set()
    for one in added:
        mark = (one["key"], one["effect"])
        if mark in marks:
            listed = f"{{{one['key']} {one.get('value', '')} {one['effect']} <nil>}}"
            raise UsageError(
                f"duplicated taints with the same key and effect: {listed}\nSee 'kctl taint -h' for help and examples"
            )
        marks.add(mark)
    for word in removed:
        key, _, effect = word.partition(":")
        for mark in marks:
            if mark[0] == key and effect in ("", mark[1]):
                raise UsageError(
                    f"can not both modify and remove the following taint(s) in the same command: {key}={mark[1]}"
                )


def changed(own: Taints, added: Taints, removed: list[str], node: str, overwrite: bool) -> Taints:
    """The taints afterwards. Raises UsageError."""
    kept = list(own)
    for word in removed:
        key, _, effect = word.partition(":")
        left = [one for one in kept if one["key"] != key or (effect and one["effect"] != effect)]
        if len(left) == len(kept):
            raise UsageError(f'taint "{word}" not found')
        kept = left
    marks = {(one["key"], one["effect"]) for one in added}
    clash = [one["key"] for one in kept if (one["key"], one["effect"]) in marks]
    if clash and not overwrite:
        raise UsageError(
            f"node {node} already has {', '.join(clash)} taint(s) with same effect(s) and --overwrite is false"
        )
    return [one for one in kept if (one["key"], one["effect"]) not in marks] + added
