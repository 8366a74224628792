"""Services: defaults by type, and the addresses and ports they get."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from apiserver.kind import AGE, NAME, Column, Context, Kind, NameRule, Server, Strategy
from apiserver.kinds import allocation
from apiserver.kinds.cells import NONE, Plain, labels, look
from apiserver.kinds.service_rules import (
    WITH_PORTS,
    check,
    check_update,
    is_exposed,
    is_headless,
    needs_health_port,
)
from apiserver.statuses import already_exists
from sampan import names
from sampan.api.core_v1 import ClientIPConfig, Service, ServiceSpec, SessionAffinityConfig
from sampan.api.defaults import fill
from sampan.errors import ApiError, FieldError, InvalidError, Reason
from sampan.kinds import SERVICES

AFFINITY_SECONDS = 10_800


def default(service: Service) -> None:
    """Fill in what depends on other fields."""
    fill(service)
    spec = service.spec
    if spec.session_affinity == "ClientIP":
        config = spec.session_affinity_config or SessionAffinityConfig()
        client = config.client_ip or ClientIPConfig()
        client.timeout_seconds = AFFINITY_SECONDS if client.timeout_seconds is None else client.timeout_seconds
        config.client_ip, spec.session_affinity_config = client, config
    for port in spec.ports:
        if port.target_port in (None, 0, ""):
            port.target_port = port.port
    if is_exposed(spec):
        spec.external_traffic_policy = spec.external_traffic_policy or "Cluster"
    if spec.type == "LoadBalancer" and spec.allocate_load_balancer_node_ports is None:
        spec.allocate_load_balancer_node_ports = True
    if spec.type != "ExternalName":
        spec.internal_traffic_policy = spec.internal_traffic_policy or "Cluster"
        spec.ip_family_policy = spec.ip_family_policy or "SingleStack"
        spec.ip_families = spec.ip_families or ["IPv4"]
        if spec.cluster_ip and not spec.cluster_ips:
            spec.cluster_ips = [spec.cluster_ip]


def begin(service: Service, context: Context) -> None:
    """A new one."""
    default(service)


def change(new: Service, old: Service, context: Context) -> None:
    """A changed one keeps what it was given, unless its new type has no use for it."""
    ours, theirs = new.spec, old.spec
    if ours.type == "ExternalName":
        if ours.cluster_ip == theirs.cluster_ip:
            ours.cluster_ip, ours.cluster_ips = None, []
        if ours.ip_families == theirs.ip_families:
            ours.ip_families = []
        if ours.ip_family_policy == theirs.ip_family_policy:
            ours.ip_family_policy = None
        ours.internal_traffic_policy = None
    elif theirs.type != "ExternalName":
        if not ours.cluster_ip and not ours.cluster_ips:
            ours.cluster_ip, ours.cluster_ips = theirs.cluster_ip, list(theirs.cluster_ips)
        elif ours.cluster_ip != theirs.cluster_ip and ours.cluster_ips == theirs.cluster_ips:
            ours.cluster_ips = [ours.cluster_ip] if ours.cluster_ip else []
    if ours.type in WITH_PORTS and theirs.type in WITH_PORTS:
        keep_node_ports(ours, theirs)
    elif ours.type not in WITH_PORTS and theirs.type in WITH_PORTS:
        given = {(port.protocol, port.port, port.node_port) for port in theirs.ports}
        for port in ours.ports:
            if (port.protocol or "TCP", port.port, port.node_port) in given:
                port.node_port = None
        if not ours.external_ips and ours.external_traffic_policy == theirs.external_traffic_policy:
            ours.external_traffic_policy = None
    if needs_health_port(theirs):
        if needs_health_port(ours):
            ours.health_check_node_port = ours.health_check_node_port or theirs.health_check_node_port
        elif ours.health_check_node_port == theirs.health_check_node_port:
            ours.health_check_node_port = None
    if ours.type != "LoadBalancer" and theirs.type == "LoadBalancer":
        ours.allocate_load_balancer_node_ports = None
        ours.load_balancer_class = None
    if ours.session_affinity != "ClientIP" and ours.session_affinity_config == theirs.session_affinity_config:
        ours.session_affinity_config = None
    default(new)


def keep_node_ports(new: ServiceSpec, old: ServiceSpec) -> None:
    """A port that does not say its node port keeps the one it had."""
    had = {(port.protocol, port.port): port.node_port for port in old.ports}
    wanted = {(port.protocol, port.node_port) for port in new.ports if port.node_port}
    for port in new.ports:
        before = had.get((port.protocol or "TCP", port.port))
        if not port.node_port and before and (port.protocol, before) not in wanted:
            port.node_port = before


def owner_of(service: Service) -> str:
    """The name under which a Service claims: another of the same name is another owner."""
    return f"{service.metadata.namespace}/{service.metadata.name}/{service.metadata.uid}"


def needs_address(spec: ServiceSpec) -> bool:
    """Whether it has an address of the cluster's range."""
    return spec.type != "ExternalName" and not is_headless(spec)


