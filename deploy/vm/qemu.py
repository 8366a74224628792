"""The command line of one virtual machine. Pure.

Every device can be saved and restored (QEMU's migration), but for shared directories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.places import NodePlaces
from deploy.spec import Mount
from deploy.vm.acceleration import Acceleration

PORTS = ("shell", "node", "images")
"""The machine's serial ports: each is `dev.sampan.NAME` inside, and the socket NAME.sock outside."""
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet loglevel=4 panic=1 mitigations=off random.trust_cpu=on net.ifnames=0 audit=0"
    " transparent_hugepage=never"
)
"""A kernel that panics reboots, and then QEMU ends. Mitigations guard nothing where instructions are emulated; huge
pages make the kernel keep a tenth of a small machine's memory free."""
TRANSLATED_MIB = 192
"""Room for translated code: what boot, Python and a node's programs need; QEMU's default is a gigabyte."""


@dataclass(frozen=True)
class Machine:
    """What a virtual machine is made of."""

    own: NodePlaces
    cpus: int
    memory: int
    """Bytes."""
    mac: str
    acceleration: Acceleration
    kernel: Path
    initrd: Path
    disk: Path
    code: Path
    files: dict[str, Path]
    """What the guest reads by fw_cfg: opt/dev.sampan/NAME -> file."""
    mounts: Sequence[Mount] = ()


def arguments(machine: Machine, tap: int) -> list[str]:
    """QEMU's argv. `tap` is the descriptor of its network device."""
    return list(_arguments(machine, tap))


def _arguments(machine: Machine, tap: int) -> Iterator[str]:
    own = machine.own
    mib = machine.memory >> 20
    yield from ("qemu-system-x86_64", "-name", f"{own.name},process=sampan-vm", "-no-user-config", "-nodefaults")
    yield from ("-display", "none", "-no-reboot", "-rtc", "base=utc")
    translated = f",tb-size={TRANSLATED_MIB}" if machine.acceleration is Acceleration.TCG else ""
    yield from ("-accel", f"{machine.acceleration}{translated}", "-cpu", machine.acceleration.cpu)
    yield from ("-smp", str(machine.cpus), "-m", f"{mib}M")
    if machine.mounts:
        yield from ("-object", f"memory-backend-memfd,id=memory,size={mib}M,share=on")
    yield from ("-machine", "q35,vmport=off" + (",memory-backend=memory" if machine.mounts else ""))
    yield from ("-kernel", str(machine.kernel), "-initrd", str(machine.initrd), "-append", KERNEL_ARGUMENTS)
    yield from (
        "-chardev",
        _socket("console", own.run / "console.sock") + f",logfile={own.log / 'console.log'},logappend=on",
    )
    yield from ("-serial", "chardev:console")
    yield from ("-chardev", _socket("qmp", own.run / "qmp.sock"), "-mon", "chardev=qmp,mode=control")
    yield from ("-chardev", _socket("events", own.run / "events.sock"), "-mon", "chardev=events,mode=control")
    disk = f"if=none,id=disk,file={_value(machine.disk)},format=qcow2,cache=writeback,discard=unmap,detect-zeroes=unmap"
    yield from ("-drive", f"{disk},werror=enospc,rerror=report", "-device", "virtio-blk-pci,drive=disk,serial=disk")
    yield from ("-drive", f"if=none,id=code,file={_value(machine.code)},format=raw,readonly=on,file.locking=off")
    yield from ("-device", "virtio-blk-pci,drive=code,serial=code")
    yield from ("-netdev", f"tap,id=net,fd={tap}", "-device", f"virtio-net-pci,netdev=net,mac={machine.mac},romfile=")
    yield from ("-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random")
    yield from ("-device", "virtio-balloon-pci,free-page-reporting=on")
    yield from ("-device", "virtio-serial-pci")
    for number, port in enumerate(PORTS, 1):
        yield from ("-chardev", _socket(port, own.run / f"{port}.sock"))
        yield from ("-device", f"virtserialport,chardev={port},name=dev.sampan.{port},nr={number}")
    for name, file in machine.files.items():
        yield from ("-fw_cfg", f"name=opt/dev.sampan/{name},file={_value(file)}")
    for number, _ in enumerate(machine.mounts):
        yield from ("-chardev", f"socket,id=mount{number},path={_value(own.run / f'mount{number}.sock')}")
        yield from ("-device", f"vhost-user-fs-pci,chardev=mount{number},tag=mount{number}")


def _socket(name: str, path: Path) -> str:
    return f"socket,id={name},path={_value(path)},server=on,wait=off"


def _value(path: Path) -> str:
    """A path in an option, where a comma is written twice."""
    return str(path).replace(",", ",,")
