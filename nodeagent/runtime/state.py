"""What the runtime knows of a sandbox and a container, and how it lies on disk.

    <state_dir>/sandboxes/<id>/   config.pb  state-N.json  resolv.conf  hostname
    <state_dir>/containers/<id>/  config.pb  state-N.json  stdout stderr stdin (FIFOs)  upper/ work/ root/
    <run_dir>/sandboxes/<id>/     net ipc uts pid (bind mounts of namespaces)  shm/

Always: the newest whole state-N.json counts, and an older one goes only after it is there (a rename over another
file, the usual way, costs ext4 a flush of milliseconds each time); a record that cannot be read is set aside with a
warning, never guessed at.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sampan.cri import api_pb2 as cri


def replace_file(path: Path, content: bytes) -> None:
    """Write so that a reader, and a start after SIGKILL, sees the old content or the new."""
    temporary = path.with_name(f"{path.name}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    os.rename(temporary, path)


class Record:
    """The numbered state files of one directory."""

    def __init__(self, directory: Path, newest: int = 0) -> None:
        self._directory = directory
        self._newest = newest

    @classmethod
    def read(cls, directory: Path) -> "tuple[Record, dict[str, Any]]":
        """The newest state that is whole. Raises ValueError if there is none."""
        numbers = sorted((int(path.stem[6:]) for path in directory.glob("state-*.json")), reverse=True)
        for number in numbers:
            with contextlib.suppress(OSError, ValueError):
                return cls(directory, numbers[0]), dict(json.loads((directory / f"state-{number}.json").read_bytes()))
        raise ValueError("no state file is whole")

    def write(self, state: dict[str, Any]) -> None:
        """Put a newer state, then take the older one away."""
        new = self._directory / f"state-{self._newest + 1}.json"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(json.dumps(state).encode())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._directory / f"state-{self._newest}.json")
        self._newest += 1


@dataclass
class SandboxState:
    """What changes of a sandbox, and what was decided when it was made. Times are nanoseconds since 1970."""

    created_at: int
    ready: bool = False
    namespaces: dict[str, str] = field(default_factory=dict)
    shm: str = ""
    ips: list[str] = field(default_factory=list)
    networked: bool = False
    runtime_handler: str = ""
    cgroup_parent: str = ""


@dataclass
class ContainerState:
    """What changes of a container, and what was decided when it was made. Times are nanoseconds since 1970."""

    sandbox_id: str
    created_at: int
    state: str = "created"
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image_id: str = ""
    image_ref: str = ""
    layers: list[str] = field(default_factory=list)
    log_path: str = ""
    cgroup: str = ""
    stop_signal: int = 15
    user: list[Any] = field(default_factory=list)
    process: dict[str, Any] = field(default_factory=dict)
    drained: bool = False


class Sandbox:
    """A pod's sandbox. `lock` is held while it changes."""

    def __init__(self, id: str, directory: Path, config: cri.PodSandboxConfig, state: SandboxState) -> None:
        self.id = id
        self.directory = directory
        self.config = config
        self.state = state
        self.lock = asyncio.Lock()
        self.record = Record(directory)
        self.timings: dict[str, tuple[int, int]] = {}
        """When steps of its making began and were done, in nanoseconds; not kept across a restart."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """The name that no two sandboxes share."""
        metadata = self.config.metadata
        return (metadata.namespace, metadata.name, metadata.uid, metadata.attempt)

    def save(self) -> None:
        self.record.write(vars(self.state))


class Container:
    """A container. `ended` is set once it has exited; `lock` is held while it changes."""

    def __init__(self, id: str, directory: Path, config: cri.ContainerConfig, state: ContainerState) -> None:
        self.id = id
        self.directory = directory
        self.config = config
        self.state = state
        self.lock = asyncio.Lock()
        self.record = Record(directory)
        self.ended = asyncio.Event()
        self.pid = 0
        self.pidfd = -1
        self.console = -1
        if state.state == "exited":
            self.ended.set()

    @property
    def running(self) -> bool:
        return self.state.state == "running"

    @property
    def key(self) -> tuple[str, str, int]:
        """The name that no two containers share."""
        return (self.state.sandbox_id, self.config.metadata.name, self.config.metadata.attempt)

    def save(self) -> None:
        self.record.write(vars(self.state))

    def close(self) -> None:
        """Close the descriptors that are held of it."""
        for fd in (self.pidfd, self.console):
            if fd >= 0:
                os.close(fd)
        self.pidfd = self.console = -1


def load_sandboxes(folder: Path) -> Iterator[Sandbox | tuple[Path, Exception]]:
    """Every record under a folder; for one that cannot be read, where it lies and why."""
    for directory in sorted(folder.iterdir()):
        try:
            config = cri.PodSandboxConfig.FromString((directory / "config.pb").read_bytes())
            record, state = Record.read(directory)
            sandbox = Sandbox(directory.name, directory, config, SandboxState(**state))
            sandbox.record = record
            yield sandbox
        except Exception as error:  # any damage at all: the record's edge
            yield directory, error


def load_containers(folder: Path) -> Iterator[Container | tuple[Path, Exception]]:
    """As load_sandboxes."""
    for directory in sorted(folder.iterdir()):
        try:
            config = cri.ContainerConfig.FromString((directory / "config.pb").read_bytes())
            record, state = Record.read(directory)
            container = Container(directory.name, directory, config, ContainerState(**state))
            container.record = record
            yield container
        except Exception as error:  # likewise
            yield directory, error
