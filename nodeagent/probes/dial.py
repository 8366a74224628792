"""One probe from the node: HTTP, TCP, gRPC, or a command in the container.

Every function returns an Answer, whatever happens; only cancellation passes.
Source: the API reference, "Probe"; HTTP success is 200 to 399; gRPC health checking protocol v1.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import grpc
import grpc.aio

from nodeagent.cri import CriError, Runtime
from nodeagent.restart import Spec
from sampan.api import core_v1
from sampan.errors import SampanError

MOST_BODY = 10 * 1024
MOST_OUTPUT = 10 * 1024
MOST_HEAD = 64 * 1024
MOST_REDIRECTS = 10
USER_AGENT = "kube-probe/1.37"


class ProbeError(SampanError):
    """A probe that can't be asked: its port has a name that the container does not have, say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how a person reads it. `ok` is None when it could not be asked, which proves nothing."""

    ok: bool | None
    output: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where an HTTP probe goes."""

    scheme: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def url(self) -> str:
        """As upstream's messages print it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def port_number(port: int | str | None, spec: Spec) -> int:
    """A port by number or by the name that a container gave it. Raises ProbeError."""
    if isinstance(port, str):
        for one in spec.ports:
            if one.name == port:
                return one.container_port
        if not (port.isascii() and port.isdigit()):
            raise ProbeError(f"couldn't find port name {port!r} in container {spec.name}")
        port = int(port)
    if port is None or not 0 < port < 65536:
        raise ProbeError(f"invalid port number: {port}")
    return port


def http_target(action: core_v1.HTTPGetAction, spec: Spec, pod_ip: str) -> Target:
    """The target of an httpGet probe or hook. Raises ProbeError."""
    path = action.path or "/"
    return Target(
        scheme=(action.scheme or "HTTP").lower(),
        host=action.host or pod_ip,
        port=port_number(action.port, spec),
        path=path if path.startswith("/") else "/" + path,
        headers=tuple((one.name, one.value) for one in action.http_headers),
    )


async def http(target: Target, *, timeout: float) -> Answer:
    """GET it; redirects to the same host are followed, one to another host counts as success."""
    try:
        async with asyncio.timeout(timeout):
            for _ in range(MOST_REDIRECTS):
                status, location, body = await _get(target)
                if 300 <= status < 400 and location:
                    there = urlsplit(location)
                    if there.hostname not in (None, target.host):
                        return Answer(True, f"Probe terminated redirects, Response body: {body}")
                    target = Target(
                        there.scheme or target.scheme,
                        target.host,
                        there.port or (target.port if not there.netloc else {"https": 443}.get(there.scheme, 80)),
                        (there.path or "/") + (f"?{there.query}" if there.query else ""),
                        target.headers,
                    )
                    continue
                if 200 <= status < 400:
                    return Answer(True, body)
                return Answer(False, f"HTTP probe failed with statuscode: {status}")
            return Answer(False, f'Get "{target.url}": stopped after {MOST_REDIRECTS} redirects')
    except TimeoutError:
        return Answer(
            False,
            f'Get "{target.url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        )
    except OSError as error:
        return Answer(False, f'Get "{target.url}": {_dial_error(target.host, target.port, error)}')
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        return Answer(False, f'Get "{target.url}": malformed HTTP response: {error}')


async def _get(target: Target) -> tuple[int, str, str]:
    context = None
    if target.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context, limit=MOST_HEAD)
    try:
        host = f"[{target.host}]" if ":" in target.host else target.host
        headers = {"host": ("Host", f"{host}:{target.port}"), "user-agent": ("User-Agent", USER_AGENT)}
        headers["accept"] = ("Accept", "*/*")
        headers["connection"] = ("Connection", "close")
        for name, value in target.headers:
            if any(c in name + value for c in "\r\n\0"):
                raise ValueError(f"header {name!r} has a line break")
            headers[name.lower()] = (name, value)
        path = "".join(c if 32 < ord(c) < 127 else "".join(f"%{b:02X}" for b in c.encode()) for c in target.path)
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.values())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8"))
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.split("\r\n")
        version, _, after = first.partition(" ")
        if not version.startswith("HTTP/") or not after[:3].isdigit():
            raise ValueError(f"{first[:64]!r}")
        location = next((line.partition(":")[2].strip() for line in rest if line.lower().startswith("location:")), "")
        body = await _some(reader, MOST_BODY)
        return int(after[:3]), location, body.decode("utf-8", "replace")
    finally:
        writer.close()