def needs_node_ports(spec: ServiceSpec) -> bool:
    """Whether its ports are opened on every node."""
    return spec.type == "NodePort" or (
        spec.type == "LoadBalancer" and spec.allocate_load_balancer_node_ports is not False
    )


def held(service: Service) -> set[tuple[str, str]]:
    """What a Service has claimed: (pool, value)."""
    spec = service.spec
    found: set[tuple[str, str]] = set()
    if needs_address(spec) and spec.cluster_ip:
        found.add((allocation.ADDRESSES, spec.cluster_ip))
    found |= {(allocation.NODE_PORTS, str(port.node_port)) for port in spec.ports if port.node_port}
    if spec.health_check_node_port:
        found.add((allocation.NODE_PORTS, str(spec.health_check_node_port)))
    return found


def invalid(service: Service, error: FieldError) -> InvalidError:
    """The refusal of one value."""
    return InvalidError("Service", "", service.metadata.name or "", [error])


def full(what: str) -> ApiError:
    """500, as upstream: nothing of a range is left."""
    return ApiError(500, Reason.INTERNAL_ERROR, f"Internal error occurred: failed to allocate a {what}: range is full")


async def allocate(service: Service, had: set[tuple[str, str]], server: Server) -> None:
    """Claim everything that the Service needs and did not have; all or nothing. Raises ApiError 422 or 500."""
    owner, before = owner_of(service), set(had)
    claimed: list[tuple[str, str]] = []
    try:
        if needs_address(service.spec):
            await claim_address(service, had, server, claimed)
        if needs_node_ports(service.spec):
            for index, port in enumerate(service.spec.ports):
                port.node_port = await claim_port(
                    service, f"spec.ports[{index}].nodePort", port.node_port, had, server, claimed
                )
        if needs_health_port(service.spec):
            service.spec.health_check_node_port = await claim_port(
                service, "spec.healthCheckNodePort", service.spec.health_check_node_port, had, server, claimed
            )
    except BaseException:
        await allocation.release(server, owner, [one for one in claimed if one not in before])
        raise


async def claim_address(
    service: Service, had: set[tuple[str, str]], server: Server, claimed: list[tuple[str, str]]
) -> None:
    """Claim the address that was chosen, or any."""
    spec, owner, network = service.spec, owner_of(service), server.settings.service_cidr
    chosen = spec.cluster_ip
    if not chosen:
        found = await allocation.address(server, owner)
        if found is None:
            raise full("serviceIP")
        claimed.append((allocation.ADDRESSES, found))
        spec.cluster_ip, spec.cluster_ips = found, [found]
        return
    if (allocation.ADDRESSES, chosen) in had:
        return
    first, last = allocation.usable(network)
    number = int(ip_address(chosen))
    if not first <= number <= last:
        why = f"the provided IP ({chosen}) is not in the valid range. The range of valid IPs is {network}"
    elif await server.claim(allocation.ADDRESSES, chosen, owner):
        claimed.append((allocation.ADDRESSES, chosen))
        return
    else:
        why = "provided IP is already allocated"
    raise invalid(service, FieldError.invalid("spec.clusterIPs", [chosen], f"failed to allocate IP {chosen}: {why}"))


