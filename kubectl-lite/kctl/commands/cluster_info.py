"""Print the addresses of the control plane."""

from __future__ import annotations

import os
import sys

from kctl import flags
from kctl.errors import UsageError
from kctl.flags import Flags, Values


def configure(flags: Flags) -> None:
    """There are no flags of its own."""
    flags.usage = ""


def run(values: Values) -> int:
    """Print them, in colour on a terminal unless NO_COLOR is set."""
    if values.words:
        raise UsageError("cluster-info dump is not supported")
    session = flags.session(values)
    session.get("/version")
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    name, url = "Kubernetes control plane", session.target.server
    print(f"\033[0;32m{name}\033[0m is running at \033[0;33m{url}\033[0m" if colours else f"{name} is running at {url}")
    print("\nTo further debug and diagnose cluster problems, use 'kctl get events -A' and 'kctl describe'.")
    return 0
