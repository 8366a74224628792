"""Netlink: requests as values, sent in batches over one socket, and answers taken apart.

Why not pyroute2: attaching a pod takes a dozen steps, which cost 12 ms and an import of 0.3 s there (measured on
the development machine), and 3 ms here. Only what a node's network needs is spoken.
Source: netlink(7). A failure is the kernel's errno with the step's name. A socket stays in the network namespace
in which it was opened.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_DUMP_INTR = 0x10
NESTED = 0x8000
RECEIVE_BYTES = 1 << 18
ACKS_AT_ONCE = 64  # answers must fit into the socket's receive buffer


@dataclass(frozen=True, slots=True)
class Step:
    """One request and what to call it when it fails. `forgive` are errno values that count as done."""

    what: str
    kind: int
    flags: int
    payload: bytes
    forgive: tuple[int, ...] = ()


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data`; stops at the first that can't be one."""
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            return
        yield kind & ~NESTED, data[at + 4 : at + size]
        at += (size + 3) & ~3


class NetlinkSocket:
    """A netlink socket of the network namespace this thread is in. One thread at a time; `with` closes it."""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def perform(self, *steps: Step) -> None:
        """Do steps in order and in as few system calls as possible; all are tried.

        Raises OSError with the kernel's errno for the first that failed.
        """
        failure: OSError | None = None
        for start in range(0, len(steps), ACKS_AT_ONCE):
            failure = self._perform(steps[start : start + ACKS_AT_ONCE]) or failure
        if failure:
            raise failure

    def _perform(self, steps: Sequence[Step]) -> OSError | None:
        waiting: dict[int, Step] = {}
        out = b""
        for step in steps:
            self._sequence += 1
            waiting[self._sequence] = step
            flags = NLM_F_REQUEST | NLM_F_ACK | step.flags
            body = step.payload + bytes(-len(step.payload) % 4)
            out += struct.pack("=IHHII", 16 + len(step.payload), step.kind, flags, self._sequence, 0) + body
        self._socket.send(out)
        failure: OSError | None = None
        while waiting:
            for kind, _, sequence, body in self._receive():
                if kind != NLMSG_ERROR or (done := waiting.pop(sequence, None)) is None:
                    continue
                code = -struct.unpack_from("=i", body)[0]
                if code and code not in done.forgive and failure is None:
                    failure = OSError(code, f"{done.what}: {os.strerror(code)}")
        return failure

    def ask(self, kind: int, payload: bytes, what: str) -> bytes | None:
        """One object by its key; None if the kernel has none."""
        self._sequence += 1
        head = struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(head + payload)
        for answer, _, sequence, body in self._receive():
            if sequence != self._sequence:
                continue
            if answer != NLMSG_ERROR:
                return body
            code = -struct.unpack_from("=i", body)[0]
            if code not in (0, errno.ENODEV):
                raise OSError(code, f"{what}: {os.strerror(code)}")
        return None

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        """Every object of a kind. Raises OSError."""
        for _ in range(16):  # the kernel says when a table changed under the dump: then it is not one state
            found, whole = self._dump_once(kind, payload)
            if whole:
                return found
        return found

    def _dump_once(self, kind: int, payload: bytes) -> tuple[list[bytes], bool]:
        self._sequence += 1
        head = struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0)
        self._socket.send(head + payload)
        found: list[bytes] = []
        whole = True
        while True:
            for answer, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                whole = whole and not flags & NLM_F_DUMP_INTR
                if answer == NLMSG_DONE:
                    return found, whole
                if answer == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    raise OSError(code, f"netlink dump {kind}: {os.strerror(code)}")
                found.append(body)

    def _receive(self) -> Iterable[tuple[int, int, int, bytes]]:
        data = self._socket.recv(RECEIVE_BYTES)
        at = 0
        while at + 16 <= len(data):
            size, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data, at)
            yield kind, flags, sequence, data[at + 16 : at + size]
            at += max(16, (size + 3) & ~3)
