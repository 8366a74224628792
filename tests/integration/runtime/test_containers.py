"""Containers through the CRI socket: start, end, rights, mounts, limits."""

import os
import time

import grpc
import pytest

from sampan.cri import api_pb2 as cri

from .conftest import until

PROFILE = cri.SecurityProfile


def security(**values: object) -> cri.LinuxContainerSecurityContext:
    return cri.LinuxContainerSecurityContext(**values)


async def test_a_command_runs_and_its_exit_code_and_output_are_kept(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    status = await machine.exited(container)
    assert (status.exit_code, status.reason) == (3, "Error")
    assert status.finished_at >= status.started_at >= status.created_at > 0
    assert machine.text(stream="stdout") == "out\n"
    assert machine.text(stream="stderr") == "err\n"


async def test_the_image_gives_command_and_environment_and_the_container_overrides(machine) -> None:
    sandbox = await machine.sandbox()
    await machine.exited(await machine.run(sandbox, [], "plain"))
    assert machine.text("plain") == "from the image\n"
    envs = [cri.KeyValue(key="FROM_IMAGE", value="no"), cri.KeyValue(key="MORE", value="a=b")]
    shown = await machine.output(sandbox, "env", "more", envs=envs)
    assert {"FROM_IMAGE=no", "MORE=a=b", "HOSTNAME=pod", "PATH=/bin"} <= set(shown.splitlines())


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nothere"], 'exec: "nothere": executable file not found in $PATH'),
        (["/bin/nothere"], 'exec: "/bin/nothere": stat /bin/nothere: no such file or directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
    ],
)
async def test_a_command_that_cannot_run_is_named(machine, argv: list[str], text: str) -> None:
    sandbox = await machine.sandbox()
    container = await machine.create(sandbox, argv)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await machine.start(container)
    assert text in caught.value.details()
    status = await machine.status(container)
    assert (status.state, status.reason, status.exit_code) == (cri.ContainerState.CONTAINER_EXITED, "StartError", 128)


async def test_stop_sends_the_stop_signal_then_kills_after_the_timeout(machine) -> None:
    sandbox = await machine.sandbox()
    script = "trap 'echo stopping; exit 7' TERM; echo up; while true; do sleep 0.05; done"
    polite = await machine.run(sandbox, ["sh", "-c", script], "polite")
    stubborn = await machine.run(sandbox, ["sh", "-c", "trap '' TERM; echo up; sleep 60"], "stubborn")
    await until_log(machine, "polite", "up\n")
    await until_log(machine, "stubborn", "up\n")
    await machine.cri.StopContainer(cri.StopContainerRequest(container_id=polite, timeout=10))
    assert (await machine.status(polite)).exit_code == 7
    before = time.monotonic()
    await machine.cri.StopContainer(cri.StopContainerRequest(container_id=stubborn, timeout=1))
    assert time.monotonic() - before >= 1
    assert (await machine.status(stubborn)).exit_code == 137
    assert machine.text("polite") == "up\nstopping\n"


async def until_log(machine, name: str, text: str) -> None:
    await until(lambda: (machine.logs / "pod" / f"{name}.log").exists() and text in machine.text(name))


async def test_a_container_sees_only_itself(machine) -> None:
    sandbox = await machine.sandbox()
    shown = await machine.output(
        sandbox, "echo $$; hostname; ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | tail -n +3"
    )
    lines = shown.splitlines()
    assert lines[:2] == ["1", "pod"]
    assert int(lines[2]) <= 4  # the shell and its pipeline
    assert len(lines) == 4
    assert lines[3].strip().startswith("lo:")


