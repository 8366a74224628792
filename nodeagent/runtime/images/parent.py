"""A store that another machine writes to, read from here: its index, documents and blobs, nothing unpacked.

A VM's node sees its machine's store so. Nothing of it is locked: its index is replaced whole, and what that names is
found by digests, so that what is read is either right or refused. Always: nothing that a parent says is believed
without its digest; a path is never made of its words.
Elsewhere: whose images a node has (node_images.py), the store's files (layout.py).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from nodeagent.runtime.images.digests import digest_of, hex_of
from nodeagent.runtime.images.errors import DigestMismatch, ImageError, NotFound
from nodeagent.runtime.images.intake import CHUNK, Intake, importing
from nodeagent.runtime.images.layout import Entry, Index
from nodeagent.runtime.images.oci import DOCUMENT_BYTES, Descriptor, ImageDocument, parse_config, parse_manifest
from nodeagent.runtime.images.store import Image, ImageStore, image_of

T = TypeVar("T")

PORT = "port:"
_REMEDY = "import the image again on the machine that has the store"


class ParentFiles(Protocol):
    """The files of a store's directory, by their paths below it as layout.py names them. Blocking."""

    def read(self, path: str) -> bytes:
        """A small file: the index or a document. Raises OSError, FileNotFoundError."""

    def copy(self, path: str, target: Path) -> None:
        """Write a file's content to `target`, a new file. Raises OSError, FileNotFoundError."""


class DirectoryFiles:
    """A store that is mounted, or lies, in a directory of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        with self._open(path) as file:
            return file.read()

    def _open(self, path: str) -> BinaryIO:
        fd = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", str(self._root / path))
        return open(fd, "rb")

    def copy(self, path: str, target: Path) -> None:
        with self._open(path) as source, open(target, "xb") as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)


def files_of(place: str) -> ParentFiles:
    """What `parent_store` of the runtime's configuration means: a directory, or `port:NAME` of a VM."""
    if place.startswith(PORT):
        from nodeagent.runtime.images.parent_port import PortFiles

        return PortFiles(place.removeprefix(PORT))
    return DirectoryFiles(Path(place))


class Parent:
    """A parent store. Its methods block: call them in a thread."""

    def __init__(self, files: ParentFiles, where: str) -> None:
        self.where = f"parent image store {where}"
        self._files = files
        self._read: tuple[bytes, Index] = (b"", Index())
        self._documents: dict[str, ImageDocument] = {}

    def index(self) -> Index:
        """What it has now; an empty one if it is empty. Raises ImageError if it can't be read."""
        try:
            content = self._files.read("index.json")
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise ImageError(self.where, f"cannot be read: {error}") from error
            content = b""
        if content != self._read[0]:
            self._read = (content, Index.from_bytes(content, f"{self.where}: index.json") if content else Index())
        return self._read[1]

    def image(self, index: Index, image_id: str) -> Image:
        """An image as it lies there, by its config. Raises NotFound, DigestMismatch, FormatError."""
        document = self._documents.get(image_id)
        if document is None:
            document = parse_config(self._document(image_id), f"{self.where}: config of image {image_id}")
            self._documents[image_id] = document
        return image_of(image_id, index.images[image_id], index.names_of(image_id), document, ())

    def bring(self, image_id: str, entry: Entry, names: list[str], store: ImageStore) -> None:
        """Import an image into `store`, every digest verified. Raises ImageError, and changes nothing then."""
        with importing(store) as intake:
            manifest_text = self._document(entry.manifest)
            manifest = parse_manifest(manifest_text, f"{self.where}: manifest {entry.manifest}")
            if manifest.config.digest != image_id:
                raise DigestMismatch(
                    f"{self.where}: image {image_id}", f"its manifest is that of {manifest.config.digest}", _REMEDY
                )
            intake.put(manifest_text)
            intake.put(self._document(image_id))
            for layer in manifest.layers:
                if not intake.has(layer.digest, layer.size):
                    self._take(intake, layer)
            intake.commit(entry.manifest, names, entry.digests, where=f"{self.where}: image {image_id}")

    def _take(self, intake: Intake, blob: Descriptor) -> None:
        where = f"{self.where}: blob {blob.digest}"
        staging = intake.layout.scratch("blob")
        try:
            self._asked(blob.digest, lambda path: self._files.copy(path, staging))
            with open(staging, "rb") as file:
                digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
                count = os.fstat(file.fileno()).st_size
            intake.adopt(staging, digest, count, where, expected=blob.digest, size=blob.size)
        finally:
            staging.unlink(missing_ok=True)

    def _document(self, digest: str) -> bytes:
        content = self._asked(digest, self._files.read)
        if len(content) > DOCUMENT_BYTES or digest_of(content) != digest:
            raise DigestMismatch(f"{self.where}: blob {digest}", "is not what its digest promises", _REMEDY)
        return content

    def _asked(self, digest: str, read: Callable[[str], T]) -> T:
        try:
            return read(f"blobs/sha256/{hex_of(digest)}")
        except FileNotFoundError:
            raise NotFound(self.where, f"has no blob {digest} any more", _REMEDY) from None
        except OSError as error:
            raise ImageError(self.where, f"blob {digest} cannot be read: {error}") from error
