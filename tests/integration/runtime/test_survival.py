"""kill -9 of the runtime and of the fork server: containers, exit codes and output survive."""

import asyncio
import json
import os
import time
from pathlib import Path

import grpc.aio
import pytest

from nodeagent.runtime import syscalls
from sampan.cri import api_pb2 as cri

from .conftest import until


async def restart(machine, *names: str) -> None:
    for name in names:
        machine.kill(name)
    if "forkserver" in names:
        machine.start_forkserver()
    if "runtime" in names:
        machine.start_runtime()
    await machine.connect()


async def pid_of(machine, container: str) -> int:
    request = cri.ContainerStatusRequest(container_id=container, verbose=True)
    return int(json.loads((await machine.cri.ContainerStatus(request)).info["info"])["pid"])


async def test_a_killed_runtime_finds_its_containers_and_their_output_again(machine) -> None:
    sandbox = await machine.sandbox()
    script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 5"
    running = await machine.run(sandbox, ["sh", "-c", script], "running")
    before = await machine.status(running)
    await restart(machine, "runtime")
    after = await machine.status(running)
    assert (after.id, after.started_at, after.state) == (before.id, before.started_at, before.state)
    status = await machine.exited(running)
    assert status.exit_code == 5
    assert machine.text("running").split("\n") == [*(f"line {i}" for i in range(200)), ""]


async def test_what_ends_while_the_runtime_is_away_keeps_its_exit_code_and_output(machine) -> None:
    sandbox = await machine.sandbox()
    flag = machine.base / "flag"
    flag.mkdir()
    mounts = [cri.Mount(container_path="/flag", host_path=str(flag))]
    script = "until [ -e /flag/go ]; do sleep 0.02; done; echo last words; touch /flag/done; exit 42"
    container = await machine.run(sandbox, ["sh", "-c", script], mounts=mounts)
    pid = await pid_of(machine, container)
    machine.kill("runtime")
    (flag / "go").touch()
    await until(lambda: (flag / "done").exists() and not os.path.exists(f"/proc/{pid}"))
    machine.start_runtime()
    await machine.connect()
    status = await machine.exited(container)
    assert (status.exit_code, status.reason) == (42, "Error")
    assert machine.text() == "last words\n"


async def test_a_killed_fork_server_loses_neither_containers_nor_exit_codes(machine) -> None:
    sandbox = await machine.sandbox()
    flag = machine.base / "flag"
    flag.mkdir()
    mounts = [cri.Mount(container_path="/flag", host_path=str(flag))]
    script = "until [ -e /flag/go ]; do sleep 0.02; done; echo bye; exit 17"
    container = await machine.run(sandbox, ["sh", "-c", script], mounts=mounts)
    pid = await pid_of(machine, container)
    await restart(machine, "forkserver")

    async def execs() -> bool:
        try:
            return (await machine.exec(container, ["echo", "still here"])).stdout == b"still here\n"
        except grpc.aio.AioRpcError:  # until the runtime has seen that the old one is gone
            return False

    await until(execs)
    assert await pid_of(machine, container) == pid
    (flag / "go").touch()
    status = await machine.exited(container)
    assert (status.exit_code, status.reason) == (17, "Error")
    assert machine.text() == "bye\n"


async def test_a_fork_server_killed_again_and_again_while_containers_start_doubles_and_loses_none(machine) -> None:
    sandbox = await machine.sandbox()
    codes = {f"c{n}": n + 1 for n in range(24)}

    async def start(name: str, code: int) -> str:
        return str(await machine.run(sandbox, ["sh", "-c", f"echo once; exit {code}"], name))

    starting = {name: asyncio.create_task(start(name, code)) for name, code in codes.items()}
    for moment in (0.02, 0.05, 0.03, 0.08, 0.01):
        await asyncio.sleep(moment)
        machine.kill("forkserver")
        machine.start_forkserver()
    for name, task in starting.items():
        status = await machine.exited(await task)
        assert (status.exit_code, machine.text(name)) == (codes[name], "once\n"), name


