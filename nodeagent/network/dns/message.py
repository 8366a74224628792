"""DNS messages as values: bytes in, a Message out, and back (RFC 1035, 2782, 3596, 6891).

Always: `decode` reads each byte a bounded number of times and raises nothing but MessageError: a compression
pointer must lead backwards, so chains end, and a name has at most 255 bytes. `encode` never exceeds its limit.
Elsewhere: what to answer (answer.py), sockets (server.py).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

Name = tuple[bytes, ...]

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, AXFR, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 252, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
MOST_NAME_BYTES, MOST_LABEL_BYTES = 255, 63
MOST_POINTERS = 16
EXTENDED_ERROR = 15  # RFC 8914


class MessageError(ValueError):
    """Bytes that are no DNS message."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. The name is as the client spelled it: it gets its own spelling back."""

    name: Name
    type: int
    cls: int = IN


@dataclass(frozen=True, slots=True)
class Address:
    """Data of A and AAAA."""

    text: str


@dataclass(frozen=True, slots=True)
class Target:
    """Data of NS, CNAME and PTR."""

    name: Name


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """Data of SRV."""

    priority: int
    weight: int
    port: int
    target: Name


@dataclass(frozen=True, slots=True)
class Authority:
    """Data of SOA; times are seconds."""

    server: Name
    mailbox: Name
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


@dataclass(frozen=True, slots=True)
class Raw:
    """Data of any other type."""

    data: bytes


Data = Address | Target | ServiceTarget | Authority | Raw


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record; `ttl` is seconds."""

    name: Name
    type: int
    ttl: int
    data: Data
    cls: int = IN


@dataclass(frozen=True, slots=True)
class Edns:
    """RFC 6891: the payload that the sender can take by UDP, the version it speaks, and its options."""

    payload: int = 1232
    version: int = 0
    dnssec_ok: bool = False
    options: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message. `rcode` is the extended one when there is EDNS."""

    id: int
    question: Question | None
    response: bool = False
    opcode: int = 0
    authoritative: bool = False
    truncated: bool = False
    recursion_desired: bool = False
    recursion_available: bool = False
    rcode: int = NOERROR
    answers: tuple[Record, ...] = ()
    authorities: tuple[Record, ...] = ()
    additionals: tuple[Record, ...] = ()
    edns: Edns | None = None


def name_of(text: str) -> Name:
    """A name from its dotted form, lower case. Raises ValueError if it can't be one."""
    labels = tuple(label.encode("ascii").lower() for label in text.split(".") if label)
    if any(len(label) > MOST_LABEL_BYTES for label in labels) or wire_length(labels) > MOST_NAME_BYTES:
        raise ValueError(f"{text!r} is too long for a DNS name")
    return labels


def text_of(name: Name) -> str:
    """A name's dotted form, for people."""
    return ".".join(label.decode("ascii", "backslashreplace") for label in name) + "."


def wire_length(name: Name) -> int:
    """Bytes of a name that is not compressed."""
    return sum(len(label) + 1 for label in name) + 1


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise MessageError("the message ends too early")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def name(self) -> Name:
        labels: list[bytes] = []
        size = 1
        at, after = self.at, -1
        lowest = at
        for _ in range(MOST_NAME_BYTES + MOST_POINTERS):
            if at >= len(self.data):
                raise MessageError("a name runs over the message's end")
            length = self.data[at]
            if length == 0:
                self.at = after if after >= 0 else at + 1
                return tuple(labels)
            if length >= 0xC0:
                if at + 1 >= len(self.data):
                    raise MessageError("a name runs over the message's end")
                target = (length & 0x3F) << 8 | self.data[at + 1]
                if after < 0:
                    after = at + 2
                if target >= lowest:
                    raise MessageError("a compression pointer leads forward")
                at = lowest = target
                continue
            if length > MOST_LABEL_BYTES:
                raise MessageError("a label of an unknown kind")
            label = self.data[at + 1 : at + 1 + length]
            if len(label) < length:
                raise MessageError("a name runs over the message's end")
            size += length + 1
            if size > MOST_NAME_BYTES:
                raise MessageError("a name of more than 255 bytes")
            labels.append(label)
            at += 1 + length
        raise MessageError("a name with too many pointers")


def is_plain_query(data: bytes) -> bool:
    """Whether the header is that of a query with no more than its question and a few extras (EDNS, TSIG).

    One look, for servers: what isn't one need not be decoded.
    """
    if len(data) < 12:
        return False
    _, flags, questions, answers, authorities, additionals = struct.unpack_from(">6H", data)
    return not flags & 0x8000 and questions == 1 and not answers and not authorities and additionals <= 3


def decode(data: bytes) -> Message:
    """The message in `data`. Raises MessageError. More than one question is an error (RFC 9619)."""
    if len(data) < 12:
        raise MessageError("shorter than a header")
    id, flags, questions, answers, authorities, additionals = struct.unpack_from(">6H", data)
    reader = _Reader(data)
    reader.at = 12
    if questions > 1:
        raise MessageError(f"{questions} questions")
    question = Question(reader.name(), reader.u16(), reader.u16()) if questions else None
    edns: Edns | None = None
    sections: list[tuple[Record, ...]] = []
    rcode = flags & 0xF
    for count in (answers, authorities, additionals):
        records: list[Record] = []
        for _ in range(count):
            record = _record(reader)
            if record.type != OPT:
                records.append(record)
                continue
            if edns is not None or len(sections) < 2 or record.name:
                raise MessageError("an OPT record out of place")
            assert isinstance(record.data, Raw)
            rcode |= (record.ttl >> 24) << 4
            edns = Edns(
                payload=record.cls,
                version=record.ttl >> 16 & 0xFF,
                dnssec_ok=bool(record.ttl & 0x8000),
                options=_options(record.data.data),
            )
        sections.append(tuple(records))
    if reader.at != len(data):
        raise MessageError("bytes after the message's end")
    return Message(
        id=id,
        question=question,
        response=bool(flags & 0x8000),
        opcode=flags >> 11 & 0xF,
        authoritative=bool(flags & 0x0400),
        truncated=bool(flags & 0x0200),
        recursion_desired=bool(flags & 0x0100),
        recursion_available=bool(flags & 0x0080),
        rcode=rcode,
        answers=sections[0],
        authorities=sections[1],
        additionals=sections[2],
        edns=edns,
    )


