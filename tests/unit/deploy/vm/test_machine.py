"""What a virtual machine gets from its host: a command line, files of the image store, and a place that suffices."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.places import NodePlaces
from deploy.spec import Mount, NodeSpec
from deploy.vm import images_port, qemu, readiness
from deploy.vm.acceleration import Acceleration
from sampan.errors import ClusterError


def a_machine(mounts: tuple[Mount, ...] = ()) -> qemu.Machine:
    own = NodePlaces("v1", Path("/s,1/v1"), Path("/r/v1"), Path("/l/v1"), "/sampan/x")
    return qemu.Machine(
        own=own,
        cpus=2,
        memory=768 << 20,
        mac="0a:53:00:00:00:01",
        acceleration=Acceleration.TCG,
        kernel=Path("/i/vmlinuz"),
        initrd=Path("/i/initrd"),
        disk=own.state / "disk.qcow2",
        code=Path("/i/code.raw"),
        files={"join": own.run / "join.json"},
        mounts=mounts,
    )


def test_the_command_line_names_files_and_no_secret() -> None:
    line = qemu.arguments(a_machine(), tap=9)
    assert "name=opt/dev.sampan/join,file=/r/v1/join.json" in line
    assert "tap,id=net,fd=9" in line
    assert any(word.startswith("if=none,id=disk,file=/s,,1/v1/disk.qcow2,") for word in line)
    assert ("-m", "768M") in list(itertools.pairwise(line))


def test_a_machine_without_shared_directories_has_no_device_that_cannot_be_saved() -> None:
    assert not any("vhost-user-fs" in word for word in qemu.arguments(a_machine(), tap=3))
    shared = qemu.arguments(a_machine((Mount(host="/a", guest="/b"),)), tap=3)
    assert any("vhost-user-fs-pci" in word for word in shared)
    assert any("memory-backend-memfd" in word for word in shared)


def ask(store: Path, **question: object) -> tuple[dict[str, object], bytes]:
    return images_port.answer(store, json.dumps(question).encode() + b"\n")


def test_a_guest_reads_the_store_piece_by_piece(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"0123456789")
    assert ask(tmp_path, path="blob", offset=4, size=3) == ({"size": 3, "total": 10}, b"456")
    assert ask(tmp_path, path="blob", offset=10) == ({"size": 0, "total": 10}, b"")
    assert ask(tmp_path, path="none") == ({"error": "ENOENT"}, b"")


def test_a_guest_reads_nothing_outside_the_store(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (tmp_path / "secret").write_text("secret")
    (store / "link").symlink_to(tmp_path / "secret")
    for path in ("../secret", "/etc/passwd", "link", "a/../../secret", str(tmp_path / "secret")):
        assert ask(store, path=path) == ({"error": "EACCES"}, b"")


@given(st.binary(max_size=200))
def test_whatever_a_guest_sends_is_answered(line: bytes) -> None:
    head, data = images_port.answer(Path("/nonexistent/store"), line)
    assert "error" in head
    assert data == b""


def test_machines_that_do_not_fit_are_refused_with_figures() -> None:
    nodes = [NodeSpec(name="v1", driver="vm", memory="2Gi"), NodeSpec(name="v2", driver="vm", memory="2Gi")]
    readiness.check_memory(nodes, 8 << 30)
    with pytest.raises(ClusterError, match="virtual machines v1, v2: would take 4224 MiB of memory, and 3840 MiB are"):
        readiness.check_memory(nodes, 4 << 30)
    with pytest.raises(ClusterError, match="need 1024 MiB to begin with, and 10 MiB are free"):
        readiness.check_disk(nodes, 10 << 20)


@pytest.mark.parametrize(("given_", "kept"), [("1g", "1Gi"), ("512M", "512Mi"), ("768Mi", "768Mi"), ("2GB", "2Gi")])
def test_sizes_may_be_short(given_: str, kept: str) -> None:
    assert NodeSpec(name="v1", driver="vm", memory=given_).memory == kept


@pytest.mark.parametrize("shape", [{"memory": "10Mi"}, {"memory": "much"}, {"cpus": 0}, {"disk": "1"}])
def test_sizes_that_make_no_machine_are_refused(shape: dict[str, object]) -> None:
    from deploy.spec import node_of

    with pytest.raises(ClusterError, match=next(iter(shape))):
        node_of("v1", {"driver": "vm"} | shape)


def test_a_namespace_node_has_no_size() -> None:
    from deploy.spec import node_of

    with pytest.raises(ClusterError, match="cpus: only a node with driver vm has that"):
        node_of("n1", {"cpus": 2})
