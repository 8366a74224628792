"""Compiling modules ahead of time: a guest under emulation would need a minute for what is a second here."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import sys
from collections.abc import Iterator
from pathlib import Path

UNCHECKED = (1).to_bytes(4, "little")
"""PEP 552: the file is named by its source's hash, and nobody looks whether the source has changed."""
OPTIMIZE = 2
"""As `python -OO`: without assertions and docstrings, which are a tenth of a process's memory."""


def cached_name(source: Path) -> Path:
    """Where Python looks for a module's code when it runs with -OO."""
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.opt-{OPTIMIZE}.pyc"


def compiled(source: bytes, runs_as: str) -> bytes | None:
    """The module's file of code; None when this Python can't compile it, as it may be for another version."""
    try:
        code = compile(source, runs_as, "exec", dont_inherit=True, optimize=OPTIMIZE)
    except (SyntaxError, ValueError):
        return None
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)


def put(tree: Path, runs_at: Path, store: Path | None = None) -> None:
    """Compile every module of a tree that will be seen at `runs_at`. `store` keeps what was compiled once."""
    for source in modules(tree):
        place = runs_at / source.relative_to(tree)
        target = cached_name(source)
        target.parent.mkdir(exist_ok=True)
        text = source.read_bytes()
        kept = None if store is None else store / hashlib.sha256(b"%s\0%s" % (bytes(place), text)).hexdigest()
        if kept is not None and kept.exists():
            target.write_bytes(kept.read_bytes())
            continue
        data = compiled(text, str(place))
        if data is None:
            continue
        target.write_bytes(data)
        if kept is not None:
            fresh = kept.with_suffix(".new")
            fresh.write_bytes(data)
            fresh.replace(kept)


def modules(tree: Path) -> Iterator[Path]:
    """The sources below a directory, in order."""
    return (one for one in sorted(tree.rglob("*.py")) if one.is_file() and not one.is_symlink())
