"""The command line: finds the command's module, parses its flags, runs it, and turns errors into exit codes.

Importing is what costs, so a command's module is imported when it is named and no other one is.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from sampan.errors import ApiError, SampanError

COMMANDS = {
    "api-resources": "list the kinds that the server has",
    "apply": "create or change objects as files describe them",
    "create": "create an object from a file or from flags",
    "delete": "delete objects",
    "get": "show objects",
    "logs": "print a container's logs",
    "rollout": "status, history, undo, restart, pause and resume of a rollout",
    "run": "run an image in a pod",
    "scale": "set the number of replicas",
    "set": "change one part of an object, such as an image",
    "version": "print the client's and the server's version",
    "wait": "wait until objects are as one says",
    "cluster": "start, stop and look at local clusters",
    "image": "build, load, list and remove images",
}
"""Command -> one line of help. The module is kctl.commands.NAME with dashes as underscores."""

ALIASES: dict[str, str] = {}


class UsageError(SampanError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """argparse with kubectl's manners: one line `error: ...` and exit code 1."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse says NoReturn; raising is one
        raise UsageError(f"{message}\nSee '{self.prog} --help' for usage.")


def module_of(command: str) -> ModuleType:
    """Import a command's module: it has `configure(parser)` and `run(arguments) -> int`."""
    return importlib.import_module(f"kctl.commands.{command.replace('-', '_')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return dispatch(arguments)
    except SampanError as error:
        print(wording(error), file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone: nothing to say, and nobody to say it to
        return 1
    except KeyboardInterrupt:
        return 130


def wording(error: SampanError) -> str:
    """An error as kubectl says it."""
    if not isinstance(error, ApiError):
        return f"error: {error}" if not str(error).startswith(("The connection", "Unable to connect")) else str(error)
    if error.reason == "Invalid":
        return f"The {error.message}" if error.message else "The request is invalid"
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {error.message}"


def dispatch(arguments: list[str]) -> int:
    """Find the command and run it. Raises SampanError."""
    name = next((word for word in arguments if not word.startswith("-")), "")
    if not name or name == "help":
        print(overview())
        return 0
    name = ALIASES.get(name, name)
    if name not in COMMANDS:
        raise UsageError(f'unknown command "{name}" for "kctl"')
    module = module_of(name)
    parser = Parser(prog=f"kctl {name}", description=module.__doc__, formatter_class=argparse.RawTextHelpFormatter)
    module.configure(parser)
    arguments.remove(name)
    code: int = module.run(parser.parse_args(arguments))
    return code


def overview() -> str:
    """What `kctl` alone prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in sorted(COMMANDS.items())]
    return "\n".join(["kctl controls Sampan and any other Kubernetes cluster.", "", "Commands:", *lines])


if __name__ == "__main__":
    sys.exit(main())