async def test_a_start_whose_caller_dies_comes_to_its_end(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.create(sandbox, ["sh", "-c", "echo once; exec sleep 1000"])
    machine.kill("forkserver")
    call = machine.cri.StartContainer(cri.StartContainerRequest(container_id=container))
    await asyncio.sleep(0.1)
    call.cancel()
    machine.start_forkserver()

    async def runs() -> bool:
        return (await machine.status(container)).state == cri.ContainerState.CONTAINER_RUNNING

    await until(runs)
    await until(lambda: machine.text() == "once\n")


async def test_a_command_without_a_fork_server_is_unavailable_not_late(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sleep", "1000"])
    machine.kill("forkserver")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await machine.exec(container, ["true"], timeout=1)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    machine.start_forkserver()

    async def execs() -> bool:
        try:
            return (await machine.exec(container, ["true"])).exit_code == 0
        except grpc.aio.AioRpcError:
            return False

    await until(execs)


async def test_standard_input_stays_open_without_a_fork_server(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["cat"], stdin=True)
    pid = await pid_of(machine, container)
    await restart(machine, "forkserver", "runtime")
    assert await pid_of(machine, container) == pid
    assert (await machine.status(container)).state == cri.ContainerState.CONTAINER_RUNNING


async def test_both_killed_at_once_and_a_new_container_starts_in_the_old_sandbox(machine) -> None:
    sandbox = await machine.sandbox(namespaces=cri.NamespaceOption(pid=cri.NamespaceMode.POD))
    pod = cri.NamespaceMode.POD
    sleeper = await machine.run(sandbox, ["sleep", "1000"], "sleeper", pid=pod)
    await restart(machine, "runtime", "forkserver")
    assert (await machine.status(sleeper)).state == cri.ContainerState.CONTAINER_RUNNING
    ready = (await machine.cri.PodSandboxStatus(cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox))).status.state
    assert ready == cri.PodSandboxState.SANDBOX_READY
    assert "sleep 1000" in await machine.output(sandbox, "ps", "newcomer", pid=pod)
    await machine.cri.StopContainer(cri.StopContainerRequest(container_id=sleeper, timeout=0))
    assert (await machine.status(sleeper)).exit_code == 137


async def test_an_end_that_only_the_runtime_could_see_is_told_right(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(
        sandbox, ["sh", "-c", "trap 'exit 33' TERM; echo up; while true; do sleep 0.02; done"]
    )
    await until(lambda: machine.text() == "up\n")  # before, process 1 of its namespace ignores the signal
    pid = await pid_of(machine, container)
    machine.kill("forkserver")
    os.kill(pid, 15)
    await until(lambda: not os.path.exists(f"/proc/{pid}"))
    machine.start_forkserver()
    await machine.connect()
    assert (await machine.exited(container)).exit_code == 33


async def test_sandboxes_whose_namespaces_are_gone_are_not_ready(machine) -> None:
    sandbox = await machine.sandbox()
    machine.kill("runtime")
    for kind in ("net", "ipc", "uts"):
        syscalls.umount(f"{machine.base}/run/sandboxes/{sandbox}/{kind}")
    machine.start_runtime()
    await machine.connect()
    status = (await machine.cri.PodSandboxStatus(cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox))).status
    assert status.state == cri.PodSandboxState.SANDBOX_NOTREADY


async def test_after_a_reboot_a_stranger_with_the_same_number_is_not_taken_for_a_container(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sleep", "1000"])
    machine.kill("runtime")
    machine.kill("forkserver")
    (record,) = machine.base.rglob(f"processes/{container}.start")
    start, mark, _ = record.read_text().partition("\nexecuted")
    assert json.loads(start)["boot"]
    record.write_text(json.dumps(json.loads(start) | {"boot": "the one before"}) + mark)
    machine.start_forkserver()
    machine.start_runtime()
    await machine.connect()
    status = await machine.exited(container)
    assert (status.exit_code, status.reason) == (255, "Unknown")


async def test_a_damaged_record_is_set_aside_and_the_rest_goes_on(machine) -> None:
    sandbox = await machine.sandbox()
    good = await machine.run(sandbox, ["sleep", "1000"], "good")
    bad = await machine.run(sandbox, ["sleep", "1000"], "bad")
    machine.kill("runtime")
    for path in (machine.base / "state/containers" / bad).glob("state-*.json"):
        path.write_text("{")
    machine.start_runtime()
    await machine.connect()
    listed = await machine.cri.ListContainers(cri.ListContainersRequest())
    assert [c.id for c in listed.containers] == [good]
    await until(lambda: not any(bad in found for found in machine.leftovers()))


async def test_logs_rotate_without_losing_a_line(machine) -> None:
    sandbox = await machine.sandbox()
    script = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); sleep 0.005; done"
    container = await machine.run(sandbox, ["sh", "-c", script])
    log, old = machine.logs / "pod/c.log", machine.logs / "pod/c.log.old"
    await until(lambda: log.exists() and log.stat().st_size > 500)
    log.rename(old)
    await machine.cri.ReopenContainerLog(cri.ReopenContainerLogRequest(container_id=container))
    await machine.exited(container)
    lines = [int(line.split(b" ", 3)[3]) for path in (old, log) for line in path.read_bytes().splitlines()]
    assert lines == list(range(300))
    assert log.stat().st_size > 0


async def test_a_container_that_floods_its_output_stays_within_bounds(machine) -> None:
    sandbox = await machine.sandbox()
    script = "head -c 30000000 /dev/zero; i=0; yes a-line | head -n 200000"
    container = await machine.run(sandbox, ["sh", "-c", script])
    started = time.monotonic()
    await machine.exited(container, 60)
    assert time.monotonic() - started < 60
    runtime = machine.processes["runtime"]
    status = Path(f"/proc/{runtime.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 250_000  # kB; the flood is over 30 MB
    text = machine.text()
    assert text.count("\0") == 30_000_000
    assert text.count("a-line") == 200_000
