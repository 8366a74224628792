"""Images from and to registries (OCI distribution-spec v1.1).

Always: what is kept has the digest that the reference or manifest promised; credentials go to the registry and its
token service only, and over plain HTTP only to loopback and registries that were configured so. Broken downloads
resume. Elsewhere: HTTP, redirects and authentication (session.py).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from nodeagent.runtime.images import reference
from nodeagent.runtime.images.auth import Credentials
from nodeagent.runtime.images.digests import digest_of
from nodeagent.runtime.images.errors import DigestMismatch, FormatError, NotFound, RegistryError
from nodeagent.runtime.images.intake import Intake, importing
from nodeagent.runtime.images.oci import (
    DOCUMENT_BYTES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Manifest,
    choose,
    host_platform,
    is_index,
    parse_index,
    parse_json,
    parse_manifest,
)
from nodeagent.runtime.images.session import Interrupted, Session
from nodeagent.runtime.images.store import ImageStore, Progress

DOWNLOADS = 3
ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.25
CHUNK = 1 << 18

Sleep = Callable[[float], Awaitable[None]]


async def pull(
    store: ImageStore,
    ref: str,
    auth: Credentials | None = None,
    *,
    progress: Progress | None = None,
    sleep: Sleep = asyncio.sleep,
) -> str:
    """Fetch an image and name it; returns its ID. Raises RegistryError, DigestMismatch, FormatError, NotFound."""
    say = progress or (lambda line: None)
    wanted = reference.parse(ref)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            Session(wanted, auth, insecure=store.insecure_registries, actions="pull")
        )
        way_in = importing(store)
        intake = await asyncio.to_thread(way_in.__enter__)
        stack.callback(way_in.__exit__, None, None, None)
        say(f"pulling {wanted}")
        download = _Download(session, intake, say, sleep)
        top, digest, manifest = await download.manifest(wanted.digest or wanted.tag or "", str(wanted))
        await download.blobs(manifest)
        digests = {f"{wanted.repository}@{d}" for d in (top, digest)}
        names = [wanted.name] if wanted.digest is None else []
        # A thread cannot be cancelled, and the import lock must outlast it.
        commit = asyncio.ensure_future(asyncio.to_thread(intake.commit, digest, names, digests, where=str(wanted)))
        try:
            image_id = await asyncio.shield(commit)
        except asyncio.CancelledError:
            await asyncio.wait([commit])
            raise
        say(f"pulled {wanted} ({image_id[:19]})")
        return image_id


class _Download:
    def __init__(self, session: Session, intake: Intake, say: Progress, sleep: Sleep) -> None:
        self._session = session
        self._intake = intake
        self._say = say
        self._sleep = sleep

    async def manifest(self, wanted: str, where: str) -> tuple[str, str, Manifest]:
        """The digest of what `wanted` (a tag or digest) is, and the digest and content of this platform's
        manifest."""
        top = ""
        for _ in range(4):
            content = await self._document("manifests", wanted, where)
            digest = digest_of(content)
            if wanted.startswith("sha256:") and digest != wanted:
                raise DigestMismatch(where, f"the registry sent a manifest with digest {digest} for {wanted}")
            top = top or digest
            if not is_index(parse_json(content, f"{where}: manifest")):
                self._intake.put(content)
                return top, digest, parse_manifest(content, f"{where}: manifest")
            wanted = choose(parse_index(content, f"{where}: index"), host_platform(), where).digest
        raise FormatError(where, "nests indexes too deeply")

    async def blobs(self, manifest: Manifest) -> None:
        """The config and all layers that are not here yet, a few at a time. Raises RegistryError, DigestMismatch."""
        missing = [
            blob
            for blob in dict.fromkeys((manifest.config, *manifest.layers))
            if not self._intake.has(blob.digest, blob.size)
        ]
        gate = asyncio.Semaphore(DOWNLOADS)

        async def fetch(number: int, blob: Descriptor) -> None:
            async with gate:
                self._say(f"blob {number}/{len(missing)} {blob.digest[7:19]} {blob.size} bytes")
                await self.blob(blob)

        tasks = [asyncio.ensure_future(fetch(n, blob)) for n, blob in enumerate(missing, 1)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def blob(self, blob: Descriptor) -> None:
        where = f"{self._session.where}: blob {blob.digest}"
        if blob.size > self._intake.limits.blob_bytes:
            raise FormatError(where, f"has {blob.size} bytes, at most {self._intake.limits.blob_bytes} are allowed")
        staging = self._intake.layout.scratch("blob")
        hashed, count = hashlib.sha256(), 0
        try:
            with staging.open("xb") as file:
                attempt = 0
                while True:
                    before = count
                    try:
                        async with self._session.get(f"blobs/{blob.digest}", start=count) as (answer, start):
                            if start != count:
                                file.seek(0)
                                file.truncate()
                                hashed, count = hashlib.sha256(), 0
                            async for chunk in answer.content.iter_chunked(CHUNK):
                                count += len(chunk)
                                if count > blob.size:
                                    raise FormatError(where, f"is longer than the {blob.size} bytes promised")
                                hashed.update(chunk)
                                file.write(chunk)
                        if count < blob.size:
                            raise Interrupted(f"the connection ended after {count} of {blob.size} bytes")
                        break
                    except Interrupted as error:
                        attempt = 1 if count > before else attempt + 1
                        await self._again(attempt, error, where)
            self._intake.adopt(
                staging, "sha256:" + hashed.hexdigest(), count, where, expected=blob.digest, size=blob.size
            )
        finally:
            staging.unlink(missing_ok=True)

    async def _document(self, kind: str, name: str, where: str) -> bytes:
        attempt = 0
        while True:
            try:
                accept = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
                async with self._session.get(f"{kind}/{name}", accept=accept) as (answer, _):
                    content = bytearray()
                    async for chunk in answer.content.iter_chunked(CHUNK):
                        content += chunk
                        if len(content) > DOCUMENT_BYTES:
                            raise FormatError(where, f"the manifest is longer than {DOCUMENT_BYTES} bytes")
                    return bytes(content)
            except Interrupted as error:
                attempt += 1
                await self._again(attempt, error, where)

    async def _again(self, attempt: int, error: Interrupted, where: str) -> None:
        """Wait before another attempt, or give up."""
        if attempt >= ATTEMPTS:
            raise RegistryError(
                where, f"gave up after {attempt} attempts: {error}", "check the registry and the network"
            )
        wait = max(error.retry_after, FIRST_WAIT_SECONDS * 2**attempt)
        self._say(f"{error}; trying again in {wait:.1f} s")
        await self._sleep(min(wait, 30.0))


async def push(
    store: ImageStore,
    ref: str,
    auth: Credentials | None = None,
    *,
    progress: Progress | None = None,
) -> str:
    """Send an image to the registry in its name; returns the manifest's digest. Raises RegistryError, NotFound."""
    say = progress or (lambda line: None)
    image = store.resolve(ref)
    if image is None:
        raise NotFound(f"image {ref!r}", "is not in the store")
    target = reference.parse(ref)
    content = store.document(image.manifest)
    manifest = parse_manifest(content, f"manifest of {ref}")
    async with Session(target, auth, insecure=store.insecure_registries, actions="pull,push") as session:
        for blob in dict.fromkeys((*manifest.layers, manifest.config)):
            if await session.exists(f"blobs/{blob.digest}"):
                continue
            say(f"pushing {blob.digest[7:19]} {blob.size} bytes")
            address = await session.send("POST", "blobs/uploads/", b"", expect=(202,))
            if not address:
                raise RegistryError(session.where, "names no place to upload to")
            address += ("&" if "?" in address else "?") + f"digest={blob.digest}"
            with store.blob(blob.digest).open("rb") as file:
                await session.send("PUT", address, file, size=blob.size, expect=(201,))
        await session.send(
            "PUT",
            f"manifests/{target.tag or image.manifest}",
            content,
            media_type=manifest.media_type,
            expect=(201,),
        )
    say(f"pushed {target} ({image.manifest[:19]})")
    return image.manifest
