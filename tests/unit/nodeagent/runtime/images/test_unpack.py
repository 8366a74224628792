"""What layers may do to a disk, and what they may not."""

import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeagent.runtime.images.errors import DigestMismatch, FormatError, ImageError, UnsafeLayer
from nodeagent.runtime.images.unpack import Limits, Unpacked, unpack_layer

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="unpacking sets owners and makes device nodes"),
]
FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def unpack(
    content: bytes,
    tree: Path,
    *,
    lowers: list[Path] | None = None,
    diff_id: str | None = None,
    limits: Limits | None = None,
    media_type: str = "",
) -> Unpacked:
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return unpack_layer(
        io.BytesIO(content),
        tree,
        media_type=media_type,
        diff_id=diff_id or "sha256:" + hashlib.sha256(plain).hexdigest(),
        lowers=lowers or [],
        where="layer",
        limits=limits or Limits(),
    )


def device(name: str, kind: bytes, major: int, minor: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = kind, major, minor
    return info


def with_xattr(name: str, key: str, kind: bytes = DIR) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.pax_headers = {f"SCHILY.xattr.{key}": "y"}
    return info


def test_files_links_owners_modes_times_and_attributes_are_as_archived(
    tmp_path: Path, layer: Callable[..., bytes]
) -> None:
    program = tarfile.TarInfo("bin/su")
    program.mode, program.uid, program.gid, program.mtime = 0o4755, 3, 70000, 1_600_000_000
    program.pax_headers = {"SCHILY.xattr.user.note": "hi", "SCHILY.xattr.security.selinux": "x"}
    unpack(
        gzip.compress(layer(("bin", DIR, b""), program, ("bin/su2", HARD, b"bin/su"), ("sh", LINK, b"/bin/su"))),
        tmp_path / "t",
    )
    status = os.stat(tmp_path / "t/bin/su")
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o4755, 3, 70000)
    assert (status.st_mtime, status.st_nlink) == (1_600_000_000, 2)
    assert os.getxattr(tmp_path / "t/bin/su", "user.note") == b"hi"
    assert "security.selinux" not in os.listxattr(tmp_path / "t/bin/su")
    assert os.readlink(tmp_path / "t/sh") == "/bin/su"
    assert os.stat(tmp_path / "t/bin").st_mtime == 1_700_000_000


