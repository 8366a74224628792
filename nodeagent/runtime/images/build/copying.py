"""What COPY and ADD put where: a plan of entries from two trees, the source's and the image's so far. Nothing is
written.

Source: Dockerfile reference, COPY and ADD. Always: paths and symbolic links stay inside the tree that they begin in.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nodeagent.runtime.images.build.layer import Item, item_of, kind_of
from nodeagent.runtime.images.build.patterns import is_glob, matching
from nodeagent.runtime.images.merged import Found, MergedView, Parts, split
from nodeagent.runtime.images.tarstream import Kind


class CopyError(ValueError):
    """What is wrong, to be told with the instruction's place."""


@dataclass(frozen=True, slots=True)
class Source:
    """A tree to copy from. `ignores` says which relative paths do not exist for it; `owned` keeps its owners."""

    view: MergedView
    name: str
    ignores: Callable[[str], bool] = lambda path: False
    ignores_whole: bool = False
    owned: bool = False


@dataclass(frozen=True, slots=True)
class Inline:
    """A here-document as a source."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Attributes:
    """--chown and --chmod, where given."""

    owner: tuple[int, int] | None = None
    mode: int | None = None


def find_sources(source: Source, patterns: Sequence[str]) -> list[tuple[Parts, Found]]:
    """The files and directories that the arguments name, globs resolved. Raises CopyError."""
    found: list[tuple[Parts, Found]] = []
    for pattern in patterns:
        if ".." in pattern.split("/"):
            raise CopyError(f"{pattern!r} leads out of {source.name}")
        parts = split(pattern)
        candidates = _glob(source, (), parts) if is_glob(pattern) else [parts]
        matches = []
        for candidate in candidates:
            try:
                _, there = source.view.follow(candidate)
            except OSError as error:
                raise CopyError(f"{pattern!r}: {error.strerror}") from None
            path = "/".join(candidate)
            if there is None or (path and source.ignores(path) and not there.is_directory):
                continue
            if path and source.ignores(path) and not _keeps_something(source, candidate, there):
                continue
            matches.append((candidate, there))
        if not matches:
            what = "matches nothing" if is_glob(pattern) else "is not there"
            raise CopyError(f"{pattern!r} {what} in {source.name} (or .dockerignore leaves it out)")
        found += matches
    return found


def _keeps_something(source: Source, parts: Parts, directory: Found) -> bool:
    if not directory.is_directory or source.ignores_whole:
        return False
    for name in source.view.names(directory):
        child = source.view.child(directory, name)
        if child is None:
            continue
        if not source.ignores("/".join((*parts, name))) or _keeps_something(source, (*parts, name), child):
            return True
    return False


def _glob(source: Source, done: Parts, parts: Parts) -> list[Parts]:
    if not parts:
        return [done]
    try:
        _, here = source.view.follow(done)
    except OSError:
        return []
    if here is None or not here.is_directory:
        return []
    names = source.view.names(here)
    chosen = matching(parts[0], names) if is_glob(parts[0]) else [name for name in names if name == parts[0]]
    return [path for name in chosen for path in _glob(source, (*done, name), parts[1:])]


def plan(
    found: Sequence[tuple[Parts, Found]],
    inline: Sequence[Inline],
    source: Source,
    destination: str,
    image: MergedView,
    attributes: Attributes,
    *,
    follow: bool = True,
) -> list[Item]:
    """The entries of the new layer, parents first, sorted. `destination` is absolute. Raises CopyError."""
    try:
        target, there = (
            image.follow(split(destination)) if follow else (split(destination), image.find(split(destination)))
        )
    except OSError as error:
        raise CopyError(f"destination {destination!r}: {error.strerror}") from None
    many = len(found) + len(inline) > 1
    into = destination.endswith("/") or (there is not None and there.is_directory)
    if many and not into:
        raise CopyError(f"destination {destination!r} must be a directory and end with / for several sources")
    if destination.endswith("/") and there is not None and not there.is_directory:
        raise CopyError(f"destination {destination!r} is a file in the image")
    items: dict[str, Item] = {}
    for parts, thing in found:
        if thing.is_directory:
            if there is not None and not there.is_directory:
                raise CopyError(f"{'/'.join(parts)!r} is a directory, but {destination!r} is a file in the image")
            if there is None and target:
                _put(items, _owned(Item("/".join(target), Kind.DIRECTORY, 0o755), attributes), image)
            _copy_tree(source, parts, thing, target, items, image, attributes)
        else:
            where = (*target, parts[-1]) if into else target
            _put(items, _copied(source, "/".join(where), thing, attributes), image)
    for document in inline:
        where = (*target, document.name) if into else target
        item = Item("/".join(where), Kind.FILE, 0o644, content=document.content)
        _put(items, _owned(item, attributes), image)
    return with_parents(items, image, attributes)


def _copy_tree(
    source: Source,
    parts: Parts,
    directory: Found,
    target: Parts,
    items: dict[str, Item],
    image: MergedView,
    attributes: Attributes,
) -> None:
    for name in source.view.names(directory):
        child = source.view.child(directory, name)
        inside = (*parts, name)
        if child is None:
            continue
        ignored = source.ignores("/".join(inside))
        if ignored and not _keeps_something(source, inside, child):
            continue
        path = "/".join((*target, name))
        _put(items, _copied(source, path, child, attributes), image)
        if child.is_directory:
            _copy_tree(source, inside, child, (*target, name), items, image, attributes)


def _copied(source: Source, path: str, thing: Found, attributes: Attributes) -> Item:
    kind = kind_of(thing.status)
    if kind is None or kind in (Kind.CHAR_DEVICE, Kind.BLOCK_DEVICE):
        raise CopyError(f"{path!r} would be a socket or a device, which cannot be copied")
    item = item_of(path, thing.path, thing.status, kind)
    if not source.owned:
        item = replace(item, uid=0, gid=0, xattrs={})
    return _owned(item, attributes)


def _owned(item: Item, attributes: Attributes) -> Item:
    if attributes.owner is not None:
        item = replace(item, uid=attributes.owner[0], gid=attributes.owner[1])
    if attributes.mode is not None and item.kind is Kind.FILE:
        item = replace(item, mode=attributes.mode)
    return item


def _put(items: dict[str, Item], item: Item, image: MergedView) -> None:
    if not item.path:
        return
    earlier = items.get(item.path)
    both = (item.kind is Kind.DIRECTORY, earlier.kind is Kind.DIRECTORY if earlier else None)
    there = image.find(split(item.path))
    is_directory = both[1] if earlier else (there.is_directory if there else None)
    if is_directory is True and not both[0]:
        raise CopyError(f"/{item.path} is a directory in the image and would be replaced by a file")
    if is_directory is False and both[0] and there is not None and not there.is_symlink:
        raise CopyError(f"/{item.path} is a file in the image and would be replaced by a directory")
    items[item.path] = item


def with_parents(items: dict[str, Item], image: MergedView, attributes: Attributes) -> list[Item]:
    """The entries in order, and before each the directories above it: the image's own as they are, or new ones."""
    complete = dict(items)
    for path in items:
        parts = split(path)
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent in complete:
                continue
            there = image.find(parts[:depth])
            if there is None or (there.is_symlink and parent not in complete):
                complete[parent] = _owned(Item(parent, Kind.DIRECTORY, 0o755), attributes)
            elif there.is_directory:
                complete[parent] = item_of(parent, there.path, there.status, Kind.DIRECTORY)
            else:
                raise CopyError(f"/{parent} is a file in the image")
    return [complete[path] for path in sorted(complete, key=split)]


