"""Build, load, list and remove the images of this machine's store. No cluster needs to run."""

from __future__ import annotations

import argparse
import os
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """All words go to the store's own command."""
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, help="build | load | ls | rm | pull | save | prune, and flags"
    )


def run(arguments: argparse.Namespace) -> int:
    """Become the store's command: it is the node agent's, which kctl does not import."""
    from deploy.places import image_store

    os.environ["SAMPAN_IMAGE_STORE"] = str(image_store())
    os.environ["SAMPAN_IMAGE_PROGRAM"] = "kctl image"
    os.execv(sys.executable, [sys.executable, "-m", "nodeagent.runtime.images", *arguments.words])
