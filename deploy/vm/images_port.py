"""The machine's image store, read by a guest through its port dev.sampan.images.

The guest sends JSON lines, one at a time: {"path": P, "offset": N, "size": M}. The answer is a JSON line
{"size": bytes that follow, "total": the file's size}, or {"error": errno's name}, then the bytes.
Always: nothing outside the store is read, whatever the path says or a link leads to; nothing is written.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

PORT = "images"
MOST_BYTES = 1 << 20
MOST_LINE = 4096


def answer(store: Path, line: bytes) -> tuple[dict[str, Any], bytes]:
    """One question's answer. Pure but for reading the file."""
    try:
        asked = json.loads(line)
        path, offset, size = str(asked["path"]), int(asked.get("offset", 0)), int(asked.get("size", MOST_BYTES))
    except (ValueError, TypeError, KeyError):
        return {"error": "EINVAL"}, b""
    root = os.path.realpath(store)
    target = os.path.realpath(os.path.join(root, path))
    if not target.startswith(root + "/") or "\0" in path or offset < 0:
        return {"error": "EACCES"}, b""
    try:
        with open(target, "rb") as file:
            total = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = file.read(max(0, min(size, MOST_BYTES)))
    except (OSError, ValueError) as error:
        code = getattr(error, "errno", None) or errno.EIO
        return {"error": errno.errorcode.get(code, "EIO")}, b""
    return {"size": len(data), "total": total}, data


def attend(stream: socket.socket, store: Path) -> None:
    """Answer until the machine ends."""
    lines: BinaryIO = stream.makefile("rb")
    while line := lines.readline(MOST_LINE):
        head, data = answer(store, line)
        stream.sendall(json.dumps(head).encode() + b"\n" + data)


def serve(path: Path, store: Path) -> subprocess.Popen[bytes]:
    """Start the process that answers at QEMU's end of the port."""
    return subprocess.Popen(
        (sys.executable, "-S", "-m", "deploy.vm.images_port", str(path), str(store)),
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent)},
    )


def main() -> int:
    """`SOCKET STORE`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(sys.argv[1])
        attend(stream, Path(sys.argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
