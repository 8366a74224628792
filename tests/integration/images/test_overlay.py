"""Unpacked layers under the kernel's overlayfs: a container sees what the archives say, and what MergedView says."""

import ctypes
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeagent.runtime.images.build.layer import upper_items, write
from nodeagent.runtime.images.errors import FormatError
from nodeagent.runtime.images.merged import MergedView
from nodeagent.runtime.images.unpack import unpack_layer

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.getuid() != 0, reason="mounts overlayfs")]
libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def mounted(layers: list[Path], at: Path, upper: Path | None = None) -> Iterator[Path]:
    at.mkdir()
    options = f"lowerdir={':'.join(map(str, layers))}"
    if upper is not None:
        (at.parent / "work").mkdir()
        options += f",upperdir={upper},workdir={at.parent}/work"
    if libc.mount(b"overlay", os.fsencode(at), b"overlay", 0 if upper else 1, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), options)
    try:
        yield at
    finally:
        assert libc.umount2(os.fsencode(at), 2) == 0


def unpack(content: bytes, tree: Path, lowers: list[Path]) -> None:
    unpack_layer(
        io.BytesIO(content),
        tree,
        media_type="",
        diff_id="sha256:" + hashlib.sha256(content).hexdigest(),
        lowers=lowers,
        where="layer",
    )


def archive(members: list[tuple[str, bytes, str]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755
            if kind == tarfile.SYMTYPE:
                info.linkname = value
            elif kind == tarfile.REGTYPE:
                info.size = len(value)
            tar.addfile(info, io.BytesIO(value.encode()) if kind == tarfile.REGTYPE else None)
    return out.getvalue()


def seen(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else "dir"
    return found


def viewed(view: MergedView, parts: tuple[str, ...] = ()) -> dict[str, str]:
    found: dict[str, str] = {}
    here = view.find(parts)
    assert here is not None
    for name in view.names(here):
        child = view.child(here, name)
        assert child is not None
        path = "/".join((*parts, name))
        if child.is_symlink:
            found[path] = os.readlink(child.path)
        elif child.is_directory:
            found[path] = "dir"
            found |= viewed(view, (*parts, name))
        else:
            found[path] = Path(child.path).read_text()
    return found


name = st.sampled_from(["a", "b", "c"])
whiteout = st.sampled_from([".wh.a", ".wh.b", ".wh..wh..opq"])
deep = st.tuples(st.lists(name, max_size=2), st.one_of(name, name, whiteout)).map(lambda x: "/".join([*x[0], x[1]]))
member = st.tuples(deep, st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE]), st.sampled_from(["x", "y"])).map(
    lambda m: (m[0], tarfile.REGTYPE, "") if ".wh." in m[0] else m
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(member, max_size=6), min_size=2, max_size=3))
def test_the_kernel_agrees_with_our_view_and_with_the_archives(
    tmp_path: Path, layers: list[list[tuple[str, bytes, str]]]
) -> None:
    room = tmp_path / os.urandom(4).hex()
    room.mkdir()
    trees: list[Path] = []
    expected: dict[str, str] = {}
    for number, members in enumerate(layers):
        tree = room / str(number)
        try:
            unpack(archive(members), tree, trees)
        except FormatError:
            continue  # a file used as a directory
        expected = applied(expected, members)
        trees.insert(0, tree)
    if trees:
        bottom = room / "bottom"
        bottom.mkdir()
        with mounted([*trees, bottom], room / "m") as merged:
            kernel = seen(merged)
        assert viewed(MergedView(trees)) == kernel
        assert kernel == expected
    shutil.rmtree(room)


def applied(below: dict[str, str], members: list[tuple[str, bytes, str]]) -> dict[str, str]:
    """The obvious form: whiteouts act on what was below, then the layer's own entries come, the last one winning."""
    own: dict[str, str] = {}
    hidden: set[str] = set()

    def drop(tree: dict[str, str], path: str) -> None:
        for key in [k for k in tree if k == path or k.startswith(path + "/")]:
            del tree[key]

    def parents(path: str) -> None:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            own.setdefault("/".join(parts[:depth]), "dir")

    for path, kind, value in members:
        directory, _, base = path.rpartition("/")
        parents(path)
        if base == ".wh..wh..opq":
            hidden.add(directory + "/" if directory else "")
        elif base.startswith(".wh."):
            hidden.add(f"{directory}/{base[4:]}".lstrip("/"))
        elif kind == tarfile.DIRTYPE:
            if own.get(path) != "dir":
                drop(own, path)
            own[path] = "dir"
        else:
            drop(own, path)
            own[path] = value
    result = dict(below)
    for path in hidden:
        for key in [
            k for k in result if k == path or k.startswith(path if path.endswith("/") else path + "/") or not path
        ]:
            del result[key]
    for path, value in own.items():
        if value != "dir" or result.get(path) != "dir":
            drop(result, path)
        result[path] = value
    return dict(sorted(result.items()))


def test_what_a_command_changes_becomes_the_same_layer_again(tmp_path: Path) -> None:
    low, upper = tmp_path / "low", tmp_path / "upper"
    upper.mkdir()
    base = [
        ("d/old", tarfile.REGTYPE, "1"),
        ("gone", tarfile.REGTYPE, ""),
        ("e/x", tarfile.REGTYPE, "x"),
        ("l", tarfile.SYMTYPE, "d"),
    ]
    unpack(archive(base), low, [])
    with mounted([low], tmp_path / "m", upper) as merged:
        (merged / "gone").unlink()
        shutil.rmtree(merged / "e")
        (merged / "e").mkdir()
        (merged / "e/y").write_text("y")
        (merged / "d/new").write_text("2")
        os.link(merged / "d/new", merged / "d/again")
        (merged / "d/sock").symlink_to("nowhere")
        os.chown(merged / "d/new", 5, 6)
        after = seen(merged)
    shutil.rmtree(tmp_path / "work")
    written = write(upper_items(upper), tmp_path / "layer.tar", 7)
    with open(tmp_path / "layer.tar", "rb") as source:
        unpack_layer(source, tmp_path / "t", media_type="", diff_id=written.digest, lowers=[low], where="layer")
    with mounted([tmp_path / "t", low], tmp_path / "m2") as merged:
        assert seen(merged) == after
    status = os.stat(tmp_path / "t/d/again")
    assert (status.st_nlink, status.st_uid, status.st_gid, status.st_mtime) == (2, 5, 6, 7)
    with tarfile.open(tmp_path / "layer.tar") as tar:
        names = tar.getnames()
    assert ".wh.gone" in names
    assert "e/.wh..wh..opq" in names
    again = write(upper_items(upper), tmp_path / "again.tar", 7)
    assert again == written