async def test_containers_of_a_pod_share_network_ipc_and_hostname_and_may_share_pids(machine) -> None:
    sandbox = await machine.sandbox(namespaces=cri.NamespaceOption(pid=cri.NamespaceMode.POD))
    pod = cri.NamespaceMode.POD
    sleeper = await machine.run(sandbox, ["sh", "-c", "echo shared > /dev/shm/note; sleep 1000"], "a", pid=pod)
    await machine.exec(sleeper, ["sh", "-c", "while ! cat /dev/shm/note; do sleep 0.05; done"])
    one = (await machine.exec(sleeper, ["sh", "-c", "stat -L -c %i /proc/self/ns/*"])).stdout.split()
    shown = await machine.output(sandbox, "cat /dev/shm/note; stat -L -c %i /proc/self/ns/*; ps", "b", pid=pod)
    lines = shown.splitlines()
    assert lines[0] == "shared"
    names = sorted(os.listdir("/proc/self/ns"))
    same = dict(zip(names, one, strict=True)), dict(zip(names, lines[1 : 1 + len(names)], strict=True))
    for kind in ("net", "ipc", "uts", "pid"):
        assert same[0][kind].decode() == same[1][kind], kind
    assert same[0]["mnt"].decode() != same[1]["mnt"]
    assert "sleep 1000" in shown
    assert "pause" in shown


async def test_what_is_left_of_a_container_without_its_own_pid_namespace_dies_with_it(machine) -> None:
    sandbox = await machine.sandbox(namespaces=cri.NamespaceOption(pid=cri.NamespaceMode.POD))
    pod = cri.NamespaceMode.POD
    watcher = await machine.run(sandbox, ["sleep", "1000"], "watcher", pid=pod)
    await machine.exited(await machine.run(sandbox, ["sh", "-c", "sleep 777 & exit 0"], "leaver", pid=pod))

    async def gone() -> bool:
        return b"sleep 777" not in (await machine.exec(watcher, ["ps"])).stdout

    await until(gone)


async def test_a_hostile_container_does_not_touch_the_shared_image(machine) -> None:
    sandbox = await machine.sandbox()
    await machine.output(sandbox, "rm /bin/ls /etc/passwd; echo changed > /etc/group", "first")
    assert "app" in await machine.output(sandbox, "cat /etc/passwd; ls /bin > /dev/null && cat /etc/group", "second")


async def test_users_come_from_the_image_and_from_the_request(machine) -> None:
    sandbox = await machine.sandbox()
    show = "id -u; id -g; id -G; echo $HOME; cat /etc/secret 2>/dev/null || echo no"
    by_name = await machine.output(sandbox, show, "name", security=security(run_as_username="app"))
    assert by_name.split() == ["1000", "1000", "1000", "2000", "/home/app", "no"]
    numbers = security(
        run_as_user=cri.Int64Value(value=4321),
        run_as_group=cri.Int64Value(value=77),
        supplemental_groups=[5, 6],
    )
    by_number = await machine.output(sandbox, show, "number", security=numbers)
    assert by_number.split() == ["4321", "77", "77", "5", "6", "/", "no"]
    strict = security(
        run_as_username="app", supplemental_groups_policy=cri.SupplementalGroupsPolicy.Strict, supplemental_groups=[9]
    )
    container = await machine.run(sandbox, ["sh", "-c", "id -G"], "strict", security=strict)
    status = await machine.exited(container)
    assert machine.text("strict").split() == ["1000", "9"]
    assert (status.user.linux.uid, list(status.user.linux.supplemental_groups)) == (1000, [1000, 9])
    unknown = await machine.create(sandbox, ["id"], "unknown", security=security(run_as_username="nobody-here"))
    with pytest.raises(grpc.aio.AioRpcError, match="unable to find user nobody-here"):
        await machine.start(unknown)


