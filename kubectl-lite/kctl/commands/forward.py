"""Forward local ports to a pod: `kctl port-forward POD [LOCAL:]REMOTE ...`, until interrupted.

Of a service or workload any ready pod will do: when the pod goes, the next connection finds another.

Each connection gets a WebSocket of its own (v4.channel.k8s.io): channel 0 carries its bytes, channel 1 an error's text,
and the first message of each only repeats the port. That protocol can't say "no more from me", so a client that closes
its half of the connection is still answered, but the server does not learn of it.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from typing import Any

from kctl import flags
from kctl.commands.execute import subresource
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.generators import port_number
from kctl.pods import is_ready, pod_of, pods_of, split_name
from kctl.session import Session
from kctl.websocket import WebSocket
from sampan.api_error import SampanError

DATA, ERROR = 0, 1
PROTOCOLS = ("v4.channel.k8s.io",)
PORT_BYTES = 2
CHUNK = 32 * 1024
MOST_UNSENT = 1 << 20
AGAIN_SECONDS, LOOK_SECONDS = 15.0, 0.3
LOCALHOST = ("127.0.0.1", "::1")


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(POD | TYPE/NAME) [LOCAL_PORT:]REMOTE_PORT [...]"
    flags.texts("address", "local addresses to listen on (default localhost)", split=True)
    flags.text("pod-running-timeout", "how long to wait for a pod to run (not waited for)", default="1m0s")


def run(values: Values) -> int:
    """Forward until interrupted."""
    if len(values.words) < 2:
        raise UsageError(
            "TYPE/NAME and list of ports are required for port-forward\n"
            "See 'kctl port-forward -h' for help and examples"
        )
    session = flags.session(values)
    kind, name = split_name(values.words[0])
    if not name:
        raise UsageError("resource name may not be empty")
    resource = session.discovery.named(kind)
    target = session.read(resource, name, session.namespace)
    pod = target if resource.kind == "Pod" else pod_of(session, kind, name)
    if (phase := pod.get("status", {}).get("phase")) != "Running":
        raise UsageError(f"unable to forward port because pod is not running. Current status={phase}")
    aim = Aim(session, kind, name, target, pod)
    listeners = [
        (listener, local, remote, word)
        for word in values.words[1:]
        for listener, local, remote in _listen(*_pair(word, target, pod), values.address or ["localhost"])
    ]
    for listener, local, remote, word in listeners:
        print(f"Forwarding from {_shown(listener)} -> {remote}", flush=True)
        threading.Thread(target=_serve, args=(aim, listener, local, word), daemon=True).start()
    threading.Event().wait()
    return 0


class Aim:
    """The pod that connections go to; another one once it is gone, unless the pod itself was named."""

    def __init__(self, session: Session, kind: str, name: str, target: dict[str, Any], pod: dict[str, Any]) -> None:
        self._session, self._kind, self._name, self._target = session, kind, name, target
        self._pod = pod
        self._lock = threading.Lock()

    def connect(self, word: str) -> tuple[WebSocket, int, str]:
        """(a tunnel to the pod's port, the port, the pod). Raises ApiError, ConnectionFailed, UsageError."""
        pod = self._pod
        remote = _pair(word, self._target, pod)[1]
        session = Session(self._session.target)
        path = subresource(session, pod, "portforward")
        return WebSocket(session, path, [("ports", str(remote))], PROTOCOLS), remote, pod["metadata"]["uid"]

    @property
    def uid(self) -> str:
        """Of the pod that is aimed at."""
        return str(self._pod["metadata"]["uid"])

    def again(self, uid: str) -> bool:
        """Choose another pod than this one, when one comes within a few seconds. False if there is none to choose."""
        if self._target.get("kind") == "Pod":
            return False
        with self._lock:
            deadline = time.monotonic() + AGAIN_SECONDS
            while self.uid == uid:  # else another connection has chosen already
                found = self._others(uid)
                if found:
                    self._pod = found[0]
                    print(f"Forwarding to pod/{self._pod['metadata']['name']} from now on", file=sys.stderr, flush=True)
                elif time.monotonic() > deadline:
                    return False
                else:
                    time.sleep(LOOK_SECONDS)
            return True

    def _others(self, uid: str) -> list[dict[str, Any]]:
        """The pods that are ready, the best first."""
        found = pods_of(Session(self._session.target), self._kind, self._name)
        return [
            one
            for one in found
            if one["metadata"]["uid"] != uid and not one["metadata"].get("deletionTimestamp") and is_ready(one)
        ]


def _pair(word: str, target: dict[str, Any], pod: dict[str, Any]) -> tuple[int, int]:
    """`80`, `8080:80`, `:80`, `8080:name` as (local port, the pod's port). Raises UsageError."""
    local, colon, remote = word.partition(":")
    remote = remote if colon else local
    number = _remote(remote, target, pod)
    if not colon:
        return (port_number(remote) if remote.isdigit() else number), number
    return (port_number(local) if local not in ("", "0") else 0), number


def _remote(word: str, target: dict[str, Any], pod: dict[str, Any]) -> int:
    """A port of the pod, or of the service, as a number of the pod's. Raises UsageError."""
    if target.get("kind") != "Service":
        return port_number(word) if word.isdigit() else _container_port(word, pod)
    for one in target.get("spec", {}).get("ports") or ():
        if word in (str(one["port"]), one.get("name")):
            aim = one.get("targetPort", one["port"])
            if target["spec"].get("clusterIP") == "None":
                aim = one["port"] if isinstance(aim, int) else aim
            return aim if isinstance(aim, int) else _container_port(aim, pod)
    raise UsageError(f"Service {target['metadata']['name']} does not have a service port {word}")


def _container_port(name: str, pod: dict[str, Any]) -> int:
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    raise UsageError(f"Pod '{pod['metadata']['name']}' does not have a named port '{name}'")


def _listen(local: int, remote: int, addresses: list[str]) -> list[tuple[socket.socket, int, int]]:
    """Sockets for one port. `localhost` is both loopback addresses, one of which is enough. Raises UsageError."""
    found: list[tuple[socket.socket, int, int]] = []
    errors = []
    for address in [one for text in addresses for one in (LOCALHOST if text == "localhost" else (text,))]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, local or (found[0][1] if found else 0)))
            listener.listen(64)
        except OSError as error:
            listener.close()
            errors.append(f"Unable to listen on port {local}: {address}: {error.strerror or error}")
            continue
        found.append((listener, listener.getsockname()[1], remote))
    if not found:
        raise UsageError("; ".join(errors))
    return found


