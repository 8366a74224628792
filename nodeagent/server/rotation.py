"""Keeping logs small: a file that has grown too large is renamed, the runtime begins a new one, old ones go.

Source: the Kubernetes documentation, "Log rotation": containerLogMaxSize 10 MiB, containerLogMaxFiles 5.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from nodeagent.cri import CriError, Runtime
from nodeagent.server.logs import files_of
from sampan.clock import Clock
from sampan.logs import fields

log = logging.getLogger(__name__)

PERIOD_SECONDS = 10.0


async def keep_rotating(
    running: Callable[[], Iterable[tuple[str, Path]]],
    runtime: Runtime,
    clock: Clock,
    *,
    max_bytes: int,
    max_files: int,
) -> None:
    """Look at the logs of running containers (id, path) every ten seconds, until cancelled."""
    while True:
        await clock.sleep(PERIOD_SECONDS)
        for container_id, path in list(running()):
            try:
                if path.stat().st_size > max_bytes:
                    await rotate(container_id, path, runtime, clock, max_files)
            except FileNotFoundError:
                continue
            except (OSError, CriError) as error:
                log.warning("can't rotate a log", extra=fields(path=path, error=error))


async def rotate(container_id: str, path: Path, runtime: Runtime, clock: Clock, max_files: int) -> None:
    """Rename, reopen, pack all but the newest old file, drop the oldest. Raises OSError, CriError."""
    old = files_of(path)[:-1]
    for surplus in old[: max(0, len(old) - (max_files - 2))]:
        surplus.unlink()
    for earlier in files_of(path)[:-1]:
        if earlier.suffix != ".gz":
            await asyncio.to_thread(pack, earlier)
    aside = path.with_name(f"{path.name}.{clock.now():%Y%m%d-%H%M%S%f}")
    path.rename(aside)
    try:
        await runtime.reopen_log(container_id)
    except CriError:
        aside.rename(path)  # or the runtime would go on writing a file that counts as old
        raise
    log.info("rotated a log", extra=fields(path=path))


def pack(path: Path) -> None:
    """Replace a file by its gzipped form."""
    packed = path.with_name(path.name + ".gz")
    part = path.with_name(path.name + ".tmp")
    with path.open("rb") as source, gzip.open(part, "wb") as target:
        shutil.copyfileobj(source, target)
    os.rename(part, packed)
    path.unlink()
