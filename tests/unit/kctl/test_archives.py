"""Archives of those who are not trusted stay where they are put."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from kctl.archives import pack, unpack
from kctl.errors import UsageError


def archive(*members: tuple[str, bytes, str]) -> io.BytesIO:
    """Of (name, type, text or link)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = len(text) if kind == tarfile.REGTYPE else 0
            info.mode = 0o4755 if kind == tarfile.REGTYPE else 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    stream.seek(0)
    return stream


@pytest.mark.parametrize(
    "hostile",
    [
        ("../evil", tarfile.REGTYPE, "x"),
        ("d/../../evil", tarfile.REGTYPE, "x"),
        ("/evil", tarfile.REGTYPE, "x"),
        ("d/link", tarfile.SYMTYPE, "/"),
        ("d/link", tarfile.LNKTYPE, "/etc/passwd"),
        ("d/device", tarfile.CHRTYPE, ""),
        ("other/file", tarfile.REGTYPE, "x"),
    ],
)
def test_what_leads_out_is_skipped_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hostile: tuple[str, bytes, str]
) -> None:
    target = tmp_path / "deep" / "target"
    unpack(archive(hostile, ("d/good", tarfile.REGTYPE, "good")), "d", str(target))
    found = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*"))
    assert found == ["deep", "deep/target", "deep/target/good"]
    assert hostile[0] in capsys.readouterr().err


def test_a_link_that_comes_first_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members = (("d/sub", tarfile.SYMTYPE, str(outside)), ("d/sub/file", tarfile.REGTYPE, "x"))
    unpack(archive(*members), "d", str(tmp_path / "target"))
    assert list(outside.iterdir()) == []
    assert (tmp_path / "target/sub/file").read_text() == "x"


def test_no_set_user_id_comes_along_and_a_link_in_the_way_is_an_error(tmp_path: Path) -> None:
    unpack(archive(("f", tarfile.REGTYPE, "x")), "f", str(tmp_path / "f"))
    assert (tmp_path / "f").stat().st_mode & 0o7000 == 0
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match="can't unpack"):
        unpack(archive(("f", tarfile.REGTYPE, "x")), "f", str(tmp_path / "link"))
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_broken_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't unpack"):
        unpack(io.BytesIO(b"not a tar" * 100), "f", str(tmp_path / "f"))


def test_a_folder_packed_and_unpacked_is_the_same(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/run").write_text("#!/bin/sh")
    (source / "sub/run").chmod(0o750)
    reader, writer = os.pipe()
    pack(str(source), "name", writer)
    with os.fdopen(reader, "rb") as stream:
        unpack(stream, "name", str(tmp_path / "target"))
    assert (tmp_path / "target/sub/run").read_text() == "#!/bin/sh"
    assert (tmp_path / "target/sub/run").stat().st_mode & 0o777 == 0o750