async def claim_port(
    service: Service,
    path: str,
    chosen: int | None,
    had: set[tuple[str, str]],
    server: Server,
    claimed: list[tuple[str, str]],
) -> int:
    """Claim the port of all nodes that was chosen, or any. Returns it."""
    owner = owner_of(service)
    if not chosen:
        found = await allocation.node_port(server, owner)
        if found is None:
            raise full("nodePort")
        claimed.append((allocation.NODE_PORTS, str(found)))
        return found
    mark = (allocation.NODE_PORTS, str(chosen))
    if mark in had or mark in claimed:
        return chosen
    ports = server.settings.node_port_range
    if chosen not in ports:
        why = f"provided port is not in the valid range. The range of valid ports is {ports.start}-{ports.stop - 1}"
    elif await server.claim(*mark, owner):
        claimed.append(mark)
        return chosen
    else:
        why = "provided port is already allocated"
    raise invalid(service, FieldError.invalid(path, chosen, why))


async def before_create(service: Service, context: Context) -> None:
    """Claim what a new Service needs. Raises ApiError 409 if it is there already, with what it chose."""
    try:
        await allocate(service, set(), context.server)
    except InvalidError:
        name = service.metadata.name or ""
        if context.server.peek(SERVICES, context.namespace, name) is not None:
            raise already_exists(SERVICES, name) from None
        raise


async def before_update(new: Service, old: Service, context: Context) -> None:
    """Claim what a changed Service needs in addition."""
    await allocate(new, held(old), context.server)


async def after_update(new: Service, old: Service, server: Server) -> None:
    """Give back what it has no more."""
    await allocation.release(server, owner_of(new), sorted(held(old) - held(new)))


async def after_delete(service: Service, server: Server) -> None:
    """Give everything back."""
    await allocation.release(server, owner_of(service), sorted(held(service)))


def validate(service: Service) -> Iterator[FieldError]:
    """Rules between fields, and the limits of the affinity's time."""
    yield from check(service)
    config = service.spec.session_affinity_config
    if config is not None and service.spec.session_affinity == "ClientIP" and config.client_ip is None:
        yield FieldError.required("spec.sessionAffinityConfig.clientIP", "when session affinity type is ClientIP")
    for index, one in enumerate(service.spec.external_ips):
        if not names.ip_address(one) and one.startswith(("127.", "169.254.", "0.", "224.")):
            yield FieldError.invalid(f"spec.externalIPs[{index}]", one, "may not be a special address")


def external(o: Plain) -> str:
    """The EXTERNAL-IP column."""
    given = ",".join(look(o, "spec", "externalIPs") or ())
    match look(o, "spec", "type"):
        case "ExternalName":
            return str(look(o, "spec", "externalName") or "")
        case "LoadBalancer":
            ingress = look(o, "status", "loadBalancer", "ingress") or ()
            found = sorted({one.get("ip") or one.get("hostname") or "" for one in ingress} - {""})
            return ",".join([*found, given] if given else found) or "<pending>"
    return given or NONE


def address(o: Plain) -> str:
    """The CLUSTER-IP column."""
    several = look(o, "spec", "clusterIPs") or []
    return (several[0] if several else look(o, "spec", "clusterIP")) or NONE


def ports(o: Plain) -> str:
    """The PORT(S) column."""
    shown = []
    for port in look(o, "spec", "ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


SERVICE = Kind(
    SERVICES,
    columns=(
        NAME,
        Column("Type", lambda o: look(o, "spec", "type") or "", description="How it is exposed."),
        Column("Cluster-IP", address, description="Its address in the cluster."),
        Column("External-IP", external, description="Its addresses outside."),
        Column("Port(s)", ports, description="Its ports, with node ports."),
        AGE,
        Column("Selector", lambda o: labels(look(o, "spec", "selector")), priority=1, description="Which pods."),
    ),
    strategy=Strategy[Service](
        prepare_create=begin,
        prepare_update=change,
        validate=validate,
        validate_update=check_update,
        selectable={
            "spec.clusterIP": lambda o: look(o, "spec", "clusterIP") or "",
            "spec.type": lambda o: look(o, "spec", "type") or "",
        },
        names=NameRule.LABEL_1035,
        unconditional_update=False,
        create_on_update=True,
        before_create=before_create,
        before_update=before_update,
        after_update=after_update,
        after_delete=after_delete,
    ),
    status=True,
)
