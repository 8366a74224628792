"""What a node image is made of, in pieces: the same bytes each time, nothing that nobody needs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from deploy.vm import bytecode, distributions, ext4, image, initramfs


def a_tree(root: Path, order: list[str]) -> Path:
    """Some files, made in that order."""
    for name in order:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name * 1000)
    (root / "link").symlink_to("etc/a")
    return root


@pytest.mark.parametrize("journal", [True, False])
def test_a_file_system_of_the_same_files_has_the_same_bytes(tmp_path: Path, journal: bool) -> None:
    names = ["etc/a", "usr/b", "usr/lib/c", "z"]
    digests = set()
    for number, order in enumerate((names, names[::-1])):
        tree = a_tree(tmp_path / f"tree{number}", order)
        disk = tmp_path / f"disk{number}"
        ext4.make(tree, disk, "test", journal=journal, room=1 << 20)
        digests.add(hashlib.sha256(disk.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_file_system_has_the_files_and_is_sound(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree", ["etc/a"])
    disk = tmp_path / "disk"
    ext4.make(tree, disk, "test", journal=True, room=1 << 20)
    ext4.run("e2fsck", "-f", "-n", str(disk), where="test")
    ext4.run("debugfs", "-R", f"dump /etc/a {tmp_path / 'out'}", str(disk), where="test")
    assert (tmp_path / "out").read_text() == "etc/a" * 1000


def test_the_name_of_an_image_follows_from_what_it_is_made_of() -> None:
    lines = ["python 3.11", "debian package a 1"]
    assert image.digest_of(lines) == image.digest_of(list(lines))
    assert image.digest_of(lines) != image.digest_of(["python 3.11", "debian package a 2"])


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("numpy/__init__.py", True),
        ("numpy/_core/x.so", True),
        ("numpy.libs/y.so", True),
        ("numpy/tests/test_x.py", False),
        ("numpy/__init__.pyi", False),
        ("numpy-2.0.dist-info/METADATA", False),
        ("../../bin/f2py", False),
        ("/etc/passwd", False),
        ("aiohttp/__pycache__/x.pyc", False),
    ],
)
def test_of_packages_only_what_runs_is_taken(path: str, needed: bool) -> None:
    assert distributions.is_needed(PurePosixPath(path)) == needed


def test_all_that_sampan_depends_on_is_found() -> None:
    assert {"aiohttp", "grpcio", "pydantic-core", "yarl", "numpy"} <= set(distributions.needed())


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    lines = [f"kernel/{name}.ko:" for name in initramfs.MODULES if name != "virtio_net"]
    lines += ["kernel/virtio_net.ko: kernel/failover.ko kernel/virtio.ko", "kernel/failover.ko: kernel/virtio.ko"]
    (tmp_path / "modules.dep").write_text("\n".join([*lines, "kernel/virtio.ko:"]))
    names = [one.stem for one in initramfs.load_order(tmp_path)]
    assert len(names) == len(set(names)) == len(initramfs.MODULES) + 2
    assert names.index("virtio") < names.index("failover") < names.index("virtio_net")


def test_the_archive_is_one_that_cpio_knows() -> None:
    data = initramfs.entry(1, "init", initramfs.FILE, b"#!/bin/sh\n") + initramfs.entry(0, "TRAILER!!!", 0)
    assert data.startswith(b"070701")
    assert len(data) % 4 == 0
    assert int(data[54:62], 16) == len(b"#!/bin/sh\n")
    assert data[110:114] == b"init"


def test_compiled_code_is_the_same_each_time_and_runs_without_its_source(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text('"""Words."""\ndef f():\n    "more"\n    return 42\nassert False, "left out"\n')
    bytecode.put(tmp_path, Path("/somewhere"))
    compiled = bytecode.cached_name(tmp_path / "one.py")
    first = compiled.read_bytes()
    bytecode.put(tmp_path, Path("/somewhere"))
    assert compiled.read_bytes() == first
    (tmp_path / "one.py").write_text("raise SystemExit(9)\n")
    program = "import one; print(one.f(), one.__doc__)"
    done = subprocess.run(
        (sys.executable, "-OO", "-c", program), cwd=tmp_path, capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == "42 None\n"
