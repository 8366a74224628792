"""The fork server: the small process that clones, execs and reaps containers, and outlives the runtime.

Started as `python -I -S forkserver.py --socket PATH --state-dir DIR`. One request is one packet of JSON on a SEQPACKET
socket, descriptors ride along (a request over 64 KiB is {"body": true} and rides in a memfd); every reply carries the
request's `seq`. Requests: hello, hold_sandbox, release_sandbox, start, exec, kill, list, console, release, forget.
An exit is told as {"event": "exit", ...} to every connection (an exec's only to the one that asked for it).

Always: single-threaded; a container's exit status is on disk, synced, before anyone is told; nothing but the
operations of operations.py is done on request; an exec dies with the connection that asked for it.
Elsewhere: what a clone does until it execs (children.py), a pod's namespaces (holding.py), records (followed.py).
After a restart it finds its containers by their records: each is followed by pidfd, and where someone else reaped it
the kernel (6.15 and newer) still tells how it ended.
"""

import contextlib
import errno
import gc
import json
import os
import resource
import select
import signal
import socket
import stat
import sys
import time
from typing import Any

if not __package__:  # started as a script under -I -S: only the standard library is on the path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from nodeagent.runtime import children, holding
from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.cloning import clone, clone_mapped, remember_own_pid_namespace
from nodeagent.runtime.followed import (
    Pending,
    Process,
    boot_id,
    oom_kills,
    open_record,
    read_record,
    recorded_exit,
    start_time,
    write_exit,
    zombie_status,
)
from nodeagent.runtime.operations import Failed
from nodeagent.runtime.process import last_capability, own_capabilities

MOST_PACKET = 64 << 10
_UNKNOWN_EXIT = 255
_LATE_START_SECONDS = 2.0


def _safe_name(value: Any) -> str:
    if (
        not isinstance(value, str)
        or not value
        or len(value) > 128
        or not value.replace("-", "").replace("_", "").isalnum()
    ):
        raise Failed("request", repr(value), "is no name: letters, digits, - and _ only")
    return value


