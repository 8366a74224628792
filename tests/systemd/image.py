"""A disk with Debian as its installer leaves it, systemd as process 1, and Sampan installed as `pip` would: in a venv.

The kernel and its modules are the node image's. What the packages' scripts do is done, so this is the system that a
user has, not the node image's selection. Named by its inputs and kept beside the node images.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.vm import bytecode, distributions, ext4, image, initramfs, packages
from virtual_machine import node_image

PACKAGES = (
    "dbus",
    "etcd-server",
    "iproute2",
    "kmod",
    "libnftables1",
    "netbase",
    "nftables",
    "procps",
    "python3",
    "systemd-sysv",
    "udev",
)
NOT_NEEDED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_reap.service",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-firstboot.service",
)
"""What nobody looks at, and takes seconds where instructions are emulated."""
VENV = "opt/venv"
PYTHON = f"/{VENV}/bin/python3"
SHELL_UNIT = f"""\
[Unit]
Description=The test's way in, by a serial port
DefaultDependencies=no
After=systemd-udevd.service

[Service]
Environment=PYTHONDONTWRITEBYTECODE=1
ExecStart={PYTHON} -OO -m deploy.shell.guest
KillMode=process
Restart=always

[Install]
WantedBy=sysinit.target
"""
INIT = initramfs.INIT.replace("/bin/busybox sh /opt/sampan/deploy/vm/init.sh", "/sbin/init")
WHERE = "disk with systemd"


@dataclass(frozen=True)
class SystemdImage:
    """What a machine with systemd boots."""

    disk: Path
    kernel: Path
    initrd: Path


def ensure() -> SystemdImage:
    """The image that today's inputs make, built unless it is there."""
    node = node_image()
    lines = [
        hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        node.digest,
        *packages.versions(PACKAGES),
        *(f"{name} {one.version}" for name, one in distributions.needed().items()),
    ]
    place = image.store() / f"systemd-{image.digest_of(lines)}"
    found = SystemdImage(place / "disk.raw", node.kernel, place / "initrd")
    if not place.exists():
        scratch = image.store() / f".{place.name}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            _build(scratch, node)
            scratch.rename(place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return found


def _build(directory: Path, node: image.Image) -> None:
    tree = directory / "tree"
    print("systemd image: installing Debian's packages", flush=True)
    packages.extract(tree, variant="minbase", include=PACKAGES)
    shutil.rmtree(tree / "usr/lib/modules", ignore_errors=True)
    ext4.run("debugfs", "-R", f"rdump /usr/lib/modules {tree}/usr/lib", str(node.disk), where=WHERE)
    for name in (*image.DOCUMENTATION, "var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(tree / name, ignore_errors=True)
    _install_sampan(tree)
    (tree / "etc/machine-id").write_text("")
    (tree / "var/log/journal").mkdir(exist_ok=True)
    (tree / "etc/systemd/system/test-shell.service").write_text(SHELL_UNIT)
    for verb, *units in (
        ("disable", "etcd.service"),
        ("mask", *NOT_NEEDED),
        ("enable", "systemd-networkd.service", "systemd-networkd-wait-online.service", "test-shell.service"),
    ):
        ext4.run("chroot", str(tree), "systemctl", verb, *units, where=WHERE)
    print("systemd image: writing the disk", flush=True)
    ext4.make(tree, directory / "disk.raw", "systemd", journal=True, room=image.FREE_INSIDE)
    shutil.rmtree(tree)
    override = initramfs.entry(1, "init", initramfs.FILE, INIT.encode()) + initramfs.entry(0, "TRAILER!!!", 0)
    (directory / "initrd").write_bytes(node.initrd.read_bytes() + override)


def _install_sampan(tree: Path) -> None:
    """A venv with what Sampan depends on, and its program; its code is on the code disk, mounted at /opt/sampan."""
    (tree / image.CODE).mkdir(parents=True)
    venv = tree / VENV
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python3").symlink_to("/usr/bin/python3")
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    site = venv / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    distributions.copy(distributions.needed(), site)
    (site / "sampan.pth").write_text(f"/{image.CODE}\n")
    program = venv / "bin/sampan"
    program.write_text(f"#!{PYTHON} -OO\nimport sys\nfrom deploy.machine.__main__ import main\nsys.exit(main())\n")
    program.chmod(0o755)
    for library in (*sorted((tree / "usr/lib").glob("python3*")), site):
        bytecode.put(library, Path("/") / library.relative_to(tree))
