"""The build cache: a step's key (a digest over all that decides its outcome) -> the layer that it made."""

from __future__ import annotations

import json
import os
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.images.digests import hex_of, parse_digest
from nodeagent.runtime.images.errors import FormatError
from nodeagent.runtime.images.layout import Layout
from nodeagent.runtime.images.oci import Descriptor, parse_descriptor


@dataclass(frozen=True, slots=True)
class CachedLayer:
    chain: str
    diff_id: str
    blob: Descriptor


def remember_layer(layout: Layout, key: str, layer: CachedLayer) -> None:
    """Lost at a power cut, perhaps, but never half there. The caller holds the import lock."""
    staging = layout.scratch("step")
    staging.write_text(json.dumps({"chain": layer.chain, "diff_id": layer.diff_id, "blob": layer.blob.to_json()}))
    os.rename(staging, layout.cache / hex_of(key))


def recall_layer(layout: Layout, key: str) -> CachedLayer | None:
    """The layer of a step that was done before, if all of it is still there."""
    layer = _read(layout.cache / hex_of(key))
    if layer is None or not layout.layer(layer.chain).is_dir() or not layout.blob(layer.blob.digest).is_file():
        return None
    return layer


def forget_layers(layout: Layout, keep: Set[str] | None) -> list[CachedLayer]:
    """The steps that stay. With `keep` (chain IDs' hex), a step whose layer is not among them is forgotten."""
    staying = []
    for item in os.scandir(layout.cache):
        layer = _read(Path(item.path))
        if layer is not None and (keep is None or hex_of(layer.chain) in keep):
            staying.append(layer)
        else:
            with suppress(FileNotFoundError):
                os.unlink(item.path)
    return staying


def _read(path: Path) -> CachedLayer | None:
    try:
        value = json.loads(path.read_bytes())
        return CachedLayer(
            chain=parse_digest(value["chain"], "chain"),
            diff_id=parse_digest(value["diff_id"], "diff_id"),
            blob=parse_descriptor(value["blob"], "blob"),
        )
    except (OSError, ValueError, KeyError, TypeError, FormatError):
        return None
