"""What must hold between the fields of one container: handlers, resources, environment, security."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apiserver.kinds.pod_defaults import AnyContainer, amount
from apiserver.kinds.volume_rules import check_field, check_resource_field
from sampan import names, quantity
from sampan.api.core_v1 import (
    Container,
    EnvFromSource,
    EnvVar,
    HTTPGetAction,
    LifecycleHandler,
    PodSpec,
    Probe,
    ResourceRequirements,
    SecurityContext,
)
from sampan.errors import FieldError

ENV_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
PROBE_HANDLERS = (("exec", "exec"), ("http_get", "httpGet"), ("tcp_socket", "tcpSocket"), ("grpc", "grpc"))
LIFECYCLE_HANDLERS = (("exec", "exec"), ("http_get", "httpGet"), ("tcp_socket", "tcpSocket"), ("sleep", "sleep"))
NOT_SIDECAR = "may not be set for init containers without restartPolicy=Always"


def check_container(container: AnyContainer, path: str) -> Iterator[FieldError]:
    """What holds for containers of every sort."""
    yield from check_env(container.env, f"{path}.env")
    yield from check_env_from(container.env_from, f"{path}.envFrom")
    yield from check_ports(container, path)
    if container.resources is not None:
        yield from check_resources(container.resources, f"{path}.resources")
    if container.security_context is not None:
        yield from check_security(container.security_context, f"{path}.securityContext")
    if container.restart_policy_rules:
        yield FieldError.forbidden(f"{path}.restartPolicyRules", "container restart rules are not supported yet")


def check_main(container: Container, spec: PodSpec, path: str) -> Iterator[FieldError]:
    """A container, or an init container that goes on beside the others: probes and lifecycle."""
    if container.liveness_probe is not None:
        yield from check_probe(container.liveness_probe, f"{path}.livenessProbe", must_succeed_once=True)
    if container.readiness_probe is not None:
        at = f"{path}.readinessProbe"
        yield from check_probe(container.readiness_probe, at)
        seconds = container.readiness_probe.termination_grace_period_seconds
        if seconds is not None:
            yield FieldError.invalid(
                f"{at}.terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes"
            )
    if container.startup_probe is not None:
        yield from check_probe(container.startup_probe, f"{path}.startupProbe", must_succeed_once=True)
    if container.lifecycle is not None:
        for member, handler in (
            ("postStart", container.lifecycle.post_start),
            ("preStop", container.lifecycle.pre_stop),
        ):
            if handler is not None:
                yield from check_handler(handler, spec, f"{path}.lifecycle.{member}")


def check_init(container: Container, spec: PodSpec, path: str) -> Iterator[FieldError]:
    """An init container: one that runs to its end has no probes."""
    if container.restart_policy not in (None, "Always"):
        yield FieldError.not_supported(f"{path}.restartPolicy", container.restart_policy, ("Always",))
    if container.restart_policy == "Always":
        yield from check_main(container, spec, path)
        return
    for name, wire in (
        ("lifecycle", "lifecycle"),
        ("liveness_probe", "livenessProbe"),
        ("readiness_probe", "readinessProbe"),
        ("startup_probe", "startupProbe"),
    ):
        if getattr(container, name) is not None:
            yield FieldError.forbidden(f"{path}.{wire}", NOT_SIDECAR)


def check_probe(probe: Probe, path: str, *, must_succeed_once: bool = False) -> Iterator[FieldError]:
    """A probe has exactly one handler."""
    given = [(name, wire) for name, wire in PROBE_HANDLERS if getattr(probe, name) is not None]
    if not given:
        yield FieldError.required(path, "must specify a handler type")
    for _, wire in given[1:]:
        yield FieldError.forbidden(f"{path}.{wire}", "may not specify more than 1 handler type")
    if probe.exec is not None and not probe.exec.command:
        yield FieldError.required(f"{path}.exec.command")
    yield from check_headers(probe.http_get, f"{path}.httpGet")
    if must_succeed_once and probe.success_threshold != 1:
        yield FieldError.invalid(f"{path}.successThreshold", probe.success_threshold, "must be 1")


def check_handler(handler: LifecycleHandler, spec: PodSpec, path: str) -> Iterator[FieldError]:
    """A lifecycle hook has exactly one handler."""
    given = [(name, wire) for name, wire in LIFECYCLE_HANDLERS if getattr(handler, name) is not None]
    if not given:
        yield FieldError.required(path, "must specify a handler type")
    for _, wire in given[1:]:
        yield FieldError.forbidden(f"{path}.{wire}", "may not specify more than 1 handler type")
    if handler.exec is not None and not handler.exec.command:
        yield FieldError.required(f"{path}.exec.command")
    yield from check_headers(handler.http_get, f"{path}.httpGet")
    grace = spec.termination_grace_period_seconds or 0
    if handler.sleep is not None and not 0 <= handler.sleep.seconds <= grace:
        yield FieldError.invalid(
            f"{path}.sleep",
            handler.sleep.seconds,
            f"must be non-negative and less than terminationGracePeriodSeconds ({grace})",
        )


def check_headers(action: HTTPGetAction | None, path: str) -> Iterator[FieldError]:
    """Headers of a request that a probe or hook makes."""
    for header in action.http_headers if action is not None else ():
        for complaint in names.http_header_name(header.name):
            yield FieldError.invalid(f"{path}.httpHeaders", header.name, complaint)


def check_resources(resources: ResourceRequirements, path: str) -> Iterator[FieldError]:
    """Nothing asks for more than it may have."""
    for name, text in resources.requests.items():
        limit, request = resources.limits.get(name), amount(text)
        if request is None:
            continue
        scarce = "/" in name or name.startswith("hugepages-")
        if limit is None:
            if scarce:
                yield FieldError.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
            continue
        most = amount(limit)
        if most is None:
            continue
        shown = quantity.canonical(limit)
        if scarce and request != most:
            yield FieldError.invalid(f"{path}.requests", text, f"must be equal to {name} limit of {shown}")
        elif request > most:
            yield FieldError.invalid(f"{path}.requests", text, f"must be less than or equal to {name} limit of {shown}")
    for part, amounts in (("limits", resources.limits), ("requests", resources.requests)):
        for name, text in amounts.items():
            nano = amount(text)
            if "/" in name and nano is not None and nano % quantity.NANO:
                yield FieldError.invalid(f"{path}.{part}[{name}]", text, "must be an integer")
    if resources.claims:
        yield FieldError.forbidden(f"{path}.claims", "dynamic resource allocation is not supported yet")


def check_env(env: Sequence[EnvVar], path: str) -> Iterator[FieldError]:
    """A variable has a value or one source of it."""
    for index, one in enumerate(env):
        source = one.value_from
        if source is None:
            continue
        at = f"{path}[{index}].valueFrom"
        members = (
            source.field_ref, source.resource_field_ref, source.config_map_key_ref, source.secret_key_ref,
            source.file_key_ref,
        )  # fmt: skip
        given = sum(member is not None for member in members)
        if not given:
            yield FieldError.invalid(
                at,
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                "`fileKeyRef`",
            )
        elif one.value:
            yield FieldError.invalid(at, "", "may not be specified when `value` is not empty")
        elif given > 1:
            yield FieldError.invalid(at, "", "may not have more than one field specified at a time")
        if source.field_ref is not None:
            yield from check_field(source.field_ref, f"{at}.fieldRef", ENV_FIELDS)
        if source.resource_field_ref is not None:
            yield from check_resource_field(source.resource_field_ref, f"{at}.resourceFieldRef")
        for member, key in (("configMapKeyRef", source.config_map_key_ref), ("secretKeyRef", source.secret_key_ref)):
            if key is None:
                continue
            for complaint in names.dns_subdomain(key.name or ""):
                yield FieldError.invalid(f"{at}.{member}.name", key.name or "", complaint)
            for complaint in names.config_key(key.key) if key.key else ():
                yield FieldError.invalid(f"{at}.{member}.key", key.key, complaint)


def check_env_from(sources: Sequence[EnvFromSource], path: str) -> Iterator[FieldError]:
    """Each takes all of one ConfigMap or Secret."""
    for index, source in enumerate(sources):
        at = f"{path}[{index}]"
        given = [one for one in (source.config_map_ref, source.secret_ref) if one is not None]
        if not given:
            yield FieldError.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield FieldError.invalid(path, "", "may not have more than one field specified at a time")
        for member, one in (("configMapRef", source.config_map_ref), ("secretRef", source.secret_ref)):
            if one is not None and not one.name:
                yield FieldError.required(f"{at}.{member}.name")


def check_ports(container: AnyContainer, path: str) -> Iterator[FieldError]:
    """Port names are told apart."""
    names: set[str] = set()
    for index, port in enumerate(container.ports):
        at = f"{path}.ports[{index}]"
        if port.name:
            if port.name in names:
                yield FieldError.duplicate(f"{at}.name", port.name)
            names.add(port.name)


def check_security(context: SecurityContext, path: str) -> Iterator[FieldError]:
    """Privileges that contradict each other."""
    yield from check_seccomp(context, path)
    if context.allow_privilege_escalation is False:
        if context.privileged:
            yield FieldError.invalid(
                path, context.to_json(), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            )
        if context.capabilities is not None and {"CAP_SYS_ADMIN", "SYS_ADMIN"} & set(context.capabilities.add):
            yield FieldError.invalid(
                path,
                context.to_json(),
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            )


def check_seccomp(context: SecurityContext, path: str) -> Iterator[FieldError]:
    """A profile on the node is named, others are not."""
    profile = context.seccomp_profile
    if profile is None:
        return
    at = f"{path}.seccompProfile.localhostProfile"
    if profile.type == "Localhost":
        if not profile.localhost_profile:
            yield FieldError.required(at, "must be set when seccomp type is Localhost")
    elif profile.localhost_profile is not None:
        yield FieldError.invalid(at, profile.localhost_profile, "can only be set when seccomp type is Localhost")
