"""Follow and steer a rollout: status, history, undo, restart, pause, resume."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

from kctl import flags, manifests, printers, references, rollout_status
from kctl.discovery import ApiResource
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import JSON_PATCH, STRATEGIC_PATCH, Session
from kctl.urls import quote
from kctl.writes import Write, declare
from sampan.api_error import SampanError

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
TEMPLATE_HASH = "pod-template-hash"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NOT_ROLLED_BACK = (
    LAST_APPLIED,
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
)


VERBS = {
    "status": "show how far the rollout is",
    "history": "list the revisions",
    "undo": "go back to an earlier revision",
    "restart": "start every pod anew, a few at a time",
    "pause": "stop rolling out changes",
    "resume": "go on rolling out changes",
}


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    flags.usage = "(TYPE NAME | TYPE/NAME) [flags]"
    flags.text("selector", "all objects with these labels", short="l")
    flags.texts("filename", "files that name the objects", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")
    if verb == "status":
        flags.switch("watch", "wait until it is done", short="w", default=True)
        flags.duration("timeout", "how long to wait; 0 for ever", default="0s")
        flags.number("revision", "wait for this revision alone")
    elif verb == "history":
        flags.number("revision", "show this revision's pod template")
        flags.text("output", "yaml or json", short="o")
    else:
        declare(flags)
        if verb == "undo":
            flags.number("to-revision", "the revision to go back to; 0 for the last one")


def run(values: Values) -> int:
    """Do what the verb says for each object."""
    verb = {
        "status": _status,
        "history": _history,
        "undo": _undo,
        "restart": _restart,
        "pause": _pause,
        "resume": _resume,
    }[values.verb]
    if "dry_run" in vars(values):
        Write(values, "")
    if not values.words and not values.filename:
        raise UsageError("required resource not specified")
    session = flags.session(values)
    targets = _targets(session, values)
    if not targets and values.verb not in ("status", "history"):
        print(f"No resources found in {session.namespace} namespace.", file=sys.stderr)
    if len(targets) == 1:
        verb(session, *targets[0], values)
        return 0
    failed = False
    for target in targets:
        try:
            verb(session, *target, values)
        except SampanError as error:
            print(wording(error), file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _targets(session: Session, values: Values) -> list[tuple[ApiResource, str]]:
    if values.filename:
        loaded = manifests.load(values.filename, recursive=values.recursive)
        return [(session.discovery.of_kind(one.value["apiVersion"], one.value["kind"]), one.name) for one in loaded]
    values.all = True
    return [(kind, name) for kind, name, _ in references.chosen(session, values)]


def _status(session: Session, resource: ApiResource, name: str, values: Values) -> None:
    describe = rollout_status.BY_KIND.get(resource.kind)
    if describe is None:
        kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        raise UsageError(f"no status viewer has been implemented for {kind}")
    limit = flags.seconds(values.timeout)
    deadline = time.monotonic() + limit if limit > 0 else None
    said = ""
    while True:
        live = session.read(resource, name, session.namespace)
        said, done = _say(describe(live), said)
        if done or not values.watch:
            return
        left = None if deadline is None else deadline - time.monotonic()
        query = {
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": live["metadata"]["resourceVersion"],
            "timeoutSeconds": str(max(1, int(left)) if left is not None else 300),
        }
        for kind, value in session.watch(resource.path(quote(session.namespace)), query):
            if kind == "DELETED":
                raise UsageError("object has been deleted")
            if kind in ("ADDED", "MODIFIED"):
                said, done = _say(describe(value), said)
                if done:
                    return
            if deadline is not None and time.monotonic() > deadline:
                break
        if deadline is not None and time.monotonic() > deadline:
            raise UsageError("timed out waiting for the condition")


def _say(verdict: tuple[str, bool], before: str) -> tuple[str, bool]:
    sentence, done = verdict
    if sentence != before:
        print(sentence, flush=True)
    return sentence, done


def _replica_sets(session: Session, deployment: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The deployment's replica sets by revision."""
    resource = session.discovery.of_kind("apps/v1", "ReplicaSet")
    labels = deployment["spec"]["selector"].get("matchLabels") or {}
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
    found = {}
    for item in session.get(resource.path(quote(deployment["metadata"]["namespace"])), query)["items"]:
        owners = item["metadata"].get("ownerReferences") or ()
        if any(one.get("controller") and one["uid"] == deployment["metadata"]["uid"] for one in owners):
            revision = (item["metadata"].get("annotations") or {}).get(REVISION, "0")
            if revision.isdigit():
                found[int(revision)] = item
    return found


def _only_deployments(resource: ApiResource, what: str) -> None:
    if resource.kind != "Deployment":
        kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        raise UsageError(f'no {what} has been implemented for "{kind}"')


