"""Run one command in a throw-away container: what an image build's RUN step is.

`run_once` needs no CRI server, no sandbox and no state that outlives it: it starts a fork server of its own
(or borrows one), gives the command its own pid, net, mount, uts, ipc and cgroup namespaces with only loopback
up, an overlay of `layers` under `upper`, the default capabilities and seccomp profile, and returns its exit status.
What the command changed is left in `upper`, in overlayfs form (whiteouts are character devices 0/0, opaque
directories carry `trusted.overlay.opaque`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Output = Callable[[str, bytes], Awaitable[None] | None]
"""Called with ("stdout" | "stderr", some bytes) as they come; awaited if it returns an awaitable (backpressure)."""


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
    raise NotImplementedError
