"""All controllers as one process: `python -m controllers.main --config FILE`.

They share informers and one leader lease; importing this starts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from controllers import config as config_
from controllers.certificates.approver import APPROVER, NAMES
from controllers.certificates.cleaner import CLEANER
from controllers.certificates.facts import Publication, publisher
from controllers.certificates.signer import signer
from controllers.certificates.tokens import TOKEN_EXPIRY
from controllers.config import Config, ConfigError
from controllers.daemonset import DAEMON_SET
from controllers.deployment import DEPLOYMENT
from controllers.endpoints import LEGACY_ENDPOINTS, SLICES
from controllers.garbage.collector import GarbageCollector
from controllers.ipam import Ranges, node_ipam
from controllers.job import JOB, TTL_AFTER_FINISHED
from controllers.mirroring import MIRRORING
from controllers.namespace import NAMESPACE
from controllers.nodes import Vigil, node_lifecycle, taint_eviction
from controllers.podgc import Garbage, pod_garbage
from controllers.replicaset import REPLICA_SET
from controllers.serviceaccounts import DEFAULT_ACCOUNT, TOKEN_CLEANER, root_ca
from sampan import logs
from sampan.client import Client, warm
from sampan.clock import Clock
from sampan.errors import SampanError
from sampan.events import EventRecorder
from sampan.kinds import CUSTOM_RESOURCE_DEFINITIONS, EVENTS, LEASES
from sampan.kubeconfig import KubeconfigError
from sampan.leader import Leadership, LeadershipLost
from sampan.logs import fields
from sampan.loop import Controller, Loop, caches_for
from sampan.queue import KeyQueue
from sampan.world import Caches

log = logging.getLogger(__name__)

COMPONENT = "controllers"


class Declared:
    """The controllers of a configuration, and what they remember."""

    def __init__(self, config: Config) -> None:
        self.vigil = Vigil(config.node_monitor_grace_seconds, config.node_startup_grace_seconds)
        self.controllers: list[Controller[Any]] = [
            DEPLOYMENT,
            REPLICA_SET,
            DAEMON_SET,
            JOB,
            TTL_AFTER_FINISHED,
            SLICES,
            LEGACY_ENDPOINTS,
            MIRRORING,
            NAMESPACE,
            DEFAULT_ACCOUNT,
            TOKEN_CLEANER,
            CLEANER,
            TOKEN_EXPIRY,
            node_lifecycle(self.vigil),
            taint_eviction(config.default_toleration_seconds),
            pod_garbage(Garbage(config.pod_quarantine_seconds, config.terminated_pod_limit)),
        ]
        if config.allocate_node_cidrs:
            try:
                ranges = Ranges(config.cluster_cidr, config.node_cidr_mask)
            except ValueError as error:
                raise ConfigError(f"cluster_cidr, node_cidr_mask: {error}") from error
            self.controllers.append(node_ipam(ranges))
        if config.signing is not None:
            self.controllers += [APPROVER, NAMES, signer(config.signing)]
        certificate = ""
        if config.root_ca_file:
            try:
                certificate = Path(config.root_ca_file).read_text()
                self.controllers.append(root_ca(certificate))
            except OSError as error:
                raise ConfigError(f"root_ca_file {config.root_ca_file}: {error.strerror}") from error
        if config.join_facts or certificate:
            self.controllers.append(publisher(Publication(config.join_facts, certificate)))


async def lead(config: Config, client: Client, clock: Clock, queues: list[KeyQueue[Any]]) -> None:
    """Run every controller until cancelled."""
    declared = Declared(config)
    base = caches_for(declared.controllers, client, clock, also=(LEASES, CUSTOM_RESOURCE_DEFINITIONS))
    declared.vigil.listening_for = base.informer(LEASES).watched_for
    base.informer(LEASES).subscribe(declared.vigil.heard_lease)
    recorders: dict[str, EventRecorder] = {}
    async with asyncio.TaskGroup() as group:

        def recorder(component: str) -> EventRecorder:
            if component not in recorders:
                recorders[component] = EventRecorder(client, component, clock=clock)
                group.create_task(recorders[component].run(), name=f"events of {component}")
            return recorders[component]

        group.create_task(base.run(), name="caches")
        group.create_task(declared.vigil.keep_attention(), name="attention to nodes")
        # Only the garbage collector looks at definitions, and a server without them has no custom resources.
        await base.synced(but=(CUSTOM_RESOURCE_DEFINITIONS,))
        gc.collect()
        gc.freeze()  # what has just been listed lives long: looking through it again and again costs whole pauses
        log.info("caches are filled", extra=fields(objects=_count(base)))
        loop = Loop(client, base, recorder, clock, queues)
        garbage = GarbageCollector(client, base, recorder("garbage-collector-controller"), clock)
        group.create_task(garbage.run(), name="garbage collector")
        group.create_task(loop.run(declared.controllers), name="controllers")


def _count(caches: Caches) -> int:
    return sum(len(informer.items()) for informer in caches.complete())


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Raises LeadershipLost when another replica takes over."""
    clock = Clock()
    queues: list[KeyQueue[Any]] = []
    _move(clock, config)
    running = asyncio.current_task()
    assert running is not None
    events = asyncio.get_running_loop()

    def moved() -> None:
        _move(clock, config)
        for queue in queues:
            queue.clock_moved()

    for number in (signal.SIGTERM, signal.SIGINT):
        events.add_signal_handler(number, running.cancel)
    events.add_signal_handler(signal.SIGUSR1, moved)
    async with Client.from_kubeconfig(config.kubeconfig, user_agent="sampan-controllers", clock=clock) as client:
        if not config.leader_elect:
            await lead(config, client, clock, queues)
            return
        identity = config.identity or f"{socket.gethostname()}_{uuid.uuid4()}"
        leadership = Leadership(client, config.lease_name, identity, namespace=config.lease_namespace, clock=clock)
        fenced = client.fenced(leadership.fence)
        await leadership.run(lambda: lead(config, fenced, clock, queues))


