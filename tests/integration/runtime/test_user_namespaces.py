"""Pods in user namespaces of their own: root inside is nobody outside, and everything else works as in other pods."""

import json
import os
from pathlib import Path

import grpc
import grpc.aio
import pytest

from sampan.cri import api_pb2 as cri

from .conftest import until

FIRST, LENGTH = 20 << 16, 1 << 16


def users(first: int = FIRST, length: int = LENGTH, inside: int = 0) -> cri.UserNamespace:
    mapping = cri.IDMapping(host_id=first, container_id=inside, length=length)
    return cri.UserNamespace(mode=cri.NamespaceMode.POD, uids=[mapping], gids=[mapping])


def options(first: int = FIRST, pid: int = cri.NamespaceMode.CONTAINER, **more: object) -> cri.NamespaceOption:
    return cri.NamespaceOption(pid=pid, userns_options=users(first), **more)


def security(first: int = FIRST, **more: object) -> cri.LinuxContainerSecurityContext:
    return cri.LinuxContainerSecurityContext(namespace_options=options(first), **more)


def mapped(where: str, source: Path, first: int = FIRST) -> cri.Mount:
    wish = users(first)
    return cri.Mount(container_path=where, host_path=str(source), uidMappings=wish.uids, gidMappings=wish.gids)


async def pid_of(machine, container: str) -> int:
    request = cri.ContainerStatusRequest(container_id=container, verbose=True)
    return int(json.loads((await machine.cri.ContainerStatus(request)).info["info"])["pid"])


def ids(pid: int, which: str) -> set[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(one) for line in lines if line.startswith(which) for one in line.split()[1:]}


