"""Endpoints: where a Service leads, in the old form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apiserver.kind import AGE, NAME, Column, Kind, Strategy
from apiserver.kinds.cells import NONE, Plain, shortened
from sampan import names
from sampan.api.core_v1 import Endpoints
from sampan.api.meta_v1 import ObjectMeta
from sampan.errors import FieldError
from sampan.kinds import ENDPOINTS as RESOURCE


def addresses(o: Plain) -> Iterable[str]:
    """`address:port` of all ready ones."""
    for subset in o.get("subsets") or ():
        ports = subset.get("ports") or ()
        if not ports:
            yield from (one.get("ip", "") for one in subset.get("addresses") or ())
        for port in ports:
            for one in subset.get("addresses") or ():
                ip = one.get("ip", "")
                yield f"[{ip}]:{port.get('port')}" if ":" in ip else f"{ip}:{port.get('port')}"


def own(meta: ObjectMeta) -> bool:
    """Whether these are the API server's own endpoints: that server may well be on loopback."""
    return (meta.namespace, meta.name) == ("default", "kubernetes")


def validate(endpoints: Endpoints) -> Iterator[FieldError]:
    """No endpoint may stand for the node that asks."""
    if own(endpoints.metadata):
        return
    for index, subset in enumerate(endpoints.subsets):
        for group, found in (("addresses", subset.addresses), ("notReadyAddresses", subset.not_ready_addresses)):
            for place, one in enumerate(found):
                for complaint in names.special_ip(one.ip):
                    yield FieldError.invalid(f"subsets[{index}].{group}[{place}].ip", one.ip, complaint)


ENDPOINTS = Kind(
    RESOURCE,
    columns=(
        NAME,
        Column("Endpoints", lambda o: shortened(addresses(o), NONE), description="Addresses and ports."),
        AGE,
    ),
    strategy=Strategy[Endpoints](create_on_update=True, validate=validate),
)