async def test_capabilities_are_the_default_ones_unless_asked_otherwise(machine) -> None:
    sandbox = await machine.sandbox()
    show = "grep -E 'Cap(Eff|Bnd|Amb)|NoNewPrivs|Seccomp:' /proc/self/status"

    async def shown(name: str, context: cri.LinuxContainerSecurityContext) -> dict[str, str]:
        text = await machine.output(sandbox, show, name, security=context)
        return dict(line.split(":\t") for line in text.splitlines())

    default = await shown("default", security())
    assert default["CapEff"] == "00000000a80425fb"
    assert (default["NoNewPrivs"], default["Seccomp"]) == ("0", "0")
    none = await shown("none", security(capabilities=cri.Capability(drop_capabilities=["ALL"])))
    assert none["CapEff"] == none["CapBnd"] == "0000000000000000"
    wish = cri.Capability(drop_capabilities=["ALL"], add_capabilities=["NET_BIND_SERVICE"])
    one = await shown("one", security(capabilities=wish))
    assert one["CapEff"] == "0000000000000400"
    user = await shown("user", security(run_as_user=cri.Int64Value(value=1000)))
    assert user["CapEff"] == "0000000000000000"
    ambient = cri.Capability(add_ambient_capabilities=["NET_ADMIN"])
    kept = await shown("kept", security(run_as_user=cri.Int64Value(value=1000), capabilities=ambient))
    assert kept["CapEff"] == kept["CapAmb"] == "0000000000001000"
    strict = await shown("strict", security(no_new_privs=True, seccomp=PROFILE()))
    assert (strict["NoNewPrivs"], strict["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("no_new_privs", [False, True])
async def test_the_default_seccomp_profile_refuses_what_it_should(machine, no_new_privs: bool) -> None:
    sandbox = await machine.sandbox()
    context = security(seccomp=PROFILE(profile_type=PROFILE.ProfileType.RuntimeDefault), no_new_privs=no_new_privs)
    shown = await machine.output(sandbox, "unshare -U true; echo $?; mkdir /x; echo $?", security=context)
    assert "Operation not permitted" in shown
    assert shown.splitlines()[-2:] == ["1", "0"]


async def test_a_localhost_seccomp_profile_is_obeyed(machine) -> None:
    profile = machine.base / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", '
        '"errnoRet": 28}]}'
    )
    sandbox = await machine.sandbox()
    context = security(seccomp=PROFILE(profile_type=PROFILE.ProfileType.Localhost, localhost_ref=str(profile)))
    assert "No space left on device" in await machine.output(sandbox, "mkdir /x", security=context)


async def test_a_read_only_root_stays_and_volumes_can_be_written(machine) -> None:
    volume = machine.base / "volume"
    volume.mkdir()
    mounts = [cri.Mount(container_path="/data", host_path=str(volume))]
    sandbox = await machine.sandbox()
    shown = await machine.output(
        sandbox,
        "touch /new; echo $?; echo written > /data/file; echo $?",
        security=security(readonly_rootfs=True),
        mounts=mounts,
    )
    assert "Read-only file system" in shown
    assert shown.splitlines()[-2:] == ["1", "0"]
    assert (volume / "file").read_text() == "written\n"


async def test_mounts_of_files_and_read_only_ones_and_of_what_is_missing(machine) -> None:
    (machine.base / "file").write_text("content\n")
    (machine.base / "nested").mkdir()
    (machine.base / "nested/inner").write_text("inner\n")
    sandbox = await machine.sandbox()
    mounts = [
        cri.Mount(container_path="/deep/er/file", host_path=str(machine.base / "file"), readonly=True),
        cri.Mount(
            container_path="/ro", host_path=str(machine.base / "nested"), readonly=True, recursive_read_only=True
        ),
    ]
    shown = await machine.output(
        sandbox, "cat /deep/er/file /ro/inner; echo x > /deep/er/file; touch /ro/new; echo done", mounts=mounts
    )
    assert shown.startswith("content\ninner\n")
    assert shown.count("Read-only file system") == 2
    missing = [cri.Mount(container_path="/x", host_path=str(machine.base / "missing"))]
    container = await machine.create(sandbox, ["true"], "missing", mounts=missing)
    with pytest.raises(grpc.aio.AioRpcError, match=r"missing.*No such file or directory \(ENOENT\)"):
        await machine.start(container)


async def test_a_volumes_symlink_leads_a_mount_neither_to_the_host_nor_into_proc(machine) -> None:
    volume = machine.base / "volume"
    volume.mkdir()
    (volume / "out").symlink_to(machine.base / "victim")
    (volume / "proc").symlink_to("/proc/sys")
    (machine.base / "victim").mkdir()
    (machine.base / "source").mkdir()
    (machine.base / "source/marker").write_text("here")
    sandbox = await machine.sandbox()
    volume_mount = cri.Mount(container_path="/data", host_path=str(volume))
    inner = cri.Mount(container_path="/data/out", host_path=str(machine.base / "source"))
    container = await machine.run(sandbox, ["sleep", "1000"], "a", mounts=[volume_mount, inner])
    assert list((machine.base / "victim").iterdir()) == []
    assert (await machine.exec(container, ["cat", f"{machine.base}/victim/marker"])).stdout == b"here"
    into_proc = cri.Mount(container_path="/data/proc", host_path=str(machine.base / "source"))
    refused = await machine.create(sandbox, ["true"], "b", mounts=[volume_mount, into_proc])
    with pytest.raises(grpc.aio.AioRpcError, match="lies in a proc filesystem"):
        await machine.start(refused)


async def test_proc_is_masked_and_devices_are_few(machine) -> None:
    sandbox = await machine.sandbox()
    shown = await machine.output(
        sandbox,
        "wc -c < /proc/keys; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/printk; echo $?; ls /dev; "
        "mknod /tmp/disk b 254 0; cat /tmp/disk 2>&1 | head -c 200; echo; head -c 3 /dev/zero | wc -c",
    )
    lines = shown.splitlines()
    assert lines[:2] == ["0", "0"]
    assert "Read-only file system" in shown
    devices = {"core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"}
    assert devices <= set(lines)
    assert "Operation not permitted" in shown
    assert lines[-1] == "3"


async def test_a_privileged_container_has_the_machines_rights(machine) -> None:
    sandbox = await machine.sandbox()
    shown = await machine.output(
        sandbox,
        "mkdir /mnt; mount -t tmpfs none /mnt; echo $?; echo 4 4 1 7 > /proc/sys/kernel/printk; ls /dev | wc -l",
        security=security(privileged=True),
    )
    lines = shown.splitlines()
    assert lines[0] == "0"
    assert "Read-only" not in shown
    assert int(lines[-1]) > 20


async def test_a_container_over_its_memory_is_killed_and_says_so(machine) -> None:
    sandbox = await machine.sandbox()
    resources = cri.LinuxContainerResources(memory_limit_in_bytes=24 << 20)
    container = await machine.run(sandbox, ["tail", "/dev/zero"], resources=resources)
    status = await machine.exited(container, 30)
    assert (status.reason, status.exit_code) == ("OOMKilled", 137)


async def test_limits_can_be_changed_and_figures_are_there(machine) -> None:
    sandbox = await machine.sandbox()
    resources = cri.LinuxContainerResources(
        memory_limit_in_bytes=64 << 20, cpu_shares=512, cpu_quota=50_000, cpu_period=100_000
    )
    script = "dd if=/dev/zero of=/file bs=1024 count=512; while true; do :; done"
    container = await machine.run(sandbox, ["sh", "-c", script], resources=resources)

    async def stats() -> cri.ContainerStats | None:
        request = cri.ContainerStatsRequest(container_id=container)
        found = (await machine.cri.ContainerStats(request)).stats
        return found if found.cpu.usage_core_nano_seconds.value > 10_000_000 else None

    found = await until(stats)
    assert 0 < found.memory.working_set_bytes.value < 64 << 20
    assert found.memory.available_bytes.value > 0
    changed = cri.LinuxContainerResources(memory_limit_in_bytes=32 << 20)
    await machine.cri.UpdateContainerResources(
        cri.UpdateContainerResourcesRequest(container_id=container, linux=changed)
    )
    status = await machine.status(container)
    assert status.resources.linux.memory_limit_in_bytes == 32 << 20
    assert status.resources.linux.cpu_shares == 512
    pods = await machine.cri.ListPodSandboxStats(cri.ListPodSandboxStatsRequest())
    assert [c.attributes.id for c in pods.stats[0].linux.containers] == [container]


async def test_exec_gives_output_and_exit_code_and_ends_by_its_timeout(machine) -> None:
    sandbox = await machine.sandbox()
    context = security(run_as_username="app", capabilities=cri.Capability(drop_capabilities=["ALL"]))
    envs = [cri.KeyValue(key="OWN", value="1")]
    container = await machine.run(sandbox, ["sleep", "1000"], security=context, envs=envs, working_dir="/home/app")
    result = await machine.exec(container, ["sh", "-c", "id -u; pwd; echo $OWN; grep CapEff /proc/self/status; exit 9"])
    assert result.exit_code == 9
    assert result.stdout.split() == [b"1000", b"/home/app", b"1", b"CapEff:", b"0000000000000000"]
    missing = machine.exec(container, ["nothere"])
    with pytest.raises(grpc.aio.AioRpcError, match="executable file not found"):
        await missing
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await machine.exec(container, ["sleep", "500"], timeout=1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED

    async def gone() -> bool:
        return b"sleep 500" not in (await machine.exec(container, ["ps"])).stdout

    await until(gone)


async def test_a_flood_of_exec_output_is_cut_and_does_no_harm(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sleep", "1000"])
    options = [("grpc.max_receive_message_length", 64 << 20)]
    async with grpc.aio.insecure_channel(f"unix:{machine.socket}", options=options) as channel:
        from sampan.cri import api_pb2_grpc

        stub = api_pb2_grpc.RuntimeServiceStub(channel)
        argv = ["sh", "-c", "head -c 15000000 /dev/zero; echo end >&2"]
        result = await stub.ExecSync(cri.ExecSyncRequest(container_id=container, cmd=argv, timeout=30))
    assert (len(result.stdout), result.stderr, result.exit_code) == (15_000_000, b"end\n", 0)


async def test_lists_are_filtered_and_calls_can_be_repeated(machine) -> None:
    sandbox = await machine.sandbox(labels={"app": "web"})
    container = await machine.run(sandbox, ["sleep", "1000"], labels={"role": "main"})
    other = await machine.sandbox("other")

    async def sandboxes(**wanted: object) -> list[str]:
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(**wanted))
        return [item.id for item in (await machine.cri.ListPodSandbox(request)).items]

    assert await sandboxes(label_selector={"app": "web"}) == [sandbox]
    assert set(await sandboxes()) == {sandbox, other}
    assert await sandboxes(id=other[:12]) == [other]
    ready = cri.PodSandboxStateValue(state=cri.PodSandboxState.SANDBOX_NOTREADY)
    assert await sandboxes(state=ready) == []
    listed = await machine.cri.ListContainers(
        cri.ListContainersRequest(filter=cri.ContainerFilter(label_selector={"role": "main"}))
    )
    assert [c.id for c in listed.containers] == [container]
    with pytest.raises(grpc.aio.AioRpcError) as taken:
        await machine.sandbox()
    assert taken.value.code() == grpc.StatusCode.ALREADY_EXISTS
    for _ in range(2):
        await machine.cri.StopContainer(cri.StopContainerRequest(container_id=container, timeout=0))
        await machine.cri.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox))
        assert await sandboxes(state=ready) == [sandbox]
    for _ in range(2):
        await machine.cri.RemoveContainer(cri.RemoveContainerRequest(container_id=container))
        await machine.cri.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=other))
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await machine.status(container)
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND


