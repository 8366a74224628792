"""cgroup v2's device list: a BPF program made of rules (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE).

The program sees {access_type: access << 16 | kind, major, minor}, three 32-bit words, and returns 1 to allow.
The rules are tried from the last to the first, so a later one wins, as in cgroup v1's file.
"""

import os
import struct
from collections.abc import Sequence

from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.cgroups.resources import DeviceRule

_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_PROG_LOAD, _PROG_ATTACH, _TYPE_CGROUP_DEVICE, _CGROUP_DEVICE = 5, 8, 15, 6
_ALLOW_MULTI = 2

# Register 2: kind, 3: access asked for, 4: major, 5: minor. See the kernel's Documentation/bpf/standardization.
_LOAD, _MOVE_IMMEDIATE, _MOVE, _AND_IMMEDIATE, _SHIFT = 0x61, 0xB7, 0xBF, 0x57, 0x77
_JUMP_NOT_EQUAL, _JUMP_NOT_EQUAL_REGISTER, _EXIT = 0x55, 0x5D, 0x95


def _instruction(code: int, to: int, by: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", code, by << 4 | to, offset, value)


def assemble(rules: Sequence[DeviceRule]) -> bytes:
    """The program that answers as the rules do, and denies what no rule names."""
    program = [
        _instruction(_LOAD, 2, 1, 0),
        _instruction(_MOVE, 3, 2),
        _instruction(_AND_IMMEDIATE, 2, value=0xFFFF),
        _instruction(_SHIFT, 3, value=16),
        _instruction(_LOAD, 4, 1, 4),
        _instruction(_LOAD, 5, 1, 8),
    ]
    for rule in reversed(rules):
        program += _test(rule)
    program += [_instruction(_MOVE_IMMEDIATE, 0, value=0), _instruction(_EXIT, 0)]
    return b"".join(program)


def _test(rule: DeviceRule) -> list[bytes]:
    verdict = [_instruction(_MOVE_IMMEDIATE, 0, value=int(rule.allow)), _instruction(_EXIT, 0)]
    if rule.kind == "a":
        return verdict
    bits = sum(_ACCESS[letter] for letter in set(rule.access))
    # (register, what it must be) by which a rule says that it does not apply
    checks: list[list[bytes]] = [[_instruction(_JUMP_NOT_EQUAL, 2, value=_KINDS[rule.kind])]]
    if bits != 7:
        if rule.allow:  # applies if all that is asked for is in the rule
            checks.append(
                [
                    _instruction(_MOVE, 1, 3),
                    _instruction(_AND_IMMEDIATE, 1, value=bits),
                    _instruction(_JUMP_NOT_EQUAL_REGISTER, 1, 3),
                ]
            )
        else:  # applies if any of it is
            checks.append(
                [
                    _instruction(_MOVE, 1, 3),
                    _instruction(_AND_IMMEDIATE, 1, value=bits),
                    _instruction(0x15, 1, value=0),  # jump if equal
                ]
            )
    if rule.major >= 0:
        checks.append([_instruction(_JUMP_NOT_EQUAL, 4, value=rule.major)])
    if rule.minor >= 0:
        checks.append([_instruction(_JUMP_NOT_EQUAL, 5, value=rule.minor)])
    body = [one for check in checks for one in check]
    ends = {sum(len(c) for c in checks[: i + 1]) - 1 for i in range(len(checks))}
    length = len(body) + len(verdict)
    patched = []
    for index, one in enumerate(body):
        if index in ends:  # a jump past the verdict
            code, registers, _, value = struct.unpack("=BBhi", one)
            one = struct.pack("=BBhi", code, registers, length - index - 1, value)
        patched.append(one)
    return patched + verdict


def attach(directory: str, program: bytes) -> None:
    """Make a cgroup v2 directory obey a program. Raises OSError (EPERM where BPF is not allowed)."""
    import ctypes

    code = ctypes.create_string_buffer(program, len(program))
    text = ctypes.create_string_buffer(b"Apache-2.0")
    load = struct.pack(
        "=IIQQIIQII",
        _TYPE_CGROUP_DEVICE,
        len(program) // 8,
        ctypes.addressof(code),
        ctypes.addressof(text),
        0,
        0,
        0,
        0,
        0,
    ).ljust(128, b"\0")
    loaded = sc.bpf(_PROG_LOAD, load)
    try:
        at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sc.bpf(_PROG_ATTACH, struct.pack("=IIII", at, loaded, _CGROUP_DEVICE, _ALLOW_MULTI).ljust(128, b"\0"))
        finally:
            os.close(at)
    finally:
        os.close(loaded)
