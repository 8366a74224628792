"""Print the client's and the server's version."""

from __future__ import annotations

import argparse
import json

from kctl import flags

CLIENT = "v0.1.0"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--client", action="store_true", help="the client's only; no server is asked")
    parser.add_argument("-o", "--output", default="", choices=("", "json", "yaml"), help="json or yaml")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    value: dict[str, object] = {"clientVersion": {"gitVersion": CLIENT}}
    if not arguments.client:
        value["serverVersion"] = flags.session(arguments).get("/version")
    if arguments.output == "json":
        print(json.dumps(value, indent=2))
    elif arguments.output == "yaml":
        from kctl.printers import to_yaml

        print(to_yaml(value), end="")
    else:
        print(f"Client Version: {CLIENT}")
        if not arguments.client:
            server = value["serverVersion"]
            assert isinstance(server, dict)
            print(f"Server Version: {server['gitVersion']}")
    return 0
