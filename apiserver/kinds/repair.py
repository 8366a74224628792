"""Claims and Services made to agree again, after a crash between a claim and the write that it was for.

Each server may run a pass now and then (minutes apart); passes of several servers do no harm to each other.
Always: a claim is only given back if two passes in a row found it without its Service, because a Service is written a
moment after its claims.
"""

from __future__ import annotations

from dataclasses import dataclass

from apiserver.kind import Server
from apiserver.kinds.allocation import ADDRESSES, NODE_PORTS, leaked
from apiserver.kinds.service import held, owner_of
from sampan.api.core_v1 import Service
from sampan.kinds import SERVICES

Claim = tuple[str, str, str]
"""(pool, value, owner)"""


@dataclass(frozen=True)
class Pass:
    """What one pass found: what it gave back, what the next one will if it finds it again, what two Services have."""

    released: frozenset[Claim] = frozenset()
    suspected: frozenset[Claim] = frozenset()
    contested: frozenset[Claim] = frozenset()
    """Values that a Service has and another owner claims: never ours to decide, but worth telling."""


async def repair(server: Server, before: Pass | None = None) -> Pass:
    """Give back what leaked, and claim what Services have without a claim. `before` is the last pass's result."""
    services = [Service.from_json(one) for one in server.peek_all(SERVICES)]
    owners = {owner_of(one) for one in services}
    suspected: set[Claim] = set()
    for pool in (ADDRESSES, NODE_PORTS):
        claims = server.claims(pool)
        suspected |= {(pool, value, claims[value]) for value in leaked(claims, owners)}
    released = suspected & (before.suspected if before is not None else frozenset())
    for pool, value, owner in sorted(released):
        await server.release(pool, value, owner)
    contested: set[Claim] = set()
    for service in services:
        owner = owner_of(service)
        for pool, value in sorted(held(service)):
            if server.claims(pool).get(value) != owner and not await server.claim(pool, value, owner):
                contested.add((pool, value, owner))
    return Pass(frozenset(released), frozenset(suspected - released), frozenset(contested))
