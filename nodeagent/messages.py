"""The last words of a container: its termination message file, or the end of its log.

Source: the Kubernetes documentation, "Determine the Reason for Pod Failure": 4 KiB of the file; with
FallbackToLogsOnError and an error, the last 80 lines, at most 2 KiB, of the log.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nodeagent.observed import Container

MOST_MESSAGE = 4096
MOST_LOG = 2048
MOST_LOG_LINES = 80


def last_words(container: Container) -> str:
    """The message of a container that has ended; the runtime's own where there is none."""
    text = _tail_free(Path(container.message_file)) if container.message_file else ""
    if not text and container.message_policy == "FallbackToLogsOnError" and container.exit_code != 0:
        text = _log_end(Path(container.log_path)) if container.log_path else ""
    return text or container.message


def _tail_free(path: Path) -> str:
    """The start of a file that the container owns, so it is opened with care: no symlink, no FIFO."""
    try:
        here = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(here).st_mode):
            return ""
        return os.read(here, MOST_MESSAGE).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(here)


def _log_end(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4 * MOST_LOG))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    texts = []
    for line in lines[-MOST_LOG_LINES:]:
        parts = line.split(" ", 3)
        if len(parts) == 4:
            texts.append(parts[3] + ("\n" if parts[2].startswith("F") else ""))
    return "".join(texts)[-MOST_LOG:]
