"""etcd: keys, values, compare-and-swap, and what may fail on the way.

Always: a write is one transaction on the key's mod revision; a write whose answer was lost is asked again, and counts
as done when the key holds exactly what it wrote. Any number of servers share one etcd.
Elsewhere: what the values mean (verbs.py), the watch that feeds the cache (cache.py).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aetcd import rpc

from apiserver.config import Files
from apiserver.rpc.channel import Channel
from apiserver.rpc.connection import Duplex
from apiserver.rpc.frames import CallError, Code
from sampan.errors import ApiError, Reason, SampanError
from sampan.logs import fields
from sampan.serving import Stamp, stamp

log = logging.getLogger(__name__)

PREFIX = b"/registry/"
PREFIX_END = b"/registry0"
TICK = b"/registry/sampan.tick/tick/-"
ATTEMPT_SECONDS, ATTEMPT_SECONDS_OF_SEVERAL = 5.0, 3.0
ELECTION_SECONDS = 5.0
"""A member without a leader for so long will have none soon: another may. An election takes 1 to 2 s."""
GIVE_UP_SECONDS = 15.0
PAGE = 2000
LOOK_SECONDS = 1.0
"""How often, at most, the certificate's files are looked at when there is something to ask etcd."""
NEEDS_LEADER = (("hasleader", "true"),)
"""A member that has lost its leader refuses at once, instead of keeping the call until it times out."""
TRANSIENT = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.INTERNAL)


@dataclass(frozen=True, slots=True)
class Method:
    """One of etcd's calls, and what it answers with."""

    path: str
    answer: Any