def _shown(listener: socket.socket) -> str:
    address = listener.getsockname()
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def _serve(aim: Aim, listener: socket.socket, local: int, word: str) -> None:
    while True:
        client, _ = listener.accept()
        print(f"Handling connection for {local}", flush=True)
        threading.Thread(target=_carry, args=(aim, client, local, word), daemon=True).start()


def _carry(aim: Aim, client: socket.socket, local: int, word: str) -> None:
    """One connection, from its beginning to its end. A pod that can't be reached is left for another one, once."""
    remote, uid, sent = 0, aim.uid, bytearray()
    try:
        try:
            tunnel, remote, uid = aim.connect(word)
            _copy(tunnel, client, sent)
        except BegunError:
            raise
        except SampanError:
            if len(sent) > MOST_UNSENT or not aim.again(uid):
                raise
            tunnel, remote, uid = aim.connect(word)
            _copy(tunnel, client, sent)
    except SampanError as error:
        text = f"error forwarding port {remote} to pod: {wording(error).removeprefix('error: ')}"
        print(f"an error occurred forwarding {local} -> {remote}: {text}", file=sys.stderr, flush=True)
    except OSError:
        pass  # the local client has gone
    finally:
        client.close()


class BegunError(UsageError):
    """The pod had answered before it failed: what was sent to it can't be sent to another one."""


def _copy(tunnel: WebSocket, client: socket.socket, sent: bytearray) -> None:
    """Bytes both ways until the pod's end closes, or the client is gone. Raises UsageError with what the pod says.

    `sent` is what the client has sent so far: it is sent again, and added to until the pod answers.
    """
    begun: set[int] = set()
    reading, answered = True, False
    try:
        if sent:
            tunnel.send(bytes([DATA]) + bytes(sent))
            tunnel.flush()
        while not tunnel.closed:
            for message in tunnel.receive():
                channel, data = message.data[0] if message.data else -1, message.data[1:]
                if channel not in begun:
                    begun.add(channel)
                    data = data[PORT_BYTES:]
                if channel == ERROR and data:
                    raise (BegunError if answered else UsageError)(data.decode(errors="replace"))
                if channel == DATA and data:
                    answered = True
                    client.sendall(data)
            if tunnel.closed:
                return
            poll = select.poll()
            poll.register(tunnel.fileno(), tunnel.interest)
            if reading and tunnel.waiting < MOST_UNSENT:
                poll.register(client.fileno(), select.POLLIN)
            for descriptor, events in poll.poll():
                if descriptor != client.fileno():
                    continue
                data = client.recv(CHUNK)
                if data:
                    tunnel.send(bytes([DATA]) + data)
                    if not answered and len(sent) <= MOST_UNSENT:
                        sent += data
                    continue
                reading = False
                if events & select.POLLHUP:
                    return
            tunnel.flush()
    finally:
        tunnel.close()
