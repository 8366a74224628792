"""What a build reads besides its context: the Dockerfile, .dockerignore, and the time that it stamps."""

from __future__ import annotations

import os
from pathlib import Path

from nodeagent.runtime.images.build.dockerfile import MOST_BYTES
from nodeagent.runtime.images.build.patterns import Ignore, PatternError
from nodeagent.runtime.images.errors import BuildError


def read_text(path: Path) -> str:
    """A Dockerfile's or ignore file's text. Raises BuildError."""
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BuildError(str(path), f"cannot be read: {error.strerror}", "name the Dockerfile with -f") from None
    if len(content) > MOST_BYTES:
        raise BuildError(str(path), f"is larger than {MOST_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BuildError(str(path), "is not UTF-8 text") from None


def source_date_epoch() -> int:
    """$SOURCE_DATE_EPOCH, 0 without one. Raises BuildError."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not text.isdigit() or len(text) > 11:
        raise BuildError("SOURCE_DATE_EPOCH", f"{text!r} is not a count of seconds")
    return int(text)


def ignore_file(dockerfile: Path, context: Path) -> Ignore:
    """The rules of DOCKERFILE.dockerignore or, without one, the context's .dockerignore. Raises BuildError."""
    for path in (Path(f"{dockerfile}.dockerignore"), context / ".dockerignore"):
        if path.is_file():
            try:
                return Ignore.parse(read_text(path))
            except PatternError as error:
                raise BuildError(str(path), str(error)) from None
    return Ignore()
