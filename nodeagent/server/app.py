"""The kubelet API of a node: what the API server and the metrics pipeline ask a node, over TLS on port 10250.

A client certificate of the cluster's CA is required, of the API server or an administrator: without it the connection
is refused in the handshake, with another name it is 403.
Elsewhere: what log files say (logs.py), figures (stats.py), what is spoken inside exec and attach (the runtime).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from nodeagent import machine
from nodeagent.containers import log_directory, log_path
from nodeagent.cri import CriError
from nodeagent.observed import Container
from nodeagent.pod import PodWorker
from nodeagent.restart import members
from nodeagent.server.logs import LogOptions, moment, read_log
from nodeagent.server.pod_proxy import PodProxy, refused
from nodeagent.server.stats import NodeUse, gauges, metrics_resource, summary
from nodeagent.timings import stamp
from sampan.upgrade import UpgradeError, forward, is_upgrade

if TYPE_CHECKING:
    from nodeagent.agent import Agent

MASTERS = "system:masters"
KUBELET_CLIENTS = ("kube-apiserver-kubelet-client", "kube-apiserver", "system:kube-apiserver")
RUN_SECONDS = 60.0


def may_ask(certificate: dict[str, Any]) -> bool:
    """Whether the holder of a client certificate may use this API: the API server, or an administrator."""
    names: dict[str, list[str]] = {}
    for part in certificate.get("subject", ()):
        for key, value in part:
            names.setdefault(key, []).append(value)
    if MASTERS in names.get("organizationName", ()):
        return True
    return any(name in KUBELET_CLIENTS for name in names.get("commonName", ()))


class KubeletServer:
    """The handlers, over one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._pod_proxy = PodProxy()

    def app(self, *, authorize: bool) -> web.Application:
        """The application. `authorize` off is for an agent without TLS, in tests."""
        app = web.Application(middlewares=[_only_masters] if authorize else [])
        route = app.router.add_route
        route("GET", "/healthz", self.healthz)
        route("GET", "/pods", self.pods)
        route("GET", "/runningpods/", self.pods)
        route("GET", "/containerLogs/{namespace}/{pod}/{container}", self.container_logs)
        for method in ("GET", "POST"):
            route(method, "/exec/{namespace}/{pod}/{container}", self.exec)
            route(method, "/exec/{namespace}/{pod}/{uid}/{container}", self.exec)
            route(method, "/attach/{namespace}/{pod}/{container}", self.attach)
            route(method, "/attach/{namespace}/{pod}/{uid}/{container}", self.attach)
            route(method, "/portForward/{namespace}/{pod}", self.port_forward)
            route(method, "/portForward/{namespace}/{pod}/{uid}", self.port_forward)
        route("POST", "/run/{namespace}/{pod}/{container}", self.run)
        route("*", "/podProxy/{namespace}/{pod}/{scheme}/{port}/{path:.*}", self.pod_proxy)
        app.on_cleanup.append(self._pod_proxy.close)
        route("GET", "/stats/summary", self.stats_summary)
        route("GET", "/metrics", self.metrics)
        route("GET", "/metrics/resource", self.metrics_resource)
        route("GET", "/debug/pods/{uid}/trace", self.trace)
        return app

    # --- finding what is meant

    def _worker(self, request: web.Request) -> PodWorker:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        uid = request.match_info.get("uid", "")
        found = [
            worker
            for worker in self._agent.workers.values()
            if (worker.pod.metadata.namespace, worker.pod.metadata.name) == (namespace, name)
            and uid in ("", worker.uid)
        ]
        if not found:
            raise web.HTTPNotFound(text=f'pod "{name}" not found\n')
        return max(found, key=lambda worker: worker.pod.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC))

    def _running(self, request: web.Request) -> Container:
        worker = self._worker(request)
        name = request.match_info["container"]
        container = worker.observed.newest(name)
        if container is None or not container.running:
            raise web.HTTPNotFound(text=f'container not found ("{name}")\n')
        return container

    # --- small answers

    async def healthz(self, _: web.Request) -> web.Response:
        """We live."""
        return web.Response(text="ok")

    async def pods(self, _: web.Request) -> web.Response:
        """The pods that this node tends."""
        items = [worker.pod.to_json() for worker in self._agent.workers.values()]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    # --- logs

    async def container_logs(self, request: web.Request) -> web.StreamResponse:
        """A container's log."""
        worker = self._worker(request)
        name = request.match_info["container"]
        options = log_options(request.query, self._agent.clock.now())
        container = self._of_log(worker, name, previous=_flag(request.query.get("previous")))
        path = log_directory(self._agent.config.log_dir, worker.pod) / log_path(name, container.restart_count)
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)

        def alive() -> bool:
            now = next((one for one in worker.observed.containers if one.id == container.id), None)
            return now is not None and not now.exited

        output = read_log(path, options, alive=alive, on_change=worker.on_observed)
        async with aclosing(output):
            async for data in output:  # a follower that goes away cancels this handler
                await response.write(data)
        await response.write_eof()
        return response

    def _of_log(self, worker: PodWorker, name: str, *, previous: bool) -> Container:
        pod = worker.pod
        if name not in {member.name for member in members(pod)}:
            raise web.HTTPNotFound(text=f"container {name} not found in pod {_under(worker)}\n")
        found = worker.observed.of_name(name)
        if previous:
            ended = [one for one in found if one.exited]
            # while it is held back, the last one that ended counts as previous
            held = bool(found) and found[0].exited and name in worker.waiting
            chosen = ended if held or (found and not found[0].exited) else ended[1:]
            if not chosen:
                text = f'previous terminated container "{name}" in pod "{pod.metadata.name}" not found\n'
                raise web.HTTPBadRequest(text=text)
            return chosen[0]
        if not found or (found[0].started_at <= 0 and not found[0].exited):
            why = worker.waiting.get(name, "ContainerCreating")
            text = f'container "{name}" in pod "{pod.metadata.name}" is waiting to start: {why}\n'
            raise web.HTTPBadRequest(text=text)
        return found[0]

    # --- streams

    async def exec(self, request: web.Request) -> web.StreamResponse:
        """A command in a container, its streams through this connection."""
        container = self._running(request)
        command = request.query.getall("command", [])
        if not command:
            raise web.HTTPBadRequest(text="you must specify a command\n")
        streams = _streams(request)
        try:
            url = await self._agent.runtime.exec_url(container.id, list(command), **streams)
        except CriError as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from None
        return await _pass_on(request, url)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """The streams of a container's own process."""
        container = self._running(request)
        try:
            url = await self._agent.runtime.attach_url(container.id, **_streams(request))
        except CriError as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from None
        return await _pass_on(request, url)

    async def port_forward(self, request: web.Request) -> web.StreamResponse:
        """Connections to ports of a pod."""
        worker = self._worker(request)
        sandbox = worker.observed.sandbox
        if sandbox is None or not sandbox.ready:
            raise web.HTTPNotFound(text=f"unable to do port forwarding: pod {_under(worker)} is not running\n")
        texts = [text for value in request.query.getall("port", []) for text in value.split(",")]
        if not all(text.isascii() and text.isdigit() and 0 < int(text) < 65536 for text in texts):
            raise web.HTTPBadRequest(text="port: must be numbers between 1 and 65535\n")
        try:
            url = await self._agent.runtime.port_forward_url(sandbox.id, [int(text) for text in texts])
        except CriError as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from None
        return await _pass_on(request, url)

    async def pod_proxy(self, request: web.Request) -> web.StreamResponse:
        """HTTP to a port of a pod."""
        try:
            worker = self._worker(request)
        except web.HTTPNotFound as error:
            return refused(error.text or "")
        return await self._pod_proxy.send(request, worker.address)

    async def run(self, request: web.Request) -> web.Response:
        """A command in a container, its output as the answer."""
        container = self._running(request)
        command = request.query.get("cmd", "").split()
        if not command:
            raise web.HTTPBadRequest(text="you must specify a command by cmd\n")
        try:
            code, output = await self._agent.runtime.exec_sync(container.id, command, RUN_SECONDS)
        except CriError as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from None
        if code != 0:
            raise web.HTTPInternalServerError(body=output + f"command exited with {code}\n".encode())
        return web.Response(body=output)

    # --- figures

    async def stats_summary(self, _: web.Request) -> web.Response:
        """CPU, memory, network and disk of the node and its pods."""
        pods = await self._pod_stats()
        return web.json_response(summary(self._agent.config.node_name, self._node_use(), pods, self._agent.clock.now()))

    async def metrics_resource(self, _: web.Request) -> web.Response:
        """The same for metrics-server."""
        pods = await self._pod_stats()
        return web.Response(text=metrics_resource(self._node_use(), pods), content_type="text/plain")

    async def trace(self, request: web.Request) -> web.Response:
        """When the steps of a pod's start began and were done; the network's are the runtime's, if it tells them."""
        worker = self._agent.workers.get(request.match_info["uid"])
        if worker is None:
            raise web.HTTPNotFound(text=f"no pod has UID {request.match_info['uid']} here\n")
        steps = worker.timings.to_json()
        sandbox = worker.observed.sandbox
        if sandbox is not None:
            try:
                info = json.loads((await self._agent.runtime.sandbox_info(sandbox.id)).get("info", "{}"))
                begin, end = info["timings"]["network"]
            except (CriError, ValueError, KeyError, TypeError):
                pass  # another runtime, or a sandbox from before it was started
            else:
                steps.append({"step": "network", "begin": _moment(begin), "end": _moment(end)})
        return web.json_response({"node": self._agent.config.node_name, "steps": steps})

    async def metrics(self, _: web.Request) -> web.Response:
        """The agent's own."""
        from prometheus_client import REGISTRY, generate_latest

        workers = list(self._agent.workers.values())
        values: dict[str, float] = {
            "kubelet_running_pods": sum(1 for worker in workers if worker.observed.alive),
            "kubelet_running_containers": sum(len(worker.observed.alive) for worker in workers),
            "kubelet_desired_pods": len(workers),
        }
        if self._agent.network is not None:
            values |= self._agent.network.metrics()
        text = generate_latest(REGISTRY).decode() + gauges(values)
        return web.Response(text=text, content_type="text/plain")

    async def _pod_stats(self) -> list[Any]:
        try:
            stats = await self._agent.runtime.pod_stats()
        except CriError as error:
            raise web.HTTPInternalServerError(text=f"{error}\n") from None
        return [one for one in stats if one.attributes.metadata.uid in self._agent.workers]

    def _node_use(self) -> NodeUse:
        load, system = machine.load(self._agent.config.state_dir), self._agent.node.system
        boot = datetime.fromtimestamp(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), UTC)
        return NodeUse(
            cpu_ns=machine.cpu_nanoseconds(),
            memory_used=system.memory - load.memory_available,
            memory_available=load.memory_available,
            disk_size=load.disk_size,
            disk_free=load.disk_free,
            boot=boot,
        )


