"""pods/log, exec, attach and portforward: found on the pod's node, and passed through.

Source: the kubelet's own API as the API server uses it (containerLogs, exec, attach, portForward).
Elsewhere: the bytes (sampan.upgrade), what is spoken inside (the runtime's streaming server).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import aiohttp
import orjson
from aiohttp import web

from apiserver.config import Files
from apiserver.decode import bad
from apiserver.kind import Call, Json, Subresource
from apiserver.statuses import not_found
from sampan.errors import ApiError, ClusterError, Reason
from sampan.handshake import Handshake
from sampan.kinds import NODES, PODS
from sampan.target import KubeconfigError, Target
from sampan.upgrade import UpgradeError, forward, is_upgrade

LOG_OPTIONS = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
KUBELET_PORT = 10250
CONNECT_SECONDS = 10.0


def kubelet_tls(files: Files) -> Callable[[], ssl.SSLContext | None]:
    """The client's side of TLS towards node agents, as its files say at each call. Raises ClusterError."""
    if not files.ca:
        return lambda: None
    target = Target(
        server="https://node", ca_file=files.ca, client_certificate_file=files.cert, client_key_file=files.key
    )
    try:
        return Handshake(target.reread()).context
    except KubeconfigError as error:
        raise ClusterError(where=f"kubelet client certificate {files.cert}", what=str(error)) from error


def address_of(node: Mapping[str, Any]) -> tuple[str, int]:
    """Where a node's agent listens. Raises ApiError 503 when the node has not said so."""
    status = node.get("status", {})
    addresses = {one["type"]: one["address"] for one in reversed(status.get("addresses", ()))}
    host = next((addresses[kind] for kind in ("InternalIP", "ExternalIP", "Hostname") if kind in addresses), "")
    endpoint = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {})
    port = endpoint.get("Port") or endpoint.get("port") or KUBELET_PORT
    if not host:
        raise ApiError(503, Reason.SERVICE_UNAVAILABLE, f"no preferred addresses found for node {_name(node)}")
    return host, int(port)


def container_of(pod: Mapping[str, Any], wanted: str) -> str:
    """The container that a request means. Raises ApiError 400."""
    spec, name = pod.get("spec", {}), _name(pod)
    groups = [spec.get(group, ()) for group in ("initContainers", "containers", "ephemeralContainers")]
    known = [str(one["name"]) for group in groups for one in group]
    if wanted:
        if wanted not in known:
            raise bad(f"container {wanted} is not valid for pod {name}")
        return wanted
    ordinary = [str(one["name"]) for one in groups[1]]
    if len(ordinary) == 1:
        return ordinary[0]
    default = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/default-container", "")
    if default in known:
        return str(default)
    choices = f"choose one of: [{' '.join(ordinary)}]"
    if groups[0]:
        choices += f" or one of the init containers: [{' '.join(str(one['name']) for one in groups[0])}]"
    raise bad(f"a container name must be specified for pod {name}, {choices}")


def _name(value: Mapping[str, Any]) -> str:
    return str(value["metadata"]["name"])


def exec_target(call: Call, pod: Json, pairs: Sequence[tuple[str, str]]) -> str:
    """The path and query on the node for exec and attach."""
    query = [(STREAMS[key], value) for key, value in pairs if key in STREAMS and value in ("1", "true")]
    query = [(key, "1") for key, _ in query]
    if not query:
        raise bad("you must specify at least 1 of stdin, stdout, stderr")
    query += [(key, value) for key, value in pairs if key == "command"]
    if call.subresource == "exec" and not any(key == "command" for key, _ in query):
        raise bad("you must specify a command for exec")
    container = container_of(pod, call.query.get("container", ""))
    path = "/".join(quote(part, safe="") for part in (call.subresource, call.namespace, call.name, container))
    return f"/{path}?{urlencode(query)}"


def forward_target(call: Call, pairs: Sequence[tuple[str, str]]) -> str:
    """The path and query on the node for port forwarding."""
    query = [("port", port) for key, value in pairs if key == "ports" for port in value.split(",")]
    path = f"/portForward/{quote(call.namespace, safe='')}/{quote(call.name, safe='')}"
    return f"{path}?{urlencode(query)}" if query else path


