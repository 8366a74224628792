"""Our tar reader agrees with the standard library's writer, and distrusts everything else."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.images.errors import FormatError
from nodeagent.runtime.images.tarstream import Kind, TarReader
from nodeagent.runtime.images.tarwrite import END, header, padding

names = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=200)
numbers = st.integers(0, 2**40)


def read(content: bytes) -> list[tuple[bytes, Kind, bytes]]:
    reader = TarReader(io.BytesIO(content), "test")
    return [(entry.name, entry.kind, b"".join(reader.data())) for entry in reader]


@given(names, st.binary(max_size=2000), numbers, numbers, st.integers(0, 2**33), st.sampled_from(["pax", "gnu"]))
def test_it_reads_what_tarfile_writes(name: str, content: bytes, uid: int, gid: int, mtime: int, style: str) -> None:
    name = name.rstrip("/") or "x"
    out = io.BytesIO()
    form = tarfile.PAX_FORMAT if style == "pax" else tarfile.GNU_FORMAT
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.uid, info.gid, info.mtime, info.mode = len(content), uid, gid, mtime, 0o4751
        tar.addfile(info, io.BytesIO(content))
    reader = TarReader(io.BytesIO(out.getvalue()), "test")
    (entry,) = [(e, b"".join(reader.data())) for e in reader]
    assert entry[0].name == name.encode()
    assert (entry[0].uid, entry[0].gid, entry[0].mtime_ns, entry[0].mode) == (uid, gid, mtime * 10**9, 0o4751)
    assert entry[1] == content


@given(names, st.dictionaries(st.sampled_from(["user.a", "security.capability"]), st.binary(max_size=50)))
def test_it_reads_what_we_write(name: str, xattrs: dict[str, bytes]) -> None:
    name = name.rstrip("/") or "x"
    content = header(name, Kind.FILE, size=3, xattrs=xattrs) + b"abc" + padding(3) + END
    reader = TarReader(io.BytesIO(content), "test")
    (entry,) = list(reader)
    assert entry.name == name.encode()
    assert {key.decode(): value for key, value in entry.xattrs.items()} == xattrs


@given(st.binary(max_size=3000))
def test_rubbish_is_refused_or_empty(content: bytes) -> None:
    try:
        said = "tar entry" if read(content) == [] else ""
    except FormatError as error:
        said = str(error)
    assert "tar entry" in said


@given(st.integers(0, 1535), st.integers(1, 255))
def test_a_flipped_byte_in_a_header_is_noticed(at: int, flip: int) -> None:
    good = header("a/file", Kind.FILE, size=512) + b"x" * 512 + END
    bad = bytearray(good)
    bad[at] ^= flip
    if at < 500:
        try:
            changed = read(bytes(bad))
        except FormatError:
            return
        # Spaces and NULs around numbers mean the same; nothing else may change unseen.
        assert changed == read(good)


def huge_header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("x")
    info.type = kind
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [b"x", b"L", b"K", b"g"])
def test_an_extended_header_cannot_take_all_memory(kind: bytes) -> None:
    with pytest.raises(FormatError, match="extended header of 8589934592 bytes"):
        read(huge_header(kind, 8 << 30))


@pytest.mark.parametrize(
    ("records", "why"),
    [
        (b"9999 path=x\n", "wrong length"),
        (b"path=x\n", "no length"),
        (b"9 pathxx\n", "no '='"),
        (b"18 size=-12345678\n", "not a number"),
        (b"13 mtime=nan\n", "not a time"),
        (b"22 GNU.sparse.major=1\n", "sparse"),
    ],
)
def test_broken_pax_records_are_named(records: bytes, why: str) -> None:
    extended = huge_header(b"x", len(records)) + records + padding(len(records))
    with pytest.raises(FormatError, match=why):
        read(extended + header("f", Kind.FILE) + END)


def test_a_truncated_archive_is_named() -> None:
    content = header("f", Kind.FILE, size=5000) + b"x" * 100
    with pytest.raises(FormatError, match="ends in the middle"):
        read(content)
