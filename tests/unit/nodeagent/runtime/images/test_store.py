"""The store: what names mean, what stays and what goes."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime.images.archives import load, save
from nodeagent.runtime.images.errors import DigestMismatch, FormatError, ImageInUse, InvalidReference, NotFound
from nodeagent.runtime.images.intake import importing
from nodeagent.runtime.images.store import ImageStore

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="unpacking sets owners and makes device nodes"),
]
FILE = b"0"


def trees(store: ImageStore) -> set[str]:
    return {path.name for path in (store.root / "layers").iterdir()}


def test_an_empty_store_needs_no_directory(store: ImageStore) -> None:
    assert store.resolve("app") is None
    assert store.list() == []
    assert store.usage() == (0, 0)
    assert store.remove("app").names == ()
    assert not store.root.exists()


def test_a_loaded_image_is_found_by_every_spelling(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    one, two = layer(("a", FILE, b"1")), layer(("b", FILE, b"2"))
    config = {"Env": ["A=b"], "Entrypoint": ["/bin/sh"], "Cmd": ["-c", "x"], "ExposedPorts": {"80/tcp": {}}}
    (loaded,) = load(store, docker_archive([one, two], ["app:v1"], **config))
    image = store.resolve("app:v1")
    assert image is not None
    assert image.id == loaded.id
    assert image.repo_tags == ("docker.io/library/app:v1",)
    assert image.config.env == ("A=b",)
    assert image.config.entrypoint + image.config.cmd == ("/bin/sh", "-c", "x")
    assert image.config.exposed_ports == ("80/tcp",)
    assert [sorted(os.listdir(tree)) for tree in image.layers] == [["b"], ["a"]]
    spellings = ("docker.io/library/app:v1", "localhost/app:v1", image.id, image.id[7:], *image.repo_digests)
    assert [store.resolve(name) for name in spellings] == [image] * len(spellings)
    assert store.resolve("app") is None
    assert store.resolve("registry.example/app:v1") is None
    with pytest.raises(InvalidReference):
        store.resolve("Not A Name")


def test_a_name_means_what_was_imported_last(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    load(store, docker_archive([layer(("v", FILE, b"1"))], ["app:v1"]))
    first = store.resolve("app:v1")
    load(store, docker_archive([layer(("v", FILE, b"2"))], ["app:v1"]))
    second = store.resolve("app:v1")
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert Path(second.layers[0], "v").read_text() == "2"
    assert Path(first.layers[0], "v").read_text() == "1"
    nameless = store.resolve(first.id)
    assert nameless is not None
    assert nameless.repo_tags == ()
    assert store.prune()[0].images == (first.id,)
    assert store.resolve(first.id) is None


def test_another_store_object_sees_changes_at_once(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    other = ImageStore(store.root)
    assert other.resolve("app") is None
    load(store, docker_archive([layer()], ["app"]))
    assert other.resolve("app") is not None
    store.remove("app")
    assert other.resolve("app") is None


def test_a_layer_is_shared_and_goes_with_its_last_image(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    base, more = layer(("base", FILE, b"x" * 5000)), layer(("more", FILE, b"y"))
    load(store, docker_archive([base], ["one"]))
    load(store, docker_archive([base, more], ["two"]))
    assert len(trees(store)) == 2
    store.remove("two")
    assert trees(store) == {hashlib.sha256(base).hexdigest()}
    assert store.resolve("one") is not None
    store.remove("one")
    assert trees(store) == set()
    assert store.usage() == (0, 0)


def test_removing_one_of_two_names_keeps_the_image(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    load(store, docker_archive([layer()], ["one", "two"]))
    removed = store.remove("one")
    assert (removed.names, removed.images) == (("docker.io/library/one:latest",), ())
    image = store.resolve("two")
    assert image is not None
    assert set(store.remove(image.id).names) == {"docker.io/library/two:latest"}


def test_a_pinned_image_stays(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO], tmp_path: Path
) -> None:
    load(store, docker_archive([layer(("a", FILE, b""))], ["app"]))
    image = store.resolve("app")
    assert image is not None
    store.pin(image.id, "c1/n1/../container")
    store.pin(image.id, "c1/n1/../container")
    with pytest.raises(ImageInUse, match=r"in use by c1/n1/\.\./container"):
        store.remove("app")
    with pytest.raises(ImageInUse):
        ImageStore(store.root).remove(image.id)
    load(store, docker_archive([layer(("b", FILE, b""))], ["app"]))
    store.prune()
    assert Path(image.layers[0], "a").exists()
    store.unpin(image.id, "c1/n1/../container")
    store.prune()
    assert not Path(image.layers[0]).exists()
    with pytest.raises(NotFound):
        store.pin(image.id, "late")


def test_a_pin_ends_with_what_it_was_for(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO], tmp_path: Path
) -> None:
    load(store, docker_archive([layer()], ["app"]))
    image = store.resolve("app")
    assert image is not None
    (tmp_path / "container").mkdir()
    store.pin(image.id, "c1", while_exists=tmp_path / "container")
    assert store.owners(image.id) == ("c1",)
    (tmp_path / "container").rmdir()
    assert store.remove("app").images == (image.id,)


def test_garbage_waits_while_an_import_runs(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    load(store, docker_archive([layer(("a", FILE, b""))], ["app"]))
    with importing(store) as intake:
        kept = intake.put(b"{}")
        store.remove("app")
        assert store.blob(kept).exists()
        assert len(trees(store)) == 1
    assert store.collect()
    assert trees(store) == set()


def test_a_broken_archive_names_no_image_and_leaves_no_tree(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    good, bad = layer(("a", FILE, b"")), layer(("../evil", FILE, b""))
    with pytest.raises(FormatError, match=r"layer 2 of 2, '../evil': has '..' in its name"):
        load(store, docker_archive([good, bad], ["app"]))
    with pytest.raises(DigestMismatch):
        load(store, docker_archive([good], ["app"], diff_ids=["sha256:" + "1" * 64]))
    assert store.list() == []
    assert trees(store) == {hashlib.sha256(good).hexdigest()}
    store.collect()
    assert trees(store) == set()
    assert os.listdir(store.root / "tmp") == []


def test_a_damaged_document_on_disk_is_noticed(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    load(store, docker_archive([layer()], ["app"]))
    image = store.resolve("app")
    assert image is not None
    store.blob(image.id).write_bytes(b"{}")
    with pytest.raises(DigestMismatch, match="damaged on disk"):
        ImageStore(store.root).resolve("app")


def test_a_layer_from_before_a_power_cut_is_unpacked_again(
    store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    archive = layer(("a", FILE, b"whole"))
    chain = hashlib.sha256(archive).hexdigest()
    load(store, docker_archive([archive], ["app"]))
    tree = store.root / "layers" / chain
    record = store.root / "records" / chain
    record.write_text(record.read_text().replace('"boot": "', '"boot": "another'))
    (store.root / "index.json").unlink()
    (tree / "a").write_text("half")
    load(store, docker_archive([archive], ["app"]))
    assert (tree / "a").read_text() == "whole"


def test_what_is_saved_can_be_loaded(
    store: ImageStore, tmp_path: Path, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    load(store, docker_archive([layer(("a", FILE, b"1")), layer((".wh.a", FILE, b""))], ["app:v1"], Cmd=["x"]))
    out = io.BytesIO()
    save(store, ["localhost/app:v1"], out)
    again = io.BytesIO()
    save(store, ["app:v1"], again)
    assert out.getvalue() == again.getvalue()
    other = ImageStore(tmp_path / "other")
    out.seek(0)
    (loaded,) = load(other, out)
    assert loaded.names == ("docker.io/library/app:v1",)
    image = store.resolve("app:v1")
    assert image is not None
    assert loaded.id == image.id
    assert [Path(tree).name for tree in image.layers] == [Path(t).name for i in other.list() for t in i.layers]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither an OCI layout"),
        (b"rubbish" * 100, "wrong header checksum"),
        (b"short", "ends in the middle"),
    ],
)
def test_what_is_no_archive_is_told_so(store: ImageStore, content: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        load(store, io.BytesIO(content))


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"[" * 100_000, "is not a list of images"),
        (b'[{"Config": 1, "Layers": []}]', "Config"),
        (b'[{"Config": "../../etc/passwd", "Layers": []}]', "has no file"),
        (b'[{"Config": "manifest.json", "Layers": ["x"]}]', "not a JSON object"),
        (b'[{"Config": "c", "Layers": {"a": 1}}]', "not a list of strings"),
    ],
)
def test_a_hostile_manifest_is_refused(
    store: ImageStore, layer: Callable[..., bytes], manifest: bytes, why: str
) -> None:
    with pytest.raises(FormatError, match=why):
        load(store, io.BytesIO(layer(("manifest.json", FILE, manifest))))
    assert os.listdir(store.root / "blobs/sha256") == []


def test_links_in_an_archive_lead_to_its_own_files_only(store: ImageStore, layer: Callable[..., bytes]) -> None:
    archive = layer(("manifest.json", b"2", b"/etc/passwd"), ("x", b"2", b"x"))
    with pytest.raises(FormatError):
        load(store, io.BytesIO(archive))


def test_a_directory_can_be_loaded(
    store: ImageStore, tmp_path: Path, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    import tarfile

    content = docker_archive([layer(("a", FILE, b""))], ["app"])
    with tarfile.open(fileobj=content) as tar:
        tar.extractall(tmp_path / "layout")
    (loaded,) = load(store, tmp_path / "layout", name="other:v2")
    assert loaded.names == ("docker.io/library/other:v2",)
