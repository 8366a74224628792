"""A parent store behind a virtual machine's serial port: the host answers there with pieces of files.

One question at a time, whoever asks: {"path": P, "offset": N, "size": M} as a JSON line; the answer is a JSON line with
`size` and `total`, or `error`, then `size` bytes. The other end: deploy/vm/images_port.py.
Always: an exchange that breaks off closes the port, so that no answer is ever taken for another's.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any, BinaryIO

PORTS = Path("/sys/class/virtio-ports")
PIECE = 1 << 20
MOST_LINE = 4096
MOST_READ = 64 << 20
"""More than any document has; blobs are copied piece by piece."""


class PortFiles:
    """The files of a store's directory, by their paths below it. Blocking; threads wait for each other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._port: BinaryIO | None = None

    def read(self, path: str) -> bytes:
        """A small file. Raises OSError, FileNotFoundError."""
        found = bytearray()
        while True:
            data, total = self._piece(path, len(found))
            found += data
            if total > MOST_READ:
                raise OSError(errno.EFBIG, "too large to be read whole", path)
            if len(found) >= total or not data:
                return bytes(found)

    def copy(self, path: str, target: Path) -> None:
        """Write a file's content to `target`, a new file. Raises OSError, FileNotFoundError."""
        with open(target, "xb") as file:
            while True:
                data, total = self._piece(path, file.tell())
                file.write(data)
                if file.tell() >= total or not data:
                    return

    def _piece(self, path: str, offset: int) -> tuple[bytes, int]:
        """Up to PIECE bytes of a file, and its size."""
        question = json.dumps({"path": path, "offset": offset, "size": PIECE}).encode() + b"\n"
        with self._lock:
            try:
                port = self._opened()
                port.write(question)
                head = self._head(port)
                if (failed := head.get("error")) is not None:
                    code = getattr(errno, str(failed), errno.EIO)
                    raise OSError(code, os.strerror(code), path)
                size, total = int(head["size"]), int(head["total"])
                if not 0 <= size <= PIECE:
                    raise OSError(errno.EPROTO, f"a piece of {size} bytes", path)
                return self._exactly(port, size), total
            except OSError as error:
                if error.filename != path or error.errno == errno.EPROTO:
                    self._close()
                raise
            except (ValueError, KeyError, TypeError) as error:
                self._close()
                raise OSError(errno.EPROTO, f"not an answer: {error}", path) from error

    def _opened(self) -> BinaryIO:
        if self._port is None:
            for entry in sorted(PORTS.glob("*")):
                if (entry / "name").read_text().strip() == self._name:
                    descriptor = os.open(Path("/dev") / entry.name, os.O_RDWR | os.O_CLOEXEC)
                    self._port = os.fdopen(descriptor, "r+b", buffering=0)
                    return self._port
            raise FileNotFoundError(errno.ENXIO, f"this machine has no serial port {self._name}")
        return self._port

    def _head(self, port: BinaryIO) -> dict[str, Any]:
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = port.read(1)
            if not byte or len(line) > MOST_LINE:
                raise OSError(errno.EPROTO, "the host ends the conversation")
            line += byte
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is no object")
        return value

    @staticmethod
    def _exactly(port: BinaryIO, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            data = port.read(size - len(found))
            if not data:
                raise OSError(errno.EPROTO, "the host ends the conversation")
            found += data
        return bytes(found)

    def _close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None