def _options(data: bytes) -> tuple[tuple[int, bytes], ...]:
    reader = _Reader(data)
    found = []
    while reader.at < len(data):
        code, length = reader.u16(), reader.u16()
        found.append((code, reader.take(length)))
    return tuple(found)


def _record(reader: _Reader) -> Record:
    name, type, cls, ttl, length = reader.name(), reader.u16(), reader.u16(), reader.u32(), reader.u16()
    end = reader.at + length
    if end > len(reader.data):
        raise MessageError("a record runs over the message's end")
    data: Data
    if type == A and length == 4:
        data = Address(str(ipaddress.IPv4Address(reader.take(4))))
    elif type == AAAA and length == 16:
        data = Address(str(ipaddress.IPv6Address(reader.take(16))))
    elif type in (NS, CNAME, PTR):
        data = Target(reader.name())
    elif type == SRV:
        data = ServiceTarget(reader.u16(), reader.u16(), reader.u16(), reader.name())
    elif type == SOA:
        data = Authority(
            reader.name(), reader.name(), reader.u32(), reader.u32(), reader.u32(), reader.u32(), reader.u32()
        )
    elif type in (A, AAAA):
        raise MessageError("an address of a wrong length")
    else:
        data = Raw(reader.take(length))
    if reader.at != end:
        raise MessageError("a record's data doesn't fill its length")
    return Record(name, type, ttl, data, cls)


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray(12)
        self.places: dict[Name, int] = {}

    def name(self, name: Name, *, compress: bool = True) -> None:
        for start in range(len(name)):
            rest = name[start:]
            place = self.places.get(rest)
            if place is not None and compress:
                self.out += struct.pack(">H", 0xC000 | place)
                return
            if place is None and len(self.out) < 0x4000:
                self.places[rest] = len(self.out)
            self.out.append(len(name[start]))
            self.out += name[start]
        self.out.append(0)

    def record(self, record: Record) -> None:
        self.name(record.name)
        self.out += struct.pack(">HHIH", record.type, record.cls, record.ttl, 0)
        start = len(self.out)
        match record.data:
            case Address(text):
                self.out += ipaddress.ip_address(text).packed
            case Target(name):
                self.name(name)
            case ServiceTarget(priority, weight, port, target):
                self.out += struct.pack(">3H", priority, weight, port)
                self.name(target, compress=False)  # RFC 2782
            case Authority() as data:
                self.name(data.server)
                self.name(data.mailbox)
                self.out += struct.pack(">5I", data.serial, data.refresh, data.retry, data.expire, data.minimum)
            case Raw(raw):
                self.out += raw
        struct.pack_into(">H", self.out, start - 2, len(self.out) - start)

    def forget(self, size: int) -> None:
        """Cut back to `size` bytes."""
        del self.out[size:]
        self.places = {name: place for name, place in self.places.items() if place < size}


def encode(message: Message, limit: int = 65535) -> bytes:
    """The message's bytes, at most `limit` of them (at least 512): records that don't fit are left out.

    Leaving out an answer or authority sets the truncation bit; an additional record is only a courtesy.
    """
    writer = _Writer()
    if message.question:
        writer.name(message.question.name)
        writer.out += struct.pack(">HH", message.question.type, message.question.cls)
    tail = _opt(message)
    room = limit - len(tail)
    truncated = message.truncated
    counts: list[int] = []
    full = False
    for place, records in enumerate((message.answers, message.authorities, message.additionals)):
        counts.append(0)
        for record in records:
            size = len(writer.out)
            if not full:
                writer.record(record)
            if full or len(writer.out) > room:
                writer.forget(size)
                full = True
                truncated = truncated or place < 2
                break
            counts[-1] += 1
    flags = (
        message.response << 15
        | message.opcode << 11
        | message.authoritative << 10
        | truncated << 9
        | message.recursion_desired << 8
        | message.recursion_available << 7
        | (message.rcode & 0xF)
    )
    additionals = counts[2] + bool(tail)
    struct.pack_into(">6H", writer.out, 0, message.id, flags, bool(message.question), counts[0], counts[1], additionals)
    return bytes(writer.out) + tail


def _opt(message: Message) -> bytes:
    if message.edns is None:
        return b""
    edns = message.edns
    options = b"".join(struct.pack(">HH", code, len(data)) + data for code, data in edns.options)
    ttl = (message.rcode >> 4) << 24 | edns.version << 16 | edns.dnssec_ok << 15
    return b"\0" + struct.pack(">HHIH", OPT, edns.payload, ttl, len(options)) + options


def reply(
    query: Message,
    rcode: int = NOERROR,
    *,
    answers: Sequence[Record] = (),
    authorities: Sequence[Record] = (),
    additionals: Sequence[Record] = (),
) -> Message:
    """A response to `query` with these sections."""
    return Message(
        id=query.id,
        question=query.question,
        response=True,
        opcode=query.opcode,
        recursion_desired=query.recursion_desired,
        rcode=rcode,
        answers=tuple(answers),
        authorities=tuple(authorities),
        additionals=tuple(additionals),
        edns=Edns() if query.edns else None,
    )
