"""Work with plugins: programs named kctl-NAME on PATH."""

from __future__ import annotations

import os
import sys

from kctl import plugins
from kctl.__main__ import COMMANDS
from kctl.errors import UsageError
from kctl.flags import Flags, Values

VERBS = {"list": "list the plugins on PATH, and what is wrong with them"}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    flags.usage = "[flags]"
    flags.switch("name-only", "only the names of the programs")


def run(values: Values) -> int:
    """Print them; one that can't be run, or never is, is an error."""
    found = list(plugins.programs())
    if not found:
        raise UsageError("unable to find any kctl plugins in your PATH")
    print("The following compatible plugins are available:\n")
    wrong = 0
    seen: dict[str, str] = {}
    for path in found:
        name = os.path.basename(path)
        print(name if values.name_only else path, flush=True)
        trouble = ""
        if not os.access(path, os.X_OK):
            trouble = "identified as a kctl plugin, but it is not executable"
        elif plugins.command_of(path).split()[0] in COMMANDS:
            trouble = f'{name} overwrites existing command: "kctl {plugins.command_of(path)}"'
        elif name in seen:
            trouble = f"{path} is overshadowed by a similarly named plugin: {seen[name]}"
        seen.setdefault(name, path)
        if trouble:
            wrong += 1
            print(f"  - warning: {trouble}", file=sys.stderr, flush=True)
    if wrong:
        raise UsageError("one plugin warning was found" if wrong == 1 else f"{wrong} plugin warnings were found")
    return 0
