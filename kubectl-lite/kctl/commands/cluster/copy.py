"""Files to and from a node: cp."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from kctl.commands.cluster.printing import cluster_flag, say
from kctl.errors import UsageError
from kctl.flags import Flags, Values

if TYPE_CHECKING:
    from deploy.places import Places

VERBS = {"cp": "copy files and folders to and from a node"}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    flags.usage = "SOURCE DESTINATION, one of them as NODE:/PATH"
    cluster_flag(flags)


def run(values: Values) -> int:
    """Copy one way or the other."""
    if len(values.words) != 2:
        raise UsageError("kctl cluster cp needs a source and a destination")
    source, target = (_place(word) for word in values.words)
    if bool(source[0]) == bool(target[0]):
        which = "both are on nodes: copy by way of this machine" if source[0] else "one of them must be NODE:/PATH"
        raise UsageError(f"kctl cluster cp: {which}")
    from deploy import lookup

    places = lookup.cluster_places(values.cluster)
    if target[0]:
        _upload(places, source[1], *target)
    else:
        _download(places, *source, target[1])
    say(values, f"{values.words[0]} copied to {values.words[1]}")
    return 0


def _place(word: str) -> tuple[str, str]:
    """(node, path); no node for a local path. Raises UsageError."""
    node, colon, path = word.partition(":")
    if not colon or not node or "/" in node or node.startswith("."):
        return "", word
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{word!r}: a path on a node is absolute, as in {node}:/etc/hostname")
    return node, path


def _on_node(places: Places, node: str, *words: str, stdin: int = -1, stdout: int = 1) -> int:
    from deploy.shell import client, reach
    from deploy.shell.session import Command

    with reach.connect(places, node) as stream:
        return client.run(stream, node, Command(words), client.Ends(stdin, stdout, 2))


def _upload(places: Places, local: str, node: str, remote: str) -> None:
    from deploy.shell import client, reach
    from deploy.shell.session import Command
    from kctl.archives import pack

    if not os.path.lexists(local):
        raise UsageError(f"{local} doesn't exist")
    inside = remote.rstrip("/") or "/"
    if remote.endswith("/") or _on_node(places, node, "test", "-d", inside) == 0:
        inside = os.path.join(inside, os.path.basename(os.path.abspath(local)))
    folder, name = os.path.split(os.path.normpath(inside))
    # The way in may fork, which is to be done before there is a second thread.
    with reach.connect(places, node) as stream:
        reader, writer = os.pipe()
        packer = threading.Thread(target=pack, args=(local, name, writer), daemon=True)
        packer.start()
        try:
            code = client.run(stream, node, Command(("tar", "-xpf", "-", "-C", folder)), client.Ends(reader))
        finally:
            os.close(reader)
        packer.join(5)
    if code:
        raise UsageError(
            f"tar on node {node} ended with exit code {code}; is there a folder {folder}, with space left?"
        )


def _download(places: Places, node: str, remote: str, local: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from deploy.shell import client, reach
    from deploy.shell.session import Command
    from kctl.archives import unpack

    folder, name = os.path.split(os.path.normpath(remote))
    if os.path.isdir(local) and name:
        local = os.path.join(local, name)
    command = Command(("tar", "--hard-dereference", "-cf", "-", "-C", folder, "--", name or "."))
    problem: UsageError | None = None

    def fetch(writer: int) -> int:
        try:
            return client.run(stream, node, command, client.Ends(stdout=writer))
        except BrokenPipeError:  # unpacking has failed, and says why
            return 0
        finally:
            os.close(writer)

    with reach.connect(places, node) as stream, ThreadPoolExecutor(1) as pool:
        reader, writer = os.pipe()
        fetching = pool.submit(fetch, writer)
        with os.fdopen(reader, "rb") as archive:
            try:
                unpack(archive, name or ".", local)
            except UsageError as error:
                problem = error
        code = fetching.result()
    if code:
        raise UsageError(f"tar on node {node} ended with exit code {code}; is there {remote}?")
    if problem is not None:
        raise problem