@web.middleware
async def _only_masters(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    secured = request.transport.get_extra_info("peercert") if request.transport is not None else None
    if request.path != "/healthz" and not may_ask(secured or {}):
        raise web.HTTPForbidden(text="Forbidden: this certificate is not the API server's or an administrator's\n")
    response: web.StreamResponse = await handler(request)
    return response


def _moment(nanoseconds: int) -> str:
    return stamp(datetime.fromtimestamp(nanoseconds / 10**9, UTC))


def _flag(text: str | None) -> bool:
    return (text or "").lower() in ("1", "true", "t")


def _under(worker: PodWorker) -> str:
    return f"{worker.pod.metadata.name}_{worker.pod.metadata.namespace}"


def _streams(request: web.Request) -> dict[str, bool]:
    query = request.query
    tty = _flag(query.get("tty"))
    found = {
        "stdin": _flag(query.get("input")),
        "stdout": _flag(query.get("output")),
        "stderr": _flag(query.get("error")) and not tty,
        "tty": tty,
    }
    if not (found["stdin"] or found["stdout"] or found["stderr"]):
        raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr\n")
    return found


def log_options(query: Any, now: datetime) -> LogOptions:
    """The query of /containerLogs. Raises HTTPBadRequest naming the parameter."""

    def number(name: str, least: int) -> int | None:
        text = query.get(name)
        if text is None or text == "":
            return None
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise web.HTTPBadRequest(text=f"{name}: must be a number of at least {least}, is {text!r}\n")
        return int(text)

    since = None
    if (seconds := number("sinceSeconds", 1)) is not None:
        since = now - timedelta(seconds=seconds)
    elif text := query.get("sinceTime"):
        since = moment(text.encode())
        if since is None:
            raise web.HTTPBadRequest(text=f"sinceTime: {text!r} is no RFC 3339 time\n")
    stream = query.get("stream") or "All"
    if stream not in ("All", "Stdout", "Stderr"):
        raise web.HTTPBadRequest(text=f"stream: must be All, Stdout or Stderr, is {stream!r}\n")
    return LogOptions(
        follow=_flag(query.get("follow")),
        tail=number("tailLines", 0),
        since=since,
        timestamps=_flag(query.get("timestamps")),
        limit=number("limitBytes", 1),
        stream=stream,
    )


async def _pass_on(request: web.Request, url: str) -> web.StreamResponse:
    """Be a pipe between this connection and the runtime's streaming server."""
    if not is_upgrade(request.headers):
        raise web.HTTPBadRequest(text="Upgrade request required\n")
    there = urlsplit(url)
    target = there.path + (f"?{there.query}" if there.query else "")
    try:
        return await forward(request, there.hostname or "127.0.0.1", there.port or 80, target)
    except UpgradeError as error:
        raise web.HTTPBadGateway(text=f"the runtime's streaming server: {error}\n") from None
