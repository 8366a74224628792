"""Pulling and pushing against Debian's docker-registry on loopback, and against a registry that misbehaves."""

import asyncio
import base64
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from nodeagent.runtime.images.archives import save
from nodeagent.runtime.images.auth import Credentials
from nodeagent.runtime.images.build.builder import build
from nodeagent.runtime.images.errors import DigestMismatch, FormatError, ImageError, NotFound, RegistryError
from nodeagent.runtime.images.oci import DOCKER_LIST, INDEX, LAYER_GZIP, MANIFEST, host_platform
from nodeagent.runtime.images.registry import pull, push
from nodeagent.runtime.images.store import ImageStore

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="unpacking sets owners and makes device nodes"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """host:port of a docker-registry."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed")
    address = f"127.0.0.1:{free_port()}"
    config = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
    }
    (tmp_path / "registry.yml").write_text(json.dumps(config))
    with open(tmp_path / "registry.log", "wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(tmp_path / "registry.yml")], stdout=log, stderr=log)
    try:
        host, port = address.split(":")
        for _ in range(100):
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((host, int(port))) == 0:
                    break
            if process.poll() is not None:
                pytest.fail((tmp_path / "registry.log").read_text())
            asyncio.run(asyncio.sleep(0.05))
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def local(tmp_path: Path) -> ImageStore:
    """A store with a built image `app:v1` of two layers."""
    store = ImageStore(tmp_path / "local")
    context = tmp_path / "context"
    context.mkdir()
    (context / "a").write_bytes(os.urandom(300_000))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY a /a\nCOPY a /b\nENV X=1\n")
    build(store, context, names=["app:v1"])
    return store


async def no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


async def test_what_is_pushed_can_be_pulled(registry: str, local: ImageStore, tmp_path: Path) -> None:
    local.tag("app:v1", f"{registry}/team/app:v1")
    digest = await push(local, f"{registry}/team/app:v1")
    remote = ImageStore(tmp_path / "remote")
    image_id = await pull(remote, f"{registry}/team/app:v1")
    image, original = remote.resolve(f"{registry}/team/app:v1"), local.resolve("app:v1")
    assert image is not None
    assert original is not None
    assert image.id == image_id == original.id
    assert image.repo_digests == (f"{registry}/team/app@{digest}",)
    assert [Path(t).name for t in image.layers] == [Path(t).name for t in original.layers]
    by_digest = ImageStore(tmp_path / "third")
    await pull(by_digest, f"{registry}/team/app@{digest}")
    found = by_digest.resolve(f"{registry}/team/app@{digest}")
    assert found is not None
    assert found.repo_tags == ()


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.parametrize("form", ["oci", "v2s2"])
async def test_skopeos_images_of_both_formats_are_pulled(
    registry: str, local: ImageStore, tmp_path: Path, form: str
) -> None:
    content = io.BytesIO()
    save(local, ["app:v1"], content)
    (tmp_path / "app.tar").write_bytes(content.getvalue())
    target = f"docker://{registry}/skopeo/app:{form}"
    command = [
        "skopeo",
        "copy",
        "-q",
        "--format",
        form,
        "--dest-tls-verify=false",
        f"oci-archive:{tmp_path}/app.tar",
        target,
    ]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    remote = ImageStore(tmp_path / "remote")
    await pull(remote, f"{registry}/skopeo/app:{form}")
    image, original = remote.resolve(f"{registry}/skopeo/app:{form}"), local.resolve("app:v1")
    assert image is not None
    assert original is not None
    assert [Path(t).name for t in image.layers] == [Path(t).name for t in original.layers]


async def test_a_tag_that_moved_is_followed(registry: str, local: ImageStore, tmp_path: Path) -> None:
    name = f"{registry}/app:v1"
    local.tag("app:v1", name)
    await push(local, name)
    remote = ImageStore(tmp_path / "remote")
    first = await pull(remote, name)
    (tmp_path / "context/a").write_text("other")
    build(local, tmp_path / "context", names=[name])
    await push(local, name)
    second = await pull(remote, name)
    assert first != second
    image = remote.resolve(name)
    assert image is not None
    assert image.id == second


async def test_what_is_not_there_is_told(registry: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nothing/here: has no manifests v9"):
        await pull(ImageStore(tmp_path / "s"), f"{registry}/nothing/here:v9")


# A registry of our own making, to misbehave on purpose.


class Wayward:
    """Serves one image; `faults` are taken one by one by blob requests."""

    def __init__(self) -> None:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            info = tarfile.TarInfo("f")
            info.size = 200_000
            tar.addfile(info, io.BytesIO(os.urandom(info.size)))
        self.layer = content.getvalue()
        diff_id = self.digest(self.layer)
        self.config = json.dumps(
            {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        ).encode()
        self.blobs = {self.digest(c): c for c in (self.layer, self.config)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "x", "digest": self.digest(self.config), "size": len(self.config)},
            "layers": [{"mediaType": LAYER_GZIP, "digest": diff_id, "size": len(self.layer)}],
        }
        self.manifest = json.dumps(manifest).encode()
        self.manifests = {"v1": self.manifest, self.digest(self.manifest): self.manifest}
        self.faults: list[str] = []
        self.ranges: list[str] = []
        self.authorizations: list[str] = []
        self.challenge = ""
        self.expected = ""

    @staticmethod
    def digest(content: bytes) -> str:
        return "sha256:" + hashlib.sha256(content).hexdigest()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        kind, name = request.match_info["kind"], request.match_info["name"]
        self.authorizations.append(request.headers.get("Authorization", ""))
        if self.challenge and request.headers.get("Authorization") != self.expected:
            return web.Response(status=401, headers={"WWW-Authenticate": self.challenge})
        if kind == "manifests":
            content = self.manifests.get(name)
            return web.Response(body=content) if content else web.Response(status=404)
        content = self.blobs[name]
        fault = self.faults.pop(0) if self.faults and name == self.digest(self.layer) else ""
        asked = request.headers.get("Range", "")
        if asked:
            self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and fault != "no ranges" else 0
        match fault:
            case "unavailable":
                return web.Response(status=503, headers={"Retry-After": "1"})
            case "corrupt":
                return web.Response(body=content[:-1] + b"!")
            case "long":
                return web.Response(body=content + b"!")
            case "redirect":
                return web.Response(status=307, headers={"Location": "gopher://127.0.0.1/x"})
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        answer = web.StreamResponse(status=206 if start else 200, headers=headers)
        answer.content_length = len(content) - start
        await answer.prepare(request)
        if fault == "cut":
            await answer.write(content[start : start + 70_000])
            assert request.transport is not None
            request.transport.close()
            return answer
        await answer.write(content[start:])
        return answer

    async def token(self, request: web.Request) -> web.Response:
        user = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if user != "joe:secret":
            return web.Response(status=401)
        assert request.query["scope"] == "repository:app:pull"
        assert request.query["service"] == "a b"
        return web.json_response({"token": "T123"})


@pytest.fixture
async def wayward() -> AsyncIterator[tuple[Wayward, str]]:
    registry = Wayward()
    app = web.Application()
    app.router.add_get("/v2/app/{kind}/{name}", registry.serve)
    app.router.add_get("/token", registry.token)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield registry, f"127.0.0.1:{port}"
    await runner.cleanup()


Pull = Callable[..., Awaitable[str]]


@pytest.fixture
def fetch(tmp_path: Path) -> Pull:
    store = ImageStore(tmp_path / "store")

    async def run(ref: str, auth: Credentials | None = None) -> str:
        return await pull(store, ref, auth, sleep=no_wait)

    return run


async def test_a_broken_download_resumes(wayward: tuple[Wayward, str], fetch: Pull) -> None:
    registry, address = wayward
    registry.faults = ["cut", "unavailable", "cut"]
    await fetch(f"{address}/app:v1")
    assert registry.ranges == ["bytes=70000-", "bytes=70000-", "bytes=140000-"]


async def test_a_registry_without_ranges_starts_again(wayward: tuple[Wayward, str], fetch: Pull) -> None:
    registry, address = wayward
    registry.faults = ["cut", "no ranges"]
    await fetch(f"{address}/app:v1")
    assert registry.ranges == ["bytes=70000-"]


async def test_trouble_that_stays_is_given_up(wayward: tuple[Wayward, str], fetch: Pull) -> None:
    registry, address = wayward
    registry.faults = ["unavailable"] * 9
    with pytest.raises(RegistryError, match=r"gave up after 5 attempts: .* answers 503"):
        await fetch(f"{address}/app:v1")


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        ("corrupt", DigestMismatch, "promised was"),
        ("long", FormatError, "longer than"),
        ("redirect", RegistryError, "redirects to 'gopher"),
    ],
)
async def test_wrong_content_is_refused(
    wayward: tuple[Wayward, str], fetch: Pull, tmp_path: Path, fault: str, kind: type[ImageError], why: str
) -> None:
    registry, address = wayward
    registry.faults = [fault]
    with pytest.raises(kind, match=why):
        await fetch(f"{address}/app:v1")
    store = ImageStore(tmp_path / "store")
    assert store.list() == []
    assert not (store.root / "blobs/sha256" / hashlib.sha256(registry.layer).hexdigest()).exists()


async def test_a_manifest_must_have_the_digest_asked_for(wayward: tuple[Wayward, str], fetch: Pull) -> None:
    registry, address = wayward
    wanted = "sha256:" + "1" * 64
    registry.manifests[wanted] = registry.manifest
    with pytest.raises(DigestMismatch, match="sent a manifest with digest"):
        await fetch(f"{address}/app@{wanted}")


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_LIST])
async def test_an_index_gives_this_machines_image(
    wayward: tuple[Wayward, str], fetch: Pull, tmp_path: Path, media_type: str
) -> None:
    registry, address = wayward
    entry = {"mediaType": MANIFEST, "size": len(registry.manifest), "digest": registry.digest(registry.manifest)}
    other = {**entry, "digest": "sha256:" + "2" * 64, "platform": {"os": "linux", "architecture": "s390x"}}
    ours = {**entry, "platform": {"os": "linux", "architecture": host_platform().architecture}}
    index = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": [other, ours]}).encode()
    registry.manifests["multi"] = index
    image_id = await fetch(f"{address}/app:multi")
    image = ImageStore(tmp_path / "store").resolve(f"{address}/app@{registry.digest(index)}")
    assert image is not None
    assert image.id == image_id
    registry.manifests["foreign"] = json.dumps({"schemaVersion": 2, "manifests": [other]}).encode()
    with pytest.raises(FormatError, match=r"has no image for linux/.* \(it offers linux/s390x\)"):
        await fetch(f"{address}/app:foreign")


async def test_tokens_are_fetched_and_used(wayward: tuple[Wayward, str], fetch: Pull) -> None:
    registry, address = wayward
    registry.challenge = f'Bearer realm="http://{address}/token",service="a b",scope="ignored"'
    registry.expected = "Bearer T123"
    await fetch(f"{address}/app:v1", Credentials("joe", "secret"))
    assert registry.authorizations.count("") == 1
    with pytest.raises(RegistryError, match=r"token service .* answers 401"):
        await fetch(f"{address}/app:v1", Credentials("joe", "wrong"))


async def test_basic_authentication(wayward: tuple[Wayward, str], fetch: Pull) -> None:
    registry, address = wayward
    registry.challenge = 'Basic realm="x"'
    registry.expected = "Basic " + base64.b64encode("jö:secret".encode()).decode()
    with pytest.raises(RegistryError, match="asks for a user and password; give credentials"):
        await fetch(f"{address}/app:v1")
    await fetch(f"{address}/app:v1", Credentials("jö", "secret"))


async def test_a_hostile_token_service_gets_nothing(wayward: tuple[Wayward, str], fetch: Pull) -> None:
    registry, address = wayward
    registry.challenge = 'Bearer realm="file:///etc/passwd"'
    with pytest.raises(RegistryError, match="as its token service"):
        await fetch(f"{address}/app:v1", Credentials("joe", "secret"))


async def test_a_cancelled_pull_leaves_the_store_usable(wayward: tuple[Wayward, str], tmp_path: Path) -> None:
    registry, address = wayward
    store = ImageStore(tmp_path / "store")
    registry.faults = ["unavailable"] * 9
    waiting = asyncio.Event()

    async def wait(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(pull(store, f"{address}/app:v1", sleep=wait))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.collect()
    registry.faults = []
    assert await pull(store, f"{address}/app:v1")
