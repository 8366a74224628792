"""The few requests that joining and leaving make, before and after the agent: plain HTTPS, one connection at a time.

Not sampan.client, whose imports would be half of a join's time.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from deploy.machine.trust import Address
from sampan.errors import ApiError, ClusterError

REQUEST_SECONDS = 20.0
LISTENS_SECONDS = 3.0
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h): a machine whose clock is wrong learns so from the server's."""
USER_AGENT = "sampan-join"


class Connection:
    """A server whose CA is known, and as whom to call it: a token, or a certificate's file with its key."""

    def __init__(
        self, server: Address, ca: str, *, token: str = "", pair: Path | tuple[Path, Path] | None = None
    ) -> None:
        self.server = server
        self._ca = ca
        self._token = token
        self._pair = pair

    def time(self) -> datetime:
        """The server's clock, read without saying who asks. Raises ClusterError."""
        context = ssl.create_default_context(cadata=self._ca)
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
        connection = http.client.HTTPSConnection(*self.server, timeout=REQUEST_SECONDS, context=context)
        try:
            connection.request("GET", "/readyz", headers={"User-Agent": USER_AGENT})
            date = connection.getresponse().headers.get("Date", "")
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        try:
            return parsedate_to_datetime(date).astimezone(UTC)
        except ValueError:
            raise ClusterError(where=self.server.url, what=f"answers without its time (Date: {date!r})") from None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request and its JSON answer. Raises ApiError, ClusterError."""
        connection = self._open(REQUEST_SECONDS)
        try:
            answer = self._send(connection, method, path, body)
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        value = _json(data)
        if answer.status >= 400:
            raise ApiError.from_status(value, answer.status)
        return value

    def watch(self, path: str, *, name: str, seconds: float) -> Iterator[dict[str, Any] | None]:
        """The object `name` of a collection as it is and at every change, None when it is gone; ends in time.

        A connection that breaks is made again. Raises ApiError, ClusterError when the server stays away.
        """
        deadline = time.monotonic() + seconds
        broken = 0
        while (left := deadline - time.monotonic()) > 0:
            query = f"?fieldSelector=metadata.name%3D{name}&watch=true&timeoutSeconds={max(1, int(left))}"
            connection = self._open(left + 1)
            try:
                answer = self._send(connection, "GET", path + query, None)
                if answer.status >= 400:
                    raise ApiError.from_status(_json(answer.read()), answer.status)
                for line in answer:
                    event = _json(line)
                    if event.get("type") == "ERROR":
                        break
                    broken = 0
                    yield None if event.get("type") == "DELETED" else event.get("object")
            except (OSError, http.client.HTTPException) as error:
                broken += 1
                if broken > 5:
                    raise self._unreachable(error) from error
                time.sleep(0.2 * broken)
            finally:
                connection.close()

    def _open(self, timeout: float) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cadata=self._ca)
        if self._pair is not None:
            context.load_cert_chain(*(self._pair if isinstance(self._pair, tuple) else (self._pair,)))
        return http.client.HTTPSConnection(*self.server, timeout=timeout, context=context)

    def _send(
        self, connection: http.client.HTTPSConnection, method: str, path: str, body: Mapping[str, Any] | None
    ) -> http.client.HTTPResponse:
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            patch = method == "PATCH"
            headers["Content-Type"] = "application/merge-patch+json" if patch else "application/json"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return connection.getresponse()

    def _unreachable(self, error: Exception) -> ClusterError:
        if isinstance(error, ssl.SSLCertVerificationError):
            what = f"its certificate is not accepted: {error.verify_message}"
            remedy = "call it by a name or address that its certificate has"
        else:
            what = f"no answer: {getattr(error, 'strerror', None) or error or type(error).__name__}"
            remedy = "check that the server runs"
        return ClusterError(where=self.server.url, what=what, remedy=remedy)


def listens(server: Address) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(server, LISTENS_SECONDS).close()
    except OSError:
        return False
    return True


def own_address(server: Address) -> str:
    """This machine's address on the way to the server. Sends nothing. Raises ClusterError."""
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
        with socket.socket(found[0][0], socket.SOCK_DGRAM) as probe:
            probe.connect(found[0][4])
            return str(probe.getsockname()[0])
    except OSError as error:
        raise ClusterError(
            where=server.url, what=f"no way leads there: {error.strerror or error}", remedy="give --node-ip"
        ) from error


def _json(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    text = data[:200].decode(errors="replace").strip() or "nothing"
    return {"kind": "Status", "status": "Failure", "message": f"the server answered {text!r}"}
