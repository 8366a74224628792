"""What CRI's resources become in a container's cgroup, as it sees it itself: one text for cgroup v1 and v2."""

from pathlib import Path

import grpc
import pytest

from nodeagent.runtime.cgroups.choose import cgroups
from nodeagent.runtime.cgroups.v2 import weight_of
from sampan.cri import api_pb2 as cri

VERSION = cgroups().version
only_v2 = pytest.mark.skipif(VERSION != "v2", reason="this machine runs cgroup v1")
FOREVER = ["sleep", "1000"]


async def setting(machine, container: str, v1: str, v2: str) -> str:
    """A file of the container's cgroup; `v1` is controller and name."""
    name = v2 if VERSION == "v2" else v1
    answer = await machine.exec(container, ["cat", f"/sys/fs/cgroup/{name}"])
    return answer.stdout.decode().strip()


async def test_limits_are_set_and_changed(machine) -> None:
    sandbox = await machine.sandbox()
    asked = cri.LinuxContainerResources(
        memory_limit_in_bytes=64 << 20, cpu_shares=512, cpu_quota=50_000, cpu_period=100_000, cpuset_cpus="0"
    )
    container = await machine.run(sandbox, FOREVER, resources=asked)
    assert await setting(machine, container, "memory/memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert await setting(machine, container, "cpu/cpu.shares", "cpu.weight") == (
        str(weight_of(512)) if VERSION == "v2" else "512"
    )
    assert (await setting(machine, container, "cpu/cpu.cfs_quota_us", "cpu.max")).split()[0] == "50000"
    assert await setting(machine, container, "cpuset/cpuset.cpus", "cpuset.cpus") == "0"
    changed = cri.LinuxContainerResources(memory_limit_in_bytes=96 << 20, cpu_quota=-1, cpu_period=100_000)
    request = cri.UpdateContainerResourcesRequest(container_id=container, linux=changed)
    await machine.cri.UpdateContainerResources(request)
    assert await setting(machine, container, "memory/memory.limit_in_bytes", "memory.max") == str(96 << 20)
    quota = await setting(machine, container, "cpu/cpu.cfs_quota_us", "cpu.max")
    assert quota.split()[0] == ("max" if VERSION == "v2" else "-1")


@only_v2
async def test_a_limit_of_memory_allows_no_swap_beyond_it(machine) -> None:
    sandbox = await machine.sandbox()
    plain = await machine.run(sandbox, FOREVER, resources=cri.LinuxContainerResources(memory_limit_in_bytes=32 << 20))
    assert await setting(machine, plain, "", "memory.swap.max") == "0"
    more = cri.LinuxContainerResources(memory_limit_in_bytes=32 << 20, memory_swap_limit_in_bytes=48 << 20)
    swapping = await machine.run(sandbox, FOREVER, "swapping", resources=more)
    assert await setting(machine, swapping, "", "memory.swap.max") == str(16 << 20)


@only_v2
async def test_settings_of_v2_are_passed_through(machine) -> None:
    sandbox = await machine.sandbox()
    unified = {
        "memory.min": str(4 << 20),
        "memory.high": str(24 << 20),
        "memory.oom.group": "1",
        "pids.max": "50",
        "cpu.weight": "77",
        "cpuset.cpus": "0",
    }
    container = await machine.run(sandbox, FOREVER, resources=cri.LinuxContainerResources(unified=unified))
    for name, value in unified.items():
        assert await setting(machine, container, "", name) == value
    request = cri.UpdateContainerResourcesRequest(
        container_id=container, linux=cri.LinuxContainerResources(unified={"memory.high": "max"})
    )
    await machine.cri.UpdateContainerResources(request)
    assert await setting(machine, container, "", "memory.high") == "max"


@only_v2
@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cgroup.procs", "1", "not the name of a resource setting"),
        ("memory/../cgroup.kill", "1", "not the name of a resource setting"),
        ("memory.nonsense", "1", "memory.nonsense"),
        ("memory.max", "much", "Invalid argument"),
    ],
)
async def test_a_wrong_setting_of_v2_is_refused_by_its_name(machine, name: str, value: str, text: str) -> None:
    sandbox = await machine.sandbox()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await machine.create(sandbox, FOREVER, resources=cri.LinuxContainerResources(unified={name: value}))
    assert text in (refused.value.details() or "")


@only_v2
async def test_out_of_memory_as_a_group_nothing_of_a_container_is_left(machine) -> None:
    sandbox = await machine.sandbox()
    asked = cri.LinuxContainerResources(memory_limit_in_bytes=24 << 20, unified={"memory.oom.group": "1"})
    container = await machine.run(sandbox, ["sh", "-c", "tail /dev/zero; echo still here"], resources=asked)
    status = await machine.exited(container)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    assert machine.text() == ""


async def test_only_the_container_that_was_out_of_memory_is_oom_killed(machine) -> None:
    sandbox = await machine.sandbox()
    asked = cri.LinuxContainerResources(memory_limit_in_bytes=24 << 20)
    hungry = await machine.run(sandbox, ["sh", "-c", "exec tail /dev/zero"], "hungry", resources=asked)
    assert (await machine.exited(hungry)).reason == "OOMKilled"
    modest = await machine.run(sandbox, ["sh", "-c", "exit 3"], "modest", resources=asked)
    assert (await machine.exited(modest)).reason == "Error"


async def test_pressure_is_told_where_the_kernel_keeps_it(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sh", "-c", "while true; do :; done"])
    stats = (await machine.cri.ContainerStats(cri.ContainerStatsRequest(container_id=container))).stats
    kept = VERSION == "v2" and Path("/proc/pressure/cpu").exists()
    assert stats.cpu.HasField("psi") == stats.memory.HasField("psi") == stats.HasField("io") == kept


async def test_devices_are_restricted_unless_privileged(machine) -> None:
    sandbox = await machine.sandbox()
    script = """
mknod /tmp/k c 1 11; (: < /tmp/k) && echo kmsg
mknod /tmp/n c 1 3; (: < /tmp/n) && echo null
: > /dev/null && echo written
"""
    assert "kmsg" not in (shown := (await machine.output(sandbox, script)).splitlines())
    assert shown[-2:] == ["null", "written"]
    security = cri.LinuxContainerSecurityContext(privileged=True)
    assert (await machine.output(sandbox, script, "all", security=security)).splitlines() == ["kmsg", "null", "written"]
