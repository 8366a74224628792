"""The runtime's process: `python -m nodeagent.runtime.main --config FILE`."""

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import grpc.aio

from nodeagent.runtime.cgroups.choose import cgroups
from nodeagent.runtime.config import Config, ConfigError, read
from nodeagent.runtime.runtime import Runtime
from nodeagent.runtime.server import ImageService, RuntimeService
from nodeagent.runtime.sessions import Sessions
from nodeagent.runtime.stats import Stats
from nodeagent.runtime.streaming.server import StreamingServer
from sampan.cri import api_pb2_grpc
from sampan.logs import configure, fields

_MOST_MESSAGE_BYTES = 16 << 20
_STOP_SECONDS = 4.5


async def serve(config: Config) -> None:
    """Serve CRI until SIGTERM or SIGINT."""
    log = logging.getLogger("sampan.runtime")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    config.socket.parent.mkdir(parents=True, exist_ok=True)
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    runtime = Runtime(config, cgroups())
    runtime.load()
    sessions = Sessions(runtime)
    async with asyncio.TaskGroup() as tasks:
        connection = tasks.create_task(runtime.run())
        adopted = asyncio.ensure_future(runtime.adopted())
        stop = asyncio.ensure_future(stopping.wait())
        await asyncio.wait((adopted, stop), return_when=asyncio.FIRST_COMPLETED)
        adopted.cancel()
        if not stopping.is_set():
            streaming = StreamingServer(sessions)
            sessions.base_url = await streaming.start(config.streaming_address)
            options = (
                ("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MOST_MESSAGE_BYTES),
            )
            server = grpc.aio.server(options=options)
            services: Any = api_pb2_grpc  # what grpcio-tools writes has no types
            services.add_RuntimeServiceServicer_to_server(RuntimeService(runtime, sessions, Stats(runtime)), server)
            services.add_ImageServiceServicer_to_server(ImageService(runtime), server)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(config.socket)
            server.add_insecure_port(f"unix:{config.socket}")
            await server.start()
            os.chmod(config.socket, 0o600)
            serving = fields(socket=config.socket, streaming=sessions.base_url, cgroups=runtime.cgroups.version)
            log.info("serving", extra=serving)
            await stop
            faulthandler.dump_traceback_later(_STOP_SECONDS, exit=True)  # containers need nothing of us to go on
            await streaming.stop()
            await server.stop(grace=1.0)
        await runtime.stop()
        connection.cancel()
    faulthandler.cancel_dump_traceback_later()
    log.info("stopped")


def main(argv: Sequence[str]) -> int:
    """Run until told to stop. 2 for a config that cannot be used."""
    parser = argparse.ArgumentParser(prog="sampan-runtime")
    parser.add_argument("--config", required=True, help="JSON file")
    options = parser.parse_args(argv)
    try:
        config = read(options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    configure("runtime", config.log_level)
    import uvloop  # late: a bad configuration needs no event loop. It halves what a CRI call costs here.

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
