"""What goes wrong with the objects of manifests, in kubectl's words: alone, an error has a sentence of its own."""

from __future__ import annotations

from collections.abc import Sequence

from kctl.discovery import UnknownKind
from kctl.errors import wording
from kctl.manifests import Manifest
from sampan.api_error import ApiError, SampanError


def told(failures: Sequence[tuple[Manifest, SampanError]]) -> list[str]:
    """The lines to print. `manifest.doing` says what was being done."""
    return [_line(manifest, error, alone=len(failures) == 1) for manifest, error in failures]


def _line(manifest: Manifest, error: SampanError, *, alone: bool) -> str:
    if isinstance(error, UnknownKind):
        where = f'name: "{manifest.name}" namespace: "{manifest.namespace}" from "{manifest.source}"'
        return f"{'error: ' if alone else ''}resource mapping not found for {where}: {error}"
    if not isinstance(error, ApiError):
        return wording(error)
    if error.reason == "Invalid" and alone:
        return wording(error)
    reason = f" ({error.reason})" if error.reason else ""
    return f'Error from server{reason}: error when {manifest.doing} "{manifest.source}": {error.message}'
