"""Images from and to files: OCI layouts (a tar archive or a directory) and `docker save` archives.

Sources: OCI image-spec v1.1 image-layout.md; Docker's image specification v1.2 for manifest.json. An archive may
come as a stream: its files are staged once, hashed while they arrive, and become blobs by a rename.
Elsewhere: what makes content an image (intake.py), tar (tarstream.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from nodeagent.runtime.images import reference
from nodeagent.runtime.images.beneath import open_in_root
from nodeagent.runtime.images.compression import Plain
from nodeagent.runtime.images.digests import Readable, hex_of, is_digest
from nodeagent.runtime.images.errors import FormatError, NotFound, UnsafeLayer
from nodeagent.runtime.images.intake import Intake, importing
from nodeagent.runtime.images.merged import MOST_LINKS, split
from nodeagent.runtime.images.oci import (
    CONFIG,
    DOCUMENT_BYTES,
    INDEX,
    INDEX_TYPES,
    LAYER_GZIP,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    canonical,
    choose,
    host_platform,
    parse_config,
    parse_index,
    parse_manifest,
)
from nodeagent.runtime.images.store import Image, ImageStore, Progress
from nodeagent.runtime.images.tarstream import Kind, TarReader

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
MOST_FILES = 100_000
MOST_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that came in, and the names that it got."""

    id: str
    names: tuple[str, ...]


def load(
    store: ImageStore,
    source: Path | BinaryIO,
    *,
    name: str | None = None,
    progress: Progress | None = None,
) -> list[Loaded]:
    """Bring in all images of an archive file, directory or stream; `name` replaces the name of a single image.

    Raises ImageError; images before the broken one stay.
    """
    where = str(source) if isinstance(source, Path) else "archive from standard input"
    with importing(store) as intake:
        if isinstance(source, Path) and source.is_dir():
            with _opened_directory(source, where) as directory:
                return _load(intake, directory, where, name, progress)
        with intake.workspace() as space:
            if isinstance(source, Path):
                try:
                    file = open(source, "rb")  # noqa: SIM115 - only the opening's errors are the user's
                except OSError as error:
                    raise NotFound(where, f"cannot be read: {error.strerror}") from None
                with file:
                    staged = _staged(intake, file, space, where)
            else:
                staged = _staged(intake, source, space, where)
            return _load(intake, staged, where, name, progress)


