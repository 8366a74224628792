"""Projected files, their atomic change, and deletion that stays where it is."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.downward import Here
from nodeagent.references import Reference, referenced
from nodeagent.volumes.errors import VolumeError
from nodeagent.volumes.hostpath import host_path
from nodeagent.volumes.mounts import MS_BIND, mount, mounts_under, parse_mountinfo
from nodeagent.volumes.projection import TokenRequest, files_of, token_requests
from nodeagent.volumes.subpath import bind_sub_path
from nodeagent.volumes.tree import give_to_group, remove_tree
from nodeagent.volumes.writer import File, check_path, write_atomically
from sampan.api.core_v1 import ConfigMap, HostPathVolumeSource, Pod, Secret

HERE = Here("n1", ("192.0.2.1",), {"cpu": "4"}, ())
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, ownership")


class Objects:
    def __init__(self, *objects: ConfigMap | Secret) -> None:
        self._objects = objects

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        return next((o for o in self._objects if isinstance(o, ConfigMap) and o.metadata.name == name), None)

    def secret(self, namespace: str, name: str) -> Secret | None:
        return next((o for o in self._objects if isinstance(o, Secret) and o.metadata.name == name), None)


def pod(volume: dict[str, Any], **spec: Any) -> Pod:
    meta = {"name": "p", "namespace": "ns", "uid": "u", "labels": {"a": "b"}}
    return Pod.from_json({"metadata": meta, "spec": {"containers": [], "volumes": [{"name": "v"} | volume]} | spec})


def files(desired: Pod, *objects: ConfigMap | Secret, tokens: dict[TokenRequest, str] | None = None) -> dict[str, File]:
    return files_of(desired, desired.spec.volumes[0], Objects(*objects), tokens or {}, HERE)


SETTINGS = ConfigMap.from_json(
    {"metadata": {"name": "m"}, "data": {"a": "1", "b": "2"}, "binaryData": {"c": base64.b64encode(b"\xff").decode()}}
)


def test_a_config_map_as_files() -> None:
    assert files(pod({"configMap": {"name": "m"}}), SETTINGS) == {"a": File(b"1"), "b": File(b"2"), "c": File(b"\xff")}
    chosen = {
        "name": "m",
        "defaultMode": 0o600,
        "items": [{"key": "a", "path": "x/y"}, {"key": "b", "path": "z", "mode": 4}],
    }
    assert files(pod({"configMap": chosen}), SETTINGS) == {"x/y": File(b"1", 0o600), "z": File(b"2", 4)}


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "m", "items": [{"key": "x", "path": "x"}]}}, "non-existent configmap m key: x"),
        ({"configMap": {"name": "m", "items": [{"key": "a", "path": "../x"}]}}, "must not contain"),
        ({"configMap": {"name": "m", "items": [{"key": "a", "path": "/x"}]}}, "must be relative"),
        (
            {"configMap": {"name": "m", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}]}},
            "a directory",
        ),
        ({"projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}}, "clusterTrustBundle"),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "x"}}]}}, "token"),
    ],
)
def test_what_can_not_be_shown_is_named(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        files(pod(volume), SETTINGS)


def test_what_is_optional_may_be_missing() -> None:
    assert files(pod({"configMap": {"name": "none", "optional": True}})) == {}
    chosen = {"name": "m", "optional": True, "items": [{"key": "x", "path": "x"}]}
    assert files(pod({"configMap": chosen}), SETTINGS) == {}


def test_a_projected_volume_gathers_from_everywhere() -> None:
    sources = [
        {"configMap": {"name": "m", "items": [{"key": "a", "path": "conf/a"}]}},
        {"serviceAccountToken": {"path": "token", "audience": "x", "expirationSeconds": 600}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    desired = pod({"projected": {"sources": sources}})
    assert token_requests(desired) == {TokenRequest("x", 600)}
    found = files(desired, SETTINGS, tokens={TokenRequest("x", 600): "tok"})
    assert {path: file.data for path, file in found.items()} == {"conf/a": b"1", "token": b"tok", "labels": b'a="b"'}


def test_an_fs_group_may_read_and_a_sole_user_owns_its_token() -> None:
    desired = pod({"configMap": {"name": "m", "defaultMode": 0o400}}, securityContext={"fsGroup": 5})
    assert files(desired, SETTINGS)["a"].mode == 0o440
    sources = [{"serviceAccountToken": {"path": "t"}}]
    token = {TokenRequest("", 3600): "tok"}
    alone = pod(
        {"projected": {"sources": sources}},
        containers=[{"name": "c", "image": "i", "securityContext": {"runAsUser": 7}}],
    )
    assert files(alone, tokens=token)["t"] == File(b"tok", 0o600, 7)


def test_references_are_found_wherever_they_stand() -> None:
    desired = Pod.from_json(
        {
            "metadata": {"name": "p", "namespace": "ns"},
            "spec": {
                "imagePullSecrets": [{"name": "pull"}],
                "containers": [
                    {"name": "c", "envFrom": [{"configMapRef": {"name": "whole"}}],
                     "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "one", "key": "k"}}}]}
                ],
                "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "ca"}}]}}],
            },
        }
    )  # fmt: skip
    assert referenced(desired) == {
        Reference("secrets", "ns", "pull"), Reference("configmaps", "ns", "whole"),
        Reference("secrets", "ns", "one"), Reference("configmaps", "ns", "ca"),
    }  # fmt: skip


# --- writing


def read(target: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(target)): path.read_bytes()
        for name in os.listdir(target)
        if not name.startswith("..")
        for path in ([target / name] if (target / name).is_file() else (target / name).rglob("*"))
        if path.is_file()
    }


PATHS = st.lists(st.sampled_from(["a", "b", "c", "d/e", "d/f", "g/h/i"]), unique=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "c", "d/e", "d/f", "g/h/i"]), st.binary(max_size=9)), max_size=4
    )
)
def test_a_directory_shows_exactly_the_newest_files(versions: list[dict[str, bytes]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "v"
        for version in versions:
            write_atomically(target, {path: File(data) for path, data in version.items()})
            assert read(target) == version
            hidden = [one for one in os.listdir(target) if one.startswith("..") and one != "..data"]
            assert len(hidden) == 1, "old versions are gone"


def test_nothing_is_touched_when_nothing_changed(tmp_path: Path) -> None:
    assert write_atomically(tmp_path, {"a": File(b"1")})
    before = os.readlink(tmp_path / "..data")
    assert not write_atomically(tmp_path, {"a": File(b"1")})
    assert os.readlink(tmp_path / "..data") == before
    assert write_atomically(tmp_path, {"a": File(b"1", 0o600)})


def test_an_open_file_keeps_its_content_while_the_name_moves_on(tmp_path: Path) -> None:
    write_atomically(tmp_path, {"a": File(b"old")})
    with (tmp_path / "a").open("rb") as old:
        write_atomically(tmp_path, {"a": File(b"new")})
        assert old.read() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.readlink(tmp_path / "a") == "..data/a"


@pytest.mark.parametrize("path", ["", "/a", "a/../b", "..", "..data", "..x/y", "a//b", "a/.", "x\0y", "n" * 256])
def test_paths_that_would_leave_are_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeError):
        check_path(path)
    with pytest.raises(VolumeError):
        write_atomically(tmp_path, {path: File(b"")})
    assert os.listdir(tmp_path) == []


# --- the kernel


def test_mountinfo_is_read_with_its_escapes() -> None:
    text = (
        "36 35 98:0 /m /a\\040b rw,noatime shared:1 - ext3 /dev/root rw\n"
        "bad line\n"
        "37 36 0:5 / /a\\040b/c\\134 rw - tmpfs t rw\n"
    )
    assert [one.target for one in parse_mountinfo(text)] == ["/a b", "/a b/c\\"]


@root
def test_deletion_goes_through_no_mount_and_no_symlink(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    doomed = tmp_path / "doomed"
    (doomed / "bound" / "deep").mkdir(parents=True)
    (doomed / "link").symlink_to(precious)
    mount(precious, doomed / "bound", flags=MS_BIND)
    mount("tmpfs", doomed / "bound", "tmpfs")
    assert len(mounts_under(doomed)) == 2
    remove_tree(doomed)
    assert not doomed.exists()
    assert (precious / "file").read_text() == "keep"
    remove_tree(doomed)
    (tmp_path / "link").symlink_to(precious)
    with pytest.raises(VolumeError, match="symlink"):
        remove_tree(tmp_path / "link")


@root
def test_a_sub_path_stays_in_its_volume(tmp_path: Path) -> None:
    volume, place = tmp_path / "volume", tmp_path / "place"
    (volume / "d").mkdir(parents=True)
    (volume / "d" / "f").write_text("in")
    (volume / "out").symlink_to("/etc")
    (volume / "up").symlink_to("../..")
    (volume / "in").symlink_to("d")
    try:
        bind_sub_path(volume, "in/f", place)
        assert place.read_text() == "in"
        bind_sub_path(volume, "new/deep", place)
        assert (volume / "new/deep").is_dir()
        assert place.is_dir()
        for bad in ("out", "up/x", "out/passwd", "../x", "/etc"):
            with pytest.raises(VolumeError):
                bind_sub_path(volume, bad, place)
    finally:
        for target in mounts_under(place):
            os.system(f"umount -l {target}")


@root
def test_a_group_gets_a_tree_but_not_what_its_links_point_at(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o600)
    volume = tmp_path / "volume"
    (volume / "d").mkdir(parents=True)
    (volume / "d" / "f").write_text("x")
    (volume / "d" / "f").chmod(0o600)
    (volume / "link").symlink_to(outside)
    give_to_group(volume, 4321)
    assert (volume / "d" / "f").stat().st_gid == 4321
    assert (volume / "d" / "f").stat().st_mode & 0o777 == 0o660
    assert (volume / "d").stat().st_mode & 0o2070 == 0o2070
    assert outside.stat().st_gid == 0
    assert outside.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("kind", "name", "ok"),
    [
        ("Directory", "dir", True), ("Directory", "file", False), ("File", "file", True), ("File", "none", False),
        ("DirectoryOrCreate", "new/dir", True), ("FileOrCreate", "newfile", True), ("Socket", "file", False),
        ("", "anything", True), ("Odd", "dir", False),
    ],
)  # fmt: skip
def test_host_path_types(tmp_path: Path, kind: str, name: str, ok: bool) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("")
    source = HostPathVolumeSource(path=str(tmp_path / name), type=kind)
    if ok:
        assert host_path(source).exists()
    else:
        with pytest.raises(VolumeError):
            host_path(source)
