"""Cluster addresses and node ports: who has which, agreed among all API servers through claims in etcd.

A claim is one key, created if it is absent, so two servers never give out one value; the candidates come from the
watch cache, which may be behind: then the claim fails and the next candidate is tried.
Always: a value is claimed before the Service that has it is written, and released after the Service has lost it, so
a crash in between can leak a claim but never give a value twice. `leaked` finds such claims.
Sources: KEP-3070 and KEP-3668 (the lower part of a range is left for values chosen by users, as long as there is room).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from apiserver.kind import Server

ADDRESSES = "service-addresses"
NODE_PORTS = "node-ports"
Network = IPv4Network | IPv6Network
ATTEMPTS = 64
"""Most candidates of the claims' cached state that may turn out to be taken."""


def reserved_addresses(size: int) -> int:
    """How many of a range of `size` addresses are left for users to choose, if possible."""
    return min(max(16, size // 16), 256) if size > 16 else 0


def reserved_ports(size: int) -> int:
    """How many of a range of `size` ports are left for users to choose, if possible."""
    return min(max(16, size // 32), 128) if size > 16 else 0


def order(first: int, last: int, reserved: int, taken: Collection[int], chance: random.Random) -> Iterator[int]:
    """The free numbers of a range, both ends included, in the order to try them: random above what is reserved,
    and random below it only when that is exhausted."""
    middle = min(first + reserved, last + 1)
    for low, high in ((middle, last), (first, middle - 1)):
        if low > high:
            continue
        size = high - low + 1
        for _ in range(16):
            number = low + chance.randrange(size)
            if number not in taken:
                yield number
        start = chance.randrange(size)
        for offset in range(size):
            number = low + (start + offset) % size
            if number not in taken:
                yield number


def usable(network: Network) -> tuple[int, int]:
    """The first and the last address that a Service may have: not the network's own, not the broadcast address."""
    first, last = int(network.network_address) + 1, int(network.broadcast_address)
    return first, last - 1 if network.version == 4 else last


async def address(server: Server, owner: str, chance: random.Random | None = None) -> str | None:
    """Claim any free cluster address. None: the range is full."""
    network = server.settings.service_cidr
    first, last = usable(network)
    taken = {int(IPv4Address(one)) for one in server.claims(ADDRESSES)} if network.version == 4 else set()
    reserved = max(0, reserved_addresses(network.num_addresses) - 1)
    candidates = order(first, last, reserved, taken, chance or random.Random())
    for number in (next(candidates, None) for _ in range(ATTEMPTS)):
        if number is None:
            return None
        text = str(network[number - int(network.network_address)])
        if await server.claim(ADDRESSES, text, owner):
            return text
    return None


async def node_port(server: Server, owner: str, chance: random.Random | None = None) -> int | None:
    """Claim any free node port. None: the range is full."""
    ports = server.settings.node_port_range
    taken = {int(one) for one in server.claims(NODE_PORTS)}
    candidates = order(ports.start, ports.stop - 1, reserved_ports(len(ports)), taken, chance or random.Random())
    for number in (next(candidates, None) for _ in range(ATTEMPTS)):
        if number is None:
            return None
        if await server.claim(NODE_PORTS, str(number), owner):
            return number
    return None


async def release(server: Server, owner: str, held: Sequence[tuple[str, str]]) -> None:
    """Give back (pool, value) pairs."""
    for pool, value in held:
        await server.release(pool, value, owner)


def leaked(claims: Mapping[str, str], owners: Collection[str]) -> list[str]:
    """Values whose owner does not exist. Only one that is found again later was leaked: an owner may be about to be
    written."""
    return sorted(value for value, owner in claims.items() if owner not in owners)