async def test_events_tell_a_containers_life(machine) -> None:
    import asyncio

    kinds = cri.ContainerEventType
    seen: list[tuple[str, int]] = []

    async def follow() -> None:
        async for event in machine.cri.GetContainerEvents(cri.GetEventsRequest()):
            seen.append((event.container_id, event.container_event_type))

    following = asyncio.create_task(follow())
    first = await machine.sandbox("first")

    async def listening() -> bool:
        name = f"probe-{time.monotonic_ns()}"
        probe = await machine.sandbox(name)
        await machine.cri.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=probe))
        return bool(seen)

    await until(listening)
    container = await machine.run(first, ["true"])
    await machine.exited(container)
    await machine.cri.RemoveContainer(cri.RemoveContainerRequest(container_id=container))
    expected = [
        kinds.CONTAINER_CREATED_EVENT,
        kinds.CONTAINER_STARTED_EVENT,
        kinds.CONTAINER_STOPPED_EVENT,
        kinds.CONTAINER_DELETED_EVENT,
    ]
    await until(lambda: [kind for id, kind in seen if id == container] == expected)
    following.cancel()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"image": cri.ImageSpec(image="localhost/missing:1")}, grpc.StatusCode.NOT_FOUND),
        ({"log_path": "../../escape.log"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"envs": [cri.KeyValue(key="A=B", value="x")]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"devices": [cri.Device(host_path="/dev/missing")]}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_wrong_request_is_refused_and_leaves_nothing(machine, change: dict, code: grpc.StatusCode) -> None:
    sandbox = await machine.sandbox()
    config = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name="c"), image=cri.ImageSpec(image="localhost/busybox:test"), command=["true"]
    )
    for name, value in change.items():
        if isinstance(value, list):
            getattr(config, name).extend(value)
        elif isinstance(value, str):
            setattr(config, name, value)
        else:
            getattr(config, name).CopyFrom(value)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await machine.cri.CreateContainer(cri.CreateContainerRequest(pod_sandbox_id=sandbox, config=config))
    assert caught.value.code() == code
    assert list((machine.base / "state/containers").iterdir()) == []