def mode_of(text: str) -> int:
    """--chmod's argument. Raises CopyError."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise CopyError(f"--chmod={text} is not an octal mode such as 0755")
    return mode


def owner_of(text: str, image: MergedView) -> tuple[int, int]:
    """--chown's argument, names looked up in the image. Raises CopyError."""
    user, colon, group = text.partition(":")
    uid, default_gid = _account(user, image, "etc/passwd", "user")
    if not colon:
        return uid, default_gid
    return uid, _account(group, image, "etc/group", "group")[0]


def _account(name: str, image: MergedView, file: str, what: str) -> tuple[int, int]:
    if name.isdigit():
        return _number(name), _number(name)
    try:
        _, found = image.follow(split(file))
    except OSError:
        found = None
    if found is not None and stat.S_ISREG(found.status.st_mode) and found.status.st_size <= 1 << 20:
        with open(found.path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                fields = line.rstrip("\n").split(":")
                if fields[0] == name and len(fields) > 3 and fields[2].isdigit():
                    return _number(fields[2]), _number(fields[3]) if fields[3].isdigit() else 0
    raise CopyError(f"--chown: {what} {name!r} is not in the image's /{file}")


def _number(text: str) -> int:
    value = int(text)
    if value >= 2**32 - 1:
        raise CopyError(f"--chown: {value} is beyond 32 bits")
    return value


def is_archive(path: str) -> bool:
    """Whether ADD unpacks the file: Docker goes by content, not by name."""
    with open(path, "rb") as file:
        start = file.read(512)
        if start[257:262] == b"ustar":
            return True
        if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")):
            return not start.startswith(b"\x1f\x8b") or _gzip_holds_tar(path)
    return False


def _gzip_holds_tar(path: str) -> bool:
    import gzip
    import zlib

    try:
        with gzip.open(path) as file:
            return file.read(512)[257:262] == b"ustar"
    except (OSError, EOFError, zlib.error):
        return False
