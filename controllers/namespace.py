"""The end of a namespace: everything in it goes first, pods before the rest, then the finalizer that holds it.

Sources: "Namespaces" and KEP-5080 (ordered deletion); the conditions are upstream's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controllers.conditions import merged, stamp
from controllers.discovery import Catalogue, discover
from sampan.actions import Action, RequeueAfter, SetStatus, Turn
from sampan.api.core_v1 import Namespace, NamespaceCondition, Pod
from sampan.client import Client, Propagation
from sampan.errors import ApiError
from sampan.informer import Change
from sampan.kinds import NAMESPACES, PODS
from sampan.loop import Controller, Watch
from sampan.objects import Key
from sampan.world import World

FINALIZER = "kubernetes"
AGAIN_SECONDS = 5.0


@dataclass
class Remains:
    """What is left of a namespace after everything in it was deleted once more."""

    objects: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    undiscovered: str = ""

    @property
    def nothing(self) -> bool:
        """Whether the namespace is empty, as far as anybody can tell."""
        return not self.objects and not self.errors and not self.undiscovered


def conditions(namespace: Namespace, remains: Remains, now: datetime) -> list[NamespaceCondition]:
    """Pure: what the status says about the deletion."""
    left = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(remains.objects.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(remains.finalizers.items()))
    says = (
        (
            "NamespaceDeletionDiscoveryFailure",
            remains.undiscovered and f"Discovery failed for some groups, {remains.undiscovered}",
            "DiscoveryFailed",
            ("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "",
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        (
            "NamespaceDeletionContentFailure",
            remains.errors
            and f"Failed to delete all resource types, {len(remains.errors)} remaining: {remains.errors[0]}",
            "ContentDeletionFailed",
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        (
            "NamespaceContentRemaining",
            left and f"Some resources are remaining: {left}",
            "SomeResourcesRemain",
            ("ContentRemoved", "All content successfully removed"),
        ),
        (
            "NamespaceFinalizersRemaining",
            held and f"Some content in the namespace has finalizers remaining: {held}",
            "SomeFinalizersRemain",
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    )
    found = list(namespace.status.conditions)
    for type, trouble, reason, (fine, message) in says:
        new = NamespaceCondition(
            type=type,
            status="True" if trouble else "False",
            reason=reason if trouble else fine,
            message=str(trouble) if trouble else message,
            last_transition_time=stamp(now),
        )
        found = merged(found, new)
    return found


@dataclass(frozen=True)
class Empty(Action):
    """Delete all there is in a namespace; when nothing is left, let the namespace go."""

    namespace: Namespace
    now: datetime

    async def perform(self, turn: Turn) -> None:
        name = self.namespace.metadata.name or ""
        catalogue = await discover(turn.client)
        remains = await empty(turn.client, name, catalogue)
        status = self.namespace.status.model_copy(
            update={"phase": "Terminating", "conditions": conditions(self.namespace, remains, self.now)}
        )
        if not remains.nothing:
            await SetStatus(NAMESPACES, self.namespace, status).perform(turn)
            await RequeueAfter(AGAIN_SECONDS).perform(turn)
            return
        left = [one for one in self.namespace.spec.finalizers if one != FINALIZER]
        body: Mapping[str, Any] = {
            **self.namespace.to_json(),
            "spec": {"finalizers": left},
            "status": status.to_json(),
        }
        final = Namespace.from_json(dict(body))
        try:
            await turn.client.update(NAMESPACES, final, subresource="finalize")
        except ApiError as error:
            if not error.is_not_found:
                raise


async def empty(client: Client, namespace: str, catalogue: Catalogue) -> Remains:
    """Delete everything in a namespace and say what remains: pods first, and while there are any, only pods."""
    remains = Remains(undiscovered=", ".join(catalogue.broken))
    served = [one for one in catalogue.preferred("delete", "list") if one.resource.namespaced]
    served = [one for one in served if one.resource.group_resource != "events.events.k8s.io"]  # the same as v1's
    served.sort(key=lambda one: one.resource.group_resource != "pods")
    for one in served:
        resource = one.resource
        try:
            if "deletecollection" in one.verbs:
                await client.delete_collection(resource, namespace, propagation=Propagation.BACKGROUND)
            page = await client.list(resource, namespace)
            if "deletecollection" not in one.verbs:
                for item in page.items:
                    await client.delete(resource, item.metadata.name or "", namespace)
                page = await client.list(resource, namespace)
        except ApiError as error:
            if not error.is_not_found and error.code != 405:  # a custom resource that has just gone
                remains.errors.append(f"{resource.group_resource}: {error.message}")
            continue
        # In the core group the resource is written with a trailing dot, as upstream does.
        shown = f"{resource.plural}.{resource.group}"
        if page.items:
            remains.objects[shown] += len(page.items)
            remains.finalizers.update(f for item in page.items for f in item.metadata.finalizers)
        if page.items and shown == "pods.":
            break
    return remains


def reconcile(namespace: Namespace, world: World) -> Iterator[Action]:
    """A namespace that is being deleted is emptied while our finalizer holds it."""
    if namespace.metadata.deletion_timestamp is not None and FINALIZER in namespace.spec.finalizers:
        yield Empty(namespace, world.now)


def _pod_gone(change: Change[Pod], world: World) -> Iterator[Key]:
    if change.new is None:
        name = change.object.metadata.namespace or ""
        namespace = world.get(NAMESPACES, "", name)
        left = [] if namespace is None else world.by(PODS, "namespace", name)
        if namespace is not None and namespace.metadata.deletion_timestamp is not None and not left:
            yield Key("", name)


NAMESPACE = Controller(
    name="namespace-controller",
    of=NAMESPACES,
    reconcile=reconcile,
    watches=(Watch(PODS, _pod_gone),),
    workers=2,
)
