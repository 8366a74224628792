"""What can be done to a pod besides writing it: bind it to a node, evict it, add an ephemeral container."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from pydantic import ValidationError

from apiserver.kind import Answer, Call, Context, Json, Subresource
from apiserver.kinds.pod_defaults import default_container
from apiserver.patching import proposal
from apiserver.statuses import conflict, not_allowed, not_found
from sampan.api.core_v1 import Binding, EphemeralContainer, Pod
from sampan.api.defaults import fill
from sampan.api.meta_v1 import DeleteOptions
from sampan.api.policy_v1 import Eviction
from sampan.errors import ApiError, FieldError, InvalidError, Reason
from sampan.kinds import PODS
from sampan.resource import Resource

POD_BINDINGS = Resource("", "v1", "Binding", "pods/binding", Binding)
TARGET = "DisruptionTarget"
DONE: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
Budget = Callable[[Call, Json], Awaitable[ApiError | None]]


async def bind(call: Call) -> Answer:
    """POST pods/NAME/binding. Raises ApiError 404, 409, 422."""
    return await bind_pod(call, call.name)


async def create_binding(call: Call) -> Answer:
    """POST bindings: the same, with the pod's name in the body."""
    return await bind_pod(call, str((call.body or {}).get("metadata", {}).get("name", "")))


async def bind_pod(call: Call, name: str) -> Answer:
    """Give a pod its node: once, and only while nobody has deleted it."""
    binding = Binding.from_json(call.body or {})
    refuse(binding, name)
    if call.context.dry_run:
        bound(await call.server.read(PODS, call.namespace, name), binding, call.context)
        return Answer(DONE, 201)
    after = await call.server.modify(
        PODS,
        call.namespace,
        name,
        lambda pod: bound(pod, binding, call.context),
        subresource="binding",
        user=call.user,
    )
    call.server.traces.bound(after["metadata"]["uid"], call.context.now, call.server.clock.now())
    return Answer(DONE, 201)


def refuse(binding: Binding, name: str) -> None:
    """Raises InvalidError for a binding that names no node."""
    errors = []
    if binding.metadata.name and binding.metadata.name != name:
        raise ApiError(
            400,
            Reason.BAD_REQUEST,
            f"name in URL does not match name in Binding object: {name} != {binding.metadata.name}",
        )
    if binding.target.kind not in (None, "", "Node"):
        errors.append(FieldError.not_supported("target.kind", binding.target.kind, ("Node", "<empty>")))
    if not binding.target.name:
        errors.append(FieldError.required("target.name"))
    if errors:
        raise InvalidError("Binding", "", name, errors)


