"""A store survives kill -9 at any step, and several processes at once."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from nodeagent.runtime.images.archives import save
from nodeagent.runtime.images.build.builder import build
from nodeagent.runtime.images.intake import importing
from nodeagent.runtime.images.store import ImageStore

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="unpacking sets owners and makes device nodes"),
]

# Dies, as by kill -9, at the Nth system call that changes a directory: the audit hook sees each before it happens.
DYING = """
import os, signal, sys
left = int(sys.argv[1])
def watch(event, args):
    global left
    if event in ("os.rename", "os.mkdir", "os.link", "os.remove", "open") and (event != "open" or args[2] & os.O_CREAT):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
from pathlib import Path
from nodeagent.runtime.images.archives import load
from nodeagent.runtime.images.intake import importing
from nodeagent.runtime.images.store import ImageStore
sys.addaudithook(watch)
load(ImageStore(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An OCI archive of `app:v1`: two layers, two files each."""
    context = tmp_path / "context"
    for name in ("one/a", "one/b", "two/c", "two/d"):
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY one /x\nCOPY two /x\n")
    store = ImageStore(tmp_path / "origin")
    build(store, context, names=["app:v1"])
    content = io.BytesIO()
    save(store, ["app:v1"], content)
    (tmp_path / "app.tar").write_bytes(content.getvalue())
    return tmp_path / "app.tar"


def check_whole(store: ImageStore) -> None:
    image = store.resolve("app:v1")
    assert image is not None
    files = {path.name: path.read_text() for tree in image.layers for path in Path(tree, "x").iterdir()}
    assert files == {"a": "one/a", "b": "one/b", "c": "two/c", "d": "two/d"}


def test_killed_at_any_step_an_import_leaves_a_store_that_works(archive: Path, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    killed = 0
    for step in range(1, 200):
        ended = subprocess.run([sys.executable, "-c", DYING, str(step), str(store.root), str(archive)], check=False)
        if ended.returncode == 0:
            break
        assert ended.returncode == -9
        killed += 1
        # Nothing half done may be visible: either no image, or all of it.
        if ImageStore(store.root).list():
            check_whole(ImageStore(store.root))
    assert killed > 10
    check_whole(store)
    with importing(store):
        pass
    assert store.collect()
    assert os.listdir(store.root / "tmp") == []
    chains = {Path(tree).name for image in store.list() for tree in image.layers}
    assert set(os.listdir(store.root / "layers")) == chains == set(os.listdir(store.root / "records"))


def test_many_processes_import_and_remove_at_once(archive: Path, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    command = [sys.executable, "-m", "nodeagent.runtime.images"]
    where = ["--store", str(store.root)]
    running = [
        subprocess.Popen([*command, *arguments, *where], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(3)
        for arguments in (["load", "-i", str(archive)], ["prune"])
    ]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")
    check_whole(store)


def test_the_command_line_builds_lists_saves_and_removes(archive: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "SAMPAN_IMAGE_STORE": str(tmp_path / "store")}

    def run(*arguments: str, code: int = 0, given: bytes = b"") -> tuple[str, str]:
        command = [sys.executable, "-m", "nodeagent.runtime.images", *arguments]
        ended = subprocess.run(command, env=environment, input=given, capture_output=True, check=False)
        assert ended.returncode == code, ended.stderr.decode()
        return ended.stdout.decode(), ended.stderr.decode()

    assert run("load", given=archive.read_bytes())[0] == "loaded docker.io/library/app:v1\n"
    out, progress = run("build", "-t", "app:v2", str(tmp_path / "context"))
    assert out.startswith("sha256:")
    assert "step 2/3 (line 2): COPY one /x" in progress
    assert run("ls", "-o", "name")[0].split() == ["docker.io/library/app:v1", "docker.io/library/app:v2"]
    run("save", "app:v2", "-o", str(tmp_path / "v2.tar"))
    with tarfile.open(tmp_path / "v2.tar") as tar:
        assert "manifest.json" in tar.getnames()
    run("tag", "app:v2", "other")
    assert run("rm", "other", "app:v1")[0].count("untagged") == 2
    assert run("rm", "nope", code=1)[1] == "error: image 'nope': is not in the store\n"
    assert run("build", str(tmp_path / "nowhere"), code=1)[1].startswith("error: ")
    assert run("pull", "Bad Name", code=1)[1].startswith("error: image reference 'Bad Name': ")
    short = out[7:19]
    assert f"deleted {out.strip()}" in run("rm", short)[0]
    assert run("ls")[0].splitlines() == ["IMAGE   ID   SIZE"]
