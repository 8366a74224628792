"""The image store: one content-addressed directory a machine, shared by all its nodes, clusters and builds.

Always: what `resolve` returns is complete and verified; a name that is imported again with other content is what
`resolve` gives next; layers of an image that somebody pinned stay. Several processes may use one store at once.
Elsewhere: where files lie and why a crash is harmless (layout.py), how content gets in (intake.py), unpacking
(unpack.py), archives (archives.py), registries (registry.py), Dockerfiles (build/).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from nodeagent.runtime.images import reference
from nodeagent.runtime.images.cache import forget_layers
from nodeagent.runtime.images.digests import digest_of, hex_of
from nodeagent.runtime.images.errors import DigestMismatch, ImageError, ImageInUse, NotFound
from nodeagent.runtime.images.layout import Entry, Index, Layout
from nodeagent.runtime.images.locks import locked, locked_if_free, replace_file
from nodeagent.runtime.images.oci import DOCUMENT_BYTES, ImageConfig, ImageDocument, parse_config, parse_manifest
from nodeagent.runtime.images.records import read_record

DEFAULT_ROOT = Path("/var/lib/sampan/images")
FOR_GOOD = b"*"
"""What a pin holds that ends with nothing but `unpin`."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Image:
    """One image as it lies in the store."""

    id: str
    """`sha256:` and the digest of its config."""
    repo_tags: tuple[str, ...]
    """The names that mean it now, normalised, sorted; empty if all have moved on."""
    repo_digests: tuple[str, ...]
    """`repository@sha256:...` of each manifest or index it came by."""
    size: int
    """Bytes of its unpacked layers."""
    config: ImageConfig
    layers: tuple[str, ...]
    """Absolute directories, topmost first: overlayfs's `lowerdir` order."""
    manifest: str = ""
    """The digest of the manifest it came with."""
    architecture: str = ""
    created: str = ""
    imported: bool = True
    """False: it lies in the parent store only, and comes when a container needs it. It has no layers then."""


