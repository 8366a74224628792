"""The command line of the image store: `python -m nodeagent.runtime.images COMMAND`, which `kctl image` runs too.

Everything but the parser is imported when its command runs, so that a wrong option or `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodeagent.runtime.images.auth import Credentials
    from nodeagent.runtime.images.store import Image, ImageStore

DEFAULT_STORE = "/var/lib/sampan/images"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _build(store: ImageStore, args: argparse.Namespace) -> None:
    from pathlib import Path

    from nodeagent.runtime.images.build.builder import build
    from nodeagent.runtime.images.errors import BuildError

    arguments: dict[str, str] = {}
    for item in args.build_arg:
        name, equals, value = item.partition("=")
        if not equals:
            if name not in os.environ:
                raise BuildError("--build-arg", f"{name!r} has no value", f"write --build-arg {name}=VALUE")
            value = os.environ[name]
        arguments[name] = value
    image_id = build(
        store,
        Path(args.context),
        dockerfile=Path(args.file) if args.file else None,
        names=args.tag,
        arguments=arguments,
        target=args.target,
        use_cache=not args.no_cache,
        progress=None if args.quiet else _say,
    )
    print(image_id)


def _load(store: ImageStore, args: argparse.Namespace) -> None:
    from pathlib import Path

    from nodeagent.runtime.images.archives import load

    if args.input is None and sys.stdin.isatty():
        from nodeagent.runtime.images.errors import ImageError

        raise ImageError("load", "no archive given", "use -i FILE or redirect one to standard input")
    source = Path(args.input) if args.input is not None else sys.stdin.buffer
    for image in load(store, source, name=args.tag):
        for name in image.names or (image.id,):
            print(f"loaded {name}")


def _list(store: ImageStore, args: argparse.Namespace) -> None:
    images = store.list()
    if args.output == "json":
        import json

        print(json.dumps([_as_json(image) for image in images], indent=2))
        return
    if args.output == "name":
        for image in images:
            for tag in image.repo_tags or (image.id,):
                print(tag)
        return
    rows = [("IMAGE", "ID", "SIZE")]
    for image in images:
        for tag in image.repo_tags or ("<none>",):
            rows.append((tag.removeprefix("docker.io/library/"), image.id[7:19], _size(image.size)))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for row in rows:
        print(f"{row[0]:<{widths[0]}}   {row[1]:<{widths[1]}}   {row[2]}")


def _as_json(image: Image) -> dict[str, object]:
    config = image.config
    return {
        "id": image.id,
        "repoTags": list(image.repo_tags),
        "repoDigests": list(image.repo_digests),
        "size": image.size,
        "architecture": image.architecture,
        "created": image.created,
        "layers": list(image.layers),
        "config": {
            "env": list(config.env),
            "entrypoint": list(config.entrypoint),
            "cmd": list(config.cmd),
            "workingDir": config.working_dir,
            "user": config.user,
            "exposedPorts": list(config.exposed_ports),
            "stopSignal": config.stop_signal,
            "labels": dict(config.labels),
            "volumes": list(config.volumes),
        },
    }


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def _remove(store: ImageStore, args: argparse.Namespace) -> None:
    from nodeagent.runtime.images.errors import ImageError, NotFound

    failed: ImageError | None = None
    for ref in args.refs:
        try:
            removed = store.remove(_full_id(store, ref))
            if not removed.names and not removed.images:
                raise NotFound(f"image {ref!r}", "is not in the store")
        except ImageError as error:
            if failed is not None:
                _say(f"error: {failed}")
            failed = error
            continue
        for name in removed.names:
            print(f"untagged {name}")
        for image_id in removed.images:
            print(f"deleted {image_id}")
    if failed is not None:
        raise failed


def _full_id(store: ImageStore, ref: str) -> str:
    """The ID that a unique beginning of it means, as `ls` prints it; else the reference itself."""
    short = ref.removeprefix("sha256:")
    if not 6 <= len(short) < 64 or set(short) - set("0123456789abcdef"):
        return ref
    if not ref.startswith("sha256:") and store.resolve(ref) is not None:
        return ref
    ids = [image.id for image in store.list() if image.id.startswith(f"sha256:{short}")]
    return ids[0] if len(ids) == 1 else ref


def _credentials(args: argparse.Namespace) -> Credentials | None:
    from nodeagent.runtime.images.auth import Credentials
    from nodeagent.runtime.images.errors import ImageError

    if not args.username:
        return None
    password = os.environ.get("SAMPAN_REGISTRY_PASSWORD")
    if args.password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    if password is None:
        raise ImageError("--username", "no password given", "use --password-stdin or set SAMPAN_REGISTRY_PASSWORD")
    return Credentials(username=args.username, password=password)


def _pull(store: ImageStore, args: argparse.Namespace) -> None:
    import asyncio

    from nodeagent.runtime.images.registry import pull

    print(asyncio.run(pull(store, args.ref, _credentials(args), progress=_say)))


def _push(store: ImageStore, args: argparse.Namespace) -> None:
    import asyncio

    from nodeagent.runtime.images.registry import push

    print(asyncio.run(push(store, args.ref, _credentials(args), progress=_say)))


def _save(store: ImageStore, args: argparse.Namespace) -> None:
    from nodeagent.runtime.images.archives import save

    if args.output in (None, "-"):
        if sys.stdout.isatty():
            from nodeagent.runtime.images.errors import ImageError

            raise ImageError("save", "an archive is not for a terminal", "use -o FILE")
        save(store, args.refs, sys.stdout.buffer)
        return
    staging = f"{args.output}.{os.getpid()}.part"
    try:
        with open(staging, "xb") as file:
            save(store, args.refs, file)
        os.rename(staging, args.output)
    except BaseException:
        if os.path.exists(staging):
            os.unlink(staging)
        raise


def _tag(store: ImageStore, args: argparse.Namespace) -> None:
    store.tag(_full_id(store, args.ref), args.name)


def _prune(store: ImageStore, args: argparse.Namespace) -> None:
    removed, freed = store.prune()
    for image_id in removed.images:
        print(f"deleted {image_id}")
    print(f"freed {_size(freed)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=os.environ.get("SAMPAN_IMAGE_PROGRAM", "python -m nodeagent.runtime.images"),
        description="Build, load, list, pull, save and remove images in this machine's store.",
    )
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument(
        "--store",
        default=argparse.SUPPRESS,
        metavar="DIR",
        help=f"the store's directory (default $SAMPAN_IMAGE_STORE or {DEFAULT_STORE})",
    )
    store.add_argument(
        "--insecure-registry",
        action="append",
        default=argparse.SUPPRESS,
        metavar="HOST[:PORT]",
        help="speak plain HTTP to this registry (loopback ones need no mention)",
    )
    parser.add_argument("--store", default=argparse.SUPPRESS, metavar="DIR", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[ImageStore, argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[store], help=text, description=text)
        made.set_defaults(run=run)
        return made

    build = command("build", _build, "Build an image from a Dockerfile.")
    build.add_argument("context", metavar="CONTEXT", help="the directory that COPY and ADD take files from")
    build.add_argument("-t", "--tag", action="append", default=[], metavar="NAME[:TAG]", help="the image's name")
    build.add_argument("-f", "--file", metavar="DOCKERFILE", help="default CONTEXT/Dockerfile")
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="the value of an ARG")
    build.add_argument("--target", metavar="STAGE", help="stop after this stage")
    build.add_argument("--no-cache", action="store_true", help="run every step again")
    build.add_argument("-q", "--quiet", action="store_true", help="print the image's ID only")

    load = command("load", _load, "Load images from an OCI or docker archive or an OCI layout directory.")
    load.add_argument("-i", "--input", metavar="FILE", help="default: standard input")
    load.add_argument("-t", "--tag", metavar="NAME[:TAG]", help="the name of the (only) image")

    images = command("ls", _list, "List the images.")
    images.add_argument("-o", "--output", choices=("table", "json", "name"), default="table")

    remove = command(
        "rm", _remove, "Remove names, and images with their last name; by ID, an image with all its names."
    )
    remove.add_argument("refs", nargs="+", metavar="REF")

    for name, run, text in (
        ("pull", _pull, "Fetch an image from its registry."),
        ("push", _push, "Send an image to the registry in its name."),
    ):
        remote = command(name, run, text)
        remote.add_argument("ref", metavar="REF")
        remote.add_argument("--username", metavar="USER")
        remote.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    save = command("save", _save, "Write images to an OCI archive, which docker, podman and skopeo take too.")
    save.add_argument("refs", nargs="+", metavar="REF")
    save.add_argument("-o", "--output", metavar="FILE", help="default: standard output")

    tag = command("tag", _tag, "Give an image another name.")
    tag.add_argument("ref", metavar="REF")
    tag.add_argument("name", metavar="NAME[:TAG]")

    command("prune", _prune, "Remove images without a name, the build cache and leftovers.")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code: 0, 1 for an error (told on stderr), 130 when interrupted."""
    args = _parser().parse_args(argv)
    from nodeagent.runtime.images.errors import ImageError
    from nodeagent.runtime.images.store import ImageStore

    root = getattr(args, "store", None) or os.environ.get("SAMPAN_IMAGE_STORE") or DEFAULT_STORE
    store = ImageStore(root, insecure_registries=getattr(args, "insecure_registry", ()))
    try:
        args.run(store, args)
        sys.stdout.flush()
    except ImageError as error:
        _say(f"error: {error}")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("error: interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
