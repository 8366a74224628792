"""Layers and archives made by the standard library's tarfile, so that our reader meets another writer."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime.images.store import ImageStore

FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

LayerMaker = Callable[..., bytes]


def make_layer(*members: tuple[str, bytes, bytes] | tarfile.TarInfo) -> bytes:
    """(name, type, content or link target) or a TarInfo with `.content`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, kind, content = member
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755
            info.mtime = 1_700_000_000
            if kind in (LINK, HARD):
                info.linkname = content.decode()
            elif kind == FILE:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if kind == FILE else None)
    return out.getvalue()


def make_docker_archive(
    layers: list[bytes], names: list[str], *, diff_ids: list[str] | None = None, **config: object
) -> bytes:
    diff_ids = diff_ids or ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    document = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    paths = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": names, "Layers": paths}]).encode()
    files = {"config.json": document, "manifest.json": manifest, **dict(zip(paths, layers, strict=True))}
    return make_layer(*((name, FILE, content) for name, content in files.items()))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


@pytest.fixture
def layer() -> LayerMaker:
    return make_layer


@pytest.fixture
def docker_archive() -> Callable[..., io.BytesIO]:
    def make(layers: list[bytes], names: list[str], **rest: object) -> io.BytesIO:
        return io.BytesIO(make_docker_archive(layers, names, **rest))  # type: ignore[arg-type]  # passed through

    return make
