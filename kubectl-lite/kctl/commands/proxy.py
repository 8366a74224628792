"""Serve the API on a local port with the kubeconfig's credentials: `kctl proxy`, until interrupted.

Whoever reaches the port acts as the user, so it is on loopback, answers only requests for localhost (a web page that
rebinds its name is refused), and by default neither exec nor attach. Each request has a connection of its own to the
server; watches and upgrades are passed on as they come.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from typing import Any

from kctl import flags
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import Session
from sampan.api_error import SampanError

HOSTS = r"^localhost$,^127\.0\.0\.1$,^\[::1\]$"
REFUSED_PATHS = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach"
MOST_HEAD = 64 * 1024
CHUNK = 64 * 1024
PATIENCE_SECONDS = 30.0
OURS = ("host", "authorization", "connection", "origin")
"""Headers of the client's that are not passed on."""


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "[--port=PORT] [flags]"
    flags.number("port", "the local port; 0 for any that is free", short="p", default=8001)
    flags.text("address", "the local address", default="127.0.0.1")
    flags.text("api-prefix", "only what is below this path", default="/")
    flags.text("accept-hosts", "regular expressions of names that may be asked for", default=HOSTS)
    flags.text("accept-paths", "regular expressions of paths that may be asked for", default="^.*")
    flags.text("reject-paths", "regular expressions of paths that may not", default=REFUSED_PATHS)
    flags.text("reject-methods", "regular expressions of methods that may not", default="^$")
    flags.switch("disable-filter", "answer anybody anything: dangerous where others reach the port")


def run(values: Values) -> int:
    """Serve until interrupted."""
    session = flags.session(values)
    door = Door(values)
    family = socket.AF_INET6 if ":" in values.address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((values.address, values.port))
    except (OSError, OverflowError) as error:
        raise UsageError(f"listen tcp {values.address}:{values.port}: {getattr(error, 'strerror', error)}") from error
    listener.listen(64)
    print(f"Starting to serve on {values.address}:{listener.getsockname()[1]}", flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_answer, args=(session, door, client), daemon=True).start()


class Door:
    """Which requests are let through."""

    def __init__(self, values: Values) -> None:
        """Raises UsageError for what is no regular expression."""
        self._open = bool(values.disable_filter)
        self._hosts = _patterns("accept-hosts", values.accept_hosts)
        self._paths = _patterns("accept-paths", values.accept_paths)
        self._refused = _patterns("reject-paths", values.reject_paths)
        self._methods = _patterns("reject-methods", values.reject_methods)
        self.prefix = "/" + values.api_prefix.strip("/")

    def refuses(self, method: str, path: str, host: str) -> bool:
        """Whether this one is not."""
        if self._open:
            return False
        name = re.sub(r":\d+$", "", host)
        plain = path.partition("?")[0]
        return (
            not _any(self._hosts, name)
            or not _any(self._paths, plain)
            or _any(self._refused, plain)
            or _any(self._methods, method)
        )


def _patterns(flag: str, text: str) -> list[re.Pattern[str]]:
    try:
        return [re.compile(one) for one in text.split(",") if one]
    except re.error as error:
        raise UsageError(f"--{flag}: {text!r} is no regular expression: {error}") from error


def _any(patterns: list[re.Pattern[str]], text: str) -> bool:
    return any(one.search(text) for one in patterns)


def _answer(session: Session, door: Door, client: socket.socket) -> None:
    """One connection: one request, then whatever comes, both ways."""
    try:
        client.settimeout(PATIENCE_SECONDS)
        head, rest = _head(client)
        lines = head.decode("latin-1").split("\r\n")
        method, path, version = ([*lines[0].split(" "), "", ""])[:3]
        headers = [
            (name.strip(), value.strip()) for name, _, value in (one.partition(":") for one in lines[1:]) if name
        ]
        given = {name.lower(): value for name, value in headers}
        if not version.startswith("HTTP/1.") or not path.startswith("/"):
            _refuse(client, 400, "Bad Request")
        elif door.refuses(method, path, given.get("host", "")) or not (path + "/").startswith(
            door.prefix.rstrip("/") + "/"
        ):
            _refuse(client, 403, "Forbidden")
        else:
            if given.get("expect", "").lower() == "100-continue":
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            _pass_on(session, client, method, path, headers, given, rest)
    except SampanError as error:
        _refuse(client, 502, wording(error))
    except OSError:
        pass  # the client has gone, or never said what it wants
    finally:
        client.close()


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    """A request's head, and what came after it. Raises OSError."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(CHUNK)
        if not more or len(data) > MOST_HEAD:
            raise OSError("no request")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _pass_on(
    session: Session,
    client: socket.socket,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    given: dict[str, str],
    rest: bytes,
) -> None:
    upgrade = "upgrade" in given.get("connection", "").lower()
    kept = [(name, value) for name, value in headers if name.lower() not in (*OURS, "expect")]
    own = [one for one in session.headers(given.get("accept", "*/*")) if one[0] not in ("Accept", "User-Agent")]
    ours = [*own, ("Connection", "Upgrade" if upgrade else "close")]
    connection = session.connect()
    server = connection.open()
    try:
        server.sendall(connection.head(method, path, [*kept, *ours]) + rest)
        server.settimeout(None)
        client.settimeout(None)
        _both_ways(client, server)
    finally:
        connection.close()


def _both_ways(client: socket.socket, server: Any) -> None:
    """Bytes as they come, until the server has said all, or the client is gone."""
    reading = [client, server]
    while True:
        pending = hasattr(server, "pending") and server.pending() > 0
        ready = [server] if pending else select.select(reading, [], [])[0]
        for one in ready:
            data = one.recv(CHUNK)
            if one is server:
                if not data:
                    return
                client.sendall(data)
            elif data:
                server.sendall(data)
            else:
                return


def _refuse(client: socket.socket, code: int, text: str) -> None:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {code} {text.splitlines()[0][:80]}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    with contextlib.suppress(OSError):
        client.sendall((head + "Connection: close\r\n\r\n").encode("latin-1", "replace") + body)
