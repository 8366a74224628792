"""Builds without RUN: what lands in the image, that it repeats, and that nothing leaves the context."""

import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime.images.archives import load
from nodeagent.runtime.images.build.builder import build
from nodeagent.runtime.images.errors import BuildError
from nodeagent.runtime.images.merged import MergedView
from nodeagent.runtime.images.store import Image, ImageStore

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="unpacking sets owners and makes device nodes"),
]
Make = Callable[..., Image]


@pytest.fixture
def make(store: ImageStore, tmp_path: Path) -> Make:
    """Builds a Dockerfile's text over files given as name -> content."""
    context = tmp_path / "context"
    context.mkdir()

    def run(text: str, files: dict[str, str | bytes] | None = None, **rest: object) -> Image:
        for name, content in (files or {}).items():
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        (context / "Dockerfile").write_text(text)
        image_id = build(store, context, names=["test"], **rest)  # type: ignore[arg-type]  # passed through
        image = store.resolve(image_id)
        assert image is not None
        return image

    return run


def tree(image: Image) -> dict[str, str]:
    """path -> content of the files in an image."""
    view = MergedView(image.layers)
    found: dict[str, str] = {}

    def walk(parts: tuple[str, ...]) -> None:
        here = view.find(parts)
        assert here is not None
        for name in view.names(here):
            child = view.child(here, name)
            assert child is not None
            path = (*parts, name)
            if child.is_directory:
                walk(path)
            elif child.is_symlink:
                found["/".join(path)] = "-> " + os.readlink(child.path)
            else:
                found["/".join(path)] = Path(child.path).read_text()

    walk(())
    return found


def test_copy_puts_files_where_docker_does(make: Make) -> None:
    image = make(
        """FROM scratch
WORKDIR /w
COPY a renamed
COPY a b into/
COPY d /dir
COPY d /dir2/
COPY *.txt /t/
COPY ["sp ace", "/sp ace"]
COPY --chmod=0600 --chown=5:6 a /secret
""",
        {"a": "A", "b": "B", "d/x": "X", "d/e/y": "Y", "1.txt": "1", "2.txt": "2", "sp ace": "S"},
    )
    assert tree(image) == {
        "w/renamed": "A",
        "w/into/a": "A",
        "w/into/b": "B",
        "dir/x": "X",
        "dir/e/y": "Y",
        "dir2/x": "X",
        "dir2/e/y": "Y",
        "t/1.txt": "1",
        "t/2.txt": "2",
        "sp ace": "S",
        "secret": "A",
    }
    status = os.stat(f"{image.layers[0]}/secret")
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime) == (0o600, 5, 6, 0)


def test_the_config_is_what_the_instructions_say(make: Make) -> None:
    image = make(
        """ARG TAG=1
FROM scratch
ARG TAG
ARG WHO="some one"
ENV A=$TAG B="x $WHO" C=${NO:-c}
ENV OLD style value
LABEL l="v w" m=$A
EXPOSE 80 $TAG/udp 90-91
VOLUME ["/data"]
USER 10:20
WORKDIR /a
WORKDIR b
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/e"]
CMD run $A
""",
        arguments={"TAG": "7"},
    )
    config = image.config
    assert config.env == ("A=7", "B=x some one", "C=c", "OLD=style value")
    assert config.labels == {"l": "v w", "m": "7"}
    assert config.exposed_ports == ("7/udp", "80/tcp", "90/tcp", "91/tcp")
    assert (config.volumes, config.user, config.working_dir) == (("/data",), "10:20", "/a/b")
    assert (config.stop_signal, config.entrypoint) == ("SIGQUIT", ("/e",))
    assert config.cmd == ("/bin/sh", "-c", "run $A")


def test_health_checks_are_stored(make: Make, store: ImageStore) -> None:
    image = make('FROM scratch\nHEALTHCHECK --interval=1m30s --retries=2 CMD ["/ok"]\n')
    assert json.loads(store.document(image.id))["config"]["Healthcheck"] == {
        "Test": ["CMD", "/ok"],
        "Interval": 90 * 10**9,
        "Retries": 2,
    }


def test_stages_share_and_only_the_needed_are_built(make: Make) -> None:
    said: list[str] = []
    image = make(
        """FROM scratch AS one
COPY a /bin/a
FROM scratch AS unused
COPY missing /
FROM one AS two
COPY --from=one /bin/a /copy
COPY --from=0 /bin /all
""",
        {"a": "A"},
        progress=said.append,
    )
    assert tree(image) == {"bin/a": "A", "copy": "A", "all/a": "A"}
    assert not any("unused" in line for line in said)


def test_an_image_is_a_base(
    make: Make, store: ImageStore, layer: Callable[..., bytes], docker_archive: Callable[..., io.BytesIO]
) -> None:
    load(
        store,
        docker_archive([layer(("lib", b"2", b"usr/lib"), ("usr/lib", b"5", b""))], ["base"], Env=["P=1"], Cmd=["c"]),
    )
    image = make('FROM base\nCOPY a /lib/\nENV Q=2\nENTRYPOINT ["/x"]\n', {"a": "A"})
    assert tree(image) == {"lib": "-> usr/lib", "usr/lib/a": "A"}
    assert image.config.env == ("P=1", "Q=2")
    assert image.config.cmd == ()


