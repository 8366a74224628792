"""Plugins: a program `kctl-NAME` on PATH is the command `kctl NAME`, as kubectl has it.

`kctl a b c` looks for kctl-a-b-c, then kctl-a-b, then kctl-a; the words that are left are its arguments. A dash in a
word is an underscore in the program's name. kctl's own commands are never a plugin's.
"""

from __future__ import annotations

import os
import shutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PREFIX = "kctl-"


def hand_over(words: Sequence[str]) -> None:
    """Become the plugin that the words name; returns if there is none. Flags before its name are no plugin's."""
    names: list[str] = []
    for word in words:
        if word.startswith("-"):
            break
        names.append(word.replace("-", "_"))
    for end in range(len(names), 0, -1):
        program = "-".join(names[:end])
        path = shutil.which(PREFIX + program) if "/" not in program and "\0" not in program else None
        if path is not None:
            os.execv(path, [path, *words[end:]])


def programs() -> Iterator[str]:
    """The paths of all plugins on PATH, in its order."""
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        try:
            names = sorted(os.listdir(directory or "."))
        except OSError:
            continue
        for name in names:
            path = os.path.join(directory, name)
            if name.startswith(PREFIX) and os.path.isfile(path):
                yield path


def command_of(path: str) -> str:
    """`a b` for .../kctl-a-b."""
    return os.path.basename(path).removeprefix(PREFIX).replace("-", " ").replace("_", "-")
