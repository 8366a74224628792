"""Build, load, list, push, tag and remove the images of this machine's store. No cluster needs to run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

PASS_ON = True


def run_words(words: Sequence[str]) -> int:
    """Become the store's command: it is the node agent's, which kctl does not import."""
    from deploy.places import image_store

    os.environ["SAMPAN_IMAGE_STORE"] = str(image_store())
    os.environ["SAMPAN_IMAGE_PROGRAM"] = "kctl image"
    os.execv(sys.executable, [sys.executable, "-m", "nodeagent.runtime.images", *words])