RANGE = Method("/etcdserverpb.KV/Range", rpc.RangeResponse)
PUT = Method("/etcdserverpb.KV/Put", rpc.PutResponse)
TXN = Method("/etcdserverpb.KV/Txn", rpc.TxnResponse)
COMPACT = Method("/etcdserverpb.KV/Compact", rpc.CompactionResponse)
WATCH = Method("/etcdserverpb.Watch/Watch", rpc.WatchResponse)
GRANT = Method("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantResponse)
REVOKE = Method("/etcdserverpb.Lease/LeaseRevoke", rpc.LeaseRevokeResponse)
KEEP_ALIVE = Method("/etcdserverpb.Lease/LeaseKeepAlive", rpc.LeaseKeepAliveResponse)
STATUS = Method("/etcdserverpb.Maintenance/Status", rpc.StatusResponse)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as etcd holds it."""

    key: bytes
    value: bytes
    revision: int
    """mod_revision."""
    version: int
    """How often it was written since it was created."""
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a range at one revision."""

    entries: list[Entry]
    revision: int
    more: bool
    remaining: int


class Stale(SampanError):
    """A compare-and-swap found another revision than expected. `current` is what is there now, or None."""

    def __init__(self, key: bytes, current: Entry | None) -> None:
        super().__init__(f"{key.decode()}: is at revision {current.revision if current else 0}")
        self.current = current


class Compacted(SampanError):
    """The asked revision's history is gone."""


class Watch(SampanError):
    """The watch stream ended; start another at the next revision."""


def entry(kv: Any) -> Entry:
    """An etcd KeyValue as our own value."""
    return Entry(kv.key, kv.value, kv.mod_revision, kv.version, kv.lease)


class Storage:
    """A connection to one etcd cluster: one channel at a time, the next endpoint after a failure."""

    def __init__(self, endpoints: Sequence[str], files: Files | None = None) -> None:
        self._endpoints = tuple(endpoints)
        self._files = files or Files()
        self._at = 0
        self._channel: Channel | None = None
        self._stamp: Stamp = ()
        self._look_at = 0.0
        self._leases: dict[int, tuple[int, float, int]] = {}
        self._lease_lock = asyncio.Lock()
        self._attempt = ATTEMPT_SECONDS_OF_SEVERAL if len(self._endpoints) > 1 else ATTEMPT_SECONDS
        self._leaderless: float | None = None
        self._watching: set[Duplex] = set()
        self._retired: set[asyncio.Task[None]] = set()

    def _connect(self) -> Channel:
        if self._channel is not None and self._files.cert:
            self._follow_files(self._channel)
        if self._channel is None:
            self._stamp = stamp(self._paths())
            endpoint = self._endpoints[self._at % len(self._endpoints)]
            scheme, _, address = endpoint.rpartition("://")
            self._channel = Channel(address, self._tls if scheme == "https" else None, NEEDS_LEADER)
        return self._channel

    def _tls(self) -> ssl.SSLContext:
        """Our side of TLS, with the files as they are now. Raises OSError when they cannot be used."""
        context = ssl.create_default_context(cafile=self._files.ca or None)
        if self._files.cert:
            context.load_cert_chain(self._files.cert, self._files.key)
        context.set_alpn_protocols(["h2"])
        return context

    def _paths(self) -> tuple[str, ...]:
        return tuple(one for one in (self._files.cert, self._files.key, self._files.ca) if one)

    def _follow_files(self, channel: Channel) -> None:
        """Give up a channel whose certificate was renewed: reconnecting, it would show the old one."""
        now = asyncio.get_running_loop().time()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if stamp(self._paths()) != self._stamp:
            log.info("a new certificate is in use towards etcd", extra=fields(file=self._files.cert))
            self._retire(channel)

    async def close(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        for closing in self._retired:
            closing.cancel()

    def _move_on(self, channel: Channel, error: CallError) -> None:
        """Use the next endpoint from now on, unless another call has seen to that already, or a leader is elected."""
        if len(self._endpoints) < 2 or channel is not self._channel:
            return
        if "no leader" in (error.details):
            now = asyncio.get_running_loop().time()
            self._leaderless = self._leaderless if self._leaderless is not None else now
            if now - self._leaderless < ELECTION_SECONDS:
                return
        self._leaderless = None
        self._at += 1
        self._retire(channel)

    def _retire(self, channel: Channel) -> None:
        """Calls on an old channel may still end well, so they get the time that they have anyway; watches are told."""
        self._channel = None
        for call in list(self._watching):
            call.cancel()
        closing = asyncio.ensure_future(channel.close(self._attempt + 1))
        self._retired.add(closing)
        closing.add_done_callback(self._retired.discard)

    async def _call(self, method: Method, request: Any) -> tuple[Any, bool]:
        """The answer, and whether an earlier attempt may have been carried out as well. Raises ApiError 503 or 500."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + GIVE_UP_SECONDS
        repeated = False
        pause = 0.05
        while True:
            channel = self._connect()
            try:
                answer = await channel.unary(method.path, request.SerializeToString(), self._attempt)
                self._leaderless = None
                return method.answer.FromString(answer), repeated
            except CallError as error:
                if error.code is Code.OUT_OF_RANGE:
                    raise Compacted(error.details or "compacted") from error
                if error.code not in TRANSIENT or loop.time() > give_up:
                    raise unavailable(error) from error
                repeated = True
                log.warning("etcd does not answer", extra=fields(code=error.code.name, details=error.details))
                self._move_on(channel, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    async def put(self, key: bytes, value: bytes, expected: int, lease: int = 0) -> int:
        """Write if the key is at revision `expected` (0: absent). Returns the new revision. Raises Stale, ApiError."""
        request = rpc.TxnRequest(
            compare=[_at_revision(key, expected)],
            success=[rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease))],
            failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=key))],
        )
        answer, repeated = await self._call(TXN, request)
        if answer.succeeded:
            return int(answer.header.revision)
        found = answer.responses[0].response_range.kvs
        current = entry(found[0]) if found else None
        if repeated and current is not None and current.value == value and current.revision != expected:
            return current.revision
        raise Stale(key, current)

    async def delete(self, key: bytes, expected: int) -> int:
        """Delete if the key is at revision `expected`. Returns the deletion's revision. Raises Stale, ApiError."""
        request = rpc.TxnRequest(
            compare=[_at_revision(key, expected)],
            success=[rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))],
            failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=key))],
        )
        answer, repeated = await self._call(TXN, request)
        if answer.succeeded:
            return int(answer.header.revision)
        found = answer.responses[0].response_range.kvs
        if repeated and not found:
            return int(answer.header.revision)
        raise Stale(key, entry(found[0]) if found else None)

    async def get(self, key: bytes) -> Entry | None:
        """The key's newest state, linearizable. Raises ApiError."""
        answer, _ = await self._call(RANGE, rpc.RangeRequest(key=key))
        return entry(answer.kvs[0]) if answer.kvs else None

    async def revision(self) -> int:
        """The newest revision of the whole store, linearizable. Raises ApiError."""
        answer, _ = await self._call(RANGE, rpc.RangeRequest(key=TICK, count_only=True))
        return int(answer.header.revision)

    async def tick(self) -> int:
        """Make a revision of our own. Returns it."""
        answer, _ = await self._call(PUT, rpc.PutRequest(key=TICK, value=b"{}"))
        return int(answer.header.revision)

    async def page(
        self, start: bytes, end: bytes, *, limit: int = PAGE, revision: int = 0, keys_only: bool = False
    ) -> Page:
        """Keys from `start` up to `end` (not included) at a revision (0: the newest). Raises Compacted, ApiError."""
        request = rpc.RangeRequest(key=start, range_end=end, limit=limit, revision=revision, keys_only=keys_only)
        answer, _ = await self._call(RANGE, request)
        entries = [entry(kv) for kv in answer.kvs]
        remaining = max(0, int(answer.count) - len(entries))
        return Page(entries, revision or int(answer.header.revision), bool(answer.more), remaining)

    async def watch(self, start: int) -> AsyncIterator[Any]:
        """Responses of one watch of everything from revision `start` on. Raises Compacted; Watch when it breaks."""
        channel = self._connect()
        call: Duplex | None = None
        try:
            call = await channel.duplex(WATCH.path)
            self._watching.add(call)
            create = rpc.WatchCreateRequest(key=PREFIX, range_end=PREFIX_END, start_revision=start)
            call.send(rpc.WatchRequest(create_request=create).SerializeToString())
            while (data := await call.receive()) is not None:
                response = WATCH.answer.FromString(data)
                if response.compact_revision:
                    raise Compacted(f"revisions below {response.compact_revision} are compacted")
                if response.canceled:
                    raise Watch(response.cancel_reason or "cancelled")
                yield response
            raise Watch("the stream ended")
        except CallError as error:
            self._move_on(channel, error)
            raise Watch(str(error)) from error
        finally:
            if call is not None:
                self._watching.discard(call)
                call.cancel()

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`. Raises Compacted when that has happened already."""
        await self._call(COMPACT, rpc.CompactionRequest(revision=revision))

    async def lease(self, seconds: int) -> int:
        """A lease that ends in `seconds` to a minute more; many keys share one."""
        async with self._lease_lock:
            now = asyncio.get_running_loop().time()
            found = self._leases.get(seconds)
            if found and found[1] > now and found[2] < 1000:
                self._leases[seconds] = (found[0], found[1], found[2] + 1)
                return found[0]
            share = min(60, max(1, seconds // 10))
            answer, _ = await self._call(GRANT, rpc.LeaseGrantRequest(TTL=seconds + share))
            self._leases[seconds] = (int(answer.ID), now + share, 1)
            return int(answer.ID)

    async def grant(self, seconds: int) -> int:
        """A lease of the caller's own, to be kept alive. Raises ApiError."""
        answer, _ = await self._call(GRANT, rpc.LeaseGrantRequest(TTL=seconds))
        return int(answer.ID)

    async def keep_alive(self, lease: int) -> bool:
        """Renew a lease, which makes no revision. False when it has ended. Raises ApiError."""
        channel = self._connect()
        call: Duplex | None = None
        try:
            async with asyncio.timeout(self._attempt):
                call = await channel.duplex(KEEP_ALIVE.path)
                call.send(rpc.LeaseKeepAliveRequest(ID=lease).SerializeToString())
                data = await call.receive()
            return data is not None and KEEP_ALIVE.answer.FromString(data).TTL > 0
        except (TimeoutError, CallError) as error:
            known = error if isinstance(error, CallError) else CallError(Code.DEADLINE_EXCEEDED, "no answer in time")
            self._move_on(channel, known)
            raise unavailable(known) from error
        finally:
            if call is not None:
                call.cancel()

    async def revoke(self, lease: int) -> None:
        """End a lease, and with it its keys. Raises ApiError."""
        await self._call(REVOKE, rpc.LeaseRevokeRequest(ID=lease))

    async def version(self) -> str:
        """etcd's own version. Raises ApiError."""
        answer, _ = await self._call(STATUS, rpc.StatusRequest())
        return str(answer.version)


def _at_revision(key: bytes, revision: int) -> Any:
    return rpc.Compare(key=key, target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, mod_revision=revision)


def unavailable(error: CallError) -> ApiError:
    """What a client of ours is told when etcd refuses or does not answer."""
    details = error.details
    if "request is too large" in details:
        return ApiError(413, Reason.TOO_LARGE, f"Request entity too large: limit is 1.5 MiB in etcd: {details}")
    if error.code in TRANSIENT:
        return ApiError(
            503, Reason.SERVICE_UNAVAILABLE, f"etcd is not available: {details}", headers={"Retry-After": "1"}
        )
    return ApiError(500, Reason.INTERNAL_ERROR, f"Internal error occurred: etcd: {error.code.name}: {details}")
