"""A runtime whose images lie in a store of another machine: listed, imported when needed, refused when damaged."""

import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from nodeagent.runtime.images.archives import load
from nodeagent.runtime.images.store import ImageStore
from sampan.cri import api_pb2 as cri

from .conftest import IMAGE, Machine, busybox_archive


@pytest.fixture
async def node(image_store: Path, tmp_path: Path) -> AsyncIterator[tuple[Machine, ImageStore]]:
    """A runtime with an empty store of its own, and the parent's, which holds busybox."""
    base = Path(f"/tmp/sampan-rt-{os.getpid()}-{time.monotonic_ns()}")
    base.mkdir()
    parent = ImageStore(base / "parent")
    busybox_archive(tmp_path / "busybox.tar")
    load(parent, tmp_path / "busybox.tar")
    machine = Machine(base, base / "own")
    machine.config.write_text(json.dumps(json.loads(machine.config.read_text()) | {"parent_store": str(parent.root)}))
    try:
        machine.start_forkserver()
        machine.start_runtime()
        await machine.connect()
        yield machine, parent
        await machine.close()
    finally:
        for process in machine.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        machine.sweep()


async def test_a_container_is_made_from_an_image_that_only_the_parent_has(node) -> None:
    machine, _ = node
    (listed,) = (await machine.images.ListImages(cri.ListImagesRequest())).images
    assert (list(listed.repo_tags), listed.pinned) == ([IMAGE], True)
    assert not machine.store.exists()
    sandbox = await machine.sandbox()
    assert await machine.output(sandbox, "echo $FROM_IMAGE") == "yes\n"
    (listed,) = (await machine.images.ListImages(cri.ListImagesRequest())).images
    assert (list(listed.repo_tags), listed.pinned) == ([IMAGE], False)
    figures = (await machine.images.ImageFsInfo(cri.ImageFsInfoRequest())).image_filesystems[0]
    assert figures.used_bytes.value > 1 << 20


async def test_a_pull_needs_no_registry_for_what_the_parent_has(node) -> None:
    machine, parent = node
    image = await machine.images.PullImage(cri.PullImageRequest(image=cri.ImageSpec(image=IMAGE)))
    assert image.image_ref == parent.list()[0].id
    await machine.images.RemoveImage(cri.RemoveImageRequest(image=cri.ImageSpec(image=IMAGE)))
    (listed,) = (await machine.images.ListImages(cri.ListImagesRequest())).images
    assert listed.pinned
    assert parent.resolve(IMAGE) is not None


async def test_damaged_content_of_the_parent_is_refused_by_name(node) -> None:
    machine, parent = node
    image = parent.list()[0]
    layer = json.loads(parent.document(image.manifest))["layers"][0]["digest"]
    path = parent.blob(layer)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    sandbox = await machine.sandbox()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await machine.create(sandbox, ["true"])
    assert f"blob {layer}: content has digest" in (refused.value.details() or "")
