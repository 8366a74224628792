"""The history of a daemon set's template, as ControllerRevisions: what `kubectl rollout history` and `undo` read. Pure.

A revision's data is the patch that brings its template back. Going back to one gives it the next number.
Source: DaemonSet's documentation ("Perform a Rollback on a DaemonSet").
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from controllers.pods import created_at, name_for
from sampan.actions import Action, Create, Delete, Patch, Stale
from sampan.api.apps_v1 import ControllerRevision, DaemonSet
from sampan.api.meta_v1 import ObjectMeta
from sampan.kinds import CONTROLLER_REVISIONS, DAEMON_SETS
from sampan.objects import owned_by

HASH = "controller-revision-hash"
KEPT = 10


def record(
    ds: DaemonSet, version: str, known: Sequence[ControllerRevision], in_use: Collection[str]
) -> Iterator[Action]:
    """See that the present template is the newest revision; forget the oldest beyond revisionHistoryLimit.

    `version` is the present template's hash, `in_use` those of the pods that there are: their revisions stay.
    """
    newest = max((one.revision or 0 for one in known), default=0)
    mine = next((one for one in known if one.metadata.labels.get(HASH) == version), None)
    if mine is None:
        yield Create(CONTROLLER_REVISIONS, _revision(ds, version, newest + 1), exists=_taken)
    elif (mine.revision or 0) < newest:
        yield Patch(CONTROLLER_REVISIONS, mine, {"revision": newest + 1})
    old = [one for one in known if one is not mine and one.metadata.labels.get(HASH) not in in_use]
    old.sort(key=lambda one: (one.revision or 0, created_at(one)))
    limit = KEPT if ds.spec.revision_history_limit is None else ds.spec.revision_history_limit
    yield from (Delete(CONTROLLER_REVISIONS, one) for one in old[: max(0, len(old) - limit)])


def _taken(found: ControllerRevision) -> Iterator[Action]:
    """Ours, and the cache shows it soon; or a stranger's, and the next turn finds it so again."""
    raise Stale(f"controllerrevision {found.metadata.name} is there already")
    yield  # a generator, as its callers expect


def _revision(ds: DaemonSet, version: str, number: int) -> ControllerRevision:
    template = ds.spec.template.to_json()
    return ControllerRevision(
        metadata=ObjectMeta(
            name=name_for(ds.metadata.name or "", version),
            namespace=ds.metadata.namespace,
            labels={**ds.spec.template.metadata.labels, HASH: version},
            annotations=_told(ds),
            owner_references=[owned_by(ds, DAEMON_SETS)],
        ),
        data={"spec": {"template": {**template, "$patch": "replace"}}},
        revision=number,
    )


def _told(ds: DaemonSet) -> dict[str, str]:
    cause = ds.metadata.annotations.get("kubernetes.io/change-cause")
    return {"kubernetes.io/change-cause": cause} if cause else {}
