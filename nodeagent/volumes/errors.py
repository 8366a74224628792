"""What goes wrong with volumes."""

from __future__ import annotations

from sampan.errors import SampanError


class VolumeError(SampanError):
    """A volume can't be brought into place, or must not be. The message says which and why."""
