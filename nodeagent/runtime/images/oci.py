"""The OCI and Docker image formats as types: descriptors, manifests, indexes, configs.

Sources: OCI image-spec v1.1 (descriptor.md, manifest.md, image-index.md, config.md) and Docker's image manifest
schema 2. What arrives is bytes from a stranger: every field we use is checked here, once, and errors name the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeagent.runtime.images.digests import parse_digest
from nodeagent.runtime.images.errors import FormatError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"

MANIFEST_TYPES = (MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (INDEX, DOCKER_LIST)

# Manifests and configs are read whole; registries themselves stop at 4 MiB.
DOCUMENT_BYTES = 4 << 20
# Docker's own limit; the kernel's overlayfs takes 500 lower directories.
MOST_LAYERS = 127


@dataclass(frozen=True, slots=True)
class Descriptor:
    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Manifest:
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = MANIFEST


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says about running it (config.md, "Properties")."""

    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageDocument:
    """A whole image config: platform, layers and what it says about running it."""

    platform: Platform
    diff_ids: tuple[str, ...]
    config: ImageConfig
    created: str = ""


def parse_json(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object of bounded size and depth. Raises FormatError."""
    if len(content) > DOCUMENT_BYTES:
        raise FormatError(where, f"has {len(content)} bytes, at most {DOCUMENT_BYTES} are allowed")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError(where, f"is not JSON ({str(error) or 'nested too deeply'})") from None
    if not isinstance(value, dict):
        raise FormatError(where, "is not a JSON object")
    return value


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise FormatError(where, "is not a string")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    # Docker's old builders wrote a lone string where a list belongs.
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise FormatError(where, "is not a list of strings")
    return tuple(_text(item, f"{where}[{i}]") for i, item in enumerate(items))


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FormatError(where, "is not an object")
    return value


def _text_map(value: Any, where: str) -> dict[str, str]:
    return {key: _text(item, f"{where}[{key!r}]") for key, item in _mapping(value, where).items()}


def _platform(value: Any, where: str) -> Platform | None:
    if value is None:
        return None
    fields = _mapping(value, where)
    return Platform(
        os=_text(fields.get("os"), f"{where}.os"),
        architecture=_text(fields.get("architecture"), f"{where}.architecture"),
        variant=_text(fields.get("variant"), f"{where}.variant"),
    )


def parse_descriptor(value: Any, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise FormatError(where, "is not an object")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise FormatError(f"{where}.size", f"{size!r} is not a count of bytes")
    return Descriptor(
        media_type=_text(value.get("mediaType"), f"{where}.mediaType"),
        digest=parse_digest(value.get("digest"), f"{where}.digest"),
        size=size,
        platform=_platform(value.get("platform"), f"{where}.platform"),
        annotations=_text_map(value.get("annotations"), f"{where}.annotations"),
    )


def _descriptors(value: Any, where: str, most: int) -> tuple[Descriptor, ...]:
    if not isinstance(value, list):
        raise FormatError(where, "is not a list")
    if len(value) > most:
        raise FormatError(where, f"has {len(value)} entries, at most {most} are allowed")
    return tuple(parse_descriptor(item, f"{where}[{i}]") for i, item in enumerate(value))


def parse_manifest(content: bytes, where: str) -> Manifest:
    """An OCI or Docker schema 2 image manifest. Raises FormatError."""
    value = parse_json(content, where)
    if value.get("schemaVersion") != 2:
        raise FormatError(
            f"{where}.schemaVersion",
            f"{value.get('schemaVersion')!r} is not supported",
            "push the image again with a current tool: Docker's schema 1 ended in 2017",
        )
    if "manifests" in value or "config" not in value:
        raise FormatError(where, "is not an image manifest (it has no config)")
    return Manifest(
        config=parse_descriptor(value["config"], f"{where}.config"),
        layers=_descriptors(value.get("layers"), f"{where}.layers", MOST_LAYERS),
        media_type=_text(value.get("mediaType"), f"{where}.mediaType") or MANIFEST,
    )


def is_index(value: Mapping[str, Any]) -> bool:
    return value.get("mediaType") in INDEX_TYPES or "manifests" in value


def parse_index(content: bytes, where: str) -> tuple[Descriptor, ...]:
    """The entries of an OCI index or a Docker manifest list. Raises FormatError."""
    value = parse_json(content, where)
    if value.get("schemaVersion") != 2:
        raise FormatError(f"{where}.schemaVersion", f"{value.get('schemaVersion')!r} is not supported")
    return _descriptors(value.get("manifests"), f"{where}.manifests", 1000)


def choose(entries: tuple[Descriptor, ...], wanted: Platform, where: str) -> Descriptor:
    """The first manifest for a platform; one without a platform serves any. Raises FormatError."""
    images = [e for e in entries if e.media_type in MANIFEST_TYPES or e.media_type in INDEX_TYPES]
    for entry in images:
        has = entry.platform
        if has is None or (has.os, has.architecture) != (wanted.os, wanted.architecture):
            continue
        if not has.variant or not wanted.variant or has.variant == wanted.variant:
            return entry
    for entry in images:
        if entry.platform is None or not entry.platform.architecture:
            return entry
    offered = ", ".join(sorted({str(e.platform) for e in images})) or "nothing"
    raise FormatError(where, f"has no image for {wanted} (it offers {offered})")


def parse_config(content: bytes, where: str) -> ImageDocument:
    """An image config, OCI or Docker. Raises FormatError."""
    value = parse_json(content, where)
    rootfs = _mapping(value.get("rootfs"), f"{where}.rootfs")
    if rootfs.get("type", "layers") != "layers":
        raise FormatError(f"{where}.rootfs.type", f"{rootfs['type']!r} is not 'layers'")
    diff_ids = _texts(rootfs.get("diff_ids"), f"{where}.rootfs.diff_ids")
    if len(diff_ids) > MOST_LAYERS:
        raise FormatError(f"{where}.rootfs.diff_ids", f"has {len(diff_ids)} layers, at most {MOST_LAYERS} are allowed")
    run = _mapping(value.get("config"), f"{where}.config")
    at = f"{where}.config"
    return ImageDocument(
        platform=_platform(value, where) or Platform("", ""),
        diff_ids=tuple(parse_digest(d, f"{where}.rootfs.diff_ids[{i}]") for i, d in enumerate(diff_ids)),
        created=_text(value.get("created"), f"{where}.created"),
        config=ImageConfig(
            env=_texts(run.get("Env"), f"{at}.Env"),
            entrypoint=_texts(run.get("Entrypoint"), f"{at}.Entrypoint"),
            cmd=_texts(run.get("Cmd"), f"{at}.Cmd"),
            working_dir=_text(run.get("WorkingDir"), f"{at}.WorkingDir"),
            user=_text(run.get("User"), f"{at}.User"),
            exposed_ports=tuple(_mapping(run.get("ExposedPorts"), f"{at}.ExposedPorts")),
            stop_signal=_text(run.get("StopSignal"), f"{at}.StopSignal"),
            labels=_text_map(run.get("Labels"), f"{at}.Labels"),
            volumes=tuple(_mapping(run.get("Volumes"), f"{at}.Volumes")),
        ),
    )


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON bytes that are the same for the same value, so that digests repeat."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def host_platform() -> Platform:
    """The platform whose images this machine runs, in Go's names."""
    import platform

    machine = platform.machine()
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "riscv64": "riscv64"}
    return Platform("linux", names.get(machine, machine))