def test_whiteouts_take_overlayfs_form(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    unpack(layer(("a/gone", FILE, b""), ("b/x", FILE, b"")), tmp_path / "low")
    members = (
        ("a/.wh.gone", FILE, b""),
        ("a/.wh.never", FILE, b""),
        ("b/.wh.x", FILE, b""),
        ("b/.wh..wh..opq", FILE, b""),
    )
    unpack(layer(*members), tmp_path / "t", lowers=[tmp_path / "low"])
    status = os.lstat(tmp_path / "t/a/gone")
    assert stat.S_ISCHR(status.st_mode)
    assert status.st_rdev == 0
    assert os.getxattr(tmp_path / "t/b", "trusted.overlay.opaque") == b"y"
    assert os.listdir(tmp_path / "t/a") == ["gone"]
    assert os.listdir(tmp_path / "t/b") == []


@pytest.mark.parametrize("order", [0, 1])
def test_a_whiteout_hides_lower_layers_only_whatever_the_order(
    tmp_path: Path, layer: Callable[..., bytes], order: int
) -> None:
    members = [("d", DIR, b""), ("d/new", FILE, b"1")]
    hide = [(".wh.d", FILE, b"")]
    unpack(layer(*(hide + members if order else members + hide)), tmp_path / "t")
    assert os.getxattr(tmp_path / "t/d", "trusted.overlay.opaque") == b"y"
    assert (tmp_path / "t/d/new").read_text() == "1"


def test_implied_directories_look_like_the_lower_layers(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    sticky = tarfile.TarInfo("tmp")
    sticky.type, sticky.mode, sticky.uid = DIR, 0o1777, 9
    unpack(layer(sticky, ("lib", LINK, b"usr/lib"), ("usr/lib", DIR, b"")), tmp_path / "low")
    unpack(layer(("tmp/x", FILE, b""), ("lib/y", FILE, b"")), tmp_path / "t", lowers=[tmp_path / "low"])
    status = os.stat(tmp_path / "t/tmp")
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o1777, 9)
    assert (tmp_path / "t/usr/lib/y").is_file()
    assert not os.path.lexists(tmp_path / "t/lib")


def test_a_hard_link_to_a_lower_layer_brings_the_file_along(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    unpack(layer(("a", FILE, b"content")), tmp_path / "low")
    unpack(layer(("b", HARD, b"a")), tmp_path / "t", lowers=[tmp_path / "low"])
    assert (tmp_path / "t/b").read_bytes() == b"content"


def test_the_later_of_two_entries_counts(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    unpack(
        layer(
            ("a", FILE, b"1"),
            ("a", FILE, b"2"),
            ("b", DIR, b""),
            ("b/x", FILE, b""),
            ("b", LINK, b"a"),
            ("c", LINK, b"x"),
        ),
        tmp_path / "t",
    )
    assert (tmp_path / "t/a").read_bytes() == b"2"
    assert os.readlink(tmp_path / "t/b") == "a"


def test_links_inside_the_archive_stay_inside_the_root(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    unpack(
        layer(
            ("abs", LINK, str(outside).encode()),
            ("up", LINK, b"../../../.."),
            ("abs/f", FILE, b"1"),
            ("up/g", FILE, b"2"),
        ),
        tmp_path / "t",
    )
    assert list(outside.iterdir()) == []
    assert (tmp_path / "t" / str(outside).lstrip("/") / "f").read_bytes() == b"1"
    assert (tmp_path / "t/g").read_bytes() == b"2"


HOSTILE: dict[str, tuple[list[tuple[str, bytes, bytes] | tarfile.TarInfo], str]] = {
    "a parent in a name": ([("../evil", FILE, b"")], "has '..'"),
    "a parent inside a name": ([("a/../../evil", FILE, b"")], "has '..'"),
    "a hard link out": ([("l", HARD, b"../../etc/passwd")], "has '..'"),
    "a hard link to a lower name that is not there": ([("l", HARD, b"/etc/passwd")], "does not exist"),
    "a hard link to a directory": ([("d", DIR, b""), ("l", HARD, b"d")], "no file"),
    "a hard link to itself": ([("f", FILE, b""), ("f", HARD, b"f")], "to itself"),
    "a hard link to a whiteout": ([(".wh.x", FILE, b""), ("l", HARD, b"x")], "no file"),
    "a whiteout of the parent": ([("d/.wh...", FILE, b"")], "whiteout of '..'"),
    "a whiteout of nothing": ([("d/.wh.", FILE, b"")], "whiteout of ''"),
    "a file below a whiteout": ([(".wh.d/f", FILE, b"")], "below a whiteout"),
    "a whiteout in disguise": ([device("w", tarfile.CHRTYPE, 0, 0)], "whiteout in disguise"),
    "a disk": ([device("disk", tarfile.BLKTYPE, 8, 0)], "device node"),
    "kernel memory": ([device("mem", tarfile.CHRTYPE, 1, 1)], "device node"),
    "overlayfs's own attribute": ([with_xattr("d", "trusted.overlay.redirect")], "extended attribute"),
    "overlayfs's own attribute for users": ([with_xattr("d", "user.overlay.opaque")], "extended attribute"),
    "an unknown attribute": ([with_xattr("d", "strange.thing")], "unknown extended attribute"),
    "a link loop": ([("a", LINK, b"b"), ("b", LINK, b"a"), ("a/f", FILE, b"")], "symbolic links"),
    "a file as a directory": ([("f", FILE, b""), ("f/g", FILE, b"")], "is a file"),
    "a link to nowhere": ([("l", LINK, b"")], "without a usable target"),
    "a root that is a link": ([(".", LINK, b"/etc")], "replace the root"),
    "too deep": ([("d/" * 300 + "f", FILE, b"")], "deep"),
    "a long name": ([("n" * 256, FILE, b"")], "255 bytes"),
}


@pytest.mark.parametrize("case", list(HOSTILE))
def test_a_hostile_layer_is_refused_precisely_and_leaves_nothing(
    tmp_path: Path, layer: Callable[..., bytes], case: str
) -> None:
    members, why = HOSTILE[case]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FormatError) as caught:
        unpack(layer(*members), tmp_path / "t")
    assert why in str(caught.value)
    assert str(caught.value).startswith("layer")
    assert sorted(tmp_path.iterdir()) == before


def test_devices_below_dev_are_left_out_or_harmless(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    unpack(layer(device("dev/sda", tarfile.BLKTYPE, 8, 0), device("dev/null", tarfile.CHRTYPE, 1, 3)), tmp_path / "t")
    assert os.listdir(tmp_path / "t/dev") == ["null"]


def test_content_must_have_its_digest(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    with pytest.raises(DigestMismatch, match="promised was sha256:00"):
        unpack(layer(("a", FILE, b"")), tmp_path / "t", diff_id="sha256:" + "0" * 64)
    assert not (tmp_path / "t").exists()


def test_bytes_after_the_end_of_the_archive_count_for_the_digest(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    content = layer(("a", FILE, b"")) + b"smuggled"
    unpack(content, tmp_path / "t")
    with pytest.raises(DigestMismatch):
        unpack(content, tmp_path / "t2", diff_id="sha256:" + hashlib.sha256(content[:-8]).hexdigest())


@pytest.mark.parametrize(
    ("content", "limits", "why"),
    [
        (gzip.compress(bytes(4 << 20)), Limits(ratio=100, ratio_from=1 << 20), "times its size"),
        (gzip.compress(bytes(4 << 20)), Limits(bytes=1 << 20), "more than 1048576 bytes"),
    ],
)
def test_bombs_are_defused(tmp_path: Path, content: bytes, limits: Limits, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        unpack(content, tmp_path / "t", limits=limits)
    assert not (tmp_path / "t").exists()


def test_a_small_file_bomb_is_defused(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    with pytest.raises(UnsafeLayer, match="more than 50 entries"):
        unpack(layer(*((f"f{n}", FILE, b"") for n in range(100))), tmp_path / "t", limits=Limits(entries=50))


@pytest.mark.parametrize(
    ("content", "name"), [(b"\x28\xb5\x2f\xfdrest", "zstd"), (b"BZh9...", "bzip2"), (b"\xfd7zXZ\0", "xz")]
)
def test_other_compressions_are_refused_by_name(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(FormatError, match=f"compressed with {name}"):
        unpack(content, tmp_path / "t")


def test_a_cut_gzip_stream_is_named(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    whole = gzip.compress(layer(("a", FILE, os.urandom(5000))))
    with pytest.raises(FormatError, match="ends too early"):
        unpack_layer(io.BytesIO(whole[:-20]), tmp_path / "t", media_type="", diff_id=None, lowers=[], where="layer")


def test_several_gzip_members_are_one_stream(tmp_path: Path, layer: Callable[..., bytes]) -> None:
    content = layer(("a", FILE, b"1" * 3000))
    double = gzip.compress(content[:700]) + gzip.compress(content[700:])
    unpack_layer(
        io.BytesIO(double),
        tmp_path / "t",
        media_type="",
        diff_id="sha256:" + hashlib.sha256(content).hexdigest(),
        lowers=[],
        where="layer",
    )
    assert (tmp_path / "t/a").stat().st_size == 3000


part = st.sampled_from(["a", "b", "c", "..", ".", ".wh.a", ".wh..wh..opq", ".wh...", ""])
path = st.lists(part, min_size=1, max_size=4).map("/".join)
target = st.lists(st.sampled_from(["a", "b", "c", "..", ""]), min_size=1, max_size=5).map("/".join)
member = st.one_of(
    st.tuples(path, st.just(FILE), st.just(b"x")),
    st.tuples(path, st.just(DIR), st.just(b"")),
    st.tuples(path, st.sampled_from([LINK, HARD]), target.map(str.encode)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(member, max_size=12))
def test_no_archive_reaches_outside_its_root(
    tmp_path: Path, layer: Callable[..., bytes], members: list[tuple[str, bytes, bytes]]
) -> None:
    room = tmp_path / f"room-{os.urandom(4).hex()}"
    for name in ("a", "b", "c"):
        (room / name).mkdir(parents=True)
        (room / name / "a").write_text("untouched")
    before = snapshot(room)
    inside = room / "in"
    inside.mkdir()
    try:
        unpack(layer(*members), inside / "tree")
    except FormatError:
        assert os.listdir(inside) == []
    shutil.rmtree(inside)
    assert snapshot(room) == before


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_nlink, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
