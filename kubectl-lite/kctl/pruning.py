"""apply --prune: deleting what was applied earlier and is in the files no longer, as kubectl decides it.

An object goes when it is of an allowed kind, in a namespace that this call visited (or in none), chosen by the
selector or by --all, was made by apply (its record says so), and was not applied now.
"""

from __future__ import annotations

from kctl.errors import UsageError
from kctl.targets import Found
from kctl.urls import quote
from sampan.api_error import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kctl.discovery import ApiResource
    from kctl.flags import Flags, Values
    from kctl.session import Session
    from kctl.writes import Write

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NAMESPACED = (
    "/v1/ConfigMap", "/v1/Endpoints", "/v1/PersistentVolumeClaim", "/v1/Pod", "/v1/ReplicationController",
    "/v1/Secret", "/v1/Service", "batch/v1/Job", "batch/v1/CronJob", "networking.k8s.io/v1/Ingress",
    "apps/v1/DaemonSet", "apps/v1/Deployment", "apps/v1/ReplicaSet", "apps/v1/StatefulSet",
)  # fmt: skip
ELSEWHERE = ("/v1/Namespace", "/v1/PersistentVolume")
"""What is pruned unless --prune-allowlist says otherwise: kubectl's lists. Namespaces only without -n."""


def declare(flags: Flags) -> None:
    """Declare the flags."""
    flags.switch("prune", "delete what was applied earlier and is in the files no longer; with --all or -l")
    flags.switch("all", "with --prune: of all objects in the namespaces of the files")
    flags.texts("prune-allowlist", "with --prune: only of these kinds, GROUP/VERSION/KIND (core/v1/Pod)")


def check(values: Values) -> None:
    """Raises UsageError for what would prune too much."""
    if values.prune and not values.all and not values.selector:
        raise UsageError(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all"
            " flag. If you did not mean to prune all resources, specify a label selector"
        )
    if values.prune and values.all and values.selector:
        raise UsageError("cannot set --all and --selector at the same time")
    allowed(values)
    if values.prune and values.server_side:
        raise UsageError("--prune needs the record of client-side apply; it can't be used with --server-side")


def allowed(values: Values) -> Sequence[str]:
    """The kinds that may be pruned, GROUP/VERSION/KIND. Raises UsageError for what has another form."""
    for name in values.prune_allowlist:
        if len(name.split("/")) != 3:
            raise UsageError(f"invalid GroupVersionKind format: {name}, please follow <group/version/kind>")
    return values.prune_allowlist or (NAMESPACED if values.namespace else (*NAMESPACED, *ELSEWHERE))


def kinds(session: Session, values: Values) -> Iterator[ApiResource]:
    """The kinds that may be pruned, as far as the server has them. Raises UsageError for a name that is none."""
    names = allowed(values)
    known = {f"{one.group}/{one.version}/{one.kind}": one for one in session.discovery.everything()}
    for name in names:
        parts = name.split("/")
        found = known.get("/".join(["" if parts[0] == "core" else parts[0], *parts[1:]]))
        if found is not None:
            yield found
        elif values.prune_allowlist:
            raise UsageError(f'the server has no kind "{name}"')


def prune(session: Session, values: Values, applied: set[str], namespaces: set[str], write: Write) -> None:
    """Delete what is wanted no longer, and say so. `applied` are UIDs. Raises ApiError."""
    selector = {"labelSelector": values.selector} if values.selector else {}
    dry_run = {"dryRun": "All"} if write.dry_run == "server" else {}
    for resource in kinds(session, values):
        for namespace in sorted(namespaces) if resource.namespaced else [""]:
            for value in session.get(resource.path(quote(namespace)), selector).get("items") or ():
                metadata = value["metadata"]
                if LAST_APPLIED not in (metadata.get("annotations") or {}) or metadata["uid"] in applied:
                    continue
                if metadata.get("deletionTimestamp"):
                    continue
                body = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
                try:
                    if not write.pretends:
                        session.call("DELETE", Found(resource, namespace, metadata["name"]).path(), dry_run, body)
                except ApiError as error:
                    if not error.is_not_found:
                        raise
                write.report(resource, value, "pruned")
