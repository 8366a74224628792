"""Processes that are to run: forks them, restarts those that end, and stops them in reverse order.

One plain loop over signals and sockets, no threads and no event loop, so that a fork is always clean: the children
inherit what this process has imported and nothing that it does. The same tree serves as a cluster's supervisor and
as process 1 of a node that is a PID namespace, where it also reaps orphans.

Always: a child that another supervisor started and that still lives is adopted, not doubled; the record on disk
names processes by pid and start time, so a pid that the kernel gave to somebody else is never signalled.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from deploy import cgroups, syscalls
from sampan.limits import Doing, named

FIRST_BACKOFF = 0.1
MOST_BACKOFF = 10.0
STEADY_SECONDS = 10.0
"""A child that ran so long starts again at once."""
STOP_SECONDS = 8.0
ORPHAN_SECONDS = 5.0
REQUEST_BYTES = 1 << 20


@dataclass(frozen=True)
class ChildSpec:
    """One process. `run` is called in the child; what it returns is the exit code."""

    name: str
    run: Callable[[], int]
    log: Path | None
    """None: this process's own standard error."""
    cgroup: str | None = None
    namespaces: int = 0
    """CLONE_NEW* flags; with CLONE_NEWPID the child is process 1 of its own."""
    prepare: Callable[[int], None] | None = None
    """Called in the parent with the child's pid once its namespaces are there, before `run` begins."""
    descriptors: tuple[int, ...] = ()
    """Inherited, as 3, 4 ..."""
    group: str = ""
    """Neighbours of one group are stopped at the same time."""
    stop_seconds: float = STOP_SECONDS
    """How long it has to end before it is killed."""
    outlives: bool = False
    """It goes on when this process ends, and the next one adopts it."""


@dataclass
class _Child:
    spec: ChildSpec
    pid: int = 0
    born: float = 0.0
    restarts: int = 0
    backoff: float = FIRST_BACKOFF
    restart_at: float | None = None
    pidfd: int = -1
    last_exit: str = ""
    stopping: bool = field(default=False)


Request = dict[str, Any]
Control = Callable[[Request], dict[str, Any]]


