"""Files and folders as a tar stream, packed here and unpacked from somebody who is not trusted."""

from __future__ import annotations

import os
import sys
import tarfile
from typing import IO

from kctl.errors import UsageError


def pack(local: str, name: str, writer: int) -> None:
    """Write what is at `local` as an archive of `name` to a descriptor, which is closed. Links stay links."""
    try:
        with (
            os.fdopen(writer, "wb") as stream,
            tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as tar,
        ):
            tar.add(local, arcname=name)
    except OSError:
        return  # the other end has gone and says why


def unpack(archive: IO[bytes], name: str, local: str) -> None:
    """Put what is below `name` at `local`. Who made the archive may be hostile: nothing may leave `local`."""
    try:
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            for member in tar:
                inner = os.path.relpath(member.name, name)
                if inner.startswith("..") or os.path.isabs(member.name) or not (member.isfile() or member.isdir()):
                    why = f"not a plain file or folder below {name!r}"
                    print(f"warning: skipping {member.name!r}: {why}", file=sys.stderr)
                    continue
                _place_member(tar, member, os.path.normpath(os.path.join(local, inner)))
    except (tarfile.TarError, OSError) as error:
        raise UsageError(f"can't unpack to {local}: {error}") from error


def _place_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    if member.isdir():
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, member.mode & 0o777)
    with os.fdopen(descriptor, "wb") as out:
        while piece := content.read(1 << 20):
            out.write(piece)
