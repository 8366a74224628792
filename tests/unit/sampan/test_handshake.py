"""A client follows credentials that are replaced while it runs."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from deploy import node_config
from sampan.certs import Authority
from sampan.client import Client
from sampan.kinds import CONFIG_MAPS
from sampan.signing_requests import write_pair


class Server:
    """A TLS server that notes by which certificate it is called, and whose watches never end by themselves."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority.create("test")
        self.ca, self.pair = directory / "ca.crt", directory / "client.pem"
        self.ca.write_bytes(self.authority.pair.certificate)
        self.callers: list[str] = []
        self.watched = asyncio.Event()
        self.replace("first")

    def replace(self, user: str) -> None:
        """Another client certificate, as a renewal makes it."""
        made = self.authority.issue(user)
        write_pair(self.pair, made.certificate, made.key)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        subject = request.transport.get_extra_info("ssl_object").getpeercert()["subject"]
        self.callers.append(dict(one[0] for one in subject)["commonName"])
        if "watch" not in request.query:
            return web.json_response({"metadata": {"name": "a", "namespace": "ns"}})
        self.watched.set()
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        made = self.authority.issue("server", hosts=("127.0.0.1",))
        write_pair(self.directory / "server.pem", made.certificate, made.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "server.pem")
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        server = TestServer(app, scheme="https")
        await server.start_server(ssl=context)
        try:
            config = self.directory / "kubeconfig"
            url = f"https://127.0.0.1:{server.port}"
            pair = (self.pair, self.pair)
            config.write_text(json.dumps(node_config.kubeconfig(url, "test", ca=self.ca, client=pair)))
            async with Client.from_kubeconfig(str(config)) as client:
                yield client
        finally:
            await server.close()


async def test_new_credentials_are_used_and_streams_of_old_ones_are_let_go(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.client() as client, asyncio.timeout(10):

        async def watch() -> None:
            async for _ in client.watch(CONFIG_MAPS, "ns", resource_version="1"):
                pass

        watching = asyncio.create_task(watch())
        await client.get(CONFIG_MAPS, "a", "ns")
        await server.watched.wait()
        server.replace("second")
        await client.get(CONFIG_MAPS, "a", "ns")
        await watching  # it ends as if the server had ended it
    assert server.callers == ["first", "first", "second"]


async def test_a_half_written_pair_is_not_taken(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.client() as client:
        await client.get(CONFIG_MAPS, "a", "ns")
        whole = server.pair.read_bytes()
        server.pair.write_bytes(whole[:100])
        await client.get(CONFIG_MAPS, "a", "ns")
        server.replace("third")
        await client.get(CONFIG_MAPS, "a", "ns")
    assert server.callers == ["first", "first", "third"]
