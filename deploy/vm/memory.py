"""A virtual machine's memory in its own disk image, so that a saved cluster goes on where it was instead of booting.

QEMU keeps processors, memory and devices as an internal snapshot of the qcow2 file (QMP snapshot-save). The copy of
the disk that a cluster's snapshot holds has it, with a mark beside it; the machine's own disk has it only for the
moment. A machine that starts with the mark takes the memory up, once. Sources: QEMU's QMP reference (snapshot-save,
-load, -delete) and its list of devices that can't be migrated, such as shared directories.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.places import NodePlaces
from deploy.vm.qmp import Qmp, QmpError

TAG = "sampan"
MARK = "memory.json"
SAVE_SECONDS = 120.0
"""A gigabyte on a slow disk."""


def socket_of(own: NodePlaces) -> Path:
    """Where a machine's QEMU is asked."""
    return own.run / "qmp.sock"


def save(own: NodePlaces) -> dict[str, Any]:
    """Put the memory of a machine that stands still into its disk. Returns what `mark` is to write.

    Raises QmpError with QEMU's reason, and then the disk is as it was.
    """
    with Qmp.connect(socket_of(own), own.name) as qmp:
        blocks = _blocks(qmp)
        nodes = _writable(blocks)
        _forget(qmp, nodes)  # of a save that was killed
        qmp.run_job("snapshot-save", "sampan-save", SAVE_SECONDS, tag=TAG, vmstate=nodes[0], devices=nodes)
        return {"readOnly": _read_only(blocks)}


def discard(own: NodePlaces) -> None:
    """Take the memory out of the disk again. Raises QmpError."""
    with Qmp.connect(socket_of(own), own.name) as qmp:
        _forget(qmp, _writable(_blocks(qmp)))


def mark(state: Path, told: dict[str, Any]) -> None:
    """Note in a copy of a node's state that its disk has its memory."""
    (state / MARK).write_text(json.dumps(told) + "\n")


def is_marked(own: NodePlaces) -> bool:
    """Whether a machine's disk has memory to go on with."""
    return (own.state / MARK).exists()


def programs_of(own: NodePlaces) -> Path | None:
    """The read-only disk that a machine's saved memory goes with, if it has any and that disk is still there."""
    if not is_marked(own):
        return None
    files = json.loads((own.state / MARK).read_text()).get("readOnly") or []
    return Path(files[0]) if len(files) == 1 and Path(files[0]).is_file() else None


def take_up(own: NodePlaces) -> bool:
    """Let a machine that has just been switched on go on where its memory was saved. Returns whether it had one.

    Called once QEMU answers. The mark goes first: memory must never meet a disk that has been written to since.
    Raises QmpError when the memory can't be used; the machine then boots.
    """
    if not is_marked(own):
        return False
    path = own.state / MARK
    told = json.loads(path.read_text())
    path.unlink()
    with Qmp.connect(socket_of(own), own.name) as qmp:
        blocks = _blocks(qmp)
        nodes = _writable(blocks)
        try:
            if told.get("readOnly") != _read_only(blocks):
                raise QmpError(
                    where=f"node {own.name}", what="its programs are of another version than its saved memory; it boots"
                )
            qmp.ask("stop")
            try:
                qmp.run_job("snapshot-load", "sampan-load", SAVE_SECONDS, tag=TAG, vmstate=nodes[0], devices=nodes)
            except QmpError:
                qmp.ask("system_reset")
                raise
        finally:
            _forget(qmp, nodes)
            qmp.ask("cont")
    return True


def _forget(qmp: Qmp, nodes: list[str]) -> None:
    """Remove the snapshot; one that is not there is no error (QEMU says nothing then)."""
    qmp.run_job("snapshot-delete", "sampan-delete", SAVE_SECONDS, tag=TAG, devices=nodes)


def _blocks(qmp: Qmp) -> list[dict[str, Any]]:
    return [one["inserted"] for one in qmp.ask("query-block") if one.get("inserted")]


def _writable(blocks: list[dict[str, Any]]) -> list[str]:
    return [one["node-name"] for one in blocks if not one["ro"]]


def _read_only(blocks: list[dict[str, Any]]) -> list[str]:
    """The files that are part of what a machine runs and not of its disk."""
    return sorted(one["file"] for one in blocks if one["ro"])
