"""`sampan COMMAND ...`: what makes this machine a node or a server. One module a command, imported when called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from sampan.api_error import SampanError

COMMANDS = {
    "join": ("deploy.machine.join_command", "make this machine a node of a cluster"),
    "node": ("deploy.machine.node", "run the node's processes in the foreground"),
    "leave": ("deploy.machine.leave", "drain this node, delete it, and clean the machine"),
    "preflight": ("deploy.machine.preflight", "check whether this machine can be a node"),
    "server": ("deploy.machine.server", "run a control plane on this machine"),
    "service": ("deploy.machine.service", "install, show or remove the systemd units"),
}
"""Each module has `main(argv) -> int`."""


def usage() -> str:
    """The text of --help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return "usage: sampan COMMAND [...]\n\n" + "\n".join(lines) + "\n\nMore: sampan COMMAND --help\n"


def main(argv: Sequence[str] | None = None) -> int:
    """0; 1 with a sentence on standard error; 2 for a wrong command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    known = COMMANDS.get(arguments[0])
    if known is None:
        print(f"sampan: there is no command {arguments[0]!r}\n{usage()}", end="", file=sys.stderr)
        return 2
    try:
        code: int = importlib.import_module(known[0]).main(arguments[1:])
    except SampanError as error:
        print(f"sampan {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"sampan {arguments[0]}: interrupted", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