class ForkServer:
    """All of it: one poll loop over the listening socket, connections, reports of starting children, and pidfds."""

    def __init__(self, listener: socket.socket, state_dir: str) -> None:
        self.listener = listener
        self.state_dir = state_dir
        self.poll = select.epoll()
        self.connections: dict[int, socket.socket] = {}
        self.processes: dict[str, Process] = {}
        self.by_pidfd: dict[int, Process] = {}
        self.pending: dict[int, Pending] = {}
        self.stagehands: dict[int, Process] = {}  # by pidfd: for whom it works
        self.poll.register(listener.fileno(), select.EPOLLIN)
        os.makedirs(f"{state_dir}/processes", 0o700, exist_ok=True)
        self.recover()

    # -- after a restart

    def recover(self) -> None:
        """Follow again what an earlier fork server started."""
        folder = f"{self.state_dir}/processes"
        for entry in sorted(os.listdir(folder)):
            if not entry.endswith(".start"):
                continue
            path = f"{folder}/{entry}"
            if not os.path.getsize(path):  # its process has ended by itself: it waits until it is written down
                os.unlink(path)
                continue
            try:
                record, executed = read_record(path)
                process = Process(record["name"], record["pid"], -1, record["started"])
            except (OSError, ValueError, KeyError) as error:
                _log(f"the record {entry} is unreadable and is left alone: {error}")
                continue
            process.oom_file = record.get("oom_file", "")
            process.oom_before = record.get("oom_before", 0)
            process.procs_files = record.get("procs_files", [])
            process.kill_rest = record.get("kill_rest", False)
            process.container = "sandbox" if record.get("sandbox") else ""
            process.cgroup = record.get("cgroup", "")
            process.boot = record.get("boot", process.boot)
            process.exit = recorded_exit(self.state_dir, process.name)
            if process.exit is None and not executed and record.get("marked"):
                executed = self.begins(process, path)
                if not executed:
                    os.unlink(path)
                    continue
            self.processes[process.name] = process
            if process.exit is None:
                self.follow_again(process)

    def begins(self, process: Process, path: str) -> bool:
        """Whether a process that was on its way comes to exec; one that does not is ended, as if it had never been."""
        waits_until = time.monotonic() + _LATE_START_SECONDS
        while process.boot == boot_id() and start_time(process.pid) == process.started:
            if read_record(path)[1]:
                return True
            if time.monotonic() > waits_until:
                with contextlib.suppress(OSError):
                    os.kill(process.pid, signal.SIGKILL)
            if zombie_status(process.pid, process.started) is not None:
                break
            time.sleep(0.005)
        return read_record(path)[1]

    def follow_again(self, process: Process) -> None:
        """Open a pidfd for a process known by boot, number and start time, or note that it ended unseen."""
        if process.boot != boot_id():
            self.ended(process, None)
            return
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:
            self.ended(process, None)
            return
        if start_time(process.pid) != process.started:
            os.close(pidfd)
            self.ended(process, None)
            return
        process.pidfd = pidfd
        self.by_pidfd[pidfd] = process
        self.poll.register(pidfd, select.EPOLLIN)

    # -- the loop

    def serve(self) -> None:
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.listener.fileno():
                    self.accept()
                elif fd in self.by_pidfd:
                    self.reap(self.by_pidfd[fd])
                elif fd in self.stagehands:
                    self.dismiss(self.stagehands[fd])
                elif fd in self.pending:
                    self.hear(self.pending[fd])
                elif fd in self.connections:
                    self.receive(self.connections[fd])

    def accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.connections[connection.fileno()] = connection
        self.poll.register(connection.fileno(), select.EPOLLIN)

    def drop(self, connection: socket.socket) -> None:
        """Forget a connection; the execs that it asked for die with it."""
        fd = connection.fileno()
        if fd not in self.connections:
            return
        self.poll.unregister(fd)
        del self.connections[fd]
        for process in list(self.processes.values()):
            if process.connection is connection:
                process.connection = None
                self.kill_group(process, signal.SIGKILL)
        connection.close()

    def send(self, connection: socket.socket | None, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        if connection is None or connection.fileno() not in self.connections:
            return
        try:
            socket.send_fds(connection, [json.dumps(message).encode()], fds)
        except OSError:  # gone, or so far behind that it must ask afresh
            self.drop(connection)

    def receive(self, connection: socket.socket) -> None:
        fds: list[int] = []
        try:
            data, fds, flags, _ = socket.recv_fds(connection, MOST_PACKET, 16, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, flags = b"", 0
        if not data:
            self.drop(connection)
            return
        seq = -1
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise Failed("request", "", "is longer than a packet may be")
            request = json.loads(data)
            if request.get("body"):
                body = fds.pop(0)
                with open(body, "rb") as file:
                    file.seek(0)
                    request = json.load(file)
            seq = int(request["seq"])
            operation = _REQUESTS.get(request["op"])
            if operation is None:
                raise Failed("request", repr(request["op"]), "is not one of " + ", ".join(_REQUESTS))
            operation(self, connection, seq, request, fds)
        except Failed as error:
            self.send(connection, {"seq": seq, "error": str(error), "errno": error.code})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            code = error.errno if isinstance(error, OSError) else errno.EINVAL
            self.send(connection, {"seq": seq, "error": f"{type(error).__name__}: {error}", "errno": code or 0})
        finally:
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)

    # -- requests

    def hello(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        self.send(connection, {"seq": seq, "pid": os.getpid()})

    def hold_sandbox(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Make a sandbox's namespaces and keep each alive by a bind mount on the path that is given for it."""
        name = _safe_name(request["id"])

        def stays(pid: int, pidfd: int) -> None:
            process = Process(name, pid, pidfd, start_time(pid))
            process.container = "sandbox"
            self.adopt(process)
            self.record(process, open_record(f"{self.state_dir}/processes/{name}.start"))

        warnings = holding.hold(request, stays)
        self.send(connection, {"seq": seq, "warnings": warnings})

    def release_sandbox(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Let a sandbox's namespaces and shared memory go. What is gone already is no error."""
        process = self.processes.get(request["id"])
        if process is not None and process.container == "sandbox":
            if process.exit is None:
                with contextlib.suppress(ProcessLookupError):
                    sc.pidfd_send_signal(process.pidfd, signal.SIGKILL)
                process.connection = None
            self.drop_record(process)
        holding.let_go([*request["namespaces"].values(), *([request["shm"]] if request.get("shm") else [])])
        self.send(connection, {"seq": seq})

    def start(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Start a container: fds are its stdin, stdout and stderr, or none for a terminal."""
        name = _safe_name(request["id"])
        if name in self.processes:
            raise Failed("start", name, "there is a process of that name already", errno.EEXIST)
        pid_mode = request.get("pid", "new")
        flags = sc.CLONE_NEWNS | int(request.get("flags", 0))
        enter = None
        if pid_mode == "new":
            flags |= sc.CLONE_NEWPID
        elif pid_mode != "node":
            enter = os.open(pid_mode, os.O_RDONLY | os.O_CLOEXEC)
        target = request.get("target")
        if target:
            enter = os.dup(self.running(target).pidfd)
        path = f"{self.state_dir}/processes/{name}.start"
        record = open_record(path)
        try:
            pending = self.launch(connection, seq, request, fds, name, flags, enter, None, record)
        except BaseException:
            os.close(record)
            os.unlink(path)
            raise
        finally:
            if enter is not None:
                os.close(enter)
        process = pending.process
        process.cgroup = request.get("cgroup", "")
        process.oom_file = request.get("oom_file", "")
        process.oom_before = oom_kills(process.oom_file) if process.oom_file else 0
        process.procs_files = request.get("procs_files", [])
        process.kill_rest = pid_mode != "new" or bool(target)
        process.held = [os.dup(fd) for fd in fds[:3]]
        process.stdin_writer = os.dup(fds[3]) if len(fds) > 3 else -1
        self.record(process, record)
        pending.go_on()

    def exec(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Start one more process in a running container. It dies with this connection."""
        name = _safe_name(request["id"])
        if name in self.processes:
            raise Failed("exec", name, "there is a process of that name already", errno.EEXIST)
        container = self.running(request["container"])
        pending = self.launch(connection, seq, request, fds, name, 0, container.pidfd, container.pidfd, -1)
        pending.process.container = container.name
        pending.process.connection = connection
        pending.go_on()

    def running(self, name: str) -> Process:
        process = self.processes.get(name)
        if process is None:
            raise Failed("container", name, "is not known here", errno.ENOENT)
        if process.exit is not None or process.pidfd < 0:
            raise Failed("container", name, "is not running", errno.ESRCH)
        return process

    def launch(
        self,
        connection: socket.socket,
        seq: int,
        request: dict[str, Any],
        fds: list[int],
        name: str,
        flags: int,
        pid_namespace: int | None,
        join: int | None,
        record: int,
    ) -> Pending:
        """Clone a container's first process, or with join one more in a running one; hear() learns how it goes on.

        It waits before exec until it is told to go on.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            stagehand = -1
            if request.get("user") and join is None:
                pid, pidfd, stagehand = clone_mapped(request, fds, theirs, flags, pid_namespace, record)
            else:
                pid, pidfd = clone(flags, pid_namespace)
                if pid == 0:
                    children.container(request, fds, theirs, join, record)
            process = Process(name, pid, pidfd, start_time(pid))
            report = ours.dup()
        report.setblocking(False)
        self.adopt(process)
        if stagehand >= 0:
            process.stagehand = stagehand
            self.stagehands[stagehand] = process
            self.poll.register(stagehand, select.EPOLLIN)
        pending = self.pending[report.fileno()] = Pending(process, report, connection, seq)
        self.poll.register(report.fileno(), select.EPOLLIN)
        return pending

    def dismiss(self, process: Process) -> None:
        """Reap a process's stagehand: it has ended, or shall now."""
        stagehand, process.stagehand = process.stagehand, -1
        with contextlib.suppress(ProcessLookupError):
            sc.pidfd_send_signal(stagehand, signal.SIGKILL)
        os.waitid(os.P_PIDFD, stagehand, os.WEXITED)
        self.poll.unregister(stagehand)
        del self.stagehands[stagehand]
        os.close(stagehand)

    def adopt(self, process: Process) -> None:
        self.processes[process.name] = process
        self.by_pidfd[process.pidfd] = process
        self.poll.register(process.pidfd, select.EPOLLIN)

    def hear(self, pending: Pending) -> None:
        """A starting child says something, or has closed the report by exec or by death."""
        process = pending.process
        while True:
            passed: list[int] = []
            try:
                data, passed, _, _ = socket.recv_fds(pending.report, MOST_PACKET, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                break
            message = json.loads(data)
            if passed:
                process.console = passed[0]
            if "user" in message:
                process.user = message["user"]
            process.warnings += message.get("warnings", [])
            pending.executed = message.get("exec", pending.executed)
            if "error" in message:
                pending.error = message
        fd = pending.report.fileno()
        self.poll.unregister(fd)
        del self.pending[fd]
        pending.report.close()
        if pending.executed and pending.error is None:
            told = {"seq": pending.seq, "pid": process.pid, "user": process.user, "warnings": process.warnings}
            told["started"] = pending.executed
            told["console"] = process.console >= 0
            fds = tuple(fd for fd in (process.console, process.pidfd) if fd >= 0)
            self.send(pending.connection, told, fds)
            if process.container and process.console >= 0:  # an exec's terminal hangs up when its one reader goes
                os.close(process.console)
                process.console = -1
            if process.exit is not None:
                self.tell_exit(process)
        else:
            answer = pending.error or {"error": f"the process of {process.name} was killed before it could exec"}
            with contextlib.suppress(ProcessLookupError):
                sc.pidfd_send_signal(process.pidfd, signal.SIGKILL)
            if process.stagehand >= 0:  # the first process of a PID namespace can't end before the others
                self.dismiss(process)
            if process.exit is None:
                self.wait(process)
            self.drop_record(process)
            self.send(pending.connection, {"seq": pending.seq, **answer})

    def kill(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Signal a process; with "group" its process group as well. Gone already is no error."""
        process = self.processes.get(request["id"])
        number = int(request["signal"])
        if process is not None and process.exit is None and process.pidfd >= 0:
            if request.get("group"):
                self.kill_group(process, number)
            else:
                with contextlib.suppress(ProcessLookupError):
                    sc.pidfd_send_signal(process.pidfd, number)
        self.send(connection, {"seq": seq})

    def kill_group(self, process: Process, number: int) -> None:
        if process.exit is not None or process.pidfd < 0:
            return
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)  # it is not reaped yet, so the number is still its own
        with contextlib.suppress(OSError):
            sc.pidfd_send_signal(process.pidfd, number)

    def list_all(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Every container, a reply each, then one that ends the list."""
        for process in self.processes.values():
            if process.container:
                continue
            told = {"seq": seq, "process": self.described(process)}
            self.send(connection, told, (process.pidfd,) if process.pidfd >= 0 else ())
        self.send(connection, {"seq": seq, "end": True})

    def described(self, process: Process) -> dict[str, Any]:
        return {
            "name": process.name,
            "pid": process.pid,
            "user": process.user,
            "cgroup": process.cgroup,
            "exit": process.exit,
        }

    def console(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """The master side of a container's terminal again; or, with a descriptor, take it back after a restart."""
        process = self.processes.get(request["id"])
        if process is None:
            raise Failed("console", request["id"], "is not known here", errno.ENOENT)
        if fds:
            if process.console < 0:
                process.console = fds.pop(0)
            self.send(connection, {"seq": seq})
        elif process.console < 0:
            raise Failed("console", process.name, "has no terminal", errno.ENOTTY)
        else:
            self.send(connection, {"seq": seq}, (process.console,))

    def release(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Close what is held of a container's stdio: "stdin" alone, or everything once its output is read."""
        process = self.processes.get(request["id"])
        if process is not None:
            self.close_stdin(process)
            if not request.get("stdin"):
                self.close_held(process)
        self.send(connection, {"seq": seq})

    def forget(self, connection: socket.socket, seq: int, request: dict[str, Any], fds: list[int]) -> None:
        """Drop an ended container's record."""
        process = self.processes.get(request["id"])
        if process is not None:
            if process.exit is None:
                raise Failed("forget", process.name, "is still running", errno.EBUSY)
            self.drop_record(process)
        self.send(connection, {"seq": seq})

    # -- ends

    def reap(self, process: Process) -> None:
        if self.wait(process) and not any(p.process is process for p in self.pending.values()):
            self.tell_exit(process)

    def wait(self, process: Process) -> bool:
        """Take the exit status of a process that has ended. Writes a container's to disk."""
        status: int | None
        try:
            result = os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED)
            if result is None:
                return False
            exited = result.si_code == os.CLD_EXITED
            status = result.si_status << 8 if exited else result.si_status & 0x7F
        except ChildProcessError:  # an earlier fork server's child, and now the node's first process's
            status = self.status_of_orphan(process)
        self.ended(process, status)
        return True

    def status_of_orphan(self, process: Process) -> int | None:
        """How a process ended that is not ours to wait for: its pidfd knows once it is reaped, proc(5) until then."""
        status = sc.exit_status_of_orphan(process.pidfd)
        if status is None:
            status = zombie_status(process.pid, process.started)
        if status is None:  # reaped between the two looks
            status = sc.exit_status_of_orphan(process.pidfd)
        return status

    def ended(self, process: Process, status: int | None) -> None:
        if process.pidfd >= 0:
            self.poll.unregister(process.pidfd)
            del self.by_pidfd[process.pidfd]
            os.close(process.pidfd)
            process.pidfd = -1
        number = status & 0x7F if status is not None else 0
        code = _UNKNOWN_EXIT if status is None else 128 + number if number else status >> 8
        process.exit = {
            "code": code,
            "signal": number,
            "known": status is not None,
            "oom": bool(process.oom_file) and oom_kills(process.oom_file) > process.oom_before,
            "finished": time.time_ns(),
        }
        if process.kill_rest:
            self.kill_members(process.procs_files)
        if not process.container:
            write_exit(self.state_dir, process.name, process.exit)

    def kill_members(self, procs_files: list[str]) -> None:
        """Kill what is left in a container's cgroup: in a shared PID namespace nothing else would."""
        for path in procs_files[:1]:
            for _ in range(10):
                try:
                    with open(path, "rb") as file:
                        pids = [int(line) for line in file]
                except OSError:
                    break
                if not pids:
                    break
                for pid in filter(None, pids):  # 0 is one that our PID namespace cannot see, and a group to kill(2)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def tell_exit(self, process: Process) -> None:
        told = {"event": "exit", "id": process.name, **(process.exit or {})}
        if process.container == "sandbox":
            return
        if process.container:
            self.processes.pop(process.name, None)
            self.send(process.connection, told)
            return
        for connection in list(self.connections.values()):
            self.send(connection, told)

    # -- records

    def record(self, process: Process, record: int) -> None:
        """Write a start down, and close its record."""
        text = {
            "name": process.name,
            "pid": process.pid,
            "started": process.started,
            "boot": process.boot,
            "oom_file": process.oom_file,
            "oom_before": process.oom_before,
            "procs_files": process.procs_files,
            "kill_rest": process.kill_rest,
            "sandbox": process.container == "sandbox",
            "cgroup": process.cgroup,
            "marked": process.container != "sandbox",
        }
        try:
            os.write(record, json.dumps(text).encode())
        finally:
            os.close(record)

    def drop_record(self, process: Process) -> None:
        self.close_held(process)
        self.processes.pop(process.name, None)
        for kind in ("start", "exit"):  # in this order: an exit without a start is nobody's
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.state_dir}/processes/{process.name}.{kind}")

    def close_stdin(self, process: Process) -> None:
        if process.stdin_writer >= 0:
            os.close(process.stdin_writer)
            process.stdin_writer = -1

    def close_held(self, process: Process) -> None:
        self.close_stdin(process)
        for fd in process.held:
            os.close(fd)
        process.held = []
        if process.console >= 0:
            os.close(process.console)
            process.console = -1


_REQUESTS = {
    "hello": ForkServer.hello,
    "hold_sandbox": ForkServer.hold_sandbox,
    "release_sandbox": ForkServer.release_sandbox,
    "start": ForkServer.start,
    "exec": ForkServer.exec,
    "kill": ForkServer.kill,
    "list": ForkServer.list_all,
    "console": ForkServer.console,
    "release": ForkServer.release,
    "forget": ForkServer.forget,
}


def _log(text: str) -> None:
    sys.stderr.write(f"forkserver: {text}\n")


def main(argv: list[str]) -> int:
    """Serve until killed. Containers stay when it ends."""
    options = dict(zip(argv[0::2], argv[1::2], strict=False))
    path, state_dir = options.get("--socket"), options.get("--state-dir")
    if not path or not state_dir:
        _log("usage: forkserver.py --socket PATH --state-dir DIR")
        return 2
    if options.get("--with-parent"):  # one that serves a single command, and must not stay when that is gone
        sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    children.remember_open_files(limits)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    remember_own_pid_namespace()
    last_capability()
    own_capabilities()
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    os.makedirs(state_dir, 0o700, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    temporary = f"{path}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    listener.bind(temporary)
    os.chmod(temporary, stat.S_IRUSR | stat.S_IWUSR)
    listener.listen(16)
    server = ForkServer(listener, state_dir)
    os.rename(temporary, path)  # only now: who can connect is served
    gc.collect()
    gc.freeze()
    gc.disable()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
