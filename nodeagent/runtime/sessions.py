"""Commands in running containers, and the single-use URLs behind which exec, attach and port-forward wait.

Always: an exec dies when its session does; a URL's token is unguessable, good once, for a minute.
Elsewhere: what is spoken behind the URLs (streaming/).
"""

import asyncio
import contextlib
import os
import secrets
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from nodeagent.runtime import plan
from nodeagent.runtime.descriptors import Reader, Writer
from nodeagent.runtime.errors import Invalid, Precondition, RuntimeFault, TookTooLong
from nodeagent.runtime.forks import Ended, ForkError, ForkServerGone
from nodeagent.runtime.idmaps import maps_of
from nodeagent.runtime.runtime import Runtime
from nodeagent.runtime.state import Container, Sandbox
from sampan.cri import api_pb2 as cri

_MOST_OUTPUT_BYTES = 16 << 20  # CRI's bound for ExecSync (CVE-2022-1708)
_AWAY_SECONDS = 0.9
"""How long a command waits for a fork server: less than what a probe's caller allows beyond its own time."""
_LINGER_SECONDS = 2.0
_TOKEN_SECONDS = 60.0
_MOST_TOKENS = 1000


@dataclass(frozen=True, slots=True)
class Output:
    """What a command wrote and how it ended."""

    stdout: bytes
    stderr: bytes
    code: int


