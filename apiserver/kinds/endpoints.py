"""Endpoints: where a Service leads, in the old form."""

from __future__ import annotations

from collections.abc import Iterable

from apiserver.kind import AGE, NAME, Column, Kind, Strategy
from apiserver.kinds.cells import NONE, Plain, shortened
from sampan.api.core_v1 import Endpoints
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


ENDPOINTS = Kind(
    RESOURCE,
    columns=(
        NAME,
        Column("Endpoints", lambda o: shortened(addresses(o), NONE), description="Addresses and ports."),
        AGE,
    ),
    strategy=Strategy[Endpoints](create_on_update=True),
)
