"""The API server as a process: `python -m apiserver.main --config FILE`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from apiserver.config import Config, read
from sampan import collector, logs
from sampan.errors import ClusterError

log = logging.getLogger("apiserver")

STOP_SECONDS = 4.0


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="apiserver", description="The Kubernetes API over etcd.")
    parser.add_argument("--config", required=True, help="JSON file of settings")
    arguments = parser.parse_args(argv)
    try:
        config = read(arguments.config)
        logs.configure("apiserver", config.log_level)
        import uvloop

        uvloop.run(serve(config))
    except ClusterError as error:
        print(f"apiserver: {error}", file=sys.stderr)
        return 1
    return 0


async def serve(config: Config) -> None:
    """Start, serve, stop in order. Raises ClusterError."""
    from apiserver.site import Site

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    site = Site(config)
    starting = asyncio.create_task(site.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
    else:
        await starting
        collector.settle()
        log.info("serving", extra=logs.fields(listen=",".join(config.listen), fds=config.listen_fds))
    await stopping
    log.info("stopping")
    await site.stop(STOP_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
