"""Empty a node for maintenance: cordon it, evict its pods, wait until they are gone."""

from __future__ import annotations

import sys
import time
from typing import Any

from kctl import flags
from kctl.commands.cordon import mark, nodes
from kctl.commands.delete import until_gone
from kctl.discovery import ApiResource
from kctl.drain_plan import Pod, Rules, plan
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import Session
from kctl.targets import Found
from kctl.urls import quote
from kctl.writes import SUFFIXES, Write, declare
from sampan.api_error import ApiError

RETRY_SECONDS = 5.0


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "NODE ..."
    flags.text("selector", "all nodes with these labels", short="l")
    flags.text("pod-selector", "only pods with these labels")
    flags.switch("ignore-daemonsets", "go on although there are pods of daemon sets; they stay")
    flags.switch("delete-emptydir-data", "go on although pods have emptyDir volumes, whose data is lost")
    flags.switch("force", "go on although there are pods that nothing will make anew")
    flags.switch("disable-eviction", "delete pods, do not ask for an eviction (passes by disruption budgets)")
    flags.number("grace-period", "seconds a pod may take to end; -1 for what the pod says", default=-1)
    flags.number("skip-wait-for-delete-timeout", "do not wait for pods that are ending for so many seconds already")
    flags.duration("timeout", "how long to try; 0 for ever", default="0s")
    flags.number("chunk-size", "(accepted; all pods of a node come at once)", default=500)
    declare(flags, output=False)


def run(values: Values) -> int:
    """Drain each node."""
    write = Write(values, "kubectl-drain")
    limit = flags.seconds(values.timeout)
    if values.pod_selector:
        from sampan import selectors

        try:
            selectors.parse(values.pod_selector)
        except ValueError:
            raise UsageError("--pod-selector=<pod_selector> must be a valid label selector") from None
    session = flags.session(values)
    found = nodes(session, values)
    for one in found:
        session.read(one.resource, one.name, "")  # a name that is not there stops it before anything is changed
    for one in found:
        mark(session, one, True, write)
        deadline = time.monotonic() + limit if limit > 0 else None
        if not _drain(session, one, values, write, deadline):
            return 1
    return 0


def _drain(session: Session, node: Found, values: Values, write: Write, deadline: float | None) -> bool:
    pods = session.discovery.named("pods")
    query = {"fieldSelector": f"spec.nodeName={node.name}"}
    if values.pod_selector:
        query["labelSelector"] = values.pod_selector
    items = session.get(pods.path(), query).get("items") or ()
    rules = Rules(
        force=values.force,
        ignore_daemon_sets=values.ignore_daemonsets,
        delete_local_data=values.delete_emptydir_data,
        skip_ending_seconds=values.skip_wait_for_delete_timeout,
    )
    decided = plan(items, rules, lambda pod: _has_owner(session, pod))
    if decided.obstacles:
        print(
            f"error: unable to drain node {node.name!r} due to error: ".replace("'", '"')
            + f"{_joined(decided.obstacles)}, continuing command...",
            file=sys.stderr,
        )
        print("There are pending nodes to be drained:\n " + node.name, file=sys.stderr)
        for text in decided.obstacles:
            print(text, file=sys.stderr)
        return False
    if decided.warnings:
        print(f"Warning: {'; '.join(decided.warnings)}", file=sys.stderr)
    try:
        _evict_all(session, pods, decided.leaving, values, write, deadline)
    except TimeoutError:
        print(
            f'error: unable to drain node "{node.name}" due to error: global timeout reached: {values.timeout},'
            " continuing command...",
            file=sys.stderr,
        )
        return False
    print(f"node/{node.name} drained{SUFFIXES[write.dry_run]}", flush=True)
    return True


def _joined(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _has_owner(session: Session, pod: Pod) -> bool:
    """Whether the controller of a pod still exists. Raises ApiError other than not found."""
    owner = next((one for one in pod["metadata"].get("ownerReferences") or () if one.get("controller")), None)
    if owner is None:
        return False
    try:
        kind = session.discovery.of_kind(owner["apiVersion"], owner["kind"])
        session.read(kind, owner["name"], pod["metadata"]["namespace"])
    except ApiError as error:
        if error.is_not_found:
            return False
        raise
    return True


def _evict_all(
    session: Session, pods: ApiResource, leaving: list[Pod], values: Values, write: Write, deadline: float | None
) -> None:
    """Evict every pod, again while a disruption budget forbids it, then wait. Raises TimeoutError."""
    verb = "deleting" if values.disable_eviction else "evicting"
    waiting = list(leaving)
    gone: list[Pod] = []
    while waiting:
        refused = []
        for pod in waiting:
            metadata = pod["metadata"]
            print(f"{verb} pod {metadata['namespace']}/{metadata['name']}{SUFFIXES[write.dry_run]}", flush=True)
            if write.pretends or _evict(session, pods, pod, values, write):
                gone.append(pod)
            else:
                refused.append(pod)
        waiting = refused
        if waiting:
            left = RETRY_SECONDS if deadline is None else min(RETRY_SECONDS, deadline - time.monotonic())
            if left <= 0:
                raise TimeoutError
            time.sleep(left)
    if write.dry_run != "none":
        return
    for pod in gone:
        metadata = pod["metadata"]
        until_gone(session, pods, metadata["namespace"], metadata["name"], metadata["uid"], deadline)
        done = "deleted" if values.disable_eviction else "evicted"
        print(f"pod/{metadata['name']} {done}", flush=True)


def _evict(session: Session, pods: ApiResource, pod: Pod, values: Values, write: Write) -> bool:
    """Ask for the eviction of one pod; False when a disruption budget forbids it now. Raises ApiError."""
    metadata = pod["metadata"]
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if values.grace_period >= 0:
        options["gracePeriodSeconds"] = values.grace_period
    if write.dry_run == "server":
        options["dryRun"] = ["All"]
    name = {"namespace": metadata["namespace"], "name": metadata["name"]}
    path = pods.path(quote(metadata["namespace"]), quote(metadata["name"]))
    try:
        if values.disable_eviction:
            session.call("DELETE", path, None, options)
        else:
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": name, "deleteOptions": options}
            session.call("POST", f"{path}/eviction", None, body)
    except ApiError as error:
        if error.is_not_found:
            return True
        if error.code == 429:
            said = wording(error).removeprefix("Error from server (TooManyRequests): ")
            print(
                f'error when evicting pods/"{metadata["name"]}" -n "{metadata["namespace"]}"'
                f" (will retry after 5s): {said}",
                file=sys.stderr,
            )
            return False
        raise UsageError(
            f'error when evicting pods/"{metadata["name"]}" -n "{metadata["namespace"]}": {error.message}'
        ) from error
    return True
