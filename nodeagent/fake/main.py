"""`python -m nodeagent.fake.main --config FILE`: the agent of all fake nodes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nodeagent.fake.agent import FakeAgent
from nodeagent.fake.config import FakeConfig, read_config
from nodeagent.fake.model import FAKE_NODES, FAKE_PODS
from sampan import collector, logs
from sampan.client import Client, warm
from sampan.clock import Clock
from sampan.errors import SampanError

log = logging.getLogger(__name__)


def preload() -> None:
    """Ready what every process of fake nodes needs, before a fork."""
    warm(FAKE_PODS, FAKE_NODES)


async def run(config: FakeConfig) -> None:
    """The agent, until SIGTERM or SIGINT."""
    agent = asyncio.ensure_future(_run(config))
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, agent.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await agent


async def _run(config: FakeConfig) -> None:
    clock = Clock()
    async with Client.from_kubeconfig(str(config.kubeconfig), user_agent="sampan-fake-nodes", clock=clock) as client:
        await FakeAgent(config, client, clock).run()


def main(argv: Sequence[str]) -> int:
    """Run until told to end: 0; 1 when it can't."""
    parser = argparse.ArgumentParser(prog="fake nodes", description="The agent of all fake nodes.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file, see nodeagent/fake/config.py")
    options = parser.parse_args(argv)
    try:
        config = read_config(options.config)
        logs.configure("fake-nodes", config.log_level)
        import uvloop  # late: a configuration error needs no event loop

        collector.settle()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(config))
    except SampanError as error:
        print(f"fake nodes: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"fake nodes: {config.address}:{config.port} can't be listened on: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