async def _some(reader: asyncio.StreamReader, most: int) -> bytes:
    """Up to `most` bytes of what comes at once; a probe does not wait for a long body."""
    try:
        async with asyncio.timeout(0.2):
            return await reader.read(most)
    except (TimeoutError, OSError):
        return b""


async def tcp(host: str, port: int, *, timeout: float) -> Answer:
    """Open a connection and close it."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return Answer(True, "")
    except TimeoutError:
        return Answer(False, f"dial tcp {_joined(host, port)}: i/o timeout")
    except OSError as error:
        return Answer(False, _dial_error(host, port, error))


async def grpc_health(host: str, port: int, service: str, *, timeout: float) -> Answer:
    """Ask grpc.health.v1.Health/Check; healthy is SERVING (1)."""
    options = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.primary_user_agent", USER_AGENT),
    ]
    async with grpc.aio.insecure_channel(_joined(host, port), options=options) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        name = service.encode()
        request = b"\x0a" + _varint(len(name)) + name if name else b""
        try:
            reply = bytes(await check(request, timeout=timeout))
        except grpc.aio.AioRpcError as error:
            match error.code().name:
                case "UNIMPLEMENTED":
                    return Answer(
                        False,
                        "error: this server does not implement the grpc health protocol"
                        f" (grpc.health.v1.Health): {error.details()}",
                    )
                case "DEADLINE_EXCEEDED":
                    return Answer(False, f"timeout: health rpc did not complete within {timeout:g}s")
                case "UNAVAILABLE":
                    return Answer(
                        False,
                        f'timeout: failed to connect service "{_joined(host, port)}" within '
                        f"{timeout:g}s: {error.details()}",
                    )
                case _:
                    return Answer(False, f"error: health rpc probe failed: {error.details()}")
    status = _status(reply)
    if status == 1:
        return Answer(True, "service healthy")
    names = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
    return Answer(False, f"service unhealthy (responded with {names.get(status, str(status))!r})".replace("'", '"'))


def _varint(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _status(reply: bytes) -> int:
    """Field 1 of a HealthCheckResponse; 0 when it is absent."""
    return reply[1] if len(reply) >= 2 and reply[0] == 0x08 else 0


async def command(runtime: Runtime, container_id: str, argv: list[str], *, timeout: float) -> Answer:
    """Run it in the container; healthy is exit code 0. An error of the runtime is no answer, as for the kubelet."""
    try:
        code, output = await runtime.exec_sync(container_id, argv, timeout)
    except CriError as error:
        if error.code == "DEADLINE_EXCEEDED":
            return Answer(False, f"command timed out: {' '.join(argv)!r} timed out after {timeout:g}s")
        return Answer(None, str(error))  # the runtime was away, say: nothing that the container can help
    return Answer(code == 0, output[:MOST_OUTPUT].decode("utf-8", "replace"))


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _dial_error(host: str, port: int, error: OSError) -> str:
    """As Go words it: `dial tcp 10.0.0.1:80: connect: connection refused`."""
    if error.errno is None:
        return f"dial tcp {_joined(host, port)}: {error}"
    known = {errno.ECONNRESET: "connection reset by peer", errno.EHOSTUNREACH: "no route to host"}
    text = known.get(error.errno) or os.strerror(error.errno).lower()
    return f"dial tcp {_joined(host, port)}: connect: {text}"
