"""The scheduler as a process: `python -m scheduler.main --config FILE`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from uuid import uuid4

from sampan import collector, logs
from sampan.client import Client
from sampan.errors import SampanError
from sampan.leader import Leadership, LeadershipLost
from scheduler.config import Config, address_of
from scheduler.scheduler import Scheduler
from scheduler.serving import serving

log = logging.getLogger(__name__)

USER_AGENT = "sampan-scheduler"


async def run(config: Config) -> None:
    """Schedule until cancelled. Raises LeadershipLost when another replica takes over."""
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client.from_kubeconfig(config.kubeconfig, user_agent=USER_AGENT))
        scheduler = Scheduler(client, name=config.scheduler_name, seed=config.seed)
        if config.metrics:
            port = await stack.enter_async_context(serving(scheduler, *address_of(config.metrics)))
            log.info("serving metrics", extra=logs.fields(port=port))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        following = tasks.create_task(scheduler.follow())
        stack.callback(following.cancel)
        if not config.leader_elect:
            scheduler.metrics.leading.set(1)
            await scheduler.schedule()
            return
        identity = config.identity or f"{socket.gethostname()}_{uuid4()}"
        # A client of its own: the lease must not wait behind hundreds of bindings.
        renewing = await stack.enter_async_context(Client.from_kubeconfig(config.kubeconfig, user_agent=USER_AGENT))
        leadership = Leadership(renewing, config.lease_name, identity, namespace=config.lease_namespace)

        async def lead() -> None:
            scheduler.metrics.leading.set(1)
            await scheduler.schedule(client.fenced(leadership.fence))

        await leadership.run(lead)


async def until_told(config: Config) -> int:
    """Run until SIGTERM or SIGINT. The exit code: 0 when told to end, 1 when leadership is lost."""
    running = asyncio.ensure_future(run(config))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return 0
    except BaseExceptionGroup as group:
        lost = group.subgroup(LeadershipLost)
        if lost is None:
            raise
        log.error("another replica may lead now, so this one ends", extra=logs.fields(error=lost.exceptions[0]))
        return 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse arguments and run. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="scheduler", description="Chooses a node for every pod.")
    parser.add_argument("--config", required=True, metavar="FILE", help="JSON configuration")
    options = parser.parse_args(argv)
    try:
        config = Config.read(options.config)
        logs.configure("scheduler", config.log_level)
        import uvloop  # late: a configuration error needs no event loop

        collector.settle()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(until_told(config))
    except SampanError as error:
        print(f"scheduler: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