async def test_dns_settings_become_resolv_conf(machine) -> None:
    dns = cri.DNSConfig(servers=["10.96.0.10"], searches=["a.local", "b.local"], options=["ndots:5"])
    sandbox = await machine.sandbox(dns_config=dns)
    shown = await machine.output(sandbox, "cat /etc/resolv.conf /etc/hostname")
    assert shown == "search a.local b.local\nnameserver 10.96.0.10\noptions ndots:5\npod\n"


async def test_a_sandbox_of_the_node_has_the_nodes_network(machine) -> None:
    node = cri.NamespaceMode.NODE
    options = cri.NamespaceOption(network=node, pid=node, ipc=node)
    sandbox = await machine.sandbox(namespaces=options)
    container = await machine.run(sandbox, ["sleep", "1000"], security=security(namespace_options=options))
    for kind in ("net", "pid", "ipc", "uts"):
        shown = (await machine.exec(container, ["stat", "-L", "-c", "%i", f"/proc/self/ns/{kind}"])).stdout
        assert int(shown) == os.stat(f"/proc/self/ns/{kind}").st_ino


async def test_a_target_container_shows_its_processes(machine) -> None:
    sandbox = await machine.sandbox()
    target = await machine.run(sandbox, ["sleep", "4242"], "target")
    options = cri.NamespaceOption(pid=cri.NamespaceMode.TARGET, target_id=target)
    shown = await machine.output(sandbox, "ps", "debugger", security=security(namespace_options=options))
    assert "sleep 4242" in shown


async def test_devices_by_cdi_name_are_refused_not_forgotten(machine) -> None:
    sandbox = await machine.sandbox()
    with pytest.raises(grpc.aio.AioRpcError, match=r"unresolvable CDI devices vendor\.example/gpu=0") as caught:
        await machine.create(sandbox, ["true"], CDI_devices=[cri.CDIDevice(name="vendor.example/gpu=0")])
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
