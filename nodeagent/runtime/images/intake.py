"""The way into a store: blobs and layers are verified, put in place whole, and named in the index last.

Always: a file in blobs/ has the digest that is its name; a tree in layers/ was unpacked to its end from an archive
with the right diff ID. Killed at any step, an import leaves only rubbish in tmp/ and whole content that nothing
names yet.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from nodeagent.runtime.images import reference
from nodeagent.runtime.images.digests import Readable, chain_ids, digest_of, hex_of
from nodeagent.runtime.images.errors import DigestMismatch, FormatError, ImageError
from nodeagent.runtime.images.layout import Entry, Layout
from nodeagent.runtime.images.locks import locked
from nodeagent.runtime.images.oci import Descriptor, parse_config, parse_manifest
from nodeagent.runtime.images.records import boot_id, read_record
from nodeagent.runtime.images.store import ImageStore
from nodeagent.runtime.images.unpack import DEFAULT_LIMITS, Limits, unpack_layer

CHUNK = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syncfs.argtypes = (ctypes.c_int,)


@contextmanager
def importing(store: ImageStore) -> Iterator[Intake]:
    """The way in: blobs and layers added through the Intake are safe from garbage collection while it is open."""
    with store.kept_from_collection():
        yield Intake(store)


class Intake:
    """Made by `importing`, which keeps garbage collection away meanwhile. Safe to use from several threads."""

    def __init__(self, store: ImageStore, limits: Limits = DEFAULT_LIMITS) -> None:
        self.store = store
        self.layout: Layout = store.layout
        self.limits = limits

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory of one's own on the store's file system, gone afterwards."""
        path = self.layout.scratch("work")
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def put(self, content: bytes) -> str:
        """Keep a document; returns its digest."""
        digest = digest_of(content)
        path = self.layout.blob(digest)
        if not self.has(digest, len(content)):
            staging = self.layout.scratch("blob")
            staging.write_bytes(content)
            os.rename(staging, path)
        return digest

    def has(self, digest: str, size: int | None = None) -> bool:
        try:
            status = os.stat(self.layout.blob(digest))
        except FileNotFoundError:
            return False
        return size is None or status.st_size == size

    def ingest(
        self,
        source: Readable,
        where: str,
        *,
        expected: str | None = None,
        size: int | None = None,
        on_read: Callable[[int], None] | None = None,
    ) -> Descriptor:
        """Keep a stream as a blob. Raises DigestMismatch, FormatError (too long or short) and leaves nothing then."""
        staging = self.layout.scratch("blob")
        most = self.limits.blob_bytes if size is None else size
        hashed, count = hashlib.sha256(), 0
        try:
            with open(staging, "xb") as file:
                while chunk := source.read(CHUNK):
                    count += len(chunk)
                    if count > most:
                        raise FormatError(where, f"is longer than {most} bytes")
                    hashed.update(chunk)
                    file.write(chunk)
                    if on_read is not None:
                        on_read(len(chunk))
            return self.adopt(staging, "sha256:" + hashed.hexdigest(), count, where, expected=expected, size=size)
        finally:
            with suppress(FileNotFoundError):
                staging.unlink()

    def adopt(
        self,
        staging: Path,
        digest: str,
        count: int,
        where: str,
        *,
        expected: str | None = None,
        size: int | None = None,
    ) -> Descriptor:
        """Give a file from tmp/, whose digest the caller computed while writing it, its place among the blobs."""
        if size is not None and count != size:
            raise FormatError(where, f"has {count} bytes, promised were {size}")
        if expected is not None and digest != expected:
            raise DigestMismatch(where, f"content has digest {digest}, promised was {expected}")
        os.rename(staging, self.layout.blob(digest))
        return Descriptor("", digest, count)

    def add_layer(self, blob: Descriptor, diff_id: str, below: Sequence[str], where: str) -> str:
        """Unpack a layer onto the chain `below` (bottom first) unless it is there; returns its chain ID.

        Raises DigestMismatch, FormatError, UnsafeLayer; whatever fails leaves no tree.
        """
        chain = chain_ids([below[-1], diff_id])[1] if below else diff_id
        lock = self.layout.tmp / f"{hex_of(chain)}.lock"
        with locked(lock):
            if self.is_whole(chain):
                return chain
            tree, target, record = self.layout.scratch("layer"), self.layout.layer(chain), self.layout.record(chain)
            if target.is_dir():
                # A power cut may have come between its name and its bytes.
                os.rename(target, self.layout.scratch("distrusted"))
            try:
                with open(self.store.blob(blob.digest), "rb") as source:
                    unpacked = unpack_layer(
                        source,
                        tree,
                        media_type=blob.media_type,
                        diff_id=diff_id,
                        lowers=[self.layout.layer(lower) for lower in reversed(below)],
                        where=where,
                        limits=self.limits,
                    )
                content = {
                    "diff_id": diff_id,
                    "bytes": unpacked.bytes,
                    "entries": unpacked.entries,
                    "boot": boot_id(),
                }
                staging = self.layout.scratch("record")
                staging.write_text(json.dumps(content))
                os.rename(staging, record)
                os.rename(tree, target)
            except OSError as error:
                raise ImageError(where, f"cannot be unpacked: {error}", "free space or check the disk") from None
            finally:
                shutil.rmtree(tree, ignore_errors=True)
        return chain

    def commit(self, manifest_digest: str, names: Iterable[str], digests: Iterable[str] = (), *, where: str) -> str:
        """Make a stored manifest an image: unpack what is missing, sync, name it. Returns the image ID.

        `names` are references with tags, `digests` repositories with a digest. Raises ImageError.
        """
        tags = [reference.parse(name).name for name in names]
        manifest = parse_manifest(self.store.document(manifest_digest), f"{where}: manifest")
        image_id = manifest.config.digest
        document = parse_config(self.store.document(image_id), f"{where}: config")
        if len(document.diff_ids) != len(manifest.layers):
            raise FormatError(
                where, f"manifest has {len(manifest.layers)} layers, config has {len(document.diff_ids)} diff_ids"
            )
        chain: list[str] = []
        for number, (blob, diff_id) in enumerate(zip(manifest.layers, document.diff_ids, strict=True), 1):
            chain.append(self.add_layer(blob, diff_id, chain, f"{where}: layer {number} of {len(manifest.layers)}"))
        records = [read_record(self.layout.record(layer)) for layer in dict.fromkeys(chain)]
        size = sum(record.bytes for record in records if record)
        self._sync()
        with self.store.changing() as index:
            entry = index.images.get(image_id)
            known = entry.digests if entry else []
            repositories = [f"{reference.parse(tag).repository}@{manifest_digest}" for tag in tags]
            known = sorted({*known, *digests, *repositories})
            index.images[image_id] = Entry(manifest=manifest_digest, layers=chain, size=size, digests=known)
            for tag in tags:
                index.names[tag] = image_id
        return image_id

    def is_whole(self, chain: str) -> bool:
        """Whether the layer is there and certain to be complete."""
        record = read_record(self.layout.record(chain))
        if record is None or not self.layout.layer(chain).is_dir():
            return False
        return record.boot == boot_id() or self.store.names_layer(chain)

    def _sync(self) -> None:
        fd = os.open(self.layout.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _libc.syncfs(fd) == -1:
                code = ctypes.get_errno()
                raise OSError(code, f"syncfs of {self.layout.root}: {os.strerror(code)}")
        finally:
            os.close(fd)