class Contents(Protocol):
    """The files of an archive, wherever they are."""

    def has(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """A document. Raises FormatError if it is missing or too long."""

    def take(self, intake: Intake, name: str, expected: Descriptor | None) -> Descriptor:
        """Make a file a blob. Raises FormatError, DigestMismatch."""


class _Directory:
    def __init__(self, root: int, where: str) -> None:
        self._root = root
        self._where = where

    def _open(self, name: str) -> BinaryIO:
        try:
            fd = open_in_root(self._root, name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise FormatError(self._where, f"file {name!r}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FormatError(self._where, f"{name!r} is not a regular file")
        return open(fd, "rb")

    def has(self, name: str) -> bool:
        try:
            self._open(name).close()
        except FormatError:
            return False
        return True

    def read(self, name: str) -> bytes:
        with self._open(name) as file:
            return file.read(DOCUMENT_BYTES + 1)

    def take(self, intake: Intake, name: str, expected: Descriptor | None) -> Descriptor:
        with self._open(name) as file:
            if expected is None:
                return intake.ingest(file, f"{self._where}: {name}")
            return intake.ingest(file, f"{self._where}: {name}", expected=expected.digest, size=expected.size)


@contextmanager
def _opened_directory(path: Path, where: str) -> Iterator[_Directory]:
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _Directory(root, where)
    finally:
        os.close(root)


@dataclass(slots=True)
class _StagedFile:
    path: Path
    digest: str
    size: int


class _Staged:
    def __init__(self, files: dict[str, _StagedFile], links: dict[str, str], where: str) -> None:
        self._files = files
        self._links = links
        self._where = where

    def _file(self, name: str) -> _StagedFile | None:
        name = "/".join(split(name))
        for _ in range(MOST_LINKS):
            if name not in self._links:
                return self._files.get(name)
            name = self._links[name]
        raise FormatError(self._where, f"{name!r} leads through too many links")

    def _existing(self, name: str) -> _StagedFile:
        file = self._file(name)
        if file is None:
            raise FormatError(self._where, f"has no file {name!r}", "it is incomplete: save the image again")
        return file

    def has(self, name: str) -> bool:
        return self._file(name) is not None

    def read(self, name: str) -> bytes:
        with open(self._existing(name).path, "rb") as file:
            return file.read(DOCUMENT_BYTES + 1)

    def take(self, intake: Intake, name: str, expected: Descriptor | None) -> Descriptor:
        file = self._existing(name)
        blob = intake.adopt(
            file.path,
            file.digest,
            file.size,
            f"{self._where}: {name}",
            expected=expected.digest if expected else None,
            size=expected.size if expected else None,
        )
        file.path = intake.layout.blob(blob.digest)
        return blob


def _staged(intake: Intake, source: Readable, space: Path, where: str) -> _Staged:
    """Copy an archive's files aside, hashing them. Nothing is named after what the archive says."""
    limits = intake.limits
    plain = Plain(source, where, most=limits.bytes, ratio=limits.ratio, ratio_from=limits.ratio_from)
    reader = TarReader(plain, where)
    files: dict[str, _StagedFile] = {}
    links: dict[str, str] = {}
    for number, entry in enumerate(reader):
        name = "/".join(split(os.fsdecode(entry.name)))
        if number >= MOST_FILES:
            raise UnsafeLayer(where, f"has more than {MOST_FILES} files")
        if entry.kind is Kind.FILE:
            staging = space / str(number)
            hashed = hashlib.sha256()
            with open(staging, "xb") as file:
                for chunk in reader.data():
                    hashed.update(chunk)
                    file.write(chunk)
            files[name] = _StagedFile(staging, "sha256:" + hashed.hexdigest(), entry.size)
            links.pop(name, None)
        elif entry.kind in (Kind.SYMLINK, Kind.HARD_LINK):
            target = os.fsdecode(entry.link)
            start = name.rpartition("/")[0] if entry.kind is Kind.SYMLINK and not target.startswith("/") else ""
            links[name] = "/".join(split(f"{start}/{target}"))
    reader.drain()
    return _Staged(files, links, where)


def _load(intake: Intake, contents: Contents, where: str, name: str | None, progress: Progress | None) -> list[Loaded]:
    say = progress or (lambda line: None)
    if contents.has("index.json") and contents.has("oci-layout"):
        images = _oci_images(intake, contents, where)
    elif contents.has("manifest.json"):
        images = _docker_images(intake, contents, where)
    else:
        raise FormatError(
            where, "is neither an OCI layout (index.json) nor a `docker save` archive (manifest.json)", "save it again"
        )
    found = list(images)
    if not found:
        raise FormatError(where, "holds no image")
    if name is not None:
        if len(found) != 1:
            raise FormatError(where, f"holds {len(found)} images, so one name cannot do")
        found = [(found[0][0], [name])]
    loaded = []
    for manifest, names in found:
        names = [reference.parse(n).name for n in names]
        image_id = intake.commit(manifest, names, where=where)
        say(f"loaded {', '.join(names) or 'an image without a name'} ({image_id[:19]})")
        loaded.append(Loaded(image_id, tuple(names)))
    return loaded


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _oci_images(intake: Intake, contents: Contents, where: str) -> Iterator[tuple[str, list[str]]]:
    """The manifest digest and names of each image in an OCI layout, its blobs taken in."""
    layout = _object(contents.read("oci-layout"), f"{where}: oci-layout")
    if layout.get("imageLayoutVersion") != "1.0.0":
        raise FormatError(f"{where}: oci-layout", f"version {layout.get('imageLayoutVersion')!r} is not 1.0.0")
    entries = parse_index(contents.read("index.json"), f"{where}: index.json")
    groups: dict[str | None, list[Descriptor]] = {}
    for entry in entries[:MOST_IMAGES]:
        groups.setdefault(_annotated_name(entry), []).append(entry)
    docker_names = _docker_names(contents, where)
    for given, group in groups.items():
        anonymous = given is None and all(entry.platform is None for entry in group)
        for entry in group if anonymous else [choose(tuple(group), host_platform(), where)]:
            manifest, config = _take_image(intake, contents, entry, where)
            names = [given] if given else docker_names.get(config, [])
            yield manifest, names


def _annotated_name(entry: Descriptor) -> str | None:
    name = entry.annotations.get(CONTAINERD_NAME) or entry.annotations.get(REF_NAME, "")
    # The specification lets ref.name be a mere tag, which names no repository.
    return name if ":" in name or "/" in name else None


def _take_image(intake: Intake, contents: Contents, entry: Descriptor, where: str) -> tuple[str, str]:
    for _ in range(4):
        content = _document(contents, entry, where)
        if entry.media_type not in INDEX_TYPES:
            break
        entry = choose(parse_index(content, f"{where}: {entry.digest}"), host_platform(), where)
    else:
        raise FormatError(where, "nests indexes too deeply")
    manifest = parse_manifest(content, f"{where}: {entry.digest}")
    intake.put(content)
    intake.put(_document(contents, manifest.config, where))
    for layer in dict.fromkeys(manifest.layers):
        if not intake.has(layer.digest, layer.size):
            contents.take(intake, _blob_name(layer.digest), layer)
    return entry.digest, manifest.config.digest


def _document(contents: Contents, entry: Descriptor, where: str) -> bytes:
    content = contents.read(_blob_name(entry.digest))
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    if digest != entry.digest or len(content) != entry.size:
        raise FormatError(f"{where}: {_blob_name(entry.digest)}", f"has {len(content)} bytes with digest {digest}")
    return content


def _docker_manifest(contents: Contents, where: str) -> list[dict[str, Any]]:
    content = contents.read("manifest.json")
    try:
        value = json.loads(content) if len(content) <= DOCUMENT_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value) or len(value) > MOST_IMAGES:
        raise FormatError(f"{where}: manifest.json", "is not a list of images")
    return value


def _docker_names(contents: Contents, where: str) -> dict[str, list[str]]:
    """Config digest -> names, from the manifest.json that newer `docker save` puts beside an OCI layout."""
    if not contents.has("manifest.json"):
        return {}
    names = {}
    for item in _docker_manifest(contents, where):
        digest = "sha256:" + str(item.get("Config", "")).rpartition("/")[2].removesuffix(".json")
        tags = item.get("RepoTags")
        if is_digest(digest) and isinstance(tags, list):
            names[digest] = [tag for tag in tags if isinstance(tag, str)]
    return names


def _docker_images(intake: Intake, contents: Contents, where: str) -> Iterator[tuple[str, list[str]]]:
    """The same for a `docker save` archive: a manifest is made for each image."""
    for number, item in enumerate(_docker_manifest(contents, where)):
        at = f"{where}: manifest.json[{number}]"
        layers, tags, config_name = item.get("Layers"), item.get("RepoTags") or [], item.get("Config")
        for value, key in ((layers, "Layers"), (tags, "RepoTags")):
            if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
                raise FormatError(f"{at}.{key}", "is not a list of strings")
        if not isinstance(config_name, str) or not isinstance(layers, list):
            raise FormatError(f"{at}.Config", "is not a file name")
        config = contents.read(config_name)
        parse_config(config, f"{where}: {config_name}")
        descriptors = []
        for layer in layers:
            blob = contents.take(intake, layer, None)
            with open(intake.store.blob(blob.digest), "rb") as file:
                kind = LAYER_GZIP if file.read(2) == b"\x1f\x8b" else LAYER_TAR
            descriptors.append(Descriptor(kind, blob.digest, blob.size))
        yield put_manifest(intake, config, descriptors), list(tags)


def put_manifest(intake: Intake, config: bytes, layers: Sequence[Descriptor]) -> str:
    """Keep a config and an OCI manifest for it; returns the manifest's digest."""
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor(CONFIG, intake.put(config), len(config)).to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return intake.put(canonical(value))


def _object(content: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise FormatError(where, "is not a JSON object")
    return value


def save(store: ImageStore, refs: Iterable[str], out: BinaryIO) -> None:
    """Write images as one OCI archive that `docker load` takes too. Raises NotFound, ImageError."""
    from nodeagent.runtime.images import tarwrite

    entries, docker, blobs = [], [], dict[str, None]()
    for ref in refs:
        image = store.resolve(ref)
        if image is None:
            raise NotFound(f"image {ref!r}", "is not in the store")
        names = [_saved_name(ref, image)] if reference.image_id(ref) is None else list(image.repo_tags)
        content = store.document(image.manifest)
        manifest = parse_manifest(content, f"manifest of {ref}")
        for digest in (image.manifest, manifest.config.digest, *(layer.digest for layer in manifest.layers)):
            blobs[digest] = None
        docker.append(
            {
                "Config": _blob_name(manifest.config.digest),
                "RepoTags": names,
                "Layers": [_blob_name(layer.digest) for layer in manifest.layers],
            }
        )
        for name in names or [""]:
            annotations = {CONTAINERD_NAME: name, REF_NAME: name} if name else {}
            descriptor = Descriptor(manifest.media_type, image.manifest, len(content)).to_json()
            entries.append({**descriptor, "annotations": annotations} if annotations else descriptor)
    files = {
        "index.json": canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}),
        "manifest.json": canonical_list(docker),
        "oci-layout": canonical({"imageLayoutVersion": "1.0.0"}),
    }
    for directory in ("blobs", "blobs/sha256"):
        out.write(tarwrite.header(directory, Kind.DIRECTORY, mode=0o755))
    for digest in sorted(blobs):
        path = store.blob(digest)
        size = path.stat().st_size
        out.write(tarwrite.header(_blob_name(digest), Kind.FILE, size=size))
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                out.write(chunk)
        out.write(tarwrite.padding(size))
    for name, content in files.items():
        out.write(tarwrite.header(name, Kind.FILE, size=len(content)))
        out.write(content + tarwrite.padding(len(content)))
    out.write(tarwrite.END)


def canonical_list(value: list[dict[str, Any]]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _saved_name(ref: str, image: Image) -> str:
    candidates = [s for s in reference.spellings(reference.parse(ref)) if s.tag is not None]
    for candidate in candidates:
        if candidate.name in image.repo_tags:
            return candidate.name
    return image.repo_tags[0] if image.repo_tags else ""
