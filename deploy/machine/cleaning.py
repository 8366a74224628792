"""Takes away what being a node left on this machine: processes, mounts, network, cgroups, directories.

Every step is repeatable and does not depend on the ones before having had something to do, so that a cleaning that
was interrupted is begun again. What users mounted elsewhere is not touched: only mount points below the node's own
directories are unmounted, and nothing is deleted through a mount point or a symbolic link.
"""

from __future__ import annotations

import importlib
import os
import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deploy import cgroups, control, removal, syscalls
from deploy.machine import sysctls
from deploy.machine.places import MachinePlaces
from deploy.places import NodePlaces, existing, image_store
from sampan.errors import ClusterError

STOP_SECONDS = 20.0

Say = Callable[[str], None]


def stop(places: MachinePlaces) -> bool:
    """End `sampan node` and its containers, if it runs. Returns whether it ran. Raises ClusterError."""
    try:
        answer = control.ask(places.node("").run / "control.sock", {"do": "stop"})
        process = os.pidfd_open(answer["pid"])
    except (control.NotRunning, ProcessLookupError):
        return False
    try:
        ended = select.poll()
        ended.register(process, select.POLLIN)
        if not ended.poll(STOP_SECONDS * 1000):
            raise ClusterError(
                where=f"sampan node (process {answer['pid']})",
                what=f"does not end within {STOP_SECONDS:.0f} s",
                remedy="end it, and run sampan leave again",
            )
    finally:
        os.close(process)
    return True


def clean(places: MachinePlaces, say: Say, *, images: bool) -> None:
    """Leave nothing of the node, whose tree has ended; with `images` nor of the image store.

    Raises OSError, TimeoutError, ClusterError.
    """
    own = places.node("")
    cgroups.kill(own.cgroup)
    _unmount_below(own)
    _remove_network(own, say)
    sysctls.put_back(places.sysctls)
    cgroups.remove(own.cgroup)
    cgroups.remove_if_empty("/sampan")
    for directory in (own.run, places.node_state):
        _remove(directory)
    if images and not existing():
        _remove(image_store())
    for directory in (own.run.parent, own.run.parent.parent, places.state, places.state.parent):
        with suppress(OSError):  # not empty: a server, or local clusters
            directory.rmdir()


def _unmount_below(own: NodePlaces) -> None:
    for root in (own.state, own.run):
        for point in sorted(removal.mount_points(root), key=lambda path: len(path.parts), reverse=True):
            syscalls.unmount(str(point), syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)


def _remove_network(own: NodePlaces, say: Say) -> None:
    config = own.config / "agent.json"
    if not config.exists():  # the node never ran
        return
    if importlib.import_module("nodeagent.network.removal").main(["--config", str(config)]) != 0:
        say("the node's network could not be taken away completely; see above")


def _remove(directory: Path) -> None:
    left = removal.remove_tree(directory)
    if left:
        raise ClusterError(
            where=str(directory), what=f"{left[0]} is still mounted", remedy="unmount it, and run sampan leave again"
        )


def has_systemd() -> bool:
    """Whether systemd is this machine's service manager (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def start_service(say: Say) -> None:
    """Install and start the unit that runs `sampan node`. Raises ClusterError."""
    importlib.import_module("deploy.machine.service").install("node", say)


def stop_service(say: Say) -> None:
    """Stop and remove that unit, if there is one. Raises ClusterError."""
    if has_systemd():
        importlib.import_module("deploy.machine.service").uninstall("node", say)