async def test_root_inside_is_somebody_else_outside(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    volume = machine.base / "volume"
    volume.mkdir()
    script = "cat /proc/self/uid_map /proc/self/gid_map; id -u; stat -c %u:%g / /etc/secret /v; cat /etc/secret; "
    script += "touch /made /v/root; chown 1000:2000 /v; chmod 777 /v; echo done; exec sleep 1000"
    container = await machine.run(sandbox, ["sh", "-c", script], security=security(), mounts=[mapped("/v", volume)])
    await until(lambda: "done" in machine.text())
    words = machine.text().split()
    assert words[:6] == ["0", str(FIRST), str(LENGTH)] * 2
    assert words[6:10] == ["0", "0:0", "0:0", "0:0"]
    pid = await pid_of(machine, container)
    assert ids(pid, "Uid:") == ids(pid, "Gid:") == {FIRST}
    assert (volume / "root").stat().st_uid == 0  # on disk it has the owner that it has inside
    assert (volume.stat().st_uid, volume.stat().st_gid) == (1000, 2000)
    upper = machine.base / "state/containers" / container / "upper"
    assert (upper / "made").stat().st_uid == 0


async def test_a_user_of_the_pod_is_one_of_its_range(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    who = security(run_as_user=cri.Int64Value(value=1000))
    script = "id -u; echo again > /dev/stdout; touch /tmp/mine && stat -c %u:%g /tmp/mine; exec sleep 1000"
    container = await machine.run(sandbox, ["sh", "-c", script], security=who)
    await until(lambda: machine.text().split() == ["1000", "again", "1000:1000"])
    assert ids(await pid_of(machine, container), "Uid:") == {FIRST + 1000}
    assert (await machine.exec(container, ["sh", "-c", "id -u; echo x > /dev/stdout"])).stdout == b"1000\nx\n"


async def test_a_user_that_the_pod_does_not_have_is_refused(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    with pytest.raises(grpc.aio.AioRpcError, match=r"become user 70000.*not all of these are in the pod's user"):
        await machine.run(sandbox, ["true"], security=security(run_as_user=cri.Int64Value(value=70000)))


async def test_two_pods_have_ranges_of_their_own_and_containers_share_their_pod_s(machine) -> None:
    one = await machine.sandbox("one", namespaces=options(FIRST))
    other = await machine.sandbox("other", namespaces=options(FIRST + LENGTH))
    namespaces = []
    for sandbox, name, first in ((one, "a", FIRST), (one, "b", FIRST), (other, "c", FIRST + LENGTH)):
        container = await machine.run(sandbox, ["sleep", "1000"], name, security=security(first))
        pid = await pid_of(machine, container)
        assert ids(pid, "Uid:") == {first}
        namespaces.append(os.readlink(f"/proc/{pid}/ns/user"))
    assert namespaces[0] == namespaces[1] != namespaces[2]


async def test_capabilities_are_those_of_the_namespace(machine) -> None:
    """CAP_NET_ADMIN and CAP_SYS_ADMIN work on what is the pod's, and on nothing that is the machine's."""
    sandbox = await machine.sandbox(namespaces=options())
    wish = cri.Capability(add_capabilities=["SYS_ADMIN", "NET_ADMIN", "MKNOD", "SYS_TIME", "SYS_RESOURCE"])
    tries = [
        "mount -t tmpfs mine /tmp && echo mounted",
        "hostname renamed && hostname",
        "mknod /tmp/disk b 254 0 || echo no device",
        "umount /proc/sys || echo still covered",
        "mount -o remount,rw /proc/sys || echo still read-only",
        "unshare -n true && echo unshared",
        "echo 1 > /proc/sys/kernel/sysrq || echo no sysctl",
        "busybox date -s 2030-01-01 2>&1 | grep 'not permitted'",
    ]
    text = await machine.output(sandbox, "; ".join(tries), security=security(capabilities=wish))
    for word in ("mounted", "renamed", "no device", "still covered", "still read-only", "unshared", "no sysctl"):
        assert word in text.splitlines(), (word, text)
    assert "can't set date: Operation not permitted" in text


async def test_a_privileged_container_has_all_rights_inside_and_opens_no_disk(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    script = "exec 2>/dev/null; mount -t tmpfs mine /tmp && echo mounted; "
    script += "grep Seccomp: /proc/self/status; ls /dev/null > /dev/null; "
    script += (
        "for d in /dev/*; do [ -b $d ] && echo disk && dd if=$d of=/dev/null count=1 2>/dev/null && echo READ; done; "
    )
    script += "umount /sys && echo uncovered; echo over"
    text = await machine.output(sandbox, script, security=security(privileged=True))
    lines = text.split()
    assert lines[0] == "mounted"
    assert "0" in lines
    assert "disk" in lines
    assert not {"READ", "uncovered"} & set(lines)
    assert lines[-1] == "over"


async def test_what_only_the_machine_s_root_may_is_refused(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    secret, folder = machine.base / "secret", machine.base / "folder"
    secret.write_text("the machine's own\n")
    secret.chmod(0o600)
    folder.mkdir(mode=0o755)
    mounts = [
        cri.Mount(container_path="/secret", host_path=str(secret)),
        cri.Mount(container_path="/folder", host_path=str(folder)),
    ]
    script = "exec 2>/dev/null; "
    script += "cat /secret || echo unread; touch /folder/x || echo unwritten; chown 0 /secret || echo unowned; "
    script += "stat -c %u /secret"
    text = await machine.output(sandbox, script, security=security(), mounts=mounts)
    for word in ("unread", "unwritten", "unowned"):
        assert word in text
    assert text.splitlines()[-1] == "65534"
    assert "own\n" not in text.replace("unowned", "")


async def test_exec_with_and_without_a_terminal(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    container = await machine.run(sandbox, ["sleep", "1000"], security=security())
    script = "id -u; cat /proc/self/uid_map; grep CapEff /proc/self/status /proc/1/status | tr ':' ' '"
    words = (await machine.exec(container, ["sh", "-c", script])).stdout.split()
    assert words[:4] == [b"0", b"0", str(FIRST).encode(), str(LENGTH).encode()]
    assert words[6] == words[9]  # as the container's first process has them
    text = (await machine.exec(container, ["sh", "-c", "touch /x && stat -c %u /x; echo err >&2"])).stdout
    assert text == b"0\n"
    terminal = await machine.run(sandbox, ["sh", "-c", "tty; stat -c %u:%g $(tty)"], "t", security=security(), tty=True)
    await machine.exited(terminal)
    assert machine.text("t").split() == ["/dev/pts/0", "0:5"]


async def test_shared_processes_and_an_ephemeral_container(machine) -> None:
    pod = cri.NamespaceMode.POD
    sandbox = await machine.sandbox(namespaces=options(pid=pod))
    shared = cri.LinuxContainerSecurityContext(namespace_options=options(pid=pod))
    first = await machine.run(sandbox, ["sleep", "1000"], "first", security=shared)
    script = "until ps | grep -q '^ *1 root .*pause$'; do sleep 0.05; done; ps"
    assert "sleep 1000" in await machine.output(sandbox, script, "other", security=shared)
    aim = cri.NamespaceOption(pid=cri.NamespaceMode.TARGET, target_id=first, userns_options=users())
    debug = await machine.output(
        sandbox, "ps", "debug", security=cri.LinuxContainerSecurityContext(namespace_options=aim)
    )
    assert "sleep 1000" in debug


async def test_sysctls_shm_and_kill(machine) -> None:
    sandbox = await machine.sandbox(
        namespaces=options(),
        linux=cri.LinuxPodSandboxConfig(
            sysctls={"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shm_rmid_forced": "1"}
        ),
    )
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced; "
    script += "stat -c %u:%g:%a /dev/shm; touch /dev/shm/x && echo written; exec sleep 1000"
    container = await machine.run(sandbox, ["sh", "-c", script], security=security())
    await until(lambda: machine.text().split() == ["80", "1", "0:0:1777", "written"])
    await machine.cri.StopContainer(cri.StopContainerRequest(container_id=container, timeout=0))
    assert (await machine.status(container)).exit_code == 137


async def test_a_container_out_of_memory_is_told_so(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    resources = cri.LinuxContainerResources(memory_limit_in_bytes=16 << 20, memory_swap_limit_in_bytes=16 << 20)
    container = await machine.run(sandbox, ["sh", "-c", "tail /dev/zero"], security=security(), resources=resources)
    status = await machine.exited(container)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


async def test_the_namespace_outlives_runtime_and_fork_server(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    old = await machine.run(sandbox, ["sleep", "1000"], "old", security=security())
    before = os.readlink(f"/proc/{await pid_of(machine, old)}/ns/user")
    for name in ("runtime", "forkserver"):
        machine.kill(name)
    machine.start_forkserver()
    machine.start_runtime()
    await machine.connect()
    assert (await machine.status(old)).state == cri.ContainerState.CONTAINER_RUNNING
    new = await machine.run(sandbox, ["sleep", "1000"], "new", security=security())
    pid = await pid_of(machine, new)
    assert os.readlink(f"/proc/{pid}/ns/user") == before
    assert ids(pid, "Uid:") == {FIRST}
    assert (await machine.exec(old, ["cat", "/proc/self/uid_map"])).stdout.split()[1] == str(FIRST).encode()
    status = (await machine.cri.PodSandboxStatus(cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox))).status
    assert status.linux.namespaces.options.userns_options == users()


async def test_the_image_and_a_failing_start_leave_nothing(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    with pytest.raises(grpc.aio.AioRpcError, match="executable file not found"):
        await machine.run(sandbox, ["no-such-command"], security=security())
    nowhere = [
        cri.Mount(container_path="/v", host_path="/proc/1/fd", uidMappings=users().uids, gidMappings=users().gids)
    ]
    with pytest.raises(grpc.aio.AioRpcError, match=r"the filesystem of /v \(type 0x9fa0\) can't be shown to a user"):
        await machine.run(sandbox, ["true"], "unmappable", security=security(), mounts=nowhere)


async def test_the_runtime_says_that_it_can(machine) -> None:
    status = await machine.cri.Status(cri.StatusRequest())
    assert [handler.features.user_namespaces for handler in status.runtime_handlers] == [True, True]


def pair(*mappings: tuple[int, int, int]) -> cri.NamespaceOption:
    made = [cri.IDMapping(container_id=inside, host_id=outside, length=length) for inside, outside, length in mappings]
    wish = cri.UserNamespace(mode=cri.NamespaceMode.POD, uids=made, gids=made)
    return cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER, userns_options=wish)


REFUSED = [
    (pair(), "userns_options.uids: mode POD needs a mapping"),
    (pair((0, FIRST, 0)), "userns_options.uids: invalid mapping length: 0"),
    (pair((0, 0, LENGTH)), "overlaps the machine's own ids, 0-65535"),
    (pair((0, 65535, LENGTH)), "overlaps the machine's own ids, 0-65535"),
    (pair((0, 2**32 - 10, 100)), "goes beyond the last id"),
    (pair((0, FIRST, 100), (50, FIRST + 1000, 100)), "overlap in container ids"),
    (pair((0, FIRST, 100), (100, FIRST + 50, 100)), "overlap in host ids"),
    (pair((1, FIRST, LENGTH)), "0 is not mapped, and a container needs a root"),
    (
        cri.NamespaceOption(userns_options=cri.UserNamespace(mode=cri.NamespaceMode.CONTAINER)),
        "unsupported user namespace mode: 'CONTAINER'",
    ),
    (options(network=cri.NamespaceMode.NODE), "machine's own network namespace"),
    (options(ipc=cri.NamespaceMode.NODE), "machine's own ipc namespace"),
    (options(pid=cri.NamespaceMode.NODE), "machine's own pid namespace"),
]


async def test_hostile_maps_are_refused(machine) -> None:
    for wish, words in REFUSED:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await machine.sandbox(namespaces=wish)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert words in caught.value.details()


async def test_a_container_can_not_leave_its_pod_s_users(machine) -> None:
    sandbox = await machine.sandbox(namespaces=options())
    for other in (options(FIRST + LENGTH), cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER)):
        with pytest.raises(grpc.aio.AioRpcError, match="user namespace config for sandbox is different from container"):
            await machine.create(sandbox, ["true"], security=cri.LinuxContainerSecurityContext(namespace_options=other))
    volume = machine.base / "v"
    volume.mkdir()
    with pytest.raises(grpc.aio.AioRpcError, match="must be those of the pod"):
        await machine.run(sandbox, ["true"], security=security(), mounts=[mapped("/v", volume, FIRST + LENGTH)])