def test_add_unpacks_local_archives(make: Make) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("d/f")
        info.size, info.uid = 1, 77
        tar.addfile(info, io.BytesIO(b"F"))
    image = make("FROM scratch\nADD x.tgz a /dst/\n", {"x.tgz": out.getvalue(), "a": "A"})
    assert tree(image) == {"dst/a": "A", "dst/d/f": "F"}
    assert os.stat(f"{image.layers[0]}/dst/d/f").st_uid == 77


def test_here_documents_become_files(make: Make) -> None:
    image = make("FROM scratch\nENV V=1\nCOPY <<one <<\"two\" /d/\na=$V 'q'\none\nb=$V\ntwo\n")
    assert tree(image) == {"d/one": "a=1 'q'\n", "d/two": "b=$V\n"}


def test_dockerignore_leaves_files_out(make: Make) -> None:
    image = make(
        "FROM scratch\nCOPY . /\n",
        {
            ".dockerignore": "*.log\nvendor\n!vendor/keep\nDockerfile\n.dockerignore\n",
            "a": "A",
            "b.log": "",
            "vendor/keep": "K",
            "vendor/x": "",
        },
    )
    assert tree(image) == {"a": "A", "vendor/keep": "K"}


def test_a_build_repeats_byte_for_byte_and_at_once(make: Make, store: ImageStore, tmp_path: Path) -> None:
    text, files = "FROM scratch\nCOPY a d /x/\nENV A=1\n", {"a": "A", "d/e": "E"}
    first = make(text, files)
    os.utime(tmp_path / "context/a", (5, 5))
    said: list[str] = []
    assert make(text, files, progress=said.append) == first
    assert said.count("  unchanged") == 1
    assert make(text, files, use_cache=False) == first
    assert make(text, {"a": "B"}).id != first.id
    other = ImageStore(tmp_path / "other")
    make(text, {"a": "A"})
    assert build(other, tmp_path / "context") == first.id


def test_source_date_epoch_stamps_everything(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    image = make("FROM scratch\nCOPY a /\n", {"a": "A"})
    assert image.created == "1970-01-02T00:00:00Z"
    assert os.stat(f"{image.layers[0]}/a").st_mtime == 86400


def test_links_in_the_context_do_not_lead_out_of_it(make: Make, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("S")
    (tmp_path / "context/out").symlink_to(tmp_path / "secret")
    (tmp_path / "context/up").symlink_to("../secret")
    (tmp_path / "context/d").mkdir()
    (tmp_path / "context/d/l").symlink_to(tmp_path / "secret")
    for name in ("out", "up"):
        with pytest.raises(BuildError, match=f"Dockerfile:2: COPY: '{name}' is not there in the build context"):
            make(f"FROM scratch\nCOPY {name} /x\n")
    assert tree(make("FROM scratch\nCOPY d /d\n")) == {"d/l": f"-> {tmp_path}/secret"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("COPY a /\n", "Dockerfile:1: COPY: comes before the first FROM"),
        ("FROM nowhere\n", "Dockerfile:1: FROM: image 'nowhere' is not in the store; load or pull it first"),
        ("FROM scratch\nCOPY nope /x\n", "Dockerfile:2: COPY: 'nope' is not there in the build context"),
        ("FROM scratch\nCOPY ../x /x\n", "Dockerfile:2: COPY: '../x' leads out of the build context"),
        ("FROM scratch\nCOPY a/../../x /x\n", "leads out of the build context"),
        ("FROM scratch\nCOPY a b /x\n", "must be a directory and end with /"),
        ("FROM scratch\nCOPY *.none /x\n", "'*.none' matches nothing"),
        ("FROM scratch\nADD http://example/x /x\n", "is remote, which is not supported"),
        ("FROM scratch\nCOPY --from=nope a /x\n", "--from=nope is no earlier stage"),
        ("FROM scratch\nCOPY --chown=joe a /x\n", "user 'joe' is not in the image's /etc/passwd"),
        ("FROM scratch\nCOPY --chmod=u+x a /x\n", "is not an octal mode"),
        ("FROM scratch\nCOPY a /d/\nCOPY a /d\nCOPY b /d/a/\n", "Dockerfile:4: COPY: destination '/d/a/' is a file"),
        ("FROM scratch\nONBUILD RUN x\n", "Dockerfile:2: ONBUILD: is not supported"),
        ("FROM scratch\nEXPOSE 99999\n", "'99999' is not PORT"),
        ("FROM scratch\nSTOPSIGNAL NOPE\n", "'NOPE' is not a signal"),
        ("FROM scratch\nENV A\n", "'A' has no value"),
        ("FROM scratch\nENV A=${B\n", "Dockerfile:2: ENV: a ${ is not closed"),
        ("FROM --platform=linux/s390x scratch\n", "is not this machine's"),
        ("FROM scratch AS a\nFROM scratch AS a\n", "Dockerfile:2: FROM: there is a stage 'a' already"),
    ],
)
def test_mistakes_are_told_with_file_and_line(make: Make, text: str, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        make(text, {"a": "A", "b": "B"})
    assert message in str(caught.value)


def test_a_failed_build_leaves_no_image(make: Make, store: ImageStore) -> None:
    with pytest.raises(BuildError):
        make("FROM scratch\nCOPY a /\nCOPY nope /\n", {"a": "A"})
    assert store.list() == []
    store.prune()
    assert store.usage() == (0, 0)
