"""A virtual machine's process 1: makes the machine a node of its cluster, then is the node's process tree.

    init.sh -> guest ── shell        serves `kctl cluster shell`
                     ├─ port         answers the keeper outside, and ends the machine
                     ├─ join         only the first time
                     └─ fork server, runtime, agent (deploy.machine.node)

Told the role `machine` it is no node: name, network, disk and shell, and whatever the shell is used for.

Always: what goes wrong is said on the console and to the keeper before the machine switches itself off.
Elsewhere: what happens before Python runs (init.sh), the keeper (keeper.py).
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from deploy import syscalls
from deploy.machine.places import MachinePlaces
from deploy.vm import ports

FIRMWARE = Path("/sys/firmware/qemu_fw_cfg/by_name/opt/dev.sampan")
DISK = Path("/sys/block/vda/size")
EXT4_IOC_RESIZE_FS = 0x40086610  # linux/fs/ext4/ext4.h: _IOW('f', 16, __u64)
BLOCK_BYTES = 4096
POWER_OFF = 0x4321FEDC  # linux/reboot.h
INTERFACE = "eth0"
MOUNTS = (
    ("devpts", "/dev/pts", "devpts", "mode=620,ptmxmode=666"),
    ("shm", "/dev/shm", "tmpfs", "mode=1777"),
    ("tmp", "/tmp", "tmpfs", "mode=1777"),
)
SYSCTLS = {
    "kernel/panic": "1",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "fs/inotify/max_user_instances": "8192",
    "fs/inotify/max_user_watches": "524288",
}


def say(text: str) -> None:
    """A line on the console, with the seconds since the machine's start."""
    print(f"[{time.clock_gettime(time.CLOCK_BOOTTIME):7.2f}] {text}", flush=True)


def main() -> int:
    """Never returns: a machine whose process 1 ends is a machine that panics."""
    try:
        told = json.loads((FIRMWARE / "machine" / "raw").read_bytes())
        say(f"node {told['name']}: Python runs")
        _furnish(told)
        if told.get("role") == "machine":
            _stand_by()
        to_port, reports = os.pipe2(os.O_CLOEXEC)
        _forked("shell", _serve_shell)
        _forked("port", lambda: _serve_port(to_port))
        os.close(to_port)
        report(reports, {"event": "booted"})
        _become_node(reports)
    except BaseException as error:  # process 1: whatever it is, it is said and the machine ends
        traceback.print_exc()
        say(f"the node ends: {error}")
    finally:
        power_off()
    return 1


def _furnish(told: dict[str, Any]) -> None:
    """Name, network, disk and mounts."""
    from sampan.netlink.route import Address, RouteSocket, put_address, set_link

    for source, target, kind, options in MOUNTS:
        os.makedirs(target, exist_ok=True)
        syscalls.mount(source, target, kind, syscalls.MS_NOSUID, options)
    for name, value in SYSCTLS.items():
        Path("/proc/sys", name).write_text(value)
    syscalls.set_hostname(told["name"])
    Path("/etc/hostname").write_text(told["name"] + "\n")
    Path("/etc/machine-id").write_text(told["machineId"] + "\n")
    Path("/etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{told['address']} {told['name']}\n")
    with RouteSocket() as sock:
        indexes = {link.name: link.index for link in sock.links()}
        sock.perform(
            set_link(indexes["lo"], up=True),
            set_link(indexes[INTERFACE], up=True),
            put_address(Address(indexes[INTERFACE], told["address"], told["prefixLength"])),
        )
    _grow()
    for number, guest in enumerate(told["mounts"]):
        os.makedirs(guest, exist_ok=True)
        syscalls.mount(f"mount{number}", guest, "virtiofs", syscalls.MS_NOSUID | syscalls.MS_NODEV)


def _grow() -> None:
    """Let the file system fill the disk: the image's is as small as it can be."""
    blocks = int(DISK.read_text()) * 512 // BLOCK_BYTES
    if os.statvfs("/").f_blocks * 10 > blocks * 9:
        return
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(root, EXT4_IOC_RESIZE_FS, struct.pack("Q", blocks))
    finally:
        os.close(root)


def _stand_by() -> NoReturn:
    """Serve the shell, and take in the processes that its commands leave, until the power goes."""
    _forked("shell", _serve_shell)
    while True:
        os.wait()


