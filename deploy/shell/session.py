"""One command on a node, on a terminal or on pipes: started, fed, read, and ended.

Standard library only and little of it: in a VM this is part of what an idle node costs.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import signal
import struct
import termios
from dataclasses import dataclass, field
from typing import Any, NoReturn

from deploy.shell.frames import WINDOW

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHUNK = 16 * 1024
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes of a shell for a command that can't be started."""


@dataclass(frozen=True)
class Command:
    """What a session is to run. Without words it is root's login shell."""

    words: tuple[str, ...] = ()
    tty: bool = False
    rows: int = 24
    columns: int = 80
    environment: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it travels in an OPEN frame."""
        return {
            "words": list(self.words),
            "tty": self.tty,
            "size": [self.rows, self.columns],
            "environment": self.environment,
        }

    @classmethod
    def from_json(cls, value: Any) -> Command:
        """Read an OPEN frame. Raises ValueError."""
        try:
            rows, columns = (int(one) for one in value["size"])
            words = tuple(str(word) for word in value["words"])
            environment = {str(name): str(text) for name, text in value["environment"].items()}
            command = cls(words, bool(value["tty"]), rows, columns, environment)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a command: {error}") from error
        if any("\0" in text for text in (*words, *environment, *environment.values())):
            raise ValueError("a word or variable of the command has a NUL in it")
        return command


class Session:
    """A running command. Its descriptors do not block; the loop that owns it polls them.

    `outlets` maps the descriptors that bring output to whether they are standard error. `inlet` takes input; None
    once it is closed. `credit` is how many bytes of output may be sent.
    """

    def __init__(self, command: Command) -> None:
        """Start it. Raises OSError when the node is out of processes, terminals or descriptors."""
        self.tty = command.tty
        self.credit = WINDOW
        self.pending = bytearray()
        self.input_ended = False
        self.taken = 0
        """Bytes of input that have been passed on since the last credit was given."""
        self.code: int | None = None
        self.kill_at: float | None = None
        self.pid, inlet, self.outlets = _on_terminal(command) if command.tty else _on_pipes(command)
        for descriptor in {*self.outlets, inlet}:
            os.set_blocking(descriptor, False)
        self.inlet: int | None = inlet
        self.pidfd = os.pidfd_open(self.pid)

    def read(self, descriptor: int) -> bytes | None:
        """Some output; None when there is none now, b"" when there will be none any more."""
        try:
            return os.read(descriptor, min(CHUNK, self.credit))
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EIO:  # a terminal whose last user has gone (pty(7))
                return b""
            raise

    def write(self) -> None:
        """Pass on input that waits. An end of input closes the pipe; a terminal has none, its user types it."""
        while self.pending and self.inlet is not None:
            try:
                count = os.write(self.inlet, self.pending[:CHUNK])
            except BlockingIOError:
                return
            except OSError:  # it reads no more
                self.taken += len(self.pending)
                self.pending.clear()
                break
            self.taken += count
            del self.pending[:count]
        if self.input_ended and self.inlet is not None and not self.pending:
            if not self.tty:
                os.close(self.inlet)
            self.inlet = None

    def resize(self, rows: int, columns: int) -> None:
        """The window has another size."""
        if self.tty:
            set_size(next(iter(self.outlets), self.inlet), rows, columns)

    def close_outlet(self, descriptor: int) -> None:
        """No more output comes from there."""
        del self.outlets[descriptor]
        if descriptor == self.inlet:
            self.inlet = None
        os.close(descriptor)

    def hang_up(self) -> None:
        """Tell it that its terminal has gone, as the kernel does when a line drops."""
        self.signal(signal.SIGHUP)
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Signal the command and what it started."""
        if self.code is None:
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                return

    def reap(self) -> bool:
        """Take its exit code if it has ended, and say whether; 128 + N for a signal, as shells have it."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.code = code if code >= 0 else 128 - code
        return self.code is not None

    def close(self) -> None:
        """Let go of every descriptor."""
        descriptors = {*self.outlets, self.pidfd}
        if self.inlet is not None:
            descriptors.add(self.inlet)
        for descriptor in descriptors:
            os.close(descriptor)
        self.outlets, self.inlet = {}, None


def set_size(descriptor: int | None, rows: int, columns: int) -> None:
    """TIOCSWINSZ (tty_ioctl(4)); a size out of range is cut to it."""
    if descriptor is not None:
        size = struct.pack("HHHH", *(max(0, min(one, 65535)) for one in (rows, columns)), 0, 0)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)


def _on_terminal(command: Command) -> tuple[int, int, dict[int, bool]]:
    master, slave = os.openpty()
    set_size(master, command.rows, command.columns)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        _become(command, slave, slave, slave)
    os.close(slave)
    return pid, master, {master: False}


def _on_pipes(command: Command) -> tuple[int, int, dict[int, bool]]:
    (in_read, in_write), (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _become(command, in_read, out_write, err_write)
    for descriptor in (in_read, out_write, err_write):
        os.close(descriptor)
    return pid, in_write, {out_read: False, err_read: True}


def _become(command: Command, stdin: int, stdout: int, stderr: int) -> NoReturn:
    code = NOT_FOUND
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for target, source in enumerate((stdin, stdout, stderr)):
            os.dup2(source, target)
        os.closerange(3, 4096)
        words, environment = prepared(command)
        os.umask(0o022)
        try:
            os.chdir(environment["HOME"])
        except OSError:
            os.chdir("/")
        os.execvpe(words[0], words, environment)
    except OSError as error:
        code = NOT_EXECUTABLE if error.errno == errno.EACCES else NOT_FOUND
        name = command.words[0] if command.words else "the login shell"
        os.write(2, f"{name}: {error.strerror}\n".encode(errors="surrogateescape"))
    finally:
        os._exit(code)


def prepared(command: Command) -> tuple[list[str], dict[str, str]]:
    """The words to execute, and the whole environment."""
    try:
        root = pwd.getpwuid(0)
        home, shell = root.pw_dir, root.pw_shell
    except KeyError:
        home, shell = "/root", ""
    candidates = [one for one in (shell, "/bin/bash", "/bin/sh") if one and os.access(one, os.X_OK)]
    shell = candidates[0] if candidates else "/bin/sh"
    environment = {"PATH": PATH, "HOME": home, "SHELL": shell, "USER": "root", "LOGNAME": "root"}
    return list(command.words) or [shell, "-l"], environment | command.environment
