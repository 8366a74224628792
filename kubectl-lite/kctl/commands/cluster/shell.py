"""Into a node: shell, console, cp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kctl.commands.cluster.printing import cluster_flag, most
from kctl.errors import Exit, UsageError
from kctl.flags import Flags, Values

if TYPE_CHECKING:
    from pathlib import Path

VERBS = {
    "shell": "open a shell on a node, or run a command there",
    "console": "print what a node said while it started",
}
FOLLOW_SECONDS = 0.25


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    cluster_flag(flags)
    if verb == "shell":
        flags.usage = "NODE [flags] [-- COMMAND [args...]]"
        flags.switch("no-tty", "no terminal on the node, even with one here", short="T")
    else:
        flags.usage = "NODE [flags]"
        flags.switch("follow", "print what comes, too", short="f")
        flags.number("tail", "how many of the last lines; -1 for all", default=-1)


def run(values: Values) -> int:
    """Do what the verb says."""
    most(values, 1)
    if not values.words:
        raise UsageError(f"kctl cluster {values.verb} needs the node's name")
    return {"shell": _shell, "console": _console}[values.verb](values)


def _shell(values: Values) -> int:
    import os

    from deploy import lookup
    from deploy.shell import client, reach
    from deploy.shell.session import Command
    from kctl import streams

    if values.after_dash is not None and not values.after_dash:
        raise UsageError("you must specify at least one word after --")
    tty = os.isatty(0) and os.isatty(1) and not values.no_tty
    columns, rows = os.get_terminal_size(0) if tty else (80, 24)
    passed = {name: os.environ[name] for name in ("TERM", "LANG") if name in os.environ} if tty else {}
    command = Command(tuple(values.after_dash or ()), tty, rows, columns, passed)
    node = values.words[0]
    with (
        reach.connect(lookup.cluster_places(values.cluster), node) as stream,
        streams.window_changes(tty) as changes,
        streams.raw_terminal(tty),
    ):
        ends = client.Ends(stdin=0, resized=-1 if changes is None else changes)
        code = client.run(stream, node, command, ends)
    if code:
        raise Exit(code)
    return 0


def _console(values: Values) -> int:
    from deploy import console

    path = console.log_of(values.cluster, values.words[0])
    _print_log(path, values.tail, follow=values.follow)
    return 0


def _print_log(path: Path, tail: int, *, follow: bool) -> None:
    import sys
    import time

    with path.open("rb") as log:
        content = log.read()
        lines = content.splitlines(keepends=True)
        sys.stdout.buffer.writelines(lines if tail < 0 else lines[len(lines) - min(tail, len(lines)) :])
        sys.stdout.buffer.flush()
        while follow:
            if piece := log.read(65536):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                continue
            if path.stat().st_size < log.tell():  # a machine that starts anew begins its log anew
                log.seek(0)
            time.sleep(FOLLOW_SECONDS)
