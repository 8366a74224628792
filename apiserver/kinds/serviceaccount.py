"""Service accounts; their tokens are made by the server (authn/)."""

from __future__ import annotations

from apiserver.kind import AGE, NAME, Column, Kind, Strategy
from sampan.api.core_v1 import ServiceAccount
from sampan.kinds import SERVICE_ACCOUNTS

SERVICE_ACCOUNT = Kind(
    SERVICE_ACCOUNTS,
    columns=(
        NAME,
        Column("Secrets", lambda o: len(o.get("secrets") or ()), type="integer", description="How many it may use."),
        AGE,
    ),
    strategy=Strategy[ServiceAccount](delete_returns_object=True),
)
