"""A parent store behind a node's own: what a name means, what is imported and what is refused."""

import asyncio
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime.images.archives import load
from nodeagent.runtime.images.digests import hex_of
from nodeagent.runtime.images.errors import DigestMismatch, FormatError, ImageError, NotFound
from nodeagent.runtime.images.node_images import NodeImages
from nodeagent.runtime.images.parent import DirectoryFiles, Parent
from nodeagent.runtime.images.store import Image, ImageStore

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="unpacking sets owners and makes device nodes"),
]
FILE = b"0"


class Machine:
    """A machine's store, to be written, and the images of a node that reads it."""

    def __init__(self, base: Path, layer: Callable[..., bytes], archive: Callable[..., io.BytesIO]) -> None:
        self.store = ImageStore(base / "machine")
        self.own = ImageStore(base / "node")
        self._layer, self._archive = layer, archive
        self.node = NodeImages(self.own, Parent(DirectoryFiles(self.store.root), str(self.store.root)))

    def load(self, name: str, content: bytes, *, into: ImageStore | None = None) -> str:
        made = self._archive([self._layer(("v", FILE, content))], [name])
        (loaded,) = load(into or self.store, made)
        return loaded.id

    def blob(self, digest: str) -> Path:
        return self.store.layout.blob(digest)


@pytest.fixture
def machine(tmp_path: Path, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]) -> Machine:
    return Machine(tmp_path, layer, docker_archive)


def content(image: Image | None) -> bytes:
    assert image is not None
    return (Path(image.layers[0]) / "v").read_bytes()


async def test_what_the_parent_has_is_known_at_once_and_imported_when_it_is_needed(machine: Machine) -> None:
    made = machine.load("app:v1", b"one")
    known = await machine.node.status("app:v1")
    assert known is not None
    assert (known.id, known.imported, known.layers) == (made, False, ())
    assert [image.id for image in await machine.node.images()] == [made]
    assert not machine.own.root.exists()
    image = await machine.node.have(made)
    assert image is not None
    assert image.imported
    assert image.layers[0].startswith(str(machine.own.root))
    assert content(image) == b"one"
    assert (await machine.node.status("app:v1")) == image
    assert [image.id for image in machine.own.list()] == [made]


async def test_a_name_means_what_the_parent_imported_last(machine: Machine) -> None:
    machine.load("app:v1", b"one")
    first = await machine.node.have("app:v1")
    machine.load("app:v1", b"two")
    second = await machine.node.have("app:v1")
    assert (content(first), content(second)) == (b"one", b"two")
    named = {image.id: image.repo_tags for image in await machine.node.images()}
    assert first is not None
    assert second is not None
    assert named == {first.id: (), second.id: ("docker.io/library/app:v1",)}


async def test_the_parents_name_comes_before_the_nodes_own(machine: Machine) -> None:
    machine.load("app:v1", b"old", into=machine.own)
    machine.load("mine:v1", b"mine", into=machine.own)
    machine.load("app:v1", b"new")
    assert content(await machine.node.have("app:v1")) == b"new"
    assert content(await machine.node.have("mine:v1")) == b"mine"


async def test_a_pull_takes_it_from_the_parent_by_tag_and_by_digest(machine: Machine) -> None:
    made = machine.load("app:latest", b"one")
    known = await machine.node.status("app")
    assert known is not None
    (digest,) = known.repo_digests
    assert await machine.node.pull(digest, None) == made
    assert machine.own.resolve("app") is not None


async def test_an_image_that_was_removed_from_the_node_comes_again(machine: Machine) -> None:
    made = machine.load("app:v1", b"one")
    await machine.node.have("app:v1")
    assert machine.node.remove(made).images == (made,)
    known = await machine.node.status("app:v1")
    assert known is not None
    assert not known.imported
    assert content(await machine.node.have("app:v1")) == b"one"


async def test_without_its_parent_a_node_has_what_it_has(machine: Machine) -> None:
    machine.load("app:v1", b"one")
    await machine.node.have("app:v1")
    machine.store.remove("app:v1")
    assert content(await machine.node.have("app:v1")) == b"one"
    for damage in ("nonsense", '{"version": 1, "names": {}, "images": {"../../etc": {}}}'):
        machine.store.layout.index.write_text(damage)
        assert content(await machine.node.have("app:v1")) == b"one"
    shutil.rmtree(machine.store.root)
    assert content(await machine.node.have("app:v1")) == b"one"
    assert await machine.node.status("other:v1") is None


@pytest.mark.parametrize("which", ["layer", "config", "manifest"])
async def test_a_parent_with_wrong_content_is_refused(machine: Machine, which: str) -> None:
    made = machine.load("app:v1", b"one")
    good = machine.store.resolve(made)
    assert good is not None
    manifest = json.loads(machine.store.document(good.manifest))
    digest = {"layer": manifest["layers"][0]["digest"], "config": made, "manifest": good.manifest}[which]
    path = machine.blob(digest)
    path.write_bytes(path.read_bytes().replace(b"o", b"0", 1) + b" ")
    with pytest.raises((DigestMismatch, FormatError), match=hex_of(digest)):
        await machine.node.have("app:v1")
    assert machine.own.list() == []
    assert not list(machine.own.layout.tmp.glob("blob-*")) if machine.own.root.exists() else True


async def test_a_parent_that_names_another_images_manifest_is_refused(machine: Machine) -> None:
    one, two = machine.load("app:v1", b"one"), machine.load("other:v1", b"two")
    index = json.loads(machine.store.layout.index.read_bytes())
    index["images"][one]["manifest"] = index["images"][two]["manifest"]
    machine.store.layout.index.write_text(json.dumps(index))
    with pytest.raises(DigestMismatch, match="its manifest is that of"):
        await machine.node.have("app:v1")


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
async def test_only_regular_files_of_a_parent_are_read(machine: Machine, kind: str, tmp_path: Path) -> None:
    made = machine.load("app:v1", b"one")
    good = machine.store.resolve(made)
    assert good is not None
    path = machine.blob(json.loads(machine.store.document(good.manifest))["layers"][0]["digest"])
    path.rename(tmp_path / "aside")
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(tmp_path / "aside")
        case "directory":
            path.mkdir()
    with pytest.raises(ImageError, match="cannot be read"):
        await machine.node.have("app:v1")


async def test_an_image_that_goes_while_it_is_read_is_told(machine: Machine) -> None:
    made = machine.load("app:v1", b"one")
    good = machine.store.resolve(made)
    assert good is not None
    machine.blob(json.loads(machine.store.document(good.manifest))["layers"][0]["digest"]).unlink()
    with pytest.raises(NotFound, match="has no blob"):
        await machine.node.have("app:v1")


async def test_many_containers_that_need_an_image_at_once_import_it_once(machine: Machine, caplog) -> None:
    caplog.set_level("INFO")
    machine.load("app:v1", b"one")
    images = await asyncio.gather(*(machine.node.have("app:v1") for _ in range(8)))
    assert {content(image) for image in images} == {b"one"}
    assert sum("imported an image" in line for line in caplog.messages) == 1


async def test_the_parent_is_never_written(machine: Machine) -> None:
    made = machine.load("app:v1", b"one")

    def state() -> dict[str, tuple[int, int]]:
        found = {}
        for folder, _, names in os.walk(machine.store.root):
            for name in names:
                status = os.lstat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (status.st_mtime_ns, status.st_ctime_ns)
        return found

    before = state()
    await machine.node.have("app:v1")
    machine.node.remove(made)
    assert state() == before
