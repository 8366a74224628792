"""Defaults of a pod's spec that depend on other fields.

The unconditional ones are on the models' fields. What only pods get, not templates, is in `default_pod`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sampan import quantity
from sampan.api.core_v1 import (
    Container,
    EmptyDirVolumeSource,
    EphemeralContainer,
    PodSecurityContext,
    PodSpec,
    Volume,
)
from sampan.api.defaults import fill

AnyContainer = Container | EphemeralContainer
SOURCES = tuple(name for name in Volume.model_fields if name != "name")
"""The members of a volume of which one says what it is."""


def containers_of(spec: PodSpec) -> Iterator[AnyContainer]:
    """All containers, init containers first."""
    yield from spec.init_containers
    yield from spec.containers
    yield from spec.ephemeral_containers


def pull_policy(image: str | None) -> str:
    """Always for `latest`, given or implied; what has another tag or a digest is pulled once."""
    name = (image or "").rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    _, colon, tag = name.partition(":")
    return "Always" if not colon or tag == "latest" else "IfNotPresent"


def rounded(amounts: dict[str, str]) -> dict[str, str]:
    """Resource amounts in canonical form, rounded up to thousandths; malformed ones stay for validation to tell."""
    made = {}
    for name, amount in amounts.items():
        try:
            made[name] = str(quantity.parse(amount).rounded_to_milli())
        except quantity.QuantityError:
            made[name] = amount
    return made


def default_container(container: AnyContainer) -> None:
    """Fill in one container."""
    if not container.image_pull_policy:
        container.image_pull_policy = pull_policy(container.image)
    if container.resources is not None:
        container.resources.limits = rounded(container.resources.limits)
        container.resources.requests = rounded(container.resources.requests)


def default_spec(spec: PodSpec) -> None:
    """Fill in the spec of a pod or of a template."""
    fill(spec)
    for container in containers_of(spec):
        default_container(container)
    for volume in spec.volumes:
        if all(getattr(volume, name) is None for name in SOURCES):
            volume.empty_dir = EmptyDirVolumeSource()
        if volume.image is not None and not volume.image.pull_policy:
            volume.image.pull_policy = pull_policy(volume.image.reference)
    if spec.security_context is None:
        spec.security_context = PodSecurityContext()
    spec.overhead = rounded(spec.overhead)
    account = spec.service_account_name or spec.service_account
    spec.service_account_name = spec.service_account = account


def default_pod(spec: PodSpec) -> None:
    """Fill in the spec of a pod: a template's, and what only pods get."""
    default_spec(spec)
    if spec.enable_service_links is None:
        spec.enable_service_links = True
    for container in (*spec.init_containers, *spec.containers):
        if container.resources is not None:
            container.resources.requests = container.resources.limits | container.resources.requests
        if spec.host_network:
            for port in container.ports:
                port.host_port = port.host_port or port.container_port


def qos_class(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort, by the CPU and memory that the containers ask for."""
    all_guaranteed, any_asked = True, False
    for container in (*spec.init_containers, *spec.containers):
        resources = container.resources
        limits, requests = (resources.limits, resources.requests) if resources is not None else ({}, {})
        for name in ("cpu", "memory"):
            limit, request = amount(limits.get(name)), amount(requests.get(name, limits.get(name)))
            any_asked = any_asked or bool(limit or request)
            all_guaranteed = all_guaranteed and limit is not None and limit > 0 and limit == request
    if not any_asked:
        return "BestEffort"
    return "Guaranteed" if all_guaranteed else "Burstable"


def amount(text: str | None) -> int | None:
    """A quantity as billionths; None for none, and for nonsense that validation will tell."""
    if text is None:
        return None
    try:
        return quantity.parse(text).nano
    except quantity.QuantityError:
        return None