def _history(session: Session, resource: ApiResource, name: str, values: Values) -> None:
    _only_deployments(resource, "history viewer")
    sets = _replica_sets(session, session.read(resource, name, session.namespace))
    if values.revision:
        if values.revision not in sets:
            raise UsageError("unable to find the specified revision")
        from kctl.describe.templates import template_lines

        if values.output:
            printers.show_values([sets[values.revision]], values.output, as_list=False, names=[resource.label(name)])
            return
        print(f"{resource.label(name)} with revision #{values.revision}")
        print("\n".join(template_lines(sets[values.revision]["spec"]["template"])))
        return
    print(f"{resource.label(name)} ")
    if not sets:
        print("No rollout history found.")
        return
    print("REVISION  CHANGE-CAUSE")
    for revision in sorted(sets):
        cause = (sets[revision]["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, "<none>")
        print(f"{revision:<9} {cause}")
    print()


def _undo(session: Session, resource: ApiResource, name: str, values: Values) -> None:
    _only_deployments(resource, "rollbacker")
    live = session.read(resource, name, session.namespace)
    if live["spec"].get("paused"):
        raise UsageError(
            "you cannot rollback a paused deployment; resume it first with"
            f' "kubectl rollout resume deployment/{name}" and try again'
        )
    if LAST_APPLIED in (live["metadata"].get("annotations") or {}):
        print(
            f"Warning: resource {resource.plural}/{name} was previously managed with 'kubectl apply'. Rolling back will"
            f" not update the {LAST_APPLIED} annotation, which may cause unexpected behavior on future 'kubectl apply'"
            " operations. Consider using 'kubectl apply' with your previous configuration file instead.",
            file=sys.stderr,
        )
    sets = _replica_sets(session, live)
    target = values.to_revision
    missing = f"unable to find specified revision {target} in history"
    if not target:
        if len(sets) < 2:
            raise UsageError(f'no rollout history found for deployment "{name}"')
        target = sorted(sets)[-2]
    if target not in sets:
        raise UsageError(missing)
    template = sets[target]["spec"]["template"]
    (template["metadata"].get("labels") or {}).pop(TEMPLATE_HASH, None)
    if template == live["spec"]["template"]:
        print(f"{resource.label(name)} skipped rollback (current template already matches revision {target})")
        return
    own = live["metadata"].get("annotations") or {}
    theirs = sets[target]["metadata"].get("annotations") or {}
    kept = {key: value for key, value in own.items() if key in NOT_ROLLED_BACK}
    restored = {key: value for key, value in theirs.items() if key not in NOT_ROLLED_BACK}
    patch = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "add", "path": "/metadata/annotations", "value": kept | restored},
    ]
    _send(session, resource, live, patch, JSON_PATCH, values, "rolled back")


def _restart(session: Session, resource: ApiResource, name: str, values: Values) -> None:
    live = session.read(resource, name, session.namespace)
    if resource.kind not in ("Deployment", "DaemonSet", "StatefulSet"):
        raise UsageError(f'{resource.qualified} "{name}" restarting is not supported')
    if live["spec"].get("paused"):
        raise UsageError(
            f'{resource.qualified} "{name}" can\'t restart paused {resource.singular} (run rollout resume first)'
        )
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: stamp}}}}}
    _send(session, resource, live, patch, STRATEGIC_PATCH, values, "restarted")


def _pause(session: Session, resource: ApiResource, name: str, values: Values) -> None:
    _set_paused(session, resource, name, True, values)


def _resume(session: Session, resource: ApiResource, name: str, values: Values) -> None:
    _set_paused(session, resource, name, False, values)


def _set_paused(session: Session, resource: ApiResource, name: str, paused: bool, values: Values) -> None:
    if resource.kind != "Deployment":
        raise UsageError(f'{resource.qualified} "{name}" {"pausing" if paused else "resuming"} is not supported')
    live = session.read(resource, name, session.namespace)
    if bool(live["spec"].get("paused")) == paused:
        raise UsageError(f'{resource.plural}.{resource.group} "{name}" is {"already" if paused else "not"} paused')
    done = "paused" if paused else "resumed"
    _send(session, resource, live, {"spec": {"paused": paused}}, STRATEGIC_PATCH, values, done)


def _send(
    session: Session,
    resource: ApiResource,
    live: dict[str, Any],
    patch: Any,
    content_type: str,
    values: Values,
    done: str,
) -> None:
    """Send a patch, and say what is done by it."""
    write = Write(values, "kubectl-rollout")
    if not write.pretends:
        path = resource.path(quote(session.namespace), quote(live["metadata"]["name"]))
        live = session.call("PATCH", path, write.query, patch, content_type=content_type)
    write.report(resource, live, done)
