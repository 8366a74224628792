"""What to answer a DNS question: a pure function of the zone and the query.

Names of the cluster are answered with authority: NXDOMAIN when there is no such name, an empty NOERROR when it has
no record of the type, both with the SOA, so that resolvers walk a search list (`ndots:5`) as fast as packets go.

Names of others, without an upstream: NXDOMAIN, with an extended error that says why. REFUSED would be truer, but
musl waits for its time-out on it and glibc asks again; a cluster without a way out has no such names for its pods.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, replace

from nodeagent.network.dns.message import (
    ANY,
    AXFR,
    BADVERS,
    CNAME,
    EXTENDED_ERROR,
    IN,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SRV,
    A,
    Address,
    Edns,
    Message,
    Name,
    Record,
    ServiceTarget,
    Target,
    reply,
)
from nodeagent.network.dns.zone import TTL_SECONDS, Zone

MOST_ALIASES = 8
NOT_AUTHORITATIVE = 20  # RFC 8914, 4.21
NO_UPSTREAM = b"no upstream resolver: the node's dns_upstream is not set"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The response, and what only an upstream resolver can add: `ask` is a name of others, None if complete."""

    response: Message
    ask: Name | None = None


def answer(zone: Zone, query: Message, *, turn: int = 0) -> Outcome:
    """Answer a query. `turn` rotates the addresses of a name, so that clients that take the first spread out."""
    question = query.question
    if query.opcode != 0 or question is None:
        return Outcome(reply(query, NOTIMP))
    if query.edns and query.edns.version > 0:
        return Outcome(reply(query, BADVERS))
    if question.cls not in (IN, ANY) or question.type == AXFR:
        return Outcome(reply(query, REFUSED))
    name = lower(question.name)
    origin = zone.origin(name)
    if origin is None:
        return Outcome(_unknown_elsewhere(query), ask=question.name)
    found: list[Record] = []
    at = question.name
    for _ in range(MOST_ALIASES):
        records = records_of(zone, at)
        wanted = [r for r in records if question.type in (r.type, ANY)]
        alias = next((r for r in records if r.type == CNAME), None)
        if wanted or alias is None:
            found += _rotated(wanted, turn)
            break
        found.append(alias)
        assert isinstance(alias.data, Target)
        at = alias.data.name
        inside = zone.origin(lower(at))
        if inside is None:
            return Outcome(replace(reply(query, answers=found), authoritative=True), ask=at)
        origin = inside
    else:
        found = []  # aliases in a ring lead nowhere
    exists = lower(at) in zone.names or bool(records_of(zone, at))
    response = reply(
        query,
        0 if exists else NXDOMAIN,
        answers=found,
        authorities=() if found and exists else (zone.authority(origin),),
        additionals=_glue(zone, found),
    )
    return Outcome(replace(response, authoritative=True))


def lower(name: Name) -> Name:
    """The form in which names are compared (RFC 4343)."""
    return tuple(label.lower() for label in name)


def records_of(zone: Zone, name: Name) -> tuple[Record, ...]:
    """All records of a name of ours, with the name spelled as asked."""
    key = lower(name)
    records = zone.records.get(key)
    if records is None:
        address = _pod_address(zone, key)
        records = (Record(key, A, TTL_SECONDS, Address(address)),) if address else ()
    return records if key == name else tuple(replace(record, name=name) for record in records)


def _pod_address(zone: Zone, name: Name) -> str | None:
    """The address that a pod's name spells, such as 10-244-1-5.shop.pod.cluster.local, if pods may have it."""
    if len(name) != len(zone.domain) + 3 or name[2] != b"pod" or name[-len(zone.domain) :] != zone.domain:
        return None
    text = name[0].decode("ascii", "replace").replace("-", ".")
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return None
    return str(address) if address in zone.pods else None


def _rotated(records: list[Record], turn: int) -> list[Record]:
    start = turn % len(records) if records else 0
    return records[start:] + records[:start]


def _glue(zone: Zone, records: list[Record]) -> tuple[Record, ...]:
    """The addresses of what SRV records point at."""
    targets = dict.fromkeys(
        record.data.target for record in records if record.type == SRV and isinstance(record.data, ServiceTarget)
    )
    return tuple(
        record for target in targets for record in zone.records.get(target, ()) if isinstance(record.data, Address)
    )


def _unknown_elsewhere(query: Message) -> Message:
    response = reply(query, NXDOMAIN)
    if response.edns is None:
        return response
    option = (EXTENDED_ERROR, struct.pack(">H", NOT_AUTHORITATIVE) + NO_UPSTREAM)
    return replace(response, edns=Edns(options=(option,)))
