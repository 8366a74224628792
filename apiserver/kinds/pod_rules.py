"""What must hold between the fields of a pod's spec, in a pod or in a template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apiserver.kinds.container_rules import check_container, check_init, check_main
from apiserver.kinds.pod_defaults import AnyContainer
from apiserver.kinds.volume_rules import check_mounts, check_volumes
from sampan import names
from sampan.api.core_v1 import (
    EphemeralContainer,
    PodAffinityTerm,
    PodDNSConfig,
    PodSpec,
    PodTemplateSpec,
    Toleration,
    TopologySpreadConstraint,
)
from sampan.errors import FieldError

EPHEMERAL_FORBIDDEN = (
    ("ports", "ports"),
    ("liveness_probe", "livenessProbe"),
    ("readiness_probe", "readinessProbe"),
    ("startup_probe", "startupProbe"),
    ("lifecycle", "lifecycle"),
    ("resize_policy", "resizePolicy"),
    ("restart_policy", "restartPolicy"),
)
MOST_NAMESERVERS = 3
MOST_SEARCHES = 32
LONGEST_SEARCHES = 2048


def check_template(template: PodTemplateSpec, path: str) -> Iterator[FieldError]:
    """A pod template of a controller."""
    if template.spec.ephemeral_containers:
        yield FieldError.forbidden(
            f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"
        )
    yield from check_spec(template.spec, f"{path}.spec")


def check_spec(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """All rules between fields of a pod's spec."""
    yield from check_volumes(spec.volumes, f"{path}.volumes")
    yield from check_containers(spec, path)
    yield from check_host_ports(spec, path)
    yield from check_host(spec, path)
    yield from check_dns(spec, path)
    for index, toleration in enumerate(spec.tolerations):
        yield from check_toleration(toleration, f"{path}.tolerations[{index}]")
    yield from check_affinity(spec, path)
    pairs: set[tuple[str, str]] = set()
    for index, constraint in enumerate(spec.topology_spread_constraints):
        pair = (constraint.topology_key, constraint.when_unsatisfiable)
        if pair in pairs:
            yield FieldError.duplicate(
                f"{path}.topologySpreadConstraints[{index}].{{topologyKey, whenUnsatisfiable}}",
                f"{{{', '.join(pair)}}}",
            )
        pairs.add(pair)
        yield from check_spread_keys(constraint, f"{path}.topologySpreadConstraints[{index}].matchLabelKeys")
        if constraint.min_domains is not None and constraint.when_unsatisfiable != "DoNotSchedule":
            yield FieldError.invalid(
                f"{path}.topologySpreadConstraints[{index}].minDomains",
                constraint.min_domains,
                f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {constraint.when_unsatisfiable}",
            )
    gates: set[str] = set()
    for index, gate in enumerate(spec.scheduling_gates):
        at = f"{path}.schedulingGates[{index}]"
        yield from (FieldError.invalid(at, gate.name, one) for one in names.qualified_name(gate.name))
        if gate.name in gates:
            yield FieldError.duplicate(at, gate.name)
        gates.add(gate.name)
    if spec.share_process_namespace and spec.host_pid:
        yield FieldError.invalid(
            f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled"
        )
    context = spec.security_context
    if context is not None and context.seccomp_profile is not None:
        at = f"{path}.securityContext.seccompProfile.localhostProfile"
        if context.seccomp_profile.type == "Localhost" and not context.seccomp_profile.localhost_profile:
            yield FieldError.required(at, "must be set when seccomp type is Localhost")
    if context is not None:
        seen: set[str] = set()
        for index, sysctl in enumerate(context.sysctls):
            if sysctl.name in seen:
                yield FieldError.duplicate(f"{path}.securityContext.sysctls[{index}].name", sysctl.name)
            seen.add(sysctl.name)
    if spec.resource_claims:
        yield FieldError.forbidden(f"{path}.resourceClaims", "dynamic resource allocation is not supported yet")
    if spec.resources is not None:
        yield FieldError.forbidden(f"{path}.resources", "pod-level resources are not supported yet")


