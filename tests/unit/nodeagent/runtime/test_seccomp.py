"""Seccomp: the compiled program says what the rules say."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.seccomp import bpf
from nodeagent.runtime.seccomp.bpf import Comparison, Condition, Profile, ProfileError, Rule
from nodeagent.runtime.seccomp.numbers import numbers
from nodeagent.runtime.seccomp.profiles import parse, runtime_default

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
WORD = 2**64 - 1


def run(program: bytes, number: int, arch: int, arguments: tuple[int, ...] = ()) -> int:
    """What the kernel would answer: classic BPF over struct seccomp_data."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number, arch, 0, *padded)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    for _ in range(len(code) + 1):
        operation, true, false, k = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:
                accumulator &= k
            case 0x05:
                at += k
            case 0x15:
                at += true if accumulator == k else false
            case 0x25:
                at += true if accumulator > k else false
            case 0x35:
                at += true if accumulator >= k else false
            case 0x06:
                return k
    raise AssertionError("the program does not end")


def verdict(profile: Profile, name: str, arguments: tuple[int, ...]) -> int:
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    for rule in profile.rules:
        if name in rule.names and all(c.holds(padded[c.index]) for c in rule.conditions):
            return rule.verdict
    return profile.default


NAMES = ("read", "write", "openat", "clone", "socket", "personality", "execve", "mount")
values = st.one_of(st.integers(0, WORD), st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**32 + 1, WORD]))
conditions = st.builds(Condition, st.integers(0, 5), st.sampled_from(Comparison), values, values)
rules = st.builds(
    Rule,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple),
    st.sampled_from([bpf.ALLOW, bpf.fail_with(1), bpf.fail_with(38), bpf.KILL_PROCESS]),
    st.lists(conditions, max_size=3).map(tuple),
)
profiles = st.builds(Profile, st.sampled_from([bpf.ALLOW, bpf.fail_with(1)]), st.lists(rules, max_size=6).map(tuple))


@given(
    profiles, st.sampled_from(NAMES), st.lists(values, max_size=6).map(tuple), st.sampled_from(["x86_64", "aarch64"])
)
def test_the_program_agrees_with_the_rules(profile, name: str, arguments, machine: str) -> None:
    table = numbers(machine)
    program = bpf.compile_profile(profile, machine, table)
    assert run(program, table[name], ARCH[machine], arguments) == verdict(profile, name, arguments)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_default_profile_over_every_call(machine: str) -> None:
    table = numbers(machine)
    profile = runtime_default(frozenset())
    program = bpf.compile_profile(profile, machine, table)
    for name, number in table.items():
        assert run(program, number, ARCH[machine]) == verdict(profile, name, ()), name
    newer = run(program, max(table.values()) + 1, ARCH[machine])
    assert newer == bpf.fail_with(errno.ENOSYS)


def test_what_the_default_profile_lets_through_and_what_not() -> None:
    table = numbers("x86_64")
    program = bpf.compile_profile(runtime_default(frozenset()), "x86_64", table)

    def ask(name: str, *arguments: int) -> int:
        return run(program, table[name], ARCH["x86_64"], arguments)

    denied = bpf.fail_with(errno.EPERM)
    for name in ("mount", "bpf", "keyctl", "kexec_load", "init_module", "unshare", "setns", "io_uring_setup", "reboot"):
        assert ask(name) == denied, name
    for name in ("read", "execve", "setuid", "chown", "ptrace", "futex", "epoll_wait"):
        assert ask(name) == bpf.ALLOW, name
    assert ask("clone", 0x11) == bpf.ALLOW
    assert ask("clone", 0x10000000) == denied  # CLONE_NEWUSER
    assert ask("clone3") == bpf.fail_with(errno.ENOSYS)
    assert (ask("socket", 2), ask("socket", 40)) == (bpf.ALLOW, denied)
    other_machine = run(program, table["read"], ARCH["aarch64"])
    assert other_machine == bpf.fail_with(errno.ENOSYS)
    x32 = run(program, 0x40000000 | table["read"], ARCH["x86_64"])
    assert x32 == bpf.fail_with(errno.ENOSYS)


def test_a_capability_brings_its_calls_back() -> None:
    program = bpf.compile_profile(runtime_default({"CAP_SYS_ADMIN"}), "x86_64", numbers("x86_64"))
    assert run(program, numbers("x86_64")["mount"], ARCH["x86_64"]) == bpf.ALLOW


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY"),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "x", "includes": {"a": 1}}]},
            "includes",
        ),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}
                ],
            },
            "index 6",
        ),
    ],
)
def test_a_profile_that_cannot_be_honoured_is_refused(document: dict, text: str) -> None:
    with pytest.raises(ProfileError, match=text):
        parse(document)
