"""Cgroups: which there are, paths that stay below, weights, and v2's device program."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.cgroups import files
from nodeagent.runtime.cgroups.choose import mounted
from nodeagent.runtime.cgroups.devices import assemble
from nodeagent.runtime.cgroups.resources import CgroupError, DeviceRule, Pressure, Stall
from nodeagent.runtime.cgroups.v2 import weight_of

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def test_the_mounts_say_which_cgroups_there_are() -> None:
    v1, v2 = mounted(HYBRID)
    together = "/sys/fs/cgroup/cpu,cpuacct"
    assert v1 == {"cpu": together, "cpuacct": together, "memory": "/sys/fs/cgroup/memory"}
    assert v2 == "/sys/fs/cgroup/unified"
    assert mounted("30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n") == ({}, "/sys/fs/cgroup")


@pytest.mark.parametrize("path", ["", "relative", "/a/../../b", "/", "/.", "/a\0b"])
def test_a_path_that_is_not_below_its_mount_is_refused(path: str) -> None:
    with pytest.raises(CgroupError):
        files.below("/sys/fs/cgroup", path)


def test_shares_become_weights_on_the_curve_of_kep_2254() -> None:
    assert [weight_of(shares) for shares in (0, 2, 1024, 262144, 10**9)] == [1, 1, 100, 10000, 10000]
    assert [weight_of(shares) for shares in (102, 256, 512, 4096)] == [17, 35, 59, 303]


def run(program: bytes, kind: int, access: int, major: int, minor: int) -> int:
    """What the kernel would answer: the few eBPF instructions that the program uses."""
    data = struct.pack("<III", access << 16 | kind, major, minor)
    code = [struct.unpack_from("=BBhi", program, at) for at in range(0, len(program), 8)]
    registers = [0] * 11
    at = 0
    while True:
        operation, fields, offset, value = code[at]
        to, by = fields & 15, fields >> 4
        at += 1
        match operation:
            case 0x61:
                (registers[to],) = struct.unpack_from("<I", data, offset)
            case 0xB7:
                registers[to] = value
            case 0xBF:
                registers[to] = registers[by]
            case 0x57:
                registers[to] &= value
            case 0x77:
                registers[to] >>= value
            case 0x55:
                at += offset if registers[to] != value else 0
            case 0x5D:
                at += offset if registers[to] != registers[by] else 0
            case 0x15:
                at += offset if registers[to] == value else 0
            case 0x95:
                return registers[0]


BITS = {"m": 1, "r": 2, "w": 4}
number = st.integers(-1, 3)
access = st.sets(st.sampled_from("rwm"), min_size=1).map("".join)
device_rules = st.builds(DeviceRule, st.booleans(), st.sampled_from("abc"), number, number, access)


def allowed(rules: list[DeviceRule], kind: int, wanted: int, major: int, minor: int) -> int:
    for rule in reversed(rules):
        if rule.kind == "a":
            return int(rule.allow)
        bits = sum(BITS[letter] for letter in rule.access)
        fits = {"b": 1, "c": 2}[rule.kind] == kind and rule.major in (-1, major) and rule.minor in (-1, minor)
        if fits and (wanted & ~bits == 0 if rule.allow else wanted & bits):
            return int(rule.allow)
    return 0


@given(st.lists(device_rules, max_size=6), st.integers(1, 2), st.integers(1, 7), st.integers(0, 3), st.integers(0, 3))
def test_the_device_program_agrees_with_the_rules(rules, kind: int, wanted: int, major: int, minor: int) -> None:
    assert run(assemble(rules), kind, wanted, major, minor) == allowed(rules, kind, wanted, major, minor)


def test_pressure_is_read_and_absent_where_there_is_none(tmp_path) -> None:
    assert files.pressure(str(tmp_path), "cpu.pressure") is None
    (tmp_path / "cpu.pressure").write_text(
        "some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=56\n"
    )
    found = files.pressure(str(tmp_path), "cpu.pressure")
    assert found == Pressure(Stall(1.5, 0.25, 0.0, 1234), Stall(0.5, 0.0, 0.0, 56))
    (tmp_path / "cpu.pressure").write_text("some avg10=much\n")
    assert files.pressure(str(tmp_path), "cpu.pressure") is None
