"""Reading and writing the files of a cgroup, with errors that name them."""

import errno
import os
import posixpath
import signal
from collections.abc import Iterator

from nodeagent.runtime.cgroups.resources import CgroupError, Pressure, Stall


def below(mount: str, path: str) -> str:
    """The directory of a cgroup path under a mount. Raises CgroupError for a path that would leave it."""
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise CgroupError(f"cgroup {path!r}: a cgroup path is absolute and has no '..'")
    clean = posixpath.normpath(path).lstrip("/")
    if not clean or clean == ".":
        raise CgroupError(f"cgroup {path!r}: the root cgroup is not ours to use")
    return f"{mount}/{clean}"


def write(directory: str, name: str, value: str) -> None:
    """Write one value. Raises CgroupError."""
    try:
        fd = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise CgroupError(f"write {value!r} to {directory}/{name}: {error.strerror}") from error


def read(directory: str, name: str) -> str:
    """A file's text, "" if it is not there."""
    try:
        with open(f"{directory}/{name}", encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def number(directory: str, name: str) -> int:
    """A file's one number, 0 for "max", nonsense or no file."""
    text = read(directory, name).strip()
    return int(text) if text.isdigit() else 0


def table(directory: str, name: str) -> dict[str, int]:
    """A file of `key number` lines."""
    pairs = (line.split() for line in read(directory, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def pressure(directory: str, name: str) -> Pressure | None:
    """A pressure file, None where the kernel keeps none (no PSI, or it is off at boot)."""
    lines: dict[str, Stall] = {}
    for line in read(directory, name).splitlines():
        kind, *pairs = line.split()
        try:
            value = dict(pair.split("=", 1) for pair in pairs)
            lines[kind] = Stall(
                float(value["avg10"]), float(value["avg60"]), float(value["avg300"]), int(value["total"])
            )
        except (KeyError, ValueError):
            continue
    return Pressure(lines["some"], lines.get("full", Stall())) if "some" in lines else None


def pids(directory: str) -> list[int]:
    """The processes in a cgroup that this PID namespace can see."""
    return [int(line) for line in read(directory, "cgroup.procs").split() if line.isdigit() and line != "0"]


def make(directory: str) -> list[str]:
    """mkdir with parents; the directories that were made, uppermost first. Raises CgroupError."""
    made: list[str] = []
    missing = []
    current = directory
    while not os.path.isdir(current):
        missing.append(current)
        current = os.path.dirname(current)
    for path in reversed(missing):
        try:
            os.mkdir(path)
            made.append(path)
        except FileExistsError:
            continue
        except OSError as error:
            raise CgroupError(f"make cgroup {path}: {error.strerror}") from error
    return made


def children(directory: str) -> list[str]:
    """The names of the cgroups right below one; none if it is not there."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def tree(directory: str) -> Iterator[str]:
    """A cgroup and all below it, deepest first."""
    for folder, _, _ in os.walk(directory, topdown=False):
        yield folder


def kill_all(directory: str, rounds: int = 20) -> None:
    """SIGKILL what is in a cgroup and below, until nothing new appears."""
    for _ in range(rounds):
        found = [pid for folder in tree(directory) for pid in pids(folder)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def remove_tree(directory: str) -> bool:
    """rmdir a cgroup and all below it: False if something is still in it. A missing one is removed."""
    for folder in tree(directory):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise CgroupError(f"remove cgroup {folder}: {error.strerror}") from error
    return True
