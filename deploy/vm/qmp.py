"""A small client of QEMU's machine protocol: JSON lines over a unix socket, one question at a time.

QEMU talks to one client of a socket at once, so connections are short. Source: QEMU's docs/interop/qmp-spec.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from sampan.errors import ClusterError

ANSWER_SECONDS = 10.0
MOST_LINE = 1 << 24
LOOK_SECONDS = 0.1


class QmpError(ClusterError):
    """QEMU refused a command, or could not be asked."""


class Qmp:
    """An open connection. Events that come between answers are kept in `events`."""

    def __init__(self, connection: socket.socket, node: str, patience: float) -> None:
        self._connection = connection
        self._node = node
        self._patience = patience
        self._buffer = b""
        self._asked = 0
        self.events: list[dict[str, Any]] = []

    @classmethod
    def connect(cls, path: Path, node: str, patience: float = ANSWER_SECONDS) -> Qmp:
        """Connect and agree on capabilities. Raises QmpError when QEMU is not there or does not answer in time."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        qmp = cls(connection, node, patience)
        try:
            connection.settimeout(patience)
            connection.connect(str(path))
            greeting = qmp._line(time.monotonic() + patience)
            if "QMP" not in greeting:
                raise qmp._failed(f"{path} does not speak QMP")
            qmp.ask("qmp_capabilities")
        except OSError as error:
            connection.close()
            raise qmp._failed(f"QEMU can't be asked at {path}: {error.strerror or error}") from error
        except BaseException:
            connection.close()
            raise
        return qmp

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the next client may connect."""
        self._connection.close()

    def ask(self, command: str, *, patience: float | None = None, **arguments: Any) -> Any:
        """Run a command; what it returns. Underscores in argument names become dashes.

        Raises QmpError with QEMU's own words when it refuses.
        """
        self._asked += 1
        request: dict[str, Any] = {"execute": command, "id": self._asked}
        if arguments:
            request["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        deadline = time.monotonic() + (patience or self._patience)
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            while True:
                answer = self._line(deadline)
                if "event" in answer:
                    self.events.append(answer)
                elif answer.get("id") == self._asked:
                    break
        except OSError as error:
            raise self._failed(f"{command}: {error.strerror or error}") from error
        if "error" in answer:
            raise self._failed(f"QEMU refuses {command}: {answer['error'].get('desc', 'no reason given')}")
        return answer.get("return")

    def wait_for_event(self, name: str, patience: float) -> dict[str, Any]:
        """The next event of that name; one that has come already counts. Raises QmpError when none comes."""
        deadline = time.monotonic() + patience
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            try:
                line = self._line(deadline)
            except OSError as error:
                raise self._failed(f"no event {name} within {patience:.0f} s: {error.strerror or error}") from error
            if "event" in line:
                self.events.append(line)

    def run_job(self, command: str, job: str, patience: float, **arguments: Any) -> None:
        """Run a command that makes a job, and wait until it has concluded. Raises QmpError with the job's error."""
        self.ask(command, job_id=job, **arguments)
        deadline = time.monotonic() + patience
        while True:
            state = next((one for one in self.ask("query-jobs") if one["id"] == job), None)
            if state is None:
                raise self._failed(f"{command}: its job {job} has vanished")
            if state["status"] == "concluded":
                break
            if time.monotonic() > deadline:
                raise self._failed(f"{command} is not done after {patience:.0f} s")
            time.sleep(LOOK_SECONDS)
        self.ask("job-dismiss", id=job)
        if "error" in state:
            raise self._failed(f"{command}: {state['error']}")

    def _line(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("QEMU does not answer in time; it is frozen, or waits for a disk")
            self._connection.settimeout(left)
            try:
                piece = self._connection.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                raise ConnectionResetError(0, "QEMU has ended")
            self._buffer += piece
            if len(self._buffer) > MOST_LINE:
                raise self._failed(f"an answer of more than {MOST_LINE} bytes")
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            value = json.loads(line)
        except ValueError as error:
            raise self._failed(f"not JSON: {line[:100]!r}") from error
        if not isinstance(value, dict):
            raise self._failed(f"not an object: {line[:100]!r}")
        return value

    def _failed(self, what: str) -> QmpError:
        return QmpError(where=f"node {self._node}", what=what)