def _move(clock: Clock, config: Config) -> None:
    """Set the calendar's offset from its file, if there is one."""
    if not config.clock_offset_file:
        return
    try:
        clock.offset = timedelta(seconds=float(Path(config.clock_offset_file).read_text() or 0))
    except FileNotFoundError:
        clock.offset = timedelta()
    except (OSError, ValueError, OverflowError) as error:
        log.error("can't read the clock's offset", extra=fields(file=config.clock_offset_file, error=error))
    else:
        log.info("the clock is moved", extra=fields(seconds=clock.offset.total_seconds()))


def preload() -> None:
    """Do what every start has to do, once: a supervisor calls this before it forks. Starts no thread and no loop."""
    warm(*{resource for one in Declared(Config("")).controllers for resource in one.resources()}, LEASES, EVENTS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controllers. Returns 0 after SIGTERM, 1 after an error, 2 for a bad configuration."""
    parser = argparse.ArgumentParser(prog="controllers", description="Run Sampan's controllers.")
    parser.add_argument("--config", required=True, metavar="FILE", help="settings as JSON")
    arguments = parser.parse_args(argv)
    try:
        config = config_.load(arguments.config)
    except ConfigError as error:
        print(f"controllers: {error}", file=sys.stderr)
        return 2
    logs.configure(COMPONENT, config.log_level)
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config))
    except asyncio.CancelledError:
        log.info("stopped")
        return 0
    except (ConfigError, KubeconfigError) as error:
        log.error("can't start", extra=fields(error=error))
        return 2
    except LeadershipLost as error:
        log.error("no longer leading, so ending", extra=fields(error=error))
        return 1
    except SampanError as error:
        log.error("ended", extra=fields(error=error))
        return 1
    except BaseExceptionGroup as group:
        log.error("ended", exc_info=group)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