def _become_node(reports: int) -> None:
    """Join unless that was done, then run the node until it is told to end."""
    from deploy.machine import identity, node

    places = MachinePlaces.here()
    if places.identity.exists() and identity.ended(places, datetime.now(UTC)) is None:
        say("this machine has joined before")
    else:
        joining = _forked("join", lambda: _join(places))
        node.preload()  # while the join waits for answers
        _, status = os.waitpid(joining, 0)
        code = os.waitstatus_to_exitcode(status)
        if code:
            report(reports, {"event": "refused", "code": code})
            raise SystemExit(f"the join failed with exit code {code}")
    report(reports, {"event": "joined"})
    say("the node's processes start")
    node.run(places)


def _join(places: MachinePlaces) -> int:
    from deploy.machine.join import join
    from deploy.machine.request import JoinRequest
    from sampan.errors import SampanError

    file = FIRMWARE / "join" / "raw"
    if not file.exists():
        say("this machine has no identity, or one that has ended, and was told no token to get one with")
        return UNJOINED
    try:
        join(JoinRequest.from_json(json.loads(file.read_bytes())), places, say)
    except SampanError as error:
        say(f"join: {error}")
        return 1
    return 0


UNJOINED = 3


def _serve_shell() -> int:
    from deploy.shell import guest

    return guest.main()


# -- the port -------------------------------------------------------------------------------------------------------


def report(pipe: int, event: dict[str, Any]) -> None:
    """Tell the keeper."""
    seconds = round(time.clock_gettime(time.CLOCK_BOOTTIME), 2)
    os.write(pipe, json.dumps(event | {"seconds": seconds}).encode() + b"\n")


def _serve_port(reports: int) -> int:
    """Pass process 1's reports on and answer the keeper's questions, one JSON line each."""
    device = ports.find("node")
    if device is None:
        return 1
    port = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    waiting = {reports, port}
    questions = b""
    while True:
        for ready in select.select(waiting, (), ())[0]:
            data = os.read(ready, 65536)
            if ready == reports:
                if not data:
                    waiting.discard(reports)
                os.write(port, data)
                continue
            if not data:  # nobody is at the other end
                time.sleep(1.0)
            *lines, questions = (questions + data).split(b"\n")
            for line in lines:
                os.write(port, json.dumps(_answer(line)).encode() + b"\n")


def _answer(line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line)
        match asked["do"]:
            case "status":
                return {"id": asked["id"], "answer": _ask_node({"do": "status"}) | {"memory": memory()}}
            case "stop":
                if "error" in (answer := _ask_node({"do": "stop"})):
                    power_off()  # it is not a node yet
                return {"id": asked["id"], "answer": answer}
        return {"id": asked["id"], "answer": {"error": "unknown question"}}
    except (ValueError, KeyError) as error:
        return {"id": 0, "answer": {"error": repr(error)}}


def _ask_node(request: dict[str, Any]) -> dict[str, Any]:
    """Ask the node's process tree; `error` in the answer when it is not there."""
    places = MachinePlaces.here()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(10.0)
            connection.connect(str(places.node("").run / "control.sock"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
                return answer
    except (OSError, ValueError) as error:
        return {"error": str(error)}


def memory() -> dict[str, int]:
    """The machine's memory in KiB: what there is, what is free for use, and what each of the node's processes has.

    A process has its own pages and its share of those it has in common with others (PSS, proc_pid_smaps(5)).
    """
    figures = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("MemTotal", "MemAvailable", "MemFree", "Slab", "SUnreclaim"):
            figures[name] = int(value.split()[0])
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name = (entry / "comm").read_text().strip()
            lines = (entry / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        if name.startswith("sampan-") or entry.name == "1":
            pss = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
            figures[name] = figures.get(name, 0) + pss
    return figures


# -- processes ------------------------------------------------------------------------------------------------------


def _forked(name: str, run: Callable[[], int]) -> int:
    """Run something in a process of its own."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        syscalls.set_process_name(f"sampan-{name}")
        code = run()
    except BaseException:  # the edge of the process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def power_off() -> None:
    """End every process, write everything back, and switch the machine off."""
    if os.getpid() == 1:
        os.kill(-1, 9)
    os.sync()
    Path("/proc/sysrq-trigger").write_text("u")
    ctypes.CDLL(None).reboot(POWER_OFF)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
