"""Events about objects: what a person reads under `kubectl describe`.

Always: recording never blocks and never fails its caller; the same event again counts up the first one; an object
that causes many different ones gets combined ones, then silence (client-go's correlator: more than 10 of one reason
in 10 minutes are combined; 25 at once per object, then one in 5 minutes).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sampan.api.base import Object
from sampan.api.core_v1 import Event, EventSource, ObjectReference
from sampan.api.meta_v1 import ObjectMeta
from sampan.client import Client
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.kinds import EVENTS
from sampan.logs import fields
from sampan.objects import reference_to
from sampan.resource import Resource

log = logging.getLogger(__name__)

NORMAL, WARNING = "Normal", "Warning"
MOST_WAITING = 1000
MOST_REMEMBERED = 4096
SIMILAR_BEFORE_COMBINING = 10
SIMILAR_SECONDS = 600.0
BURST, REFILL_SECONDS = 25.0, 300.0
LONGEST_MESSAGE = 1024


@dataclass(frozen=True)
class Said:
    """One thing to record."""

    about: ObjectReference
    type: str
    reason: str
    message: str


@dataclass
class _Bucket:
    tokens: float
    at: float


@dataclass
class _Similar:
    since: float
    messages: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Written:
    """The event that a repetition counts up."""

    namespace: str
    name: str
    count: int


class Correlator:
    """Decides what becomes of an event: written as it is, combined, or dropped. No I/O."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()

    def admit(self, said: Said, now: float) -> Said | None:
        """The event to write, or None for one too many."""
        about = (said.about.kind or "", said.about.namespace or "", said.about.name or "", said.about.uid or "")
        group = _kept(self._similar, (*about, said.type, said.reason), _Similar(now))
        if now - group.since > SIMILAR_SECONDS:
            group.since = now
            group.messages.clear()
        if len(group.messages) <= SIMILAR_BEFORE_COMBINING:
            group.messages.add(said.message)
        if len(group.messages) > SIMILAR_BEFORE_COMBINING:
            said = Said(said.about, said.type, said.reason, f"(combined from similar events): {said.message}")
        bucket = _kept(self._buckets, "/".join(about), _Bucket(BURST, now))
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) / REFILL_SECONDS)
        bucket.at = now
        if bucket.tokens < 1:
            return None
        bucket.tokens -= 1
        return said


def _kept(memory: OrderedDict[Any, Any], key: Any, fresh: Any) -> Any:
    """The remembered value, or `fresh`; the least used are forgotten."""
    value = memory.setdefault(key, fresh)
    memory.move_to_end(key)
    if len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)
    return value


class EventRecorder:
    """Records events as one component. Own `run` in a TaskGroup.

    Beyond `most_waiting` events are dropped. `pause`, if given, is awaited before each is written: a component whose
    own work comes first can let events wait.
    """

    def __init__(
        self,
        client: Client,
        component: str,
        *,
        host: str = "",
        clock: Clock | None = None,
        most_waiting: int = MOST_WAITING,
        pause: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._instance = f"{component}-{host or socket.gethostname()}"
        self._clock = clock or Clock()
        self._correlator = Correlator()
        self._waiting: asyncio.Queue[Said] = asyncio.Queue(most_waiting)
        self._written: OrderedDict[tuple[str, ...], Written] = OrderedDict()
        self._last_stamp = 0
        self._pause = pause

    def record(
        self, about: ObjectReference | Object, type: str, reason: str, message: str, *, of: Resource[Any] | None = None
    ) -> None:
        """Say something about an object (`of` names its resource unless `about` is a reference already)."""
        if not isinstance(about, ObjectReference):
            if of is None:
                raise TypeError("an event about an object needs its resource: record(obj, ..., of=PODS)")
            about = reference_to(about, of)
        said = self._correlator.admit(Said(about, type, reason, message[:LONGEST_MESSAGE]), self._clock.monotonic())
        if said is None:
            return
        try:
            self._waiting.put_nowait(said)
        except asyncio.QueueFull:
            log.warning("too many events wait, one is dropped", extra=fields(reason=reason, object=about.name))

    async def run(self) -> NoReturn:
        """Write what is recorded until cancelled."""
        while True:
            said = await self._waiting.get()
            if self._pause is not None:
                await self._pause()
            try:
                await self._write(said)
            except Exception as error:  # events are best effort
                log.info("an event is lost", extra=fields(reason=said.reason, object=said.about.name, error=error))

    async def _write(self, said: Said) -> None:
        about = said.about
        combined = said.message.startswith("(combined")
        identity = (
            about.kind or "",
            about.namespace or "",
            about.name or "",
            about.uid or "",
            about.field_path or "",
            said.type,
            said.reason,
            "" if combined else said.message,
        )
        now = self._clock.now()
        earlier = self._written.get(identity)
        if earlier is not None:
            patch: dict[str, Any] = {
                "count": earlier.count + 1,
                "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "message": said.message,
            }
            try:
                await self._client.patch(EVENTS, earlier.name, patch, namespace=earlier.namespace)
            except ApiError as error:
                if not error.is_not_found:
                    raise
            else:
                self._written[identity] = Written(earlier.namespace, earlier.name, earlier.count + 1)
                return
        namespace = about.namespace or "default"
        self._last_stamp = max(self._last_stamp + 1, int(now.timestamp() * 1e9))
        event = Event(
            metadata=ObjectMeta(name=f"{(about.name or '')[:230]}.{self._last_stamp:x}", namespace=namespace),
            involved_object=about,
            type=said.type,
            reason=said.reason,
            message=said.message,
            count=1,
            first_timestamp=now,
            last_timestamp=now,
            source=EventSource(component=self._component, host=self._host or None),
            reporting_component=self._component,
            reporting_instance=self._instance,
        )
        await self._client.create(EVENTS, event)
        _kept(self._written, identity, None)
        self._written[identity] = Written(namespace, event.metadata.name or "", 1)
