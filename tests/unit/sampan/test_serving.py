"""A server's certificate changes under it: new connections see the new one, and never half of one."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from sampan.certs import Authority, Pair
from sampan.serving import Serving

AUTHORITY = Authority.create("test")
OTHER = Authority.create("other")


def pair(name: str, authority: Authority = AUTHORITY) -> Pair:
    return authority.issue(name, hosts=("localhost", "127.0.0.1"))


class Site:
    """A server on loopback that asks for client certificates and sends one byte."""

    def __init__(self, directory: Path) -> None:
        self.certificate, self.key, self.ca = (directory / name for name in ("s.crt", "s.key", "ca.crt"))
        self.ca.write_bytes(AUTHORITY.pair.certificate)
        pair("first").write(self.certificate, self.key)
        self.serving = Serving(self._make, (self.certificate, self.key, self.ca))
        self.port = 0

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["http/1.1"])
        return context

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x")
            await writer.drain()
            await reader.read(1)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=self.serving.context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def shows(self, client: Pair, directory: Path, *, name: str = "localhost") -> str:
        """Whom a new connection finds. Raises OSError when it is refused."""
        client.write(directory / "c.crt", directory / "c.key")
        context = ssl.create_default_context(cafile=None)
        context.load_verify_locations(cadata=AUTHORITY.pair.certificate.decode())
        context.load_cert_chain(directory / "c.crt", directory / "c.key")
        context.set_alpn_protocols(["http/1.1"])
        raw = socket.create_connection(("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=raw, ssl=context, server_hostname=name)
        try:
            if await reader.read(1) != b"x":
                raise ConnectionResetError("the server sent nothing")
            tls = writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "http/1.1"
            certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
            return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        finally:
            writer.close()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_new_connection_sees_the_new_certificate(tmp_path: Path, name: str) -> None:
    site = Site(tmp_path)
    client = pair("client")
    async with site.open():
        assert await site.shows(client, tmp_path, name=name) == "first"
        pair("second").write(site.certificate, site.key)
        assert await site.shows(client, tmp_path, name=name) == "second"
        assert await site.shows(client, tmp_path, name=name) == "second"


async def test_half_a_pair_is_not_taken(tmp_path: Path) -> None:
    site = Site(tmp_path)
    client, second = pair("client"), pair("second")
    async with site.open():
        site.certificate.write_bytes(second.certificate)
        assert await site.shows(client, tmp_path) == "first"
        site.key.write_bytes(second.key)
        assert await site.shows(client, tmp_path) == "second"
        site.certificate.unlink()
        assert await site.shows(client, tmp_path) == "second"


async def test_whom_it_trusts_may_change_too(tmp_path: Path) -> None:
    site = Site(tmp_path)
    stranger = pair("stranger", OTHER)
    async with site.open():
        with pytest.raises(OSError):  # noqa: PT011 - TLS 1.3 tells a refused client in one of several ways
            await site.shows(stranger, tmp_path)
        site.ca.write_bytes(AUTHORITY.pair.certificate + OTHER.pair.certificate)
        assert await site.shows(stranger, tmp_path) == "first"
        with site.ca.open("wb") as ca:
            ca.write(OTHER.pair.certificate)
        with pytest.raises(OSError):  # noqa: PT011 - likewise
            await site.shows(pair("client"), tmp_path)