@dataclass(slots=True)
class ExecProcess:
    """A running exec: its ends of stdio (with a terminal only `terminal`), and its end as a future."""

    name: str
    ended: "asyncio.Future[Ended]"
    stdin: Writer | None = None
    stdout: Reader | None = None
    stderr: Reader | None = None
    terminal: int = -1

    def close(self) -> None:
        for one in (self.stdin, self.stdout, self.stderr):
            if one is not None:
                one.close()
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a URL is good for."""

    kind: str
    expires: float
    container: Container | None = None
    sandbox: Sandbox | None = None
    argv: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    ports: tuple[int, ...] = field(default=())


class Sessions:
    """Starts execs and keeps the tickets. base_url is set once the streaming server listens."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.base_url = ""
        self._tickets: dict[str, Ticket] = {}

    # -- execs

    async def start_exec(
        self,
        container: Container,
        argv: list[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        size: tuple[int, int] | None = None,
    ) -> ExecProcess:
        """Start a command as the container's user, with its environment and rights. Raises RuntimeFault."""
        if not argv:
            raise Invalid("no command is given")
        if not container.running:
            raise Precondition(f"container {container.id} is not running")
        state = container.state
        process: dict[str, Any] = {
            **state.process,
            "argv": argv,
            "terminal": tty,
            "size": size,
            "die_with_parent": True,
            "make_cwd": False,
        }
        if state.user:
            uid, gid, groups = state.user
            process["identity"] = {"uid": uid, "gid": gid, "groups": groups, "merge": False}
        if tty:
            process["env"] = [*(e for e in process["env"] if not e.startswith("TERM=")), "TERM=xterm"]
        setup: list[plan.Operation] = [
            ["join_cgroups", self.runtime.cgroups.procs_files(state.cgroup)],
            ["oom_score_adj", container.config.linux.resources.oom_score_adj],
        ]
        maps = maps_of(container.config.linux.security_context.namespace_options)
        ours: list[int] = []
        theirs: list[int] = []
        name = f"exec-{secrets.token_hex(12)}"
        try:
            if not tty:
                if stdin:
                    read, write = os.pipe2(os.O_CLOEXEC)
                    theirs.append(read)
                    ours.append(write)
                else:
                    theirs.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
                for _ in range(2):
                    read, write = os.pipe2(os.O_CLOEXEC)
                    ours.append(read)
                    theirs.append(write)
                if maps is not None:  # so that its root may open /dev/stdout
                    for fd in theirs[-2:]:
                        os.fchown(fd, *maps.root)
            await self.runtime.forks.until_connected(_AWAY_SECONDS)
            answer, ended = await self.runtime.forks.exec(
                name, theirs, container=container.id, setup=setup, process=process, user=maps is not None
            )
        except ForkServerGone:
            for fd in ours:
                os.close(fd)
            raise
        except ForkError as error:
            for fd in ours:
                os.close(fd)
            raise RuntimeFault(f"failed to exec in container {container.config.metadata.name}: {error}") from error
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        if tty:
            terminal, *rest = answer.fds
            for fd in rest:
                os.close(fd)
            return ExecProcess(name, ended, terminal=terminal)
        for fd in answer.fds:
            os.close(fd)
        readers = [Reader(fd) for fd in ours[-2:]]
        return ExecProcess(name, ended, Writer(ours[0]) if stdin else None, readers[0], readers[1])

    async def kill_exec(self, process: ExecProcess) -> None:
        """SIGKILL it and its process group."""
        with contextlib.suppress(ForkError):
            await self.runtime.forks.call("kill", id=process.name, signal=signal.SIGKILL, group=True)

    async def exec_sync(self, container: Container, argv: list[str], timeout_seconds: float) -> Output:
        """Run a command to its end. Output beyond 16 MiB a stream is thrown away. Raises TookTooLong."""
        process = await self.start_exec(container, argv)
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            out, err = bytearray(), bytearray()
            readers = [
                asyncio.ensure_future(_collect(process.stdout, out)),
                asyncio.ensure_future(_collect(process.stderr, err)),
            ]
            try:
                async with asyncio.timeout(timeout_seconds if timeout_seconds > 0 else None):
                    ended = await asyncio.shield(process.ended)
                # a background child may keep the pipes open for ever; it had its time
                await asyncio.wait(readers, timeout=_LINGER_SECONDS)
            finally:
                for reader in readers:
                    reader.cancel()
                await asyncio.gather(*readers, return_exceptions=True)
        except TimeoutError:
            await self.kill_exec(process)
            raise TookTooLong(f"command {argv[0]!r} timed out: it ran for more than {timeout_seconds:g}s") from None
        except asyncio.CancelledError:
            await asyncio.shield(self.kill_exec(process))
            raise
        except ForkError as error:
            raise RuntimeFault(f"command {argv[0]!r}: {error}") from error
        finally:
            process.close()
        return Output(bytes(out), bytes(err), ended.code)

    # -- tickets

    def exec_url(self, container: Container, request: cri.ExecRequest) -> str:
        """Where to exec. Raises Invalid, Precondition."""
        if not request.cmd:
            raise Invalid("no command is given")
        if request.tty and request.stderr:
            raise Invalid("with a terminal there is no stderr of its own")
        if not container.running:
            raise Precondition(f"container {container.id} is not running")
        return self._issue(
            Ticket(
                "exec",
                time.monotonic() + _TOKEN_SECONDS,
                container,
                argv=tuple(request.cmd),
                tty=request.tty,
                stdin=request.stdin,
                stdout=request.stdout,
                stderr=request.stderr,
            )
        )

    def attach_url(self, container: Container, request: cri.AttachRequest) -> str:
        """Where to attach. Raises Precondition."""
        if not container.running:
            raise Precondition(f"container {container.id} is not running")
        return self._issue(
            Ticket(
                "attach",
                time.monotonic() + _TOKEN_SECONDS,
                container,
                tty=container.config.tty,
                stdin=request.stdin,
                stdout=request.stdout,
                stderr=request.stderr and not container.config.tty,
            )
        )

    def port_forward_url(self, sandbox: Sandbox, ports: list[int]) -> str:
        """Where to forward ports. Raises Precondition."""
        if not sandbox.state.ready:
            raise Precondition(f"sandbox {sandbox.id} is not ready")
        expires = time.monotonic() + _TOKEN_SECONDS
        return self._issue(Ticket("portforward", expires, sandbox=sandbox, ports=tuple(ports)))

    def _issue(self, ticket: Ticket) -> str:
        now = time.monotonic()
        self._tickets = {token: t for token, t in self._tickets.items() if t.expires > now}
        if len(self._tickets) >= _MOST_TOKENS:
            raise RuntimeFault(f"{_MOST_TOKENS} sessions are waiting to be taken up already")
        token = secrets.token_urlsafe(24)
        self._tickets[token] = ticket
        return f"{self.base_url}/{ticket.kind}/{token}"

    def take(self, kind: str, token: str) -> Ticket | None:
        """What a URL is good for; it is used up by that."""
        ticket = self._tickets.pop(token, None)
        if ticket is None or ticket.kind != kind or ticket.expires <= time.monotonic():
            return None
        return ticket


async def _collect(reader: Reader, into: bytearray) -> None:
    while data := await reader.read():
        into += data[: max(0, _MOST_OUTPUT_BYTES - len(into))]
