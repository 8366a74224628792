"""JSON Merge Patch (RFC 7386): null deletes, objects merge, everything else replaces."""

from __future__ import annotations

import copy
from typing import Any

from sampan.patches.values import check_depth


def apply(target: Any, patch: Any) -> Any:
    """The target after the patch; neither is changed. Raises PatchError for a patch nested too deeply."""
    check_depth(patch)
    return merged(target, patch)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386's MergePatch function."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