def bound(pod: Json, binding: Binding, context: Context) -> Json:
    """The pod with its node. Raises ApiError 409 if it cannot have it."""
    meta, spec = pod["metadata"], pod.setdefault("spec", {})
    name, node = meta["name"], binding.target.name
    if binding.metadata.uid and binding.metadata.uid != meta.get("uid"):
        why = f"Precondition failed: UID in precondition: {binding.metadata.uid}, UID in object meta: {meta.get('uid')}"
        raise conflict(POD_BINDINGS, name, why)
    if binding.metadata.resource_version not in (None, "", meta.get("resourceVersion")):
        raise conflict(POD_BINDINGS, name)
    if meta.get("deletionTimestamp"):
        raise conflict(POD_BINDINGS, name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise conflict(POD_BINDINGS, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise conflict(POD_BINDINGS, name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    if binding.metadata.annotations:
        meta["annotations"] = meta.get("annotations", {}) | binding.metadata.annotations
    if binding.metadata.labels:
        meta["labels"] = meta.get("labels", {}) | binding.metadata.labels
    status = pod.setdefault("status", {})
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": context.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    others = [one for one in status.get("conditions", ()) if one.get("type") != "PodScheduled"]
    status["conditions"] = [*others, {key: value for key, value in scheduled.items() if value is not None}]
    return pod


async def no_budgets(call: Call, pod: Json) -> ApiError | None:
    """Whether a disruption budget forbids the eviction: 429 with a Retry-After, or None. There are none yet."""
    return None


def eviction(budget: Budget) -> Callable[[Call], Awaitable[Answer]]:
    """POST pods/NAME/eviction: delete the pod unless a disruption budget would be broken."""

    async def evict(call: Call) -> Answer:
        wanted = Eviction.from_json(call.body or {})
        if wanted.metadata.name and wanted.metadata.name != call.name:
            why = f"name in URL does not match name in Eviction object: {call.name} != {wanted.metadata.name}"
            raise ApiError(400, Reason.BAD_REQUEST, why)
        pod = await call.server.read(PODS, call.namespace, call.name)
        if protected(pod):
            refusal = await budget(call, pod)
            if refusal is not None:
                raise refusal
        options = wanted.delete_options or DeleteOptions()
        if call.context.dry_run or "All" in options.dry_run:
            return Answer(DONE, 201)
        marked = await call.server.modify(
            PODS,
            call.namespace,
            call.name,
            lambda pod: disrupted(pod, options, call),
            subresource="status",
            user=call.user,
        )
        if options.preconditions is not None and options.preconditions.resource_version:
            options.preconditions.resource_version = marked["metadata"]["resourceVersion"]
        await call.server.delete(PODS, call.namespace, call.name, options, user=call.user)
        return Answer(DONE, 201)

    return evict


def disrupted(pod: Json, options: DeleteOptions, call: Call) -> Json:
    """The pod with the condition that tells its owner why it goes ("Pod disruption conditions").

    Raises ApiError 409 for preconditions that do not hold.
    """
    wanted, meta = options.preconditions, pod["metadata"]
    if wanted is not None and wanted.uid and wanted.uid != meta.get("uid"):
        why = f"Precondition failed: UID in precondition: {wanted.uid}, UID in object meta: {meta.get('uid')}"
        raise conflict(PODS, call.name, why)
    if wanted is not None and wanted.resource_version not in (None, "", meta.get("resourceVersion")):
        raise conflict(PODS, call.name)
    status = pod.setdefault("status", {})
    before = [one for one in status.get("conditions", ()) if one.get("type") == TARGET]
    condition = {
        "type": TARGET,
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "observedGeneration": meta.get("generation", 0),
        "lastTransitionTime": call.context.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if before and before[0].get("status") == "True":
        condition["lastTransitionTime"] = before[0].get("lastTransitionTime", condition["lastTransitionTime"])
    others = [one for one in status.get("conditions", ()) if one.get("type") != TARGET]
    status["conditions"] = [*others, condition]
    return pod


def protected(pod: Json) -> bool:
    """Whether a disruption budget may speak for a pod: not for one that has ended, waits, or is being deleted."""
    phase = pod.get("status", {}).get("phase")
    return phase not in ("Succeeded", "Failed", "Pending") and not pod["metadata"].get("deletionTimestamp")


async def ephemeral_containers(call: Call) -> Answer:
    """GET, PUT and PATCH of pods/NAME/ephemeralcontainers: containers are added, never changed or removed."""
    pod = await call.server.read(PODS, call.namespace, call.name)
    if call.verb == "get":
        return Answer(pod)
    if call.body is None:
        raise ApiError(400, Reason.BAD_REQUEST, "the body of the request is empty")
    if call.verb == "patch":
        header = call.request.headers.get("Content-Type", "")
        propose = proposal(header, orjson.dumps(call.body), Pod, custom=False, validation="Ignore")
    elif call.verb == "update":
        body = call.body

        def propose(old: Json) -> Json:
            return body

    else:
        raise not_allowed(call.verb.upper())
    if call.context.dry_run:
        return Answer(with_ephemeral(pod, propose(pod)))
    written = await call.server.modify(
        PODS,
        call.namespace,
        call.name,
        lambda old: with_ephemeral(old, propose(old)),
        subresource="ephemeralcontainers",
        user=call.user,
    )
    return Answer(written)


def with_ephemeral(old: Json, proposed: Json) -> Json:
    """The old pod with the ephemeral containers of a proposal. Raises InvalidError if it changes one."""
    before = {one["name"]: one for one in old.get("spec", {}).get("ephemeralContainers", ())}
    wanted = [one for one in proposed.get("spec", {}).get("ephemeralContainers") or () if isinstance(one, dict)]
    after = {one.get("name", ""): one for one in wanted}
    errors = []
    for name, one in before.items():
        if name not in after:
            errors.append(f'existing ephemeral containers "{name}" may not be removed\n')
        elif any(after[name].get(key) != value for key, value in one.items() if key in after[name]):
            errors.append(f'existing ephemeral containers "{name}" may not be changed\n')
    if errors:
        path = "spec.ephemeralContainers"
        raise InvalidError("Pod", "", old["metadata"]["name"], [FieldError.forbidden(path, text) for text in errors])
    version = proposed.get("metadata", {}).get("resourceVersion")
    if version not in (None, "", old["metadata"].get("resourceVersion")):
        raise conflict(PODS, old["metadata"]["name"])
    added = [defaulted(one) for one in wanted if one.get("name", "") not in before]
    return old | {"spec": old.get("spec", {}) | {"ephemeralContainers": [*before.values(), *added]}}


def defaulted(value: Json) -> Json:
    """A new ephemeral container with its defaults. Raises ApiError 400 if it cannot be read."""
    try:
        container = EphemeralContainer.from_json(value)
    except ValidationError as error:
        raise ApiError(400, Reason.BAD_REQUEST, f"an ephemeral container cannot be read: {error}") from error
    fill(container)
    default_container(container)
    return container.to_json()


async def resize(call: Call) -> Answer:
    """pods/NAME/resize is not there yet, and says so."""
    if call.server.peek(PODS, call.namespace, call.name) is None:
        raise not_found(PODS, call.name)
    raise ApiError(
        501,
        Reason.NOT_IMPLEMENTED,
        "resizing a running pod in place is not supported yet: "
        "delete the pod and create it with the resources it needs",
    )


def subresources(budget: Budget = no_budgets) -> tuple[Subresource, ...]:
    """The named subresources of a pod; log, exec, attach and portforward are added by the server."""
    any_pod: type[Any] = Pod
    return (
        Subresource("binding", ("create",), bind, body_kind="Binding", model=Binding),
        Subresource(
            "eviction",
            ("create",),
            eviction(budget),
            body_kind="Eviction",
            group="policy",
            version="v1",
            model=Eviction,
        ),
        Subresource(
            "ephemeralcontainers", ("get", "patch", "update"), ephemeral_containers, body_kind="Pod", model=any_pod
        ),
        Subresource("resize", ("get", "patch", "update"), resize, body_kind="Pod"),
    )