class ProcessTree:
    """The children of this process, and the socket by which it is asked about them."""

    def __init__(self, record: Path, control_socket: Path, control: Control) -> None:
        self._record = record
        self._control = control
        self._children: dict[str, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._ending = self._ending_all = False
        self._held = False
        self._program: tuple[list[str], dict[str, str]] | None = None
        self._orphans_until: float | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control_socket.unlink(missing_ok=True)
        self._server.bind(str(control_socket))
        control_socket.chmod(0o600)
        self._server.listen(16)
        self._selector.register(self._server, selectors.EVENT_READ, self._answer)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wakeups)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        signal.signal(signal.SIGINT, lambda *_: self.end())

    def end(self, *, all_of_them: bool = False) -> None:
        """Stop everything and return from `run`; with `all_of_them` also what outlives this process otherwise."""
        self._ending = True
        self._ending_all = all_of_them

    def become(self, argv: list[str], environment: dict[str, str]) -> None:
        """From `run`, turn into another program that adopts the children: the same tree in newer code."""
        self._program = (argv, environment)

    def add(self, spec: ChildSpec) -> None:
        """Start a process, or adopt the one that an earlier supervisor started under that name."""
        child = self._children.setdefault(spec.name, _Child(spec))
        child.spec, child.stopping = spec, False
        if child.pid:
            return
        pid = self._recorded(spec.name)
        if pid:
            self._adopt(child, pid)
        else:
            self._spawn(child)

    def watch(self, descriptor: int, ready: Callable[[], None]) -> None:
        """Call `ready` from `run` whenever a descriptor has something to read."""
        self._selector.register(descriptor, selectors.EVENT_READ, ready)

    def unwatch(self, descriptor: int) -> None:
        """Undo `watch`."""
        self._selector.unregister(descriptor)

    def hold(self, held: bool) -> None:
        """While held, a process that ends is not started again: its cgroup is frozen."""
        self._held = held

    def pid(self, name: str) -> int:
        """The pid of a process that is known by that name; 0 when it does not run."""
        child = self._children.get(name)
        return child.pid if child is not None else 0

    def remove(self, name: str, *, force: bool = False) -> bool:
        """Stop a process and forget it; it does not come back. Returns whether there was one."""
        child = self._children.get(name)
        if child is None:
            return False
        self._stop([child], signal.SIGKILL if force else signal.SIGTERM)
        del self._children[name]
        self._write_record()
        return True

    def status(self) -> dict[str, dict[str, Any]]:
        """What runs, for a person or a test to read."""
        now = time.monotonic()
        return {
            name: {
                "pid": child.pid,
                "running": bool(child.pid),
                "seconds": round(now - child.born, 1) if child.pid else 0,
                "restarts": child.restarts,
                "lastExit": child.last_exit,
            }
            for name, child in self._children.items()
        }

    def run(self) -> None:
        """Serve until `end` is called or SIGTERM comes, then stop all children, the last one first."""
        while not self._ending:
            if self._program is not None:
                self._exec(*self._program)
            self._reap()
            now = time.monotonic()
            due = [] if self._held else [one for one in self._children.values() if one.restart_at is not None]
            for child in due:
                if child.restart_at is not None and child.restart_at <= now and not child.pid:
                    child.restart_at = None
                    child.restarts += 1
                    self._spawn(child)
            waits = [child.restart_at - now for child in due if child.restart_at is not None]
            if self._orphans_until is not None:
                waits.append(self._orphans_until - now)
            for key, _ in self._selector.select(max(0.0, min(waits)) if waits else None):
                if key.fd in self._selector.get_map():  # one callback may undo another's watch
                    key.data()
        left = [one for one in self._children.values() if one.spec.outlives and one.pid and not self._ending_all]
        ending = [one for one in reversed(list(self._children.values())) if one not in left]
        for _, together in itertools.groupby(ending, lambda one: one.spec.group or one.spec.name):
            self._stop(list(together), signal.SIGTERM)
        if left:
            self._write_record()
        else:
            self._record.unlink(missing_ok=True)

    def _exec(self, argv: list[str], environment: dict[str, str]) -> None:
        """Become `argv`, whose children ours stay. What can't be executed is told, and we go on as we are."""
        self._program = None
        self._write_record()
        signal.set_wakeup_fd(-1)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            os.execve(argv[0], argv, environment)
        except OSError as error:
            signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
            print(f"can't become {argv[0]}: {error}", file=sys.stderr, flush=True)

    # -- children -----------------------------------------------------------------------------------------------

    def _spawn(self, child: _Child) -> None:
        """Start it; when this machine can't have one more process now, try again later."""
        spec = child.spec
        opened: list[int] = []
        try:
            for _ in range(2):
                opened += os.pipe2(os.O_CLOEXEC)
            pid = self._fork(spec)
        except OSError as error:
            for descriptor in opened:
                os.close(descriptor)
            child.last_exit = f"can't start: {named(error, Doing.FORK).strerror}"
            self._retry(child, 0.0)
            return
        ready_read, ready_write, go_read, go_write = opened
        if pid == 0:
            os.close(ready_read)
            os.close(go_write)
            self._become(spec, ready_write, go_read)
        os.close(ready_write)
        os.close(go_read)
        child.pid, child.born = pid, time.monotonic()
        try:
            if os.read(ready_read, 1) and spec.prepare is not None:
                spec.prepare(pid)
        except Exception:  # the child is not to run half prepared; it is tried again with back-off
            traceback.print_exc()
            os.kill(pid, signal.SIGKILL)
        finally:
            os.close(ready_read)
            self._write_record()  # before it runs: whoever succeeds us knows all that run, however we end
            with contextlib.suppress(BrokenPipeError):  # it died on the way; its exit is handled as any other
                os.write(go_write, b"g")
            os.close(go_write)

    def _fork(self, spec: ChildSpec) -> int:
        """As fork(2); with CLONE_NEWPID the child is process 1 of its own."""
        sys.stdout.flush()
        sys.stderr.flush()
        if not spec.namespaces & syscalls.CLONE_NEWPID:
            return os.fork()
        syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                syscalls.setns(self._own_pid_namespace, syscalls.CLONE_NEWPID)
        return pid

    def _become(self, spec: ChildSpec, ready: int, go: int) -> NoReturn:
        """In the child: turn into the process that `spec` describes. Never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if spec.log is None:
                os.dup2(2, 1)
            else:
                log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
                os.dup2(log, 1)
                os.dup2(log, 2)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            syscalls.set_process_name(f"sampan-{spec.name}")
            if os.getsid(0) != os.getpid():
                os.setsid()
            if spec.cgroup is not None:
                cgroups.enter(spec.cgroup)
            others = spec.namespaces & ~syscalls.CLONE_NEWPID
            if others:
                syscalls.unshare(others)
            os.write(ready, b"r")
            if not os.read(go, 1):
                raise SystemExit("the supervisor is gone")
            self._keep_only(spec.descriptors)
            code = spec.run()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:  # the edge of the process: say why it ends
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @staticmethod
    def _keep_only(descriptors: tuple[int, ...]) -> None:
        copies = [os.dup(one) for one in descriptors]
        staged = [os.dup2(one, 100 + index) for index, one in enumerate(copies)]
        os.closerange(3, 100)
        for index, one in enumerate(staged):
            os.dup2(one, 3 + index)
        os.closerange(100, 4096)

    def _adopt(self, child: _Child, pid: int) -> None:
        child.pid, child.born = pid, time.monotonic()
        child.pidfd = os.pidfd_open(pid)
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._ended(child, "adopted, unknown"))

    def _reap(self) -> None:
        """Take the exit statuses of children at once, and those of orphans some seconds later, in one go.

        A container is an orphan once its fork server was killed. Its end is for the next fork server to read, which
        kernels before 6.15 show only until somebody reaps it.
        """
        for child in [one for one in self._children.values() if one.pid]:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    code = os.waitstatus_to_exitcode(status)
                    self._ended(child, f"signal {-code}" if code < 0 else f"exit code {code}")
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            found = None
        now = time.monotonic()
        if found is None:
            self._orphans_until = None
        elif self._orphans_until is None:
            self._orphans_until = now + ORPHAN_SECONDS
        elif now >= self._orphans_until:
            self._orphans_until = None
            with contextlib.suppress(ChildProcessError):
                while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                    by_pid = {child.pid: child for child in self._children.values() if child.pid}
                    if (one := by_pid.get(reaped[0])) is not None:  # it has died since we asked for it
                        code = os.waitstatus_to_exitcode(reaped[1])
                        self._ended(one, f"signal {-code}" if code < 0 else f"exit code {code}")

    def _ended(self, child: _Child, how: str) -> None:
        if child.pidfd >= 0:
            self._selector.unregister(child.pidfd)
            os.close(child.pidfd)
            child.pidfd = -1
        lived = time.monotonic() - child.born
        child.pid, child.last_exit = 0, how
        if child.stopping or self._ending:
            return
        self._retry(child, lived)
        self._write_record()

    @staticmethod
    def _retry(child: _Child, lived: float) -> None:
        child.backoff = FIRST_BACKOFF if lived > STEADY_SECONDS else min(child.backoff * 2, MOST_BACKOFF)
        child.restart_at = time.monotonic() + (0 if lived > STEADY_SECONDS else child.backoff)
        print(f"{child.spec.name} ended ({child.last_exit}) after {lived:.1f} s", file=sys.stderr, flush=True)

    def _stop(self, children: list[_Child], first: signal.Signals) -> None:
        for child in children:
            child.stopping, child.restart_at = True, None
            self._signal(child, first)
        deadline = time.monotonic() + max(child.spec.stop_seconds for child in children)
        while any(child.pid for child in children):
            self._reap()
            for child in children:
                if child.pidfd >= 0 and child.pid and not _alive(child.pid):
                    self._ended(child, "stopped")
            if time.monotonic() > deadline:
                for child in children:
                    self._signal(child, signal.SIGKILL)
            if any(child.pid for child in children):
                self._wait_for_signal()

    def _wait_for_signal(self) -> None:
        """Until a signal such as SIGCHLD comes, a moment at the most."""
        with selectors.DefaultSelector() as only_signals:
            only_signals.register(self._wake_read, selectors.EVENT_READ)
            only_signals.select(0.05)
        self._drain_wakeups()

    @staticmethod
    def _signal(child: _Child, number: signal.Signals) -> None:
        if child.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    # -- record and control -------------------------------------------------------------------------------------

    def _write_record(self) -> None:
        record = {name: [child.pid, start_time(child.pid)] for name, child in self._children.items() if child.pid}
        fresh = self._record.with_suffix(".new")
        fresh.write_text(json.dumps(record))
        fresh.replace(self._record)

    def _recorded(self, name: str) -> int:
        try:
            pid, started = json.loads(self._record.read_text())[name]
        except (OSError, ValueError, KeyError):
            return 0
        return pid if started and start_time(pid) == started else 0

    def _drain_wakeups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass

    def _answer(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            connection.settimeout(2.0)
            try:
                data = b""
                while not data.endswith(b"\n") and len(data) < REQUEST_BYTES:
                    chunk = connection.recv(65536)
                    if not chunk:
                        break
                    data += chunk
                try:
                    reply = self._control(json.loads(data))
                except Exception as error:  # a bad request must not end the supervisor
                    reply = {"error": str(error) or type(error).__name__}
                connection.settimeout(5.0)
                connection.sendall(json.dumps(reply).encode() + b"\n")
            except OSError as error:
                print(f"control: {error}", file=sys.stderr, flush=True)


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot (proc_pid_stat(5), field 22); 0 when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def _alive(pid: int) -> bool:
    return start_time(pid) != 0
