"""Follow and steer a rollout: status, history, undo, restart, pause, resume."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from kctl import flags, objects, printers, rollout_status
from kctl.__main__ import UsageError
from kctl.discovery import ApiResource
from kctl.session import JSON_PATCH, STRATEGIC_PATCH, Session

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
TEMPLATE_HASH = "pod-template-hash"
NOT_ROLLED_BACK = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in (
        ("status", "show how far the rollout is"),
        ("history", "list the revisions"),
        ("undo", "go back to an earlier revision"),
        ("restart", "start every pod anew, a few at a time"),
        ("pause", "stop rolling out changes"),
        ("resume", "go on rolling out changes"),
    ):
        made = verbs.add_parser(name, help=text, description=text)
        made.add_argument("words", nargs="*", metavar="TYPE[/NAME] [NAME ...]")
        made.add_argument("-l", "--selector", default="", help="all objects with these labels")
        if name == "status":
            made.add_argument("-w", "--watch", nargs="?", const="true", default="true", help="wait until it is done")
            made.add_argument("--timeout", default="0s", help="how long to wait; 0 for ever")
            made.add_argument("--revision", type=int, default=0, help="wait for this revision alone")
        if name in ("undo", "history"):
            made.add_argument("--to-revision" if name == "undo" else "--revision", dest="revision", type=int, default=0)
        if name in ("undo", "restart", "pause", "resume"):
            made.add_argument("--dry-run", nargs="?", const="unchanged", default="none", help="none, client or server")
        flags.add_global(made)


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says for each object."""
    session = flags.session(arguments)
    verb = {
        "status": _status,
        "history": _history,
        "undo": _undo,
        "restart": _restart,
        "pause": _pause,
        "resume": _resume,
    }[arguments.verb]
    for resource, name in objects.chosen(session, arguments):
        verb(session, resource, name, arguments)
    return 0


def _status(session: Session, resource: ApiResource, name: str, arguments: argparse.Namespace) -> None:
    describe = rollout_status.BY_KIND.get(resource.kind)
    if describe is None:
        raise UsageError(f"no status viewer has been implemented for {resource.kind}")
    limit = flags.seconds(arguments.timeout)
    deadline = time.monotonic() + limit if limit > 0 else None
    said = ""
    while True:
        live = session.read(resource, name, session.namespace)
        said, done = _say(describe(live), said)
        if done or arguments.watch == "false":
            return
        left = None if deadline is None else deadline - time.monotonic()
        query = {
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": live["metadata"]["resourceVersion"],
            "timeoutSeconds": str(max(1, int(left)) if left is not None else 300),
        }
        for kind, value in session.watch(resource.path(session.namespace), query):
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
    for item in session.get(resource.path(deployment["metadata"]["namespace"]), query)["items"]:
        owners = item["metadata"].get("ownerReferences") or ()
        if any(one.get("controller") and one["uid"] == deployment["metadata"]["uid"] for one in owners):
            revision = (item["metadata"].get("annotations") or {}).get(REVISION, "0")
            found[int(revision)] = item
    return found


def _only_deployments(resource: ApiResource, what: str) -> None:
    if resource.kind != "Deployment":
        raise UsageError(f"no {what} has been implemented for {resource.kind}")


def _history(session: Session, resource: ApiResource, name: str, arguments: argparse.Namespace) -> None:
    _only_deployments(resource, "history viewer")
    sets = _replica_sets(session, session.read(resource, name, session.namespace))
    if arguments.revision:
        if arguments.revision not in sets:
            raise UsageError("unable to find the specified revision")
        print(f"{resource.label(name)} with revision #{arguments.revision}")
        template = {"Pod Template": sets[arguments.revision]["spec"]["template"]}
        print(printers.to_yaml(template), end="")
        return
    print(f"{resource.label(name)} ")
    rows = [["REVISION", "CHANGE-CAUSE"]]
    for revision in sorted(sets):
        rows.append([str(revision), (sets[revision]["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, "<none>")])
    for first, second in rows:
        print(f"{first:<9} {second}")
    print()


def _undo(session: Session, resource: ApiResource, name: str, arguments: argparse.Namespace) -> None:
    _only_deployments(resource, "rollbacker")
    live = session.read(resource, name, session.namespace)
    if live["spec"].get("paused"):
        raise UsageError(
            "you cannot rollback a paused deployment; resume it first with"
            f' "kubectl rollout resume deployment/{name}" and try again'
        )
    sets = _replica_sets(session, live)
    target = arguments.revision
    if not target:
        if len(sets) < 2:
            raise UsageError(f'no rollout history found for deployment "{name}"')
        target = sorted(sets)[-2]
    if target not in sets:
        raise UsageError("unable to find the specified revision")
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
    _send(session, resource, name, patch, JSON_PATCH, arguments)
    print(f"{resource.label(name)} rolled back{_suffix(arguments)}")


def _restart(session: Session, resource: ApiResource, name: str, arguments: argparse.Namespace) -> None:
    live = session.read(resource, name, session.namespace)
    if "template" not in live.get("spec", {}):
        raise UsageError(f"{resource.plural} {name}: restarting is not supported")
    if live["spec"].get("paused"):
        raise UsageError(f"can't restart paused {resource.singular} (run rollout resume first)")
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: stamp}}}}}
    _send(session, resource, name, patch, STRATEGIC_PATCH, arguments)
    print(f"{resource.label(name)} restarted{_suffix(arguments)}")


def _pause(session: Session, resource: ApiResource, name: str, arguments: argparse.Namespace) -> None:
    _set_paused(session, resource, name, True, arguments)


def _resume(session: Session, resource: ApiResource, name: str, arguments: argparse.Namespace) -> None:
    _set_paused(session, resource, name, False, arguments)


def _set_paused(
    session: Session, resource: ApiResource, name: str, paused: bool, arguments: argparse.Namespace
) -> None:
    _only_deployments(resource, "pauser" if paused else "resumer")
    live = session.read(resource, name, session.namespace)
    if bool(live["spec"].get("paused")) == paused:
        raise UsageError(f'{resource.plural}.{resource.group} "{name}" is {"already" if paused else "not"} paused')
    _send(session, resource, name, {"spec": {"paused": paused}}, STRATEGIC_PATCH, arguments)
    print(f"{resource.label(name)} {'paused' if paused else 'resumed'}{_suffix(arguments)}")


def _send(
    session: Session, resource: ApiResource, name: str, patch: Any, content_type: str, arguments: argparse.Namespace
) -> None:
    if arguments.dry_run == "client":
        return
    query = {"dryRun": "All"} if arguments.dry_run == "server" else {}
    session.call(
        "PATCH", resource.path(session.namespace, quote(name, safe="")), query, patch, content_type=content_type
    )


def _suffix(arguments: argparse.Namespace) -> str:
    return {"none": "", "client": " (dry run)", "server": " (server dry run)"}[arguments.dry_run]
