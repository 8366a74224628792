"""RUN steps in our own containers, and the demo's web application built from manifests/webapp."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime.images.build.builder import build
from nodeagent.runtime.images.errors import BuildError
from nodeagent.runtime.images.merged import MergedView, split
from nodeagent.runtime.images.store import Image, ImageStore
from nodeagent.runtime.launch import run_once

BUSYBOX = Path("/bin/busybox")
WEBAPP = Path(__file__).parents[3] / "manifests/webapp"
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="containers need root"),
    pytest.mark.skipif(not BUSYBOX.exists(), reason="the package busybox-static is not installed"),
]
Build = Callable[..., Image]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    path = tmp_path / "context"
    shutil.copytree(WEBAPP, path)
    shutil.copy(BUSYBOX, path / "busybox")
    return path


@pytest.fixture
def make(tmp_path: Path, context: Path) -> Build:
    store = ImageStore(tmp_path / "store")

    def run(text: str | None = None, *, store: ImageStore = store, **rest: object) -> Image:
        if text is not None:
            (context / "Test").write_text(text)
            rest["dockerfile"] = context / "Test"
        image = store.resolve(build(store, context, **rest))  # type: ignore[arg-type]  # passed through
        assert image is not None
        return image

    return run


BASE = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n'


def text_of(image: Image, path: str) -> str | None:
    found = MergedView(image.layers).find(split(path))
    return Path(found.path).read_text() if found else None


def test_run_sees_earlier_steps_and_its_changes_are_kept(make: Build) -> None:
    image = make(
        BASE
        + """ENV A=env
ARG B=arg
WORKDIR /app
RUN echo "$A $B $(pwd) $(id -u)" >out && echo x >/gone
USER 12:34
RUN rm -f /bin/ash; id -u; echo nope >/app/denied || echo fine
USER 0
RUN rm /gone && rm -r /bin/sh && /bin/busybox touch -d 2001-01-01 /app/old
"""
    )
    assert text_of(image, "/app/out") == "env arg /app 0\n"
    assert text_of(image, "/gone") is None
    assert text_of(image, "/bin/sh") is None
    assert text_of(image, "/app/denied") is None
    assert os.stat(f"{image.layers[0]}/app/old").st_mtime == 0


def test_a_failing_command_names_its_line_and_last_words(make: Build) -> None:
    with pytest.raises(BuildError) as caught:
        make(BASE + "\nRUN echo first; \\\n  echo last words >&2; exit 3\n")
    said = str(caught.value)
    assert "Test:5: RUN: the command ended with exit code 3 and said: " in said
    assert "last words" in said


def test_a_command_that_is_not_there_is_told(make: Build) -> None:
    with pytest.raises(BuildError, match=r"Test:4: RUN: '/nope' could not be run"):
        make(BASE + 'RUN ["/nope"]\n')


def test_runs_are_cached_by_what_decides_them(make: Build) -> None:
    text = BASE + "ARG V=1\nRUN cat /proc/sys/kernel/random/uuid >/uuid\n"
    first = text_of(make(text), "/uuid")
    assert text_of(make(text), "/uuid") == first
    assert text_of(make(text, arguments={"V": "2"}), "/uuid") != first
    assert text_of(make(text, use_cache=False), "/uuid") != first


def test_the_web_application_is_the_same_wherever_it_is_built(make: Build, tmp_path: Path) -> None:
    one = make(arguments={"VERSION": "v1"}, names=["webapp:v1"])
    other = make(arguments={"VERSION": "v1"}, store=ImageStore(tmp_path / "other"))
    two = make(arguments={"VERSION": "v2"}, names=["webapp:v2"])
    assert one.id == other.id
    assert one.id != two.id
    assert one.layers == two.layers
    assert "VERSION=v1" in one.config.env
    assert (one.config.user, one.config.exposed_ports) == ("65534:65534", ("8080/tcp",))


async def test_the_web_application_answers_and_ends_gracefully(make: Build, tmp_path: Path) -> None:
    image = await asyncio.to_thread(make, arguments={"VERSION": "v7"})
    upper = tmp_path / "store" / "upper"
    upper.mkdir()
    script = """
        /bin/serve & server=$!
        until wget -q -O - http://127.0.0.1:8080/ready 2>/tmp/wait; do sleep 0.05; done
        wget -q -O - http://127.0.0.1:8080/
        wget -q -O - http://127.0.0.1:8080/healthz
        kill -TERM $server
        wait $server
        echo "ended with $?"
    """
    said = bytearray()
    ended = await run_once(
        layers=[Path(tree) for tree in image.layers],
        upper=upper,
        argv=["/bin/sh", "-c", script],
        env={**dict(item.partition("=")[::2] for item in image.config.env), "PATH": "/bin", "POD_NAME": "pod-1"},
        user=image.config.user,
        output=lambda stream, chunk: said.extend(chunk),
        timeout_seconds=20,
    )
    assert ended.code == 0
    lines = said.decode().splitlines()
    assert lines[-1] == "ended with 0"
    assert "version=v7 pod=pod-1" in lines
    assert lines.count("ok") == 2
    assert lines.index("draining") < lines.index("stopped")
