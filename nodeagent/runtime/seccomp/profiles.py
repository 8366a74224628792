"""From a wish (RuntimeDefault, a profile file of the node) to the program that the kernel takes."""

import errno
import functools
import json
import os
from collections.abc import Collection
from typing import Any

from nodeagent.runtime.seccomp import bpf, default
from nodeagent.runtime.seccomp.bpf import Comparison, Condition, Profile, ProfileError, Rule
from nodeagent.runtime.seccomp.numbers import numbers

_ALL_NAMESPACE_FLAGS = 0x7E02_0000  # CLONE_NEW* of clone(2), but for the time namespace, which it cannot make
_AF_VSOCK = 40
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFF_FFFF)
_MOST_FILE_BYTES = 1 << 20
_VERDICTS = {
    "SCMP_ACT_ALLOW": bpf.ALLOW,
    "SCMP_ACT_KILL": bpf.KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": bpf.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": bpf.KILL_PROCESS,
    "SCMP_ACT_TRAP": bpf.TRAP,
    "SCMP_ACT_LOG": bpf.LOG,
}


def runtime_default(capabilities: Collection[str]) -> Profile:
    """What a container with these capabilities may call."""
    denied = bpf.fail_with(errno.EPERM)
    rules = [Rule(tuple(default.ALLOWED.split()), bpf.ALLOW)]
    for capability, names in default.WITH_CAPABILITY.items():
        if capability in capabilities:
            rules.append(Rule(tuple(names.split()), bpf.ALLOW))
    if "CAP_SYS_ADMIN" in capabilities:
        rules.append(Rule(("clone", "clone3"), bpf.ALLOW))
    else:
        no_namespaces = Condition(0, Comparison.MASKED, 0, _ALL_NAMESPACE_FLAGS)
        rules.append(Rule(("clone",), bpf.ALLOW, (no_namespaces,)))
        # its flags are behind a pointer; told that it does not exist, C libraries fall back on clone
        rules.append(Rule(("clone3",), bpf.fail_with(errno.ENOSYS)))
    rules.append(Rule(("socket",), bpf.ALLOW, (Condition(0, Comparison.NOT_EQUAL, _AF_VSOCK),)))
    rules += [Rule(("personality",), bpf.ALLOW, (Condition(0, Comparison.EQUAL, p),)) for p in _PERSONALITIES]
    return Profile(denied, tuple(rules))


@functools.lru_cache(maxsize=64)
def default_program(capabilities: frozenset[str]) -> bytes:
    """The compiled RuntimeDefault profile. Raises ProfileError on a machine whose calls are not known here."""
    return _compiled(runtime_default(capabilities))


def localhost_program(path: str) -> bytes:
    """A profile file of the node, in the JSON form of the OCI runtime spec. Raises ProfileError."""
    if not os.path.isabs(path):
        raise ProfileError(f"seccomp profile {path!r}: the path must be absolute")
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_FILE_BYTES + 1)
        if len(content) > _MOST_FILE_BYTES:
            raise ProfileError(f"seccomp profile {path}: larger than {_MOST_FILE_BYTES} bytes")
        return _compiled(parse(json.loads(content)))
    except (OSError, ValueError, RecursionError) as error:
        raise ProfileError(f"seccomp profile {path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ProfileError(f"seccomp profile {path}: not the form of the OCI runtime spec ({error!r})") from error


def parse(document: dict[str, Any]) -> Profile:
    """The OCI runtime spec's seccomp object. Raises ProfileError, KeyError, TypeError."""
    rules = []
    for entry in document.get("syscalls") or ():
        if entry.get("includes") or entry.get("excludes"):
            raise ProfileError("seccomp profile: includes and excludes are engine settings, not part of the OCI form")
        names = entry["names"] if "names" in entry else [entry["name"]]
        conditions = tuple(_condition(argument) for argument in entry.get("args") or ())
        rules.append(Rule(tuple(names), _verdict(entry["action"], entry.get("errnoRet")), conditions))
    return Profile(_verdict(document["defaultAction"], document.get("defaultErrnoRet")), tuple(rules))


def _verdict(action: str, errno_ret: int | None) -> int:
    if action == "SCMP_ACT_ERRNO":
        return bpf.fail_with(errno.EPERM if errno_ret is None else int(errno_ret))
    if action not in _VERDICTS:
        raise ProfileError(f"seccomp profile: action {action!r} is not supported")
    return _VERDICTS[action]


def _condition(argument: dict[str, Any]) -> Condition:
    index, most = int(argument["index"]), 0xFFFF_FFFF_FFFF_FFFF
    if not 0 <= index <= 5:
        raise ProfileError(f"seccomp profile: argument index {index} is not 0 to 5")
    comparison = Comparison(argument["op"])
    value, second = int(argument.get("value", 0)) & most, int(argument.get("valueTwo", 0)) & most
    if comparison is Comparison.MASKED:  # the spec's "value" is the mask then
        return Condition(index, comparison, second, value)
    return Condition(index, comparison, value)


def _compiled(profile: Profile) -> bytes:
    machine = os.uname().machine
    try:
        return bpf.compile_profile(profile, machine, numbers(machine))
    except KeyError:
        raise ProfileError(f"seccomp: system call numbers of {machine} are not known here") from None
