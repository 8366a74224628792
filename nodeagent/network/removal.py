"""`python -m nodeagent.network.removal --config AGENT.json`: takes a node's network away, once its agent has ended.

Devices, routes, service rules and pods' interfaces go; what was there before is not touched. Repeatable.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nodeagent.config import read_config
from nodeagent.network.errors import NetworkError
from nodeagent.network.node_network import remove_network
from nodeagent.node_ports import network_config
from sampan.errors import SampanError


def main(argv: Sequence[str]) -> int:
    """0; 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(prog="sampan-network-removal")
    parser.add_argument("--config", type=Path, required=True, help="the agent's configuration file")
    options = parser.parse_args(argv)
    try:
        config = read_config(options.config)
        if config.network is not None:
            remove_network(network_config(config))
    except (SampanError, NetworkError, OSError) as error:
        print(f"network: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
