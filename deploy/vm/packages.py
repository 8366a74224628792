"""The Debian packages of a node image, as apt is configured on this machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.vm import ext4
from sampan.errors import ClusterError

IN_GUEST = (
    "base-files",
    "base-passwd",
    "busybox-static",
    "dash",
    "e2fsprogs",
    "etcd-server",
    "iproute2",
    "kmod",
    "libnftables1",
    "libstdc++6",
    "linux-image-cloud-amd64",
    "mount",
    "netbase",
    "nftables",
    "python3-minimal",
    "libpython3-stdlib",
)
ON_MACHINE = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
}
"""Programs that VM nodes need here, and the packages that have them."""
WHERE = "node image, Debian's packages"
CHOSEN = re.compile(r"Inst (\S+) (?:\[\S+\] )?\((\S+) ")


def missing() -> list[str]:
    """The packages that this machine lacks for VM nodes."""
    return sorted({package for program, package in ON_MACHINE.items() if ext4.find(program) is None})


def sources() -> list[Path]:
    """apt's files that name Debian's own archives. Raises ClusterError."""
    text = ext4.run(
        "apt-get", "indextargets", "--format", "$(ORIGIN)|$(SOURCESENTRY)", "Created-By: Packages", where=WHERE
    )
    found = {line.partition("|")[2].rpartition(":")[0] for line in text.splitlines() if line.startswith("Debian")}
    if not found:
        raise ClusterError(
            where=WHERE,
            what="apt knows no archive of Debian's on this machine",
            remedy="apt-get update, or see sources.list(5)",
        )
    return [Path(one) for one in sorted(found)]


def versions(include: Sequence[str] = IN_GUEST) -> list[str]:
    """`NAME VERSION` of every package that an image of these gets now, in order. Raises ClusterError."""
    try:
        text = ext4.run(
            "apt-get",
            "--simulate",
            "install",
            *("-o", "Dir::State::status=/dev/null"),
            *("-o", "APT::Install-Recommends=0"),
            *("-o", "Debug::NoLocking=1"),
            *include,
            where=WHERE,
        )
    except ClusterError as error:
        raise ClusterError(where=WHERE, what=error.what, remedy="apt-get update") from error
    return sorted({f"{name} {version}" for name, version in CHOSEN.findall(text)})


def extract(tree: Path, *, variant: str = "extract", include: Sequence[str] = IN_GUEST) -> None:
    """Unpack the packages into `tree`. No script of a package runs, unless another variant of mmdebstrap's is asked
    for. Raises ClusterError."""
    suite = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line).get(
        "VERSION_CODENAME", "stable"
    )
    ext4.run(
        "mmdebstrap",
        "--quiet",
        f"--variant={variant}",
        "--mode=root",
        "--format=directory",
        f"--include={','.join(include)}",
        *(f"--aptopt={line}" for line in _acquire()),
        suite,
        str(tree),
        *map(str, sources()),
        where=WHERE,
    )


def _acquire() -> list[str]:
    """How this machine's apt reaches its archives, such as by a proxy."""
    done = subprocess.run(("apt-config", "dump"), capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if re.match(r"Acquire::\S*[Pp]roxy\S* \"[^\"]+\"", line)]
