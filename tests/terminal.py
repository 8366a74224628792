"""A program on a terminal of its own, as a user at a keyboard has it.

with Terminal(["kubectl", "exec", "-it", ...], environment) as terminal:
    terminal.until("$ ")
    terminal.type("exit 3\n")
    assert terminal.wait() == 3
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

PATIENCE = 30.0


class Terminal:
    """A child process whose three streams are one pseudo-terminal."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], *, rows: int = 24, columns: int = 80
    ) -> None:
        self._master, slave = pty.openpty()
        self.seen = ""
        self._at = 0
        self.resize(rows, columns)
        self._child = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size; the kernel tells the child by SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def until(self, text: str, patience: float = PATIENCE) -> str:
        """Read until `text` shows up after what was read before; what came until then. Raises AssertionError."""
        deadline = time.monotonic() + patience
        while text not in self.seen[self._at :]:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"the terminal never showed {text!r}, but:\n{self.seen}")
        start = self._at
        self._at = self.seen.index(text, start) + len(text)
        return self.seen[start : self._at]

    def _read(self, patience: float) -> bool:
        if not select.select([self._master], [], [], patience)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the child is gone
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit code, with all of the output read."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self._read(0.2):
            if self._child.poll() is not None and not select.select([self._master], [], [], 0)[0]:
                break
        return self._child.wait(max(0.1, deadline - time.monotonic()))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        os.close(self._master)