class NodeProxy:
    """Passes requests on to nodes."""

    def __init__(self, tls: Callable[[], ssl.SSLContext | None]) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the connections that are kept."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self._session

    async def ask(self, node: Json, path: str) -> Any:
        """What a node's agent answers at a path, as a value. Raises ApiError 503."""
        host, port = address_of(node)
        name = f"[{host}]" if ":" in host else host
        url = f"{'https' if self._tls() else 'http'}://{name}:{port}{path}"
        try:
            async with self._client().get(url, ssl=self._tls() or False) as answer:
                answer.raise_for_status()
                return orjson.loads(await answer.read())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ApiError(503, Reason.SERVICE_UNAVAILABLE, f"node {_name(node)} does not answer: {error}") from error

    def subresources(self) -> tuple[Subresource, ...]:
        """What it adds to pods."""
        both = ("create", "get")
        return (
            Subresource("log", ("get",), self.log, "Pod", connect=True),
            Subresource("exec", both, self.upgraded, "PodExecOptions", connect=True),
            Subresource("attach", both, self.upgraded, "PodAttachOptions", connect=True),
            Subresource("portforward", both, self.upgraded, "PodPortForwardOptions", connect=True),
        )

    def _place(self, call: Call) -> tuple[Json, str, int]:
        pod = call.server.peek(PODS, call.namespace, call.name)
        if pod is None:
            raise not_found(PODS, call.name)
        node_name = pod.get("spec", {}).get("nodeName", "")
        if not node_name:
            raise bad(f"pod {call.name} does not have a host assigned")
        node = call.server.peek(NODES, "", node_name)
        if node is None:
            raise not_found(NODES, node_name)
        return pod, *address_of(node)

    async def upgraded(self, call: Call) -> web.StreamResponse:
        """Exec, attach, portforward. Raises ApiError 400, 404, 500."""
        pod, host, port = self._place(call)
        pairs = parse_qsl(call.request.query_string, keep_blank_values=True)
        target = forward_target(call, pairs) if call.subresource == "portforward" else exec_target(call, pod, pairs)
        if not is_upgrade(call.request.headers):
            raise bad("Upgrade request required")
        try:
            return await forward(call.request, host, port, target, tls=self._tls())
        except UpgradeError as error:
            raise ApiError(
                500,
                Reason.INTERNAL_ERROR,
                f"Internal error occurred: error sending request: error dialing backend: {error}",
            ) from error

    async def log(self, call: Call) -> web.StreamResponse:
        """A container's log, as it comes. Raises ApiError 400, 404, 500."""
        pod = call.server.peek(PODS, call.namespace, call.name)
        if pod is None:
            raise not_found(PODS, call.name)
        container = container_of(pod, call.query.get("container", ""))
        if not pod.get("spec", {}).get("nodeName"):
            return web.Response(content_type="text/plain")
        _, host, port = self._place(call)
        query = {key: call.query[key] for key in LOG_OPTIONS if key in call.query}
        path = "/".join(quote(part, safe="") for part in ("containerLogs", call.namespace, call.name, container))
        name = f"[{host}]" if ":" in host else host
        url = f"{'https' if self._tls() else 'http'}://{name}:{port}/{path}?{urlencode(query)}"
        try:
            return await self._stream(call.request, url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, ConnectionResetError):
                raise
            raise ApiError(500, Reason.INTERNAL_ERROR, f'Get "{url}": {error}') from error

    async def _stream(self, request: web.BaseRequest, url: str) -> web.StreamResponse:
        connection: Any = request.protocol
        connection.cancel_on_loss()
        import yarl

        async with self._client().get(yarl.URL(url, encoded=True), ssl=self._tls() or False) as answer:
            if answer.status != 200:
                text = (await answer.content.read(65536)).decode(errors="replace").strip()
                connection.cancel_on_loss(False)
                code = answer.status if 400 <= answer.status < 600 else 500
                reason = {400: Reason.BAD_REQUEST, 404: Reason.NOT_FOUND}.get(code, Reason.INTERNAL_ERROR)
                raise ApiError(code, reason, text or f"the node answered {answer.status}")
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            response.enable_chunked_encoding()
            await response.prepare(request)
            try:
                async for data in answer.content.iter_any():
                    await response.write(data)
            except (aiohttp.ClientError, asyncio.IncompleteReadError):
                response.force_close()
        connection.cancel_on_loss(False)
        await response.write_eof()
        return response


__all__ = ["NodeProxy", "kubelet_tls"]