def image_of(
    image_id: str, entry: Entry, names: Sequence[str], document: ImageDocument, layers: Sequence[str]
) -> Image:
    """An index's entry and the image's config as one value."""
    return Image(
        id=image_id,
        repo_tags=tuple(names),
        repo_digests=tuple(entry.digests),
        size=max(entry.size, 1),
        config=document.config,
        layers=tuple(layers),
        manifest=entry.manifest,
        architecture=document.platform.architecture,
        created=document.created,
        imported=bool(layers) or not entry.layers,
    )


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did: names that are gone, images that are gone."""

    names: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


class ImageStore:
    """A store in `root`. Nothing is touched before it is used; the first write makes the directory."""

    def __init__(self, root: str | os.PathLike[str] = DEFAULT_ROOT, *, insecure_registries: Sequence[str] = ()) -> None:
        """`insecure_registries` (host or host:port) are spoken to over plain HTTP, as loopback ones are."""
        self.layout = Layout(Path(os.path.abspath(root)))
        self.insecure_registries = frozenset(insecure_registries)
        self._cached: tuple[tuple[int, int, int], Index] | None = None
        self._documents: dict[str, ImageDocument] = {}

    @property
    def root(self) -> Path:
        return self.layout.root

    # What is there

    def resolve(self, ref: str) -> Image | None:
        """The image that a name, `repository@digest` or image ID means now; None if it is not here.

        Raises InvalidReference for text that can name no image.
        """
        index = self._index()
        found = index.find(ref)
        return self._image(index, found) if found else None

    def list(self) -> list[Image]:
        """Every image, those without a name too, in order of name."""
        index = self._index()
        return sorted((self._image(index, i) for i in index.images), key=lambda image: (image.repo_tags, image.id))

    def usage(self) -> tuple[int, int]:
        """Bytes and inodes that images take, after the records of what was unpacked (no walk over the trees)."""
        used_bytes = inodes = 0
        with suppress(FileNotFoundError):
            for item in os.scandir(self.layout.layers):
                record = read_record(self.layout.records / item.name)
                if record is not None:
                    used_bytes += record.bytes
                    inodes += record.entries
            for item in os.scandir(self.layout.blobs):
                with suppress(FileNotFoundError):
                    used_bytes += item.stat().st_size
                    inodes += 1
        return used_bytes, inodes

    def blob(self, digest: str) -> Path:
        """The file of a blob. Raises NotFound."""
        path = self.layout.blob(digest)
        if not path.is_file():
            raise NotFound(f"image store {self.root}", f"has no blob {digest}", "import the image again")
        return path

    def document(self, digest: str) -> bytes:
        """A manifest or config, verified. Raises NotFound, DigestMismatch."""
        with open(self.blob(digest), "rb") as file:
            content = file.read(DOCUMENT_BYTES + 1)
        if digest_of(content) != digest:
            raise DigestMismatch(
                f"blob {digest} in {self.root}", "is damaged on disk", "remove and import the image again"
            )
        return content

    # What comes and goes

    @contextmanager
    def kept_from_collection(self) -> Iterator[None]:
        """While it is open, garbage collection waits: blobs and layers may come that nothing names yet."""
        self.layout.make()
        with locked_if_free(self.layout.import_lock) as alone:
            if alone:
                self._sweep()
        with locked(self.layout.import_lock, shared=True):
            yield

    def tag(self, ref: str, name: str) -> None:
        """Let `name` mean the image that `ref` means. Raises NotFound, InvalidReference."""
        target = reference.parse(name).name
        with self.changing() as index:
            found = index.find(ref)
            if found is None:
                raise NotFound(f"image {ref!r}", "is not in the store")
            index.names[target] = found

    def remove(self, ref: str) -> Removed:
        """Take away a name and, with its last name, the image; by ID, all its names. Nothing happens if it is not
        here.

        Raises ImageInUse, naming the owners, if an image would go that is pinned.
        """
        if not self.root.is_dir():
            return Removed()
        with self.changing() as index:
            found = index.find(ref)
            if found is None:
                return Removed()
            names = index.names_of(found)
            gone = names if reference.image_id(ref) else [index.name_meant(ref)] if "@" not in ref else names
            removed: list[str] = []
            if len(gone) == len(names):
                self._check_unpinned(found, ref)
                del index.images[found]
                removed.append(found)
            for name in gone:
                index.names.pop(name, None)
        self.collect()
        return Removed(tuple(gone), tuple(removed))

    def prune(self) -> tuple[Removed, int]:
        """Remove images that have no name and no pin, the build cache, and all rubbish; says how many bytes that
        freed."""
        if not self.root.is_dir():
            return Removed(), 0
        before = self.usage()[0]
        removed = []
        with self.changing() as index:
            named = set(index.names.values())
            for image_id in [i for i in index.images if i not in named and not self.owners(i)]:
                del index.images[image_id]
                removed.append(image_id)
        self.collect(keep_cache=False)
        return Removed(images=tuple(removed)), before - self.usage()[0]

    # Who needs what

    def pin(self, image_id: str, owner: str, *, while_exists: str | os.PathLike[str] | None = None) -> None:
        """Keep an image until `unpin`, or until the path `while_exists` is gone. Repeatable. Raises NotFound."""
        if not owner or len(quote(owner, safe="")) > 255:
            raise ImageError(f"pin of {image_id}", f"owner {owner[:80]!r} is empty or too long")
        self.layout.make()
        with locked(self.layout.index_lock):
            if image_id not in self._index().images:
                raise NotFound(f"image {image_id}", "is not in the store")
            lease = self._lease(image_id, owner)
            lease.parent.mkdir(mode=0o700, exist_ok=True)
            content = os.fsencode(os.path.abspath(while_exists)) if while_exists is not None else FOR_GOOD
            # A container's pin need not outlive a power cut, which ends the container: its start is not to wait.
            replace_file(lease, content, self.layout.staging, durable=while_exists is None)

    def unpin(self, image_id: str, owner: str) -> None:
        """Give up a pin; fine if there is none."""
        with suppress(FileNotFoundError):
            self._lease(image_id, owner).unlink()

    def owners(self, image_id: str) -> tuple[str, ...]:
        """Who has the image pinned."""
        owners = []
        with suppress(FileNotFoundError):
            for item in os.scandir(self.layout.leases / hex_of(image_id)):
                with suppress(FileNotFoundError):
                    path = Path(item.path).read_bytes()
                    if path == FOR_GOOD or (path and os.path.lexists(path)):
                        owners.append(unquote(item.name))
                    else:
                        os.unlink(item.path)
        return tuple(sorted(owners))

    # The machinery

    def names_layer(self, chain: str) -> bool:
        """Whether some image has the layer, which says that it reached the disk."""
        return any(chain in entry.layers for entry in self._index().images.values())

    @contextmanager
    def changing(self) -> Iterator[Index]:
        """The index under its lock; written, if it changed, when the block ends without an error."""
        self.layout.make()
        with locked(self.layout.index_lock):
            before = self._read()
            index = Index.from_bytes(before, str(self.layout.index)) if before else Index()
            yield index
            after = index.to_bytes()
            if after != before:
                replace_file(self.layout.index, after, self.layout.staging)

    def collect(self, *, keep_cache: bool = True) -> bool:
        """Delete what no image needs; False if an import is under way and it must wait for another time."""
        with locked_if_free(self.layout.import_lock) as alone:
            if not alone:
                return False
            with locked(self.layout.index_lock):
                index = self._index()
                chains = {hex_of(chain) for entry in index.images.values() for chain in entry.layers}
                blobs = {hex_of(digest) for i, e in index.images.items() for digest in self._blobs_of(i, e)}
                cached = forget_layers(self.layout, None if keep_cache else chains)
                chains |= {hex_of(step.chain) for step in cached}
                blobs |= {hex_of(step.blob.digest) for step in cached}
                self._discard(self.layout.layers, chains)
                self._discard(self.layout.records, chains)
                self._discard(self.layout.blobs, blobs)
                self._discard(self.layout.leases, {hex_of(image_id) for image_id in index.images})
            self._sweep()
            return True

    def _blobs_of(self, image_id: str, entry: Entry) -> set[str]:
        needed = {image_id, entry.manifest}
        with suppress(ImageError):
            needed |= {layer.digest for layer in parse_manifest(self.document(entry.manifest), "manifest").layers}
        return needed

    def _discard(self, directory: Path, keep: set[str]) -> None:
        for item in os.scandir(directory):
            if item.name not in keep:
                os.rename(item.path, self.layout.scratch("gone"))

    def _sweep(self) -> None:
        """Empty tmp/. Only while holding the import lock alone: then nobody's work is in there."""
        for item in os.scandir(self.layout.tmp):
            if item.is_dir(follow_symlinks=False):
                shutil.rmtree(item.path, ignore_errors=True)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(item.path)

    def _lease(self, image_id: str, owner: str) -> Path:
        name = quote(owner, safe="")
        return self.layout.leases / hex_of(image_id) / (f"%2E{name[1:]}" if name.startswith(".") else name)

    def _check_unpinned(self, image_id: str, ref: str) -> None:
        owners = self.owners(image_id)
        if owners:
            shown = ", ".join(owners[:5]) + (f" and {len(owners) - 5} more" if len(owners) > 5 else "")
            raise ImageInUse(f"image {ref!r}", f"is in use by {shown}", "remove those containers first")

    def _read(self) -> bytes:
        try:
            return self.layout.index.read_bytes()
        except FileNotFoundError:
            return b""

    def _index(self) -> Index:
        try:
            status = os.stat(self.layout.index)
        except FileNotFoundError:
            return Index()
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._cached is None or self._cached[0] != stamp:
            self._cached = (stamp, Index.from_bytes(self._read(), str(self.layout.index)))
        return self._cached[1]

    def _image(self, index: Index, image_id: str) -> Image:
        entry = index.images[image_id]
        document = self._documents.get(image_id)
        if document is None:
            document = parse_config(self.document(image_id), f"config of image {image_id}")
            self._documents[image_id] = document
        layers = tuple(str(self.layout.layer(chain)) for chain in reversed(entry.layers))
        return image_of(image_id, entry, index.names_of(image_id), document, layers)
