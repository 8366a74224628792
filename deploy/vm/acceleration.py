"""Whether this machine's hardware runs guests: found by running one, because /dev/kvm alone promises nothing.

The guest is the nodes' own kernel, without a disk. What was found is remembered until the machine boots again.
"""

from __future__ import annotations

import os
import subprocess
from enum import StrEnum
from pathlib import Path

KVM_DEVICE = Path("/dev/kvm")
TRIAL_SECONDS = 6.0
"""Several times what a kernel needs with hardware: some machines let a guest start and then never run it."""
ENDED = b"Kernel panic - not syncing: VFS"
"""What a kernel says that has come up and finds no disk."""


class Acceleration(StrEnum):
    """How guests run, as QEMU's -accel names it."""

    KVM = "kvm"
    TCG = "tcg"

    @property
    def told(self) -> str:
        """For the user."""
        if self is Acceleration.KVM:
            return "hardware virtualisation (KVM)"
        return "emulation (no guest starts with KVM on this machine), so about 13 times slower inside"

    @property
    def cpu(self) -> str:
        """The processor that guests see, as QEMU's -cpu names it."""
        return "host" if self is Acceleration.KVM else "max"


def find(run: Path, kernel: Path) -> Acceleration:
    """What this machine can do, tried once and noted in `run`, a directory that does not survive a reboot."""
    note = run / "acceleration"
    try:
        return Acceleration(note.read_text().strip())
    except (OSError, ValueError):
        found = Acceleration.KVM if _runs(Acceleration.KVM, kernel) else Acceleration.TCG
    run.mkdir(parents=True, exist_ok=True)
    fresh = run / f".acceleration-{os.getpid()}"
    fresh.write_text(found)
    fresh.replace(note)
    return found


def _runs(acceleration: Acceleration, kernel: Path) -> bool:
    """Whether a guest comes up."""
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return False
    command = (
        "qemu-system-x86_64",
        *("-accel", acceleration),
        *("-machine", "q35"),
        *("-cpu", acceleration.cpu),
        *("-m", "128"),
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        *("-display", "none"),
        *("-serial", "stdio"),
        *("-kernel", str(kernel)),
        *("-append", "console=ttyS0 panic=-1"),
    )
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_SECONDS, check=False
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return ENDED in done.stdout
