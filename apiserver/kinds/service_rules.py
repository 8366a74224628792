"""What must hold between the fields of a Service."""

from __future__ import annotations

from collections.abc import Iterator

from sampan import names
from sampan.api.core_v1 import Service, ServiceSpec
from sampan.errors import FieldError

HEADLESS = "None"
WITH_PORTS = ("NodePort", "LoadBalancer")


def is_headless(spec: ServiceSpec) -> bool:
    """Whether it has no address of its own, by wish."""
    return spec.cluster_ip == HEADLESS


def is_exposed(spec: ServiceSpec) -> bool:
    """Whether it can be reached from outside."""
    return spec.type in WITH_PORTS or (spec.type == "ClusterIP" and bool(spec.external_ips))


def needs_health_port(spec: ServiceSpec) -> bool:
    """Whether load balancers ask a port of the node for its health."""
    return spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local"


def check(service: Service) -> Iterator[FieldError]:
    """All rules between the fields of a Service, but for what allocation finds."""
    spec = service.spec
    if spec.type == "ExternalName":
        yield from check_external_name(spec)
    else:
        yield from check_addresses(spec)
        if not spec.ports and not is_headless(spec):
            yield FieldError.required("spec.ports")
    yield from check_ports(spec)
    if spec.session_affinity == "None" and spec.session_affinity_config is not None:
        yield FieldError.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")
    exposed = is_exposed(spec)
    if spec.external_traffic_policy is not None and not exposed:
        yield FieldError.invalid(
            "spec.externalTrafficPolicy",
            spec.external_traffic_policy,
            "may only be set for externally-accessible services",
        )
    for wire, value in (
        ("LoadBalancerSourceRanges", spec.load_balancer_source_ranges),
        ("loadBalancerClass", spec.load_balancer_class),
        ("allocateLoadBalancerNodePorts", spec.allocate_load_balancer_node_ports),
    ):
        if value not in (None, []) and spec.type != "LoadBalancer":
            yield FieldError.forbidden(f"spec.{wire}", "may only be used when `type` is 'LoadBalancer'")
    if spec.health_check_node_port and not needs_health_port(spec):
        yield FieldError.invalid(
            "spec.healthCheckNodePort",
            spec.health_check_node_port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )


def check_external_name(spec: ServiceSpec) -> Iterator[FieldError]:
    """A Service that is only a name for another name."""
    name = (spec.external_name or "").removesuffix(".")
    if not name:
        yield FieldError.required("spec.externalName")
    else:
        for complaint in names.dns_subdomain(name):
            yield FieldError.invalid("spec.externalName", name, complaint)
    for wire, value in (
        ("clusterIPs", spec.cluster_ips or spec.cluster_ip),
        ("ipFamilies", spec.ip_families),
        ("ipFamilyPolicy", spec.ip_family_policy),
    ):
        if value:
            yield FieldError.forbidden(f"spec.{wire}", "may not be set for ExternalName services")


def check_addresses(spec: ServiceSpec) -> Iterator[FieldError]:
    """clusterIP and clusterIPs agree, and this cluster can give them."""
    single, several = spec.cluster_ip or "", spec.cluster_ips
    if not single and several:
        yield FieldError.invalid("spec.clusterIPs", several, "must be empty when `clusterIP` is not specified")
    elif single and several and several[0] != single:
        yield FieldError.invalid("spec.clusterIPs", several, "first value must match `clusterIP`")
    if HEADLESS in several:
        if len(several) > 1:
            yield FieldError.invalid("spec.clusterIPs", several, "'None' must be the first and only value")
        if spec.type in WITH_PORTS:
            yield FieldError.invalid(
                "spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {spec.type} services"
            )
    else:
        for index, one in enumerate(several):
            for complaint in names.ip_address(one):
                yield FieldError.invalid(f"spec.clusterIPs[{index}]", one, complaint)
        if len(several) > 1:
            yield FieldError.invalid(
                "spec.clusterIPs", several, "this cluster is not configured for dual-stack services"
            )
    if spec.ip_family_policy == "RequireDualStack":
        yield FieldError.invalid(
            "spec.ipFamilyPolicy", spec.ip_family_policy, "this cluster is not configured for dual-stack services"
        )
    for index, family in enumerate(spec.ip_families):
        if family in spec.ip_families[:index]:
            yield FieldError.duplicate(f"spec.ipFamilies[{index}]", family)
        elif family == "IPv6":
            yield FieldError.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def check_ports(spec: ServiceSpec) -> Iterator[FieldError]:
    """Ports are told apart by name and by number."""
    ports, known = spec.ports, set()
    pairs: set[tuple[str | None, int]] = set()
    node_pairs: set[tuple[str | None, int]] = set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        if not port.name:
            if len(ports) > 1:
                yield FieldError.required(f"{at}.name")
        elif port.name in known:
            yield FieldError.duplicate(f"{at}.name", port.name)
        known.add(port.name)
        pair = (port.protocol, port.port)
        if pair in pairs:
            yield FieldError.duplicate(at, {"port": port.port, "protocol": port.protocol})
        pairs.add(pair)
        if port.node_port:
            if spec.type == "ClusterIP":
                yield FieldError.forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'")
            node_pair = (port.protocol, port.node_port)
            if node_pair in node_pairs:
                yield FieldError.duplicate(f"{at}.nodePort", port.node_port)
            node_pairs.add(node_pair)
        if port.app_protocol:
            for complaint in names.qualified_name(port.app_protocol):
                yield FieldError.invalid(f"{at}.appProtocol", port.app_protocol, complaint)


def check_update(new: Service, old: Service) -> Iterator[FieldError]:
    """An address that was given stays, as long as the Service is of a kind that has one."""
    if "ExternalName" in (new.spec.type, old.spec.type):
        return
    before, after = old.spec.cluster_ip or "", new.spec.cluster_ip or ""
    if before and after != before:
        text = "may not change once set" if after else "primary clusterIP can not be unset"
        yield FieldError.invalid("spec.clusterIPs[0]", new.spec.cluster_ips, text)
    health = (old.spec.health_check_node_port, new.spec.health_check_node_port)
    if needs_health_port(old.spec) and needs_health_port(new.spec) and health[0] != health[1]:
        yield FieldError.forbidden("spec.healthCheckNodePort", "field is immutable")
    if old.spec.ip_families and new.spec.ip_families and new.spec.ip_families[0] != old.spec.ip_families[0]:
        yield FieldError.invalid("spec.ipFamilies[0]", new.spec.ip_families, "may not change once set")
