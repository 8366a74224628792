"""Run one command in a throw-away container: what an image build's RUN step is.

`run_once` needs no CRI server, no sandbox and no state that outlives it: it starts a fork server of its own
(or borrows one), gives the command its own pid, net, mount, uts, ipc and cgroup namespaces with only loopback
up, an overlay of `layers` under `upper`, the default capabilities and seccomp profile, and returns its exit status.
What the command changed is left in `upper`, in overlayfs form (whiteouts are character devices 0/0, opaque
directories carry `trusted.overlay.opaque`).
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path

from nodeagent.runtime import defaults, plan
from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.cgroups.choose import cgroups
from nodeagent.runtime.cgroups.resources import CgroupError, Cgroups, Limits
from nodeagent.runtime.descriptors import Reader
from nodeagent.runtime.errors import RuntimeFault
from nodeagent.runtime.forks import Ended, ForkClient, ForkError
from nodeagent.runtime.seccomp.profiles import default_program

Output = Callable[[str, bytes], Awaitable[None] | None]
"""Called with ("stdout" | "stderr", some bytes) as they come; awaited if it returns an awaitable (backpressure)."""


class LaunchError(RuntimeFault):
    """The command could not be started: the operation, its path and the kernel's reason."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How the command ended. `code` is 128 + signal when a signal ended it."""

    code: int
    signal: int
    oom_killed: bool


async def run_once(
    *,
    layers: Sequence[Path],
    upper: Path,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str = "/",
    user: str = "",
    output: Output | None = None,
    timeout_seconds: float | None = None,
    memory_bytes: int = 0,
    hostname: str = "build",
    scratch: Path | None = None,
) -> Exit:
    """Run argv to its end over `layers` (read-only directories, topmost first; may be empty), writing into `upper`.

    `upper` must exist; its parent (or `scratch`) holds overlay's work directory, on the same filesystem, and is
    emptied again. `user` is as in an image's config ("", "1000", "app", "app:grp", "1000:1000"), resolved by the
    image's own /etc/passwd and /etc/group. `cwd` is made if it is not there.
    Raises LaunchError (an operation, path and errno) when the command could not be started, TimeoutError when
    `timeout_seconds` passed (the command is killed). Cancelled, it kills the command and cleans up.
    """
    name = f"build-{secrets.token_hex(8)}"
    groups = cgroups()
    cgroup = f"/sampan-{name}"
    beside = Path(tempfile.mkdtemp(prefix=".run-", dir=scratch or upper.parent))
    stdout, stderr = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    theirs = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), stdout[1], stderr[1]]
    readers = {"stdout": Reader(stdout[0]), "stderr": Reader(stderr[0])}
    try:
        (beside / "work").mkdir()
        (beside / "root").mkdir()
        root = plan.Root(tuple(map(str, layers)), str(upper), str(beside / "work"), str(beside / "root"))
        groups.create(cgroup, Limits(memory_bytes=memory_bytes), defaults.DEVICE_RULES)
        request = _request(root, groups, cgroup, argv, env, cwd, user, hostname)
        ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

        def on_exit(_: str, how: Ended) -> None:
            if not ended.done():
                ended.set_result(how)

        async with _fork_server(on_exit) as forks:
            answer = await forks.call("start", theirs, id=name, **request)
            for fd in (*answer.fds, *theirs):
                os.close(fd)
            theirs = []
            async with asyncio.timeout(timeout_seconds), asyncio.TaskGroup() as copies:
                for stream, reader in readers.items():
                    copies.create_task(_copy(stream, reader, output))
                how = await ended
                await forks.call("release", id=name)  # the last to hold the pipes' other ends
        return Exit(how.code, how.signal, how.oom)
    except TimeoutError:
        raise
    except (CgroupError, ForkError, OSError) as error:
        raise LaunchError(f"run {argv[0] if argv else ''!r}: {error}") from error
    finally:
        for fd in theirs:
            os.close(fd)
        for reader in readers.values():
            reader.close()
        await asyncio.shield(asyncio.to_thread(_clean, groups, cgroup, beside))


def _request(
    root: plan.Root,
    groups: Cgroups,
    cgroup: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    user: str,
    hostname: str,
) -> dict[str, object]:
    mask = defaults.capability_mask(defaults.DEFAULT_CAPABILITIES)
    return {
        "flags": sc.CLONE_NEWNET | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS,
        "setup": [
            ["join_cgroups", groups.procs_files(cgroup)],
            ["new_namespaces", sc.CLONE_NEWCGROUP],
            ["loopback"],
            ["hostname", hostname],
            ["leave_host"],
            plan.make_root(root),
            ["pivot", root.target],
            *plan.kernel_mounts(privileged=False, cgroup_version=groups.version, cgroup_mounts=[]),
            ["mount", "/dev/shm", "tmpfs", ["nosuid", "nodev", "noexec"], f"mode=1777,size={defaults.SHM_BYTES}"],
            *(["read_only", path] for path in defaults.READ_ONLY_PATHS),
            *(["mask", path] for path in defaults.MASKED_PATHS),
        ],
        "process": {
            "argv": list(argv),
            "env": [f"{key}={value}" for key, value in {"PATH": defaults.DEFAULT_PATH, **env}.items()],
            "cwd": cwd,
            "identity": {"user": user},
            "capabilities": {"bounding": mask, "effective": mask, "ambient": 0},
            "seccomp": plan.encoded(default_program(defaults.DEFAULT_CAPABILITIES)),
            "die_with_parent": True,
        },
        "oom_file": groups.oom_file(cgroup),
        "procs_files": groups.procs_files(cgroup),
    }


@contextlib.asynccontextmanager
async def _fork_server(on_exit: Callable[[str, Ended], None]) -> AsyncIterator[ForkClient]:
    """A fork server for one use: it dies with us, and what it started dies with it."""
    directory = tempfile.mkdtemp(prefix="sampan-run-")
    script = Path(__file__).with_name("forkserver.py")
    command = [sys.executable, "-I", "-S", str(script), "--socket", f"{directory}/socket", "--state-dir", directory]
    process = _popen([*command, "--with-parent", "yes"])
    forks = ForkClient(f"{directory}/socket", on_exit=on_exit)
    connection = asyncio.ensure_future(forks.run())
    try:
        yield forks
    finally:
        connection.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connection
        process.kill()
        await asyncio.shield(asyncio.to_thread(process.wait))
        shutil.rmtree(directory, ignore_errors=True)


def _popen(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


async def _copy(stream: str, reader: Reader, output: Output | None) -> None:
    while data := await reader.read():
        if output is not None:
            wait = output(stream, data)
            if isawaitable(wait):
                await wait


def _clean(groups: Cgroups, cgroup: str, beside: Path) -> None:
    with contextlib.suppress(CgroupError):
        groups.kill(cgroup)
        for _ in range(100):
            if groups.remove(cgroup):
                break
            time.sleep(0.02)  # in a thread: a killed process needs a moment to go
    shutil.rmtree(beside, ignore_errors=True)
