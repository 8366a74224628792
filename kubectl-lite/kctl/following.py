"""logs -f of a workload: all its pods, new ones too, merged in the order of time.

A thread watches the pods, one more reads each container's log; lines wait a moment, so that those of another pod that
are older come first. A container that starts anew is read on from its last line.
"""

from __future__ import annotations

import heapq
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from kctl.errors import wording
from kctl.session import Session
from kctl.urls import quote
from sampan.api_error import ApiError, SampanError

MOMENT_SECONDS = 0.25
"""How long a line waits for older ones."""
AGAIN_SECONDS = 1.0
COLORS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95)
Line = tuple[bytes, int, bytes]


class Follower:
    """Follows the logs of the pods that a selector chooses."""

    def __init__(
        self,
        session: Session,
        namespace: str,
        selector: str,
        query: dict[str, str],
        *,
        container: str,
        all_containers: bool,
        timestamps: bool,
        most: int,
        finished: Callable[[], bool] | None = None,
    ) -> None:
        """`finished` tells, once every log has ended, whether no more pods will come."""
        self._session = session
        self._namespace, self._selector, self._query = namespace, selector, query
        self._container, self._all = container, all_containers
        self._timestamps, self._most = timestamps, most
        self._lines: queue.Queue[Line | SampanError] = queue.Queue(10_000)
        self._followed: set[tuple[str, str]] = set()
        self._gone: set[str] = set()
        self._over: set[str] = set()
        self._reading = 0
        self._finished = finished
        self._begun = 0
        self._serial = 0
        self._lock = threading.Lock()
        self._refused = False

    def run(self) -> None:
        """Print until interrupted, or all has ended. Raises ApiError, ConnectionFailed."""
        threading.Thread(target=self._watch, daemon=True).start()
        out = sys.stdout.buffer
        waiting: list[tuple[bytes, int, float, bytes]] = []
        while True:
            try:
                found = self._lines.get(timeout=MOMENT_SECONDS if waiting else AGAIN_SECONDS)
            except queue.Empty:
                if not waiting and self._followed and not self._reading and self._finished and self._finished():
                    return
            else:
                if isinstance(found, SampanError):
                    raise found
                heapq.heappush(waiting, (found[0], found[1], time.monotonic(), found[2]))
            due = time.monotonic() - MOMENT_SECONDS
            while waiting and waiting[0][2] <= due:
                out.write(heapq.heappop(waiting)[3])
            out.flush()

    def _watch(self) -> None:
        """Find the pods, and those that come."""
        path = self._session.discovery.named("pods").path(quote(self._namespace))
        query = {"labelSelector": self._selector}
        try:
            while True:
                session = Session(self._session.target)
                listed = session.get(path, query)
                for pod in listed["items"]:
                    self._on_pod(pod)
                version = listed["metadata"]["resourceVersion"]
                try:
                    for event, pod in session.watch(path, {**query, "resourceVersion": version}):
                        if event == "DELETED":
                            self._gone.add(pod["metadata"]["uid"])
                        elif event in ("ADDED", "MODIFIED"):
                            self._on_pod(pod)
                except ApiError as error:
                    if error.code != 410:
                        raise
        except SampanError as error:
            self._lines.put(error)

    def _on_pod(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            self._over.add(uid)
        for name in self._containers(pod):
            if (uid, name) in self._followed:
                continue
            if len(self._followed) - len(self._gone) >= self._most:
                if not self._refused:
                    self._refused = True
                    text = f"warning: only {self._most} logs are followed at once; see --max-log-requests"
                    print(text, file=sys.stderr, flush=True)
                return
            self._followed.add((uid, name))
            with self._lock:
                self._reading += 1
            prefix = self._prefix(pod["metadata"]["name"], name)
            threading.Thread(target=self._follow, args=(pod, name, prefix), daemon=True).start()

    def _containers(self, pod: dict[str, Any]) -> Iterator[str]:
        """Those to follow that have run."""
        status = pod.get("status") or {}
        first = self._container or pod["spec"]["containers"][0]["name"]
        for key in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
            for one in status.get(key) or ():
                state = {**(one.get("lastState") or {}), **(one.get("state") or {})}
                if (self._all or one["name"] == first) and ("running" in state or "terminated" in state):
                    yield one["name"]

    def _prefix(self, pod: str, container: str) -> bytes:
        with self._lock:
            color = COLORS[self._begun % len(COLORS)]
            self._begun += 1
        text = f"[pod/{pod}/{container}]"
        if os.isatty(1) and not os.environ.get("NO_COLOR"):
            text = f"\x1b[{color}m{text}\x1b[0m"
        return text.encode() + b" "

    def _follow(self, pod: dict[str, Any], container: str, prefix: bytes) -> None:
        try:
            self._read(pod, container, prefix)
        finally:
            with self._lock:
                self._reading -= 1

    def _read(self, pod: dict[str, Any], container: str, prefix: bytes) -> None:
        """One container's log, from run to run, until its pod is gone."""
        session = Session(self._session.target)
        metadata = pod["metadata"]
        path = session.discovery.named("pods").path(quote(metadata["namespace"]), quote(metadata["name"]), "log")
        query = {**self._query, "container": container, "follow": "true", "timestamps": "true"}
        last = b""
        while metadata["uid"] not in self._gone:
            told = last  # a stream that was opened again begins with lines that were told already
            try:
                for line in session.stream(path, query, accept="*/*").lines():
                    stamp, _, text = line.partition(b" ")
                    if stamp <= told:
                        continue
                    last = stamp
                    self._put(stamp, prefix + (line if self._timestamps else text))
            except ApiError as error:
                if error.is_not_found:
                    return
                if error.code != 400:  # 400: it waits to start
                    print(wording(error), file=sys.stderr, flush=True)
            except SampanError as error:
                print(wording(error), file=sys.stderr, flush=True)
            if metadata["uid"] in self._over:
                return
            time.sleep(AGAIN_SECONDS)
            if last:
                query = {key: value for key, value in query.items() if key not in ("tailLines", "sinceSeconds")}
                query["sinceTime"] = last.decode(errors="replace")

    def _put(self, stamp: bytes, line: bytes) -> None:
        with self._lock:
            self._serial += 1
            serial = self._serial
        self._lines.put((stamp, serial, line if line.endswith(b"\n") else line + b"\n"))
