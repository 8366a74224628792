"""The network of one node, kept as Nodes, Services and EndpointSlices say: overlay, service rules, DNS.

    informers -> ClusterView -> plans (pure) -> one thread that talks to the kernel
                             -> zone         -> DNS server

Always: each part follows the newest state only (changes that come together cost one run), repairs itself when what
it made is gone (looked at once a minute, since the kernel can't be watched for all of it), and a part that fails
doesn't hold up the others: it tries again with back-off and says so in `problems`.
Elsewhere: pods' own devices, which the runtime makes (pod.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nodeagent.network import overlay
from nodeagent.network.config import Mode, NetworkConfig
from nodeagent.network.dns.server import DnsServer
from nodeagent.network.dns.zone import Zone, zone_of
from nodeagent.network.errors import NetworkError
from nodeagent.network.namespaces import write_sysctl
from nodeagent.network.overlay import Peer
from nodeagent.network.pod import PodNetwork
from nodeagent.network.services.conntrack import Targets, forget_stale, stale_targets
from nodeagent.network.services.device import reconcile_device, remove_device
from nodeagent.network.services.nftables import Nftables, ServiceTable
from nodeagent.network.services.plan import HostPort, NodeFacts, Plan, plan
from nodeagent.network.view import ClusterView
from sampan.api.core_v1 import Node, Service
from sampan.api.discovery_v1 import EndpointSlice
from sampan.clock import Clock
from sampan.logs import fields
from sampan.netlink.route import RouteSocket

log = logging.getLogger(__name__)

RESYNC_SECONDS = 60.0
GATHER_SECONDS = 0.05  # at most 20 runs a second, however fast the cluster changes
FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 30.0

M_co = TypeVar("M_co", covariant=True)


class Source(Protocol[M_co]):
    """What the network needs of an informer (sampan.informer.Informer is one)."""

    async def synced(self) -> None:
        """Wait for the first list."""

    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with a Change for each object that is there, and for each change from now on."""


@dataclass(slots=True)
class Part:
    """One thing that is kept right: what is wrong with it now ("" if nothing), and how often it was looked at."""

    name: str
    error: str = "has not been set up yet"
    runs: int = 0
    failures: int = 0
    changes: int = 0
    dirty: asyncio.Event = field(default_factory=asyncio.Event)


