"""What happens to sandboxes and containers, told to whoever listens (CRI's GetContainerEvents).

Always: a listener that falls behind is ended, and looks afresh.
"""

import asyncio
import contextlib
from collections.abc import Callable

from nodeagent.runtime import views
from nodeagent.runtime.state import Container, Sandbox
from sampan.cri import api_pb2 as cri

_BACKLOG = 1000

Event = tuple[str, cri.ContainerEventType, int, cri.PodSandboxStatus | None, list[cri.ContainerStatus]]
"""The container or sandbox, what happened, when (nanoseconds since 1970), and its pod as it is then."""


class Events:
    """`look` finds a sandbox, if it is there, and its containers."""

    def __init__(self, look: Callable[[str], tuple[Sandbox | None, list[Container]]], now: Callable[[], int]) -> None:
        self._look = look
        self._now = now
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    def subscribe(self) -> asyncio.Queue[Event | None]:
        """Events from now on; None ends them."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_BACKLOG)
        self._listeners.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event | None]) -> None:
        """Tell it nothing more."""
        self._listeners.discard(queue)

    def end(self) -> None:
        """End every listener."""
        for queue in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)

    def tell(self, sandbox_id: str, kind: cri.ContainerEventType, container_id: str = "") -> None:
        """Something happened to a sandbox, or to a container of it."""
        if not self._listeners:
            return
        sandbox, containers = self._look(sandbox_id)
        status = views.sandbox_status(sandbox) if sandbox is not None else None
        statuses = [views.container_status(one) for one in containers]
        event: Event = (container_id or sandbox_id, kind, self._now(), status, statuses)
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)
