"""What the kernel unpacks into memory before it has a disk: a shell and the modules of a virtual machine's devices.

Debian's cloud kernel has NVMe built in, which needs none of this, but QEMU can't save a machine that has an NVMe
disk. The archive's format is "newc" (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from deploy.vm.ext4 import EPOCH
from sampan.errors import ClusterError

MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "virtio_net",
    "virtio-rng",
    "virtio_balloon",
    "qemu_fw_cfg",
    "overlay",
    "bridge",
    "veth",
    "vxlan",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_masq",
    "nft_nat",
    "nft_reject_ipv4",
)
"""All that every node needs; the rest is loaded from the disk when the kernel asks for it."""
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module"; done < /modules/order
/bin/busybox mount -t ext4 /dev/vda /root || exec /bin/busybox sh
/bin/busybox mount -t ext4 -o ro /dev/vdb /root/opt/sampan
exec /bin/busybox switch_root /root /bin/busybox sh /opt/sampan/deploy/vm/init.sh
"""
DIRECTORY, FILE, DEVICE = 0o040755, 0o100755, 0o020600


def write(tree: Path, release: str, target: Path) -> None:
    """Write the archive for the kernel `release` of a tree. Raises ClusterError when a module is missing."""
    modules = list(load_order(tree / "lib/modules" / release))
    numbers = itertools.count(1)
    with target.open("wb") as out:
        for name in ("bin", "dev", "modules", "root"):
            out.write(entry(next(numbers), name, DIRECTORY))
        out.write(entry(next(numbers), "dev/console", DEVICE, device=(5, 1)))
        out.write(entry(next(numbers), "init", FILE, INIT.encode()))
        out.write(entry(next(numbers), "bin/busybox", FILE, (tree / "bin/busybox").read_bytes()))
        order = "".join(f"{one.name}\n" for one in modules)
        out.write(entry(next(numbers), "modules/order", FILE, order.encode()))
        for one in modules:
            out.write(entry(next(numbers), f"modules/{one.name}", FILE, one.read_bytes()))
        out.write(entry(0, "TRAILER!!!", 0))


def load_order(directory: Path) -> Iterator[Path]:
    """The files of MODULES and of what these depend on, each after what it needs (modules.dep, depmod(8))."""
    needs: dict[str, list[str]] = {}
    for line in (directory / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {Path(file).stem.replace("-", "_"): file for file in needs}
    given: set[str] = set()
    for module in MODULES:
        found = by_name.get(module.replace("-", "_"))
        if found is None:
            raise ClusterError(where="node image", what=f"the kernel has no module {module}")
        for one in (*reversed(needs[found]), found):
            if one not in given:
                given.add(one)
                yield directory / one


def entry(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One member of the archive."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, EPOCH if number else 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % one for one in fields) + path
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