class NodeNetwork:
    """Run it in a TaskGroup; it works in the network namespace of the thread that calls `run`."""

    def __init__(
        self,
        config: NetworkConfig,
        nodes: Source[Node],
        services: Source[Service],
        slices: Source[EndpointSlice],
        *,
        clock: Clock | None = None,
        resync_seconds: float = RESYNC_SECONDS,
    ) -> None:
        self.config = config
        self.pods = PodNetwork(config.pods())
        self.view = ClusterView()
        self.dns: DnsServer | None = None
        self._nodes, self._services, self._slices = nodes, services, slices
        self._clock = clock or Clock()
        self._resync_seconds = resync_seconds
        self._overlay, self._rules, self._names = Part("overlay"), Part("services"), Part("dns")
        self._host_ports: tuple[HostPort, ...] = ()
        self._complaints: list[str] = []
        self._serial = 0
        self._table: ServiceTable | None = None
        self._checked_at = self._clock.monotonic()
        self._udp: Targets | None = None  # None: whatever flows a predecessor left have to be looked at
        self._ready = asyncio.Event()
        self._kernel: ThreadPoolExecutor | None = None

    async def ready(self) -> None:
        """Wait until overlay, services and DNS have been right once."""
        await self._ready.wait()

    def problems(self) -> list[str]:
        """What is wrong now, for the node's NetworkUnavailable condition and for people; empty: all is well."""
        parts = [f"{part.name}: {part.error}" for part in self._parts if part.error]
        return parts + [f"overlay: {complaint}" for complaint in self._complaints]

    @property
    def healthy(self) -> bool:
        """Whether overlay, services and DNS are as they should be."""
        return not any(part.error for part in self._parts)

    def metrics(self) -> dict[str, float]:
        """Numbers for the agent's /metrics, by name (without a prefix)."""
        found: dict[str, float] = {
            "network_peers": len(self.view.peers),
            "network_services": len(self.view.services),
            "network_endpoints": sum(len(one) for one in self.view.endpoints.values()),
        }
        for part in self._parts:
            found[f"network_{part.name}_runs_total"] = part.runs
            found[f"network_{part.name}_failures_total"] = part.failures
            found[f"network_{part.name}_changes_total"] = part.changes
            found[f"network_{part.name}_healthy"] = float(not part.error)
        if self.dns:
            counts = self.dns.counts
            found["network_dns_queries_total"] = counts.queries
            found["network_dns_malformed_total"] = counts.malformed
            found["network_dns_forwarded_total"] = counts.forwarded
            found["network_dns_upstream_failures_total"] = counts.upstream_failures
        return found

    @property
    def pod_cidr(self) -> str:
        """This node's range of pod addresses, "" until it has one."""
        own = self.view.peers.get(self.config.node_name)
        return own.pod_cidr if own else ""

    def set_host_ports(self, ports: tuple[HostPort, ...]) -> None:
        """The hostPorts of the pods on this node, all of them each time."""
        if ports != self._host_ports:
            self._host_ports = ports
            self._rules.dirty.set()

    async def run(self) -> None:
        """Keep the network right until cancelled. What was set up stays: connections go on without the agent."""
        # One thread, so that steps never overlap; made here, it is in this thread's namespaces.
        self._kernel = ThreadPoolExecutor(max_workers=1, thread_name_prefix="network")
        unsubscribe: list[Callable[[], None]] = []
        try:
            # All three first: rules made of half a picture would cut off what works.
            await asyncio.gather(self._nodes.synced(), self._services.synced(), self._slices.synced())
            unsubscribe = [
                self._nodes.subscribe(self._node_changed),
                self._services.subscribe(self._service_changed),
                self._slices.subscribe(self._slice_changed),
            ]
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tend(self._overlay, self._run_overlay))
                group.create_task(self._tend(self._rules, self._run_services))
                group.create_task(self._tend(self._names, self._run_dns))
        finally:
            for end in unsubscribe:
                end()
            if self.dns:
                await self.dns.close()
                self.dns = None
            self._kernel.shutdown(wait=True)

    def remove_all(self) -> None:
        """Take away everything of the network, pods' devices included. Blocks; call it when `run` has ended."""
        remove_network(self.config)

    @property
    def _parts(self) -> tuple[Part, Part, Part]:
        return (self._overlay, self._rules, self._names)

    def _node_changed(self, change: Any) -> None:
        if self.view.take_node(change.old, change.new):
            self._overlay.dirty.set()
            self._rules.dirty.set()

    def _service_changed(self, change: Any) -> None:
        if self.view.take_service(change.old, change.new):
            self._rules.dirty.set()
            self._names.dirty.set()

    def _slice_changed(self, change: Any) -> None:
        if self.view.take_slice(change.old, change.new):
            self._rules.dirty.set()
            self._names.dirty.set()

    async def _tend(self, part: Part, step: Callable[[], Awaitable[int]]) -> None:
        """Run one part whenever something changed, and now and then although nothing did."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            part.dirty.clear()
            part.runs += 1
            try:
                part.changes += await step()
            except Exception as error:  # the part's edge: the others go on
                part.failures += 1
                if str(error) != part.error:
                    log.warning("can't be set up", extra=fields(part=part.name, error=error))
                part.error = str(error) or type(error).__name__
                await self._changed_within(part, backoff)
                backoff = min(backoff * 2, MOST_BACKOFF_SECONDS)
                continue
            if part.error:
                log.info("is set up", extra=fields(part=part.name))
            part.error, backoff = "", FIRST_BACKOFF_SECONDS
            if self.healthy:
                self._ready.set()
            await self._clock.sleep(GATHER_SECONDS)
            await self._changed_within(part, self._resync_seconds)

    async def _changed_within(self, part: Part, seconds: float) -> None:
        waits = {asyncio.create_task(part.dirty.wait()), asyncio.create_task(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _in_kernel(self, call: Callable[[], int]) -> int:
        assert self._kernel is not None
        return await asyncio.get_running_loop().run_in_executor(self._kernel, call)

    async def _run_overlay(self) -> int:
        peers, complaints = overlay.usable_peers(self.view.peers.values(), self.config.cluster_cidr)
        for complaint in complaints:
            if complaint not in self._complaints:
                log.warning("a node can't be reached", extra=fields(error=complaint))
        self._complaints = complaints
        pod_cidr = self._own_range()
        return await self._in_kernel(lambda: self._set_overlay(pod_cidr, peers))

    def _own_range(self) -> str:
        if not self.pod_cidr:
            raise NetworkError(
                where=f"node {self.config.node_name}",
                what="has no range of pod addresses yet",
                remedy="a controller gives it one (spec.podCIDR of the Node)",
            )
        return self.pod_cidr

    def _set_overlay(self, pod_cidr: str, peers: list[Peer]) -> int:
        _loosen_path_filter(self.config.device)
        self.pods.prepare(pod_cidr)
        with RouteSocket() as kernel:
            return overlay.reconcile(kernel, self.config, overlay.plan(self.config, pod_cidr, peers))

    async def _run_services(self) -> int:
        others = tuple(p.address for p in self.view.peers.values() if p.address and p.name != self.config.node_name)
        facts = facts_of(self.config, others)
        services, endpoints = tuple(self.view.services.values()), dict(self.view.endpoints)
        pod_cidr, host_ports = self._own_range(), self._host_ports
        return await self._in_kernel(lambda: self._set_services(pod_cidr, plan(facts, services, endpoints, host_ports)))

    def _set_services(self, pod_cidr: str, wanted: Plan) -> int:
        self.pods.prepare(pod_cidr)  # the service route's source is the bridge's address
        with RouteSocket() as kernel:
            changes = reconcile_device(kernel, self.config, pod_cidr)
        if self._table is None:
            self._table = ServiceTable(self.config.table, Nftables())
        if self._clock.monotonic() - self._checked_at >= self._resync_seconds:
            self._table.check()
            self._checked_at = self._clock.monotonic()
        changes += self._table.apply(wanted.ruleset)
        targets = wanted.udp if self._udp is None else stale_targets(self._udp, wanted.udp)
        self._udp = wanted.udp
        if targets:
            forget_stale(targets, (self.config.node_address,))
        return changes

    async def _run_dns(self) -> int:
        services, endpoints = tuple(self.view.services.values()), dict(self.view.endpoints)
        self._serial += 1
        zone = await asyncio.to_thread(self._zone, services, endpoints, self._serial)
        if self.dns is None:
            await self._in_kernel(self._set_dns_address)
            config = self.config
            server = DnsServer(
                config.dns_address, zone, upstream=config.dns_upstream, descriptors=config.dns_descriptors
            )
            await server.start()
            self.dns = server
            return 1
        changed = self.dns.zone.records != zone.records
        self.dns.zone = zone
        return int(changed)

    def _zone(self, services: tuple[Any, ...], endpoints: dict[Any, Any], serial: int) -> Zone:
        config = self.config
        return zone_of(
            config.dns_domain,
            config.dns_address,
            services,
            endpoints,
            cluster_cidr=config.cluster_cidr,
            service_cidr=config.service_cidr,
            serial=serial,
        )

    def _set_dns_address(self) -> int:
        pod_cidr = self.pod_cidr
        if pod_cidr:
            self.pods.prepare(pod_cidr)  # the service route's source is the bridge's address
        with RouteSocket() as kernel:
            return reconcile_device(kernel, self.config, pod_cidr)


def facts_of(config: NetworkConfig, other_nodes: tuple[str, ...]) -> NodeFacts:
    """What the service rules of this node depend on. `other_nodes` are the other nodes' addresses."""
    foreign = config.reserved_addresses + (other_nodes if config.mode is Mode.VXLAN else ())
    return NodeFacts(
        node_name=config.node_name,
        node_addresses=(config.node_address,),
        cluster_cidr=config.cluster_cidr,
        service_cidr=config.service_cidr,
        device=config.device,
        service_device=config.service_device,
        dns_address=config.dns_address,
        foreign_addresses=tuple(sorted(set(foreign) - {config.node_address})),
        egress_nat=config.egress_nat,
    )


def remove_network(config: NetworkConfig) -> None:
    """Take away everything that a node's network made, pods' devices included. Blocks; repeatable."""
    nftables = Nftables()
    try:
        ServiceTable(config.table, nftables).remove_all()
    finally:
        nftables.close()
    with RouteSocket() as kernel:
        overlay.remove_all(kernel, config)
        remove_device(kernel, config)
    PodNetwork(config.pods()).remove_all()


def _loosen_path_filter(device: str) -> None:
    """Where the reverse path filter is strict, make it loose on the uplink: answers may come by the overlay."""
    strict = [Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").read_text().strip() for name in ("all", device)]
    if max(strict) == "1":
        write_sysctl(f"net/ipv4/conf/{device}/rp_filter", "2")
