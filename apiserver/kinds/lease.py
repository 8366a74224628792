"""Leases: written often, by whoever holds them."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Kind, Strategy
from apiserver.kinds.cells import text
from sampan.api.coordination_v1 import Lease
from sampan.errors import FieldError
from sampan.kinds import LEASES


def validate(lease: Lease) -> Iterator[FieldError]:
    """A preferred holder makes sense only where holders are chosen by a strategy."""
    if lease.spec.preferred_holder and not lease.spec.strategy:
        yield FieldError.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")


LEASE = Kind(
    LEASES,
    columns=(NAME, Column("Holder", text("spec", "holderIdentity"), description="Who holds it."), AGE),
    strategy=Strategy[Lease](validate=validate, unconditional_update=False, create_on_update=True),
)
