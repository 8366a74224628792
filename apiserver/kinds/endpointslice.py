"""Endpoint slices: where a Service leads, in pieces that a change touches one by one."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Kind, Strategy
from apiserver.kinds.cells import Plain, shortened, text
from apiserver.kinds.endpoints import own
from sampan import names
from sampan.api.discovery_v1 import EndpointSlice
from sampan.errors import FieldError
from sampan.kinds import ENDPOINT_SLICES

UNSET = "<unset>"
RULES: dict[str, names.Rule] = {
    "IPv4": lambda one: names.ip_address(one) or ([] if ":" not in one else ["must be an IPv4 address"]),
    "IPv6": lambda one: names.ip_address(one) or ([] if ":" in one else ["must be an IPv6 address"]),
    "FQDN": names.dns_subdomain,
}


def ports(o: Plain) -> str:
    """The PORTS column."""
    shown = [str(one.get("port") or one.get("name") or "*") for one in o.get("ports") or ()]
    return shortened(shown, UNSET)


def endpoints(o: Plain) -> str:
    """The ENDPOINTS column."""
    return shortened((one for part in o.get("endpoints") or () for one in part.get("addresses") or ()), UNSET)


def validate(one: EndpointSlice) -> Iterator[FieldError]:
    """Addresses are of the slice's type; ports are told apart by name."""
    rule = RULES.get(one.address_type)
    for index, endpoint in enumerate(one.endpoints):
        for place, address in enumerate(endpoint.addresses):
            for complaint in (
                *(rule(address) if rule else ()),
                *(() if own(one.metadata) else names.special_ip(address)),
            ):
                yield FieldError.invalid(f"endpoints[{index}].addresses[{place}]", address, complaint)
    seen: set[str] = set()
    for index, port in enumerate(one.ports):
        name = port.name or ""
        if name in seen:
            yield FieldError.duplicate(f"ports[{index}].name", name)
        seen.add(name)


def validate_update(new: EndpointSlice, old: EndpointSlice) -> Iterator[FieldError]:
    """The type of addresses stays."""
    if new.address_type != old.address_type:
        yield FieldError.invalid("addressType", new.address_type, "field is immutable")


ENDPOINT_SLICE = Kind(
    ENDPOINT_SLICES,
    columns=(
        NAME,
        Column("AddressType", text("addressType"), description="The type of all its addresses."),
        Column("Ports", ports, description="Ports of each endpoint."),
        Column("Endpoints", endpoints, description="Addresses of the endpoints."),
        AGE,
    ),
    strategy=Strategy[EndpointSlice](validate=validate, validate_update=validate_update, tracks_generation=True),
)
