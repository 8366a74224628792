"""Device nodes of the machine, as containers get them."""

import contextlib
import errno
import os
import stat

from nodeagent.runtime import plan
from nodeagent.runtime.errors import Invalid


def look_at_device(path: str) -> plan.DeviceNode:
    """One by its path. Raises Invalid for what is not there, or no device."""
    try:
        return plan.device_node(path, os.stat(path))
    except OSError as error:
        raise Invalid(f"device {path}: {os.strerror(error.errno or errno.EIO)}") from error


def all_devices() -> list[plan.DeviceNode]:
    """Every device node of the machine, for privileged containers, but for terminals and shared memory."""
    found = []
    for folder, names, files in os.walk("/dev"):
        names[:] = [name for name in names if os.path.join(folder, name) not in ("/dev/pts", "/dev/shm", "/dev/mqueue")]
        for name in files:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError, Invalid):
                status = os.lstat(path)
                if (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)) and path not in (
                    "/dev/console",
                    "/dev/ptmx",
                ):
                    found.append(plan.device_node(path, status))
    return found
