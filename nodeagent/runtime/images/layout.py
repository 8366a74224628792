"""Where things lie in a store, and the index that says what they mean.

    index.json              names -> images; images -> manifest, layers (the only file that makes anything an image)
    blobs/sha256/<hex>      manifests, configs and layer archives, each under the digest of its bytes
    layers/<chain hex>/     one unpacked layer in overlayfs form, ready to be a lowerdir
    records/<chain hex>     that layer's diff ID, bytes and entries; written before the tree gets its name
    leases/<image hex>/...  who needs an image
    cache/<key hex>         build steps that need not run again
    tmp/                    work in progress; whatever is there while nobody imports is rubbish
    index.new               the next index.json or lease, while it is being written
    index.lock              held while index.json and leases change
    import.lock             held shared by imports, exclusively while garbage goes

Order makes it crash safe: trees and blobs are renamed into place whole, synced, and only then named in index.json.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeagent.runtime.images import reference
from nodeagent.runtime.images.digests import hex_of, parse_digest
from nodeagent.runtime.images.errors import ImageError

VERSION = 1


@dataclass(slots=True)
class Entry:
    """One image: the manifest it came with, its layers' chain IDs (bottom first) and the digests it is known by."""

    manifest: str
    layers: list[str]
    size: int
    digests: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Index:
    names: dict[str, str] = field(default_factory=dict)
    images: dict[str, Entry] = field(default_factory=dict)

    def names_of(self, image_id: str) -> list[str]:
        return sorted(name for name, target in self.names.items() if target == image_id)

    def find(self, ref: str) -> str | None:
        """The image that a name, `repository@digest` or image ID means. Raises InvalidReference."""
        image_id = reference.image_id(ref)
        if image_id is not None:
            return image_id if image_id in self.images else None
        for spelling in reference.spellings(reference.parse(ref)):
            if spelling.digest is not None:
                wanted = f"{spelling.repository}@{spelling.digest}"
                for candidate, entry in self.images.items():
                    if wanted in entry.digests:
                        return candidate
            elif (found := self.names.get(spelling.name)) is not None:
                return found
        return None

    def name_meant(self, ref: str) -> str:
        """That one of the index's names by which `find` finds a reference with a tag."""
        return next(s.name for s in reference.spellings(reference.parse(ref)) if s.name in self.names)

    def to_bytes(self) -> bytes:
        value = {
            "version": VERSION,
            "names": self.names,
            "images": {
                key: {"manifest": e.manifest, "layers": e.layers, "size": e.size, "digests": e.digests}
                for key, e in self.images.items()
            },
        }
        return json.dumps(value, indent=1, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Index:
        try:
            value: dict[str, Any] = json.loads(content)
            if value["version"] != VERSION:
                raise ImageError(
                    where,
                    f"layout version {value['version']!r} is not ours ({VERSION})",
                    "use another --store directory",
                )
            images = {
                parse_digest(key, where): Entry(
                    manifest=parse_digest(e["manifest"], where),
                    layers=[parse_digest(layer, where) for layer in e["layers"]],
                    size=int(e["size"]),
                    digests=[str(reference.parse(digest)) for digest in e["digests"]],
                )
                for key, e in value["images"].items()
            }
            names = {reference.parse(name).name: str(target) for name, target in value["names"].items()}
            return cls({name: target for name, target in names.items() if target in images}, images)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImageError(where, f"is damaged ({error!r})", "remove it and import the images again") from None


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one store."""

    root: Path

    @property
    def index(self) -> Path:
        return self.root / "index.json"

    @property
    def staging(self) -> Path:
        """Where whoever holds the index lock writes what is about to be renamed."""
        return self.root / "index.new"

    @property
    def index_lock(self) -> Path:
        return self.root / "index.lock"

    @property
    def import_lock(self) -> Path:
        return self.root / "import.lock"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs" / "sha256"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def leases(self) -> Path:
        return self.root / "leases"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def blob(self, digest: str) -> Path:
        return self.blobs / hex_of(digest)

    def layer(self, chain_id: str) -> Path:
        return self.layers / hex_of(chain_id)

    def record(self, chain_id: str) -> Path:
        return self.records / hex_of(chain_id)

    def scratch(self, kind: str) -> Path:
        """A path in tmp/ that nobody else uses."""
        return self.tmp / f"{kind}-{os.getpid()}-{os.urandom(6).hex()}"

    def make(self) -> None:
        """Create what is missing. The root is closed to others: set-uid programs of images lie below it."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in (self.blobs, self.layers, self.records, self.leases, self.cache, self.tmp):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(
                f"image store {self.root}", f"cannot be created: {error.strerror}", "choose another with --store"
            ) from None
