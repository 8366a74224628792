"""The agent of one node: a worker for each pod, fed by the API's watch and the runtime's events.

Always: a pod of the runtime that the API does not show is ended only after the API was asked for it by name; while
the API is out of reach, containers go on.
Elsewhere: one pod's life (pod.py), the node's own objects (node.py), what the API server asks of us (server/).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

from nodeagent import certificates, machine
from nodeagent.admission import has_begun, refusal
from nodeagent.config import AgentConfig, TlsConfig
from nodeagent.containers import log_directory, log_path
from nodeagent.cri import Conditions, CriError, Runtime
from nodeagent.eviction.evictor import Evictor
from nodeagent.eviction.rank import refused_under
from nodeagent.eviction.signals import thresholds
from nodeagent.images import Images
from nodeagent.names import Resolver, read_resolver
from nodeagent.network.node_network import NodeNetwork
from nodeagent.node import NodeKeeper
from nodeagent.node_context import NodeContext
from nodeagent.node_ports import host_ports, network_config
from nodeagent.pod import PodWorker
from nodeagent.pod_cgroups import PodCgroupError, PodCgroups
from nodeagent.references import References
from nodeagent.restart import members
from nodeagent.runtime.cgroups.choose import cgroups
from nodeagent.server.app import KubeletServer
from nodeagent.server.rotation import keep_rotating
from nodeagent.server.tls import serving_tls
from nodeagent.servers import LivingServers
from nodeagent.status import NodeFacts
from nodeagent.tokens import Tokens
from nodeagent.user_namespaces import UserNamespaces
from nodeagent.volumes.pod_volumes import PodVolumes
from sampan.api import core_v1
from sampan.api.discovery_v1 import EndpointSlice
from sampan.api.meta_v1 import ObjectMeta
from sampan.client import Client, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.events import EventRecorder
from sampan.informer import Change, Informer
from sampan.kinds import ENDPOINT_SLICES, NODES, PODS, SERVICES
from sampan.logs import fields
from sampan.serving import Serving

log = logging.getLogger(__name__)

RELIST_SECONDS = 2.0
RECONNECT_SECONDS = 1.0
ORPHANS_SECONDS = 300.0


class Agent:
    """Everything that one node's agent does. Own `run` in a TaskGroup, or await it."""

    def __init__(self, config: AgentConfig, client: Client, runtime: Runtime, clock: Clock) -> None:
        self.config = config
        self.client = client
        self.runtime = runtime
        self.clock = clock
        self.workers: dict[str, PodWorker] = {}
        self.events = EventRecorder(client, "kubelet", host=config.node_name, clock=clock)
        self.node = NodeKeeper(config, client, runtime, clock, self._conditions)
        self.pods: Informer[core_v1.Pod] = Informer(
            client, PODS, field_selector=f"spec.nodeName={config.node_name}", clock=clock
        )
        self._nodes: Informer[core_v1.Node] = Informer(
            client, NODES, field_selector=f"metadata.name={config.node_name}", clock=clock
        )
        self._services: Informer[core_v1.Service] = Informer(client, SERVICES, clock=clock)
        self.network: NodeNetwork | None = None
        self._slices: Informer[EndpointSlice] | None = None
        if config.network is not None:
            # the network needs to know all nodes; without one, our own is enough
            self._nodes = Informer(client, NODES, clock=clock)
            self._slices = Informer(client, ENDPOINT_SLICES, clock=clock)
            self.network = NodeNetwork(network_config(config), self._nodes, self._services, self._slices, clock=clock)
        self._done: set[str] = set()
        self._cidr = ""
        self._context: NodeContext | None = None
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def context(self) -> NodeContext:
        """What the pods' workers share."""
        assert self._context is not None, "the agent does not run yet"
        return self._context

    async def run(self) -> None:
        """Run the node until cancelled; containers stay."""
        self.config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.config.log_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        servers = LivingServers(self.client.servers, self.config.state_dir)
        servers.recall()
        if self._slices is not None:
            self._slices.subscribe(servers.changed)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._context = await self._make_context(tasks)
            evictor = self._make_evictor(self._context)
            await evictor.guarded(evictor.feel())  # before the first status, so that a new agent does not deny it
            self._nodes.subscribe(self._node_changed)
            for work in (
                self.events.run(),
                self.node.run(),
                self.node.keep_lease(),
                self._nodes.run(),
                self._services.run(),
                self._follow_runtime(),
                self._context.images.collect(self._images_in_use, self._disk_percent),
            ):
                tasks.create_task(work)
            if self.network is not None and self._slices is not None:
                tasks.create_task(self._slices.run())
                self.node.trouble = "the node's network is not set up yet"
                tasks.create_task(self._run_network(self.network))
                tasks.create_task(self._network_stands(self.network))
            tasks.create_task(self._serve())
            pair = self.config.client_certificate
            if pair is not None and pair.renewed:
                own = certificates.Certificate(
                    self.config.node_name, pair, certificates.CLIENT, self.client, self.clock
                )
                tasks.create_task(own.run())
            tasks.create_task(
                keep_rotating(
                    self._running_logs,
                    self.runtime,
                    self.clock,
                    max_bytes=self.config.log_max_bytes,
                    max_files=self.config.log_max_files,
                )
            )
            await self.node.registered.wait()
            tasks.create_task(self.pods.run())
            await self.pods.synced()
            self.pods.subscribe(self._pod_changed)
            tasks.create_task(evictor.run())
            tasks.create_task(self._seek_orphans())

    def _make_evictor(self, context: NodeContext) -> Evictor:
        return Evictor(
            thresholds(self.config.eviction_hard),
            context,
            lambda: tuple(self.workers.values()),
            self._images_in_use,
            state_dir=self.config.state_dir,
            every_seconds=self.config.eviction_seconds,
            transition_seconds=self.config.eviction_pressure_transition_seconds,
            on_change=self._pressures_changed,
        )

    def _pressures_changed(self, pressures: frozenset[str]) -> None:
        self.node.pressures = pressures
        self.node.poke()

    async def _run_network(self, network: NodeNetwork) -> None:
        """The node's network, begun again should it fail; its trouble is the node's."""
        delay = 1.0
        while True:
            try:
                await network.run()
            except Exception as error:  # the agent's edge: without its network the node still reports
                log.exception("the node's network failed")
                self.node.trouble = f"network failed: {error}"
                self.node.poke()
            await self.clock.sleep(delay)
            delay = min(30.0, delay * 2)

    async def _network_stands(self, network: NodeNetwork) -> None:
        """The node is ready for pods once its overlay, service rules and DNS have been right once."""
        await network.ready()
        self.node.trouble = ""
        self.node.poke()

    async def _serve(self) -> None:
        """The kubelet API, if it is configured, once it has a certificate."""
        config = self.config.tls
        if self.config.port == 0:
            return
        async with asyncio.TaskGroup() as tasks:
            tls = await self._serving_tls(config, tasks) if config is not None else None
            runner = web.AppRunner(
                KubeletServer(self).app(authorize=tls is not None),
                access_log=None,
                handler_cancellation=True,
                shutdown_timeout=1.0,
            )
            await runner.setup()
            try:
                host = self.config.node_ip
                site = web.TCPSite(runner, host, self.config.port, ssl_context=tls.context if tls else None)
                await site.start()
                log.info("serving the kubelet API", extra=fields(address=f"{host}:{self.config.port}"))
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()

    async def _serving_tls(self, config: TlsConfig, tasks: asyncio.TaskGroup) -> Serving:
        """The kubelet API's certificate, kept valid; on a machine that joined it has to be asked for first."""
        if not config.renewed:
            return serving_tls(config)
        await self.node.registered.wait()  # only addresses that the Node has are signed
        purpose = certificates.serving(self.config.node_name, self.config.node_ip)
        held = certificates.Certificate(self.config.node_name, config, purpose, self.client, self.clock)
        tasks.create_task(held.run())
        await held.there.wait()
        return serving_tls(config)

    def _running_logs(self) -> Iterator[tuple[str, Path]]:
        for worker in self.workers.values():
            directory = log_directory(self.config.log_dir, worker.pod)
            for container in worker.observed.containers:
                if container.running:
                    yield container.id, directory / log_path(container.name, container.restart_count)

    def _host_ports(self) -> None:
        """Tell the network which ports of this node lead to which pods."""
        if self.network is None:
            return
        self.network.set_host_ports(host_ports((one.pod, one.observed) for one in self.workers.values()))

    async def _make_context(self, tasks: asyncio.TaskGroup) -> NodeContext:
        config = self.config
        await self._runtime_answers()
        references = References(self.client, self.clock, tasks, self._references_changed)
        users = UserNamespaces(config.state_dir / "pods", first=config.user_ids_first, most=config.max_pods)
        users.load()
        return NodeContext(
            name=config.node_name,
            client=self.client,
            runtime=self.runtime,
            clock=self.clock,
            events=self.events,
            references=references,
            tokens=Tokens(self.client, self.clock),
            volumes=PodVolumes(config.state_dir, references),
            users=users,
            images=Images(self.runtime, self.clock, serial=config.serial_image_pulls),
            facts=NodeFacts((config.node_ip,), self.runtime.name),
            log_dir=config.log_dir,
            cgroup_root=config.cgroup_root,
            cgroups=await self._pod_cgroups(),
            cluster_domain=config.cluster_domain,
            cluster_dns=tuple(config.cluster_dns),
            resolver=_resolver(config.resolv_conf),
            node_memory=self.node.system.memory,
            allocatable=lambda: self.node.allocatable,
            services=self._services.items,
            services_known=lambda: self._services.has_synced,
            node_hosts=_text(Path("/etc/hosts")),
        )

    async def _pod_cgroups(self) -> PodCgroups:
        """The node's cgroups, made; what is in the way is told, and told again by each pod that it stops."""
        made = PodCgroups(self.config.cgroup_root, cgroups(), self.node.capacity(), pids=self.config.pod_pids_limit)
        try:
            await made.prepare()
        except PodCgroupError as error:
            log.warning("the pods' cgroups are not made yet", extra=fields(error=error))
        return made

    async def _runtime_answers(self) -> None:
        """Wait for the runtime's socket."""
        complained = False
        while True:
            try:
                version = await self.runtime.version()
            except CriError as error:
                if not complained:
                    log.warning("waiting for the container runtime", extra=fields(error=error))
                complained = True
                await self.clock.sleep(0.1)
            else:
                log.info("container runtime", extra=fields(name=version.name, version=version.version))
                return

    # --- pods

    def _pod_changed(self, change: Change[core_v1.Pod]) -> None:
        if change.new is None:
            uid = change.object.metadata.uid or ""
            self._done.discard(uid)
            if (worker := self.workers.get(uid)) is not None:
                worker.update(None)
            return
        pod = change.new
        uid = pod.metadata.uid or ""
        if uid in self._done:
            return
        worker = self.workers.get(uid)
        if worker is None:
            worker = PodWorker(self.context, pod)
            if pod.metadata.deletion_timestamp is None and not has_begun(pod):
                self._admit(worker)
            self._tend(worker)
        else:
            worker.update(pod)

    def _admit(self, worker: PodWorker) -> None:
        """Refuse a pod that can't run beside those that are here."""
        known = ObjectMeta(name=self.config.node_name, labels=dict(self.config.register_with_labels))
        node = self.node.node or core_v1.Node(metadata=known)  # it was deleted, and comes again
        others = [one.pod for one in self.workers.values() if one.takes_room]
        verdict = refused_under(worker.pod, self.node.pressures) or refusal(
            worker.pod, others, node, self.node.allocatable
        )
        if verdict is not None:
            self.context.say(worker.pod, "Warning", verdict.reason, verdict.message.removeprefix("Pod was rejected: "))
            worker.condemn(verdict)

    def _tend(self, worker: PodWorker) -> None:
        assert self._tasks is not None
        self.workers[worker.uid] = worker
        self.context.cgroups.know(worker.pod)
        worker.on_observed(self._host_ports)
        self._tasks.create_task(self._tend_until_gone(worker), name=f"pod {worker.uid}")

    async def _tend_until_gone(self, worker: PodWorker) -> None:
        delay = 1.0
        while True:
            try:
                await worker.run()
                break
            except Exception:  # the agent's edge: a bug in one pod's worker must not stop the node
                log.exception("a pod's worker failed", extra=fields(uid=worker.uid))
                await self.clock.sleep(delay)
                delay = min(60.0, delay * 2)
                worker = worker.successor()
                worker.on_observed(self._host_ports)
                self.workers[worker.uid] = worker
        self.workers.pop(worker.uid, None)
        await self.context.cgroups.release(worker.uid)
        self._host_ports()
        if self.pods.get(worker.pod.metadata.namespace or "", worker.pod.metadata.name or "") is not None:
            self._done.add(worker.uid)
        self.context.references.forget(worker.uid)
        self.context.tokens.forget(worker.uid)

    def _references_changed(self, uid: str) -> None:
        if (worker := self.workers.get(uid)) is not None:
            worker.references_changed()

    async def _seek_orphans(self) -> None:
        """End what the runtime or the disk has of pods that are not (or no longer) this node's."""
        while True:
            try:
                found = await self.runtime.uids()
                for uid in self.context.volumes.uids():
                    found.setdefault(uid, ("", ""))
                strange = {uid: found[uid] for uid in found if uid not in self.workers}
                for uid, (namespace, name) in (await self._orphans_of(strange)).items():
                    log.info("ending an orphaned pod", extra=fields(pod=f"{namespace}/{name}", uid=uid))
                    meta = ObjectMeta(namespace=namespace, name=name, uid=uid, deletion_grace_period_seconds=1)
                    worker = PodWorker(self.context, core_v1.Pod(metadata=meta))
                    worker.update(None)
                    self._tend(worker)
            except (CriError, ApiError, Unreachable) as error:
                log.warning("can't look for orphaned pods", extra=fields(error=error))
            await self.context.cgroups.tidy(frozenset(self.workers))
            await self.clock.sleep(ORPHANS_SECONDS)

    async def _orphans_of(self, strange: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """Those that the API itself does not show for this node: a cached list may be from before a pod was made."""
        if not strange:
            return {}
        listed = await self.client.list(PODS, field_selector=f"spec.nodeName={self.config.node_name}")
        known = {pod.metadata.uid for pod in listed.items}
        return {uid: who for uid, who in strange.items() if uid not in known and uid not in self.workers}

    # --- the runtime

    async def _follow_runtime(self) -> None:
        """Wake the worker of each pod to which something happens."""
        while True:
            self._wake_all()
            try:
                async for event in self.runtime.events():
                    self._wake(event.uid)
            except CriError as error:
                if error.is_unimplemented:
                    await self._relist()
                log.warning("lost the runtime's events", extra=fields(error=error))
            await self.clock.sleep(RECONNECT_SECONDS)

    async def _relist(self) -> None:
        """For a runtime that tells no events: compare what it lists. Returns when it does not answer."""
        log.info("the runtime tells no events; listing instead", extra=fields(seconds=RELIST_SECONDS))
        before: dict[str, frozenset[tuple[str, int]]] = {}
        while True:
            try:
                now = await self.runtime.states()
            except CriError:
                return
            for uid in before.keys() | now.keys():
                if before.get(uid) != now.get(uid):
                    self._wake(uid)
            before = now
            await self.clock.sleep(RELIST_SECONDS)

    def _wake(self, uid: str) -> None:
        if (worker := self.workers.get(uid)) is not None:
            worker.wake()

    def _wake_all(self) -> None:
        for worker in self.workers.values():
            worker.wake()

    def _conditions(self, conditions: Conditions | None) -> None:
        ready = conditions is not None and conditions.network_ready
        if self._context is not None and conditions is not None:
            self._context.user_namespaces = conditions.user_namespaces
        if self._context is not None and self._context.network_ready is not ready:
            self._context.network_ready = ready
            self._wake_all()

    # --- the node

    def _node_changed(self, change: Change[core_v1.Node]) -> None:
        if change.object.metadata.name != self.config.node_name:
            return
        self.node.update(change.new)
        if change.new is not None and (cidr := change.new.spec.pod_cidr or "") and cidr != self._cidr:
            self._cidr = cidr
            assert self._tasks is not None
            self._tasks.create_task(self._set_cidr(cidr))

    async def _set_cidr(self, cidr: str) -> None:
        """Tell the runtime, until it has heard."""
        delay = 0.1
        while cidr == self._cidr:
            try:
                await self.runtime.set_pod_cidr(cidr)
            except CriError as error:
                log.warning("can't give the runtime its pod CIDR", extra=fields(cidr=cidr, error=error))
                await self.clock.sleep(delay)
                delay = min(5.0, delay * 2)
            else:
                log.info("pod CIDR", extra=fields(cidr=cidr))
                self.node.poke()
                return

    def _images_in_use(self) -> set[str]:
        """Images of the containers that are here or shall be, by id and by the name in their spec."""
        used: set[str] = set()
        for worker in self.workers.values():
            used |= {container.image_ref for container in worker.observed.containers}
            used |= {container.image for container in worker.observed.containers}
            for name in filter(None, (member.spec.image for member in members(worker.pod))):
                used |= {name, name if ":" in name.rpartition("/")[2] else f"{name}:latest"}
        return used

    def _disk_percent(self) -> float:
        load = machine.load(self.config.state_dir)
        return 100.0 * (load.disk_size - load.disk_free) / max(1, load.disk_size)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _resolver(path: Path) -> Resolver:
    return read_resolver(_text(path))
