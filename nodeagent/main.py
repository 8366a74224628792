"""`python -m nodeagent.main --config FILE`: the agent of one node."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nodeagent.config import AgentConfig, read_config
from sampan import logs
from sampan.errors import SampanError

log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT: 0; 1 when it can't."""
    parser = argparse.ArgumentParser(prog="nodeagent", description="The agent of one node.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file, see nodeagent/config.py")
    arguments = parser.parse_args(argv)
    try:
        config = read_config(arguments.config)
    except SampanError as error:
        print(f"nodeagent: {error}", file=sys.stderr)
        return 1
    logs.configure("nodeagent", config.log_level)
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signal(config))
    except SampanError as error:
        log.error("the agent ends", extra=logs.fields(error=error))
        return 1
    return 0


def preload() -> None:
    """Import and ready what every agent needs, once: a supervisor calls this before it forks. Starts no thread."""
    import uvloop  # noqa: F401

    import nodeagent.agent  # noqa: F401
    from nodeagent.tokens import TOKENS
    from sampan import kinds
    from sampan.client import warm

    warm(
        kinds.PODS,
        kinds.NODES,
        kinds.SERVICES,
        kinds.ENDPOINT_SLICES,
        kinds.CONFIG_MAPS,
        kinds.SECRETS,
        kinds.EVENTS,
        kinds.LEASES,
        TOKENS,
    )


async def _until_signal(config: AgentConfig) -> None:
    task = asyncio.current_task()
    assert task is not None
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        task.cancel()

    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop)
    try:
        await run(config)
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        log.info("the agent ends, containers stay")


async def run(config: AgentConfig) -> None:
    """Everything of one node's agent, until cancelled."""
    from nodeagent.agent import Agent
    from nodeagent.cri import Runtime
    from sampan.client import Client
    from sampan.clock import Clock

    clock = Clock()
    async with (
        Client.from_kubeconfig(str(config.kubeconfig), user_agent=config.user_agent, clock=clock) as client,
        Runtime.connect(config.cri_socket) as runtime,
    ):
        await Agent(config, client, runtime, clock).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