def check_containers(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """Each container's rules; names are told apart over all of them."""
    taken: set[str] = set()
    for index, container in enumerate(spec.containers):
        at = f"{path}.containers[{index}]"
        if container.name and container.name in taken:
            yield FieldError.duplicate(f"{at}.name", container.name)
        taken.add(container.name)
        yield from check_container(container, at)
        yield from check_main(container, spec, at)
        yield from check_mounts(container, spec.volumes, at)
        if container.restart_policy:
            yield FieldError.forbidden(f"{at}.restartPolicy", "may not be set for non-init containers")
    for index, container in enumerate(spec.init_containers):
        at = f"{path}.initContainers[{index}]"
        if container.name and container.name in taken:
            yield FieldError.duplicate(f"{at}.name", container.name)
        taken.add(container.name)
        yield from check_container(container, at)
        yield from check_init(container, spec, at)
        yield from check_mounts(container, spec.volumes, at)
    for position, one in enumerate(spec.ephemeral_containers):
        yield from check_ephemeral(one, spec, f"{path}.ephemeralContainers[{position}]", taken)
        taken.add(one.name)


def check_ephemeral(one: EphemeralContainer, spec: PodSpec, path: str, taken: set[str]) -> Iterator[FieldError]:
    """A container that was added to a running pod to look into it."""
    if one.name and one.name in taken:
        yield FieldError.duplicate(f"{path}.name", one.name)
    targets = {container.name for container in (*spec.containers, *spec.init_containers)}
    if one.target_container_name and one.target_container_name not in targets:
        yield FieldError.not_found(f"{path}.targetContainerName", one.target_container_name)
    for name, wire in EPHEMERAL_FORBIDDEN:
        if getattr(one, name):
            yield FieldError.forbidden(f"{path}.{wire}", "cannot be set for an Ephemeral Container")
    if one.resources is not None and (one.resources.limits or one.resources.requests):
        yield FieldError.forbidden(f"{path}.resources", "cannot be set for an Ephemeral Container")
    for index, mount in enumerate(one.volume_mounts):
        for member, value in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
            if value:
                yield FieldError.forbidden(
                    f"{path}.volumeMounts[{index}].{member}", "cannot be set for an Ephemeral Container"
                )
    yield from check_container(one, path)
    yield from check_mounts(one, spec.volumes, path)


def check_host(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """A user namespace is not shared with the host; on the host's network a port is what it is."""
    if spec.host_users is False:
        for wire, value in (("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)):
            if value:
                yield FieldError.forbidden(f"{path}.{wire}", "when `pod.Spec.HostUsers` is false")
    for index, container in enumerate(spec.containers if spec.host_network else ()):
        for place, port in enumerate(container.ports):
            if port.host_port and port.host_port != port.container_port:
                yield FieldError.invalid(
                    f"{path}.containers[{index}].ports[{place}].hostPort",
                    port.host_port,
                    "must match `containerPort` when `hostNetwork` is true",
                )


def check_images(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """In a pod, unlike in a template, images are names without blanks around them."""
    everyone: list[tuple[str, Sequence[AnyContainer]]] = [
        ("containers", spec.containers),
        ("initContainers", spec.init_containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    ]
    for member, containers in everyone:
        for index, one in enumerate(containers):
            image = one.image or ""
            if image.strip() != image:
                why = "must not have leading or trailing whitespace"
                yield FieldError.invalid(f"{path}.{member}[{index}].image", image, why)


def check_host_ports(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """No two containers want one port of the host."""
    taken: set[str] = set()
    for member, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for index, container in enumerate(containers):
            if member == "initContainers":  # they run one by one
                taken = set()
            for place, port in enumerate(container.ports):
                if not port.host_port:
                    continue
                key = f"{port.protocol}/{port.host_ip or ''}/{port.host_port}"
                if key in taken:
                    yield FieldError.duplicate(f"{path}.{member}[{index}].ports[{place}].hostPort", key)
                taken.add(key)


def check_dns(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """The policy None takes everything from dnsConfig."""
    config = spec.dns_config
    if spec.dns_policy == "None":
        if config is None:
            yield FieldError.required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.nameservers:
            yield FieldError.required(
                f"{path}.dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
            )
    if config is not None:
        yield from check_dns_config(config, f"{path}.dnsConfig")


def check_dns_config(config: PodDNSConfig, path: str) -> Iterator[FieldError]:
    """What resolv.conf can hold."""
    if len(config.nameservers) > MOST_NAMESERVERS:
        yield FieldError.invalid(
            f"{path}.nameservers", config.nameservers, f"must not have more than {MOST_NAMESERVERS} nameservers"
        )
    if len(config.searches) > MOST_SEARCHES:
        yield FieldError.invalid(
            f"{path}.searches", config.searches, f"must not have more than {MOST_SEARCHES} search paths"
        )
    if len(" ".join(config.searches)) > LONGEST_SEARCHES:
        yield FieldError.invalid(
            f"{path}.searches",
            config.searches,
            f"must not have more than {LONGEST_SEARCHES} characters (including spaces) in the search list",
        )
    for index, option in enumerate(config.options):
        if not option.name:
            yield FieldError.required(f"{path}.options[{index}]", "must not be empty")
    for index, search in enumerate(config.searches):
        text = search.removesuffix(".")
        for complaint in names.dns_subdomain(text.replace("_", "a")) if text else ():
            yield FieldError.invalid(f"{path}.searches[{index}]", search, complaint)


def check_toleration(toleration: Toleration, path: str) -> Iterator[FieldError]:
    """Key, operator and value belong together."""
    operator = toleration.operator or "Equal"
    if not toleration.key and operator != "Exists":
        yield FieldError.invalid(
            f"{path}.operator",
            toleration.operator or "",
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        yield FieldError.invalid(
            f"{path}.effect", toleration.effect or "", "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
    match operator:
        case "Equal":
            complaints = names.label_value(toleration.value or "")
            if complaints:
                yield FieldError.invalid(f"{path}.operator", toleration.value, ";".join(complaints))
        case "Exists":
            if toleration.value:
                yield FieldError.invalid(
                    f"{path}.operator", toleration.value, "value must be empty when `operator` is 'Exists'"
                )
        case _:
            yield FieldError.not_supported(f"{path}.operator", operator, ("Equal", "Exists"))


def check_label_keys(term: PodAffinityTerm, path: str) -> Iterator[FieldError]:
    """Labels whose values are the pod's own."""
    for wire, keys in (("matchLabelKeys", term.match_label_keys), ("mismatchLabelKeys", term.mismatch_label_keys)):
        if keys and term.label_selector is None:
            yield FieldError.forbidden(f"{path}.{wire}", "must not be specified when labelSelector is not set")
            continue
        for index, key in enumerate(keys):
            yield from (
                FieldError.invalid(f"{path}.{wire}[{index}]", key, complaint) for complaint in names.qualified_name(key)
            )
    for index, key in enumerate(term.match_label_keys):
        if key in term.mismatch_label_keys:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield FieldError.invalid(f"{path}.matchLabelKeys[{index}]", key, why)


def check_spread_keys(constraint: TopologySpreadConstraint, path: str) -> Iterator[FieldError]:
    """Labels whose values are the pod's own: the selector does not speak of them."""
    selector = constraint.label_selector
    if constraint.match_label_keys and selector is None:
        yield FieldError.forbidden(path, "must not be specified when labelSelector is not set")
    asked = {*selector.match_labels, *(one.key for one in selector.match_expressions)} if selector is not None else ()
    for index, key in enumerate(constraint.match_label_keys):
        yield from (FieldError.invalid(f"{path}[{index}]", key, complaint) for complaint in names.qualified_name(key))
        if key in asked:
            yield FieldError.invalid(f"{path}[{index}]", key, "exists in both matchLabelKeys and labelSelector")


def check_affinity(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """Terms that would mean nothing."""
    affinity = spec.affinity
    if affinity is None:
        return
    at = f"{path}.affinity"
    for member, one in (("podAffinity", affinity.pod_affinity), ("podAntiAffinity", affinity.pod_anti_affinity)):
        if one is None:
            continue
        terms = [
            (f"{at}.{member}.requiredDuringSchedulingIgnoredDuringExecution[{index}]", term)
            for index, term in enumerate(one.required_during_scheduling_ignored_during_execution)
        ] + [
            (
                f"{at}.{member}.preferredDuringSchedulingIgnoredDuringExecution[{index}].podAffinityTerm",
                weighted.pod_affinity_term,
            )
            for index, weighted in enumerate(one.preferred_during_scheduling_ignored_during_execution)
        ]
        for place, term in terms:
            yield from check_label_keys(term, place)
            for namespace in term.namespaces:
                for complaint in names.dns_label(namespace):
                    yield FieldError.invalid(f"{place}.namespace", namespace, complaint)
    nodes = affinity.node_affinity
    required = nodes.required_during_scheduling_ignored_during_execution if nodes is not None else None
    for index, node_term in enumerate(required.node_selector_terms if required is not None else ()):
        for position, expression in enumerate(node_term.match_expressions):
            inner = f"{at}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]"
            for number, value in enumerate(expression.values):
                for complaint in names.label_value(value):
                    where = f"{inner}.matchExpressions[{position}].values[{number}]"
                    yield FieldError.invalid(where, value, complaint)
