"""Copy files to and from containers: [NAMESPACE/]POD:PATH is in a container, PATH here. The image must have tar."""

from __future__ import annotations

import os
import tempfile
import threading
from typing import Any

from kctl import flags, streams
from kctl.archives import pack, unpack
from kctl.commands.execute import connect
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.pods import container_of
from kctl.session import Session
from kctl.streams import Streams


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "SOURCE DESTINATION"
    flags.text("container", "the container", short="c")
    flags.switch("no-preserve", "do not keep owner and mode")
    flags.number("retries", "(not supported: a broken copy is an error)")


def run(values: Values) -> int:
    """Copy one way or the other."""
    if len(values.words) != 2:
        raise UsageError("source and destination are required")
    if values.retries:
        raise UsageError("--retries is not supported; copy again")
    source, target = (_place(word) for word in values.words)
    if bool(source[0]) == bool(target[0]):
        raise UsageError(
            "one of src or dest must be a remote file specification"
            if not source[0]
            else "src and dest are both remote: copy between pods by way of a local file"
        )
    session = flags.session(values)
    if target[0]:
        return _upload(session, source[1], *target, values)
    return _download(session, *source, target[1], values)


def _place(word: str) -> tuple[str, str]:
    """(pod, path); no pod for a local path. Raises UsageError."""
    pod, colon, path = word.partition(":")
    if not colon or pod.startswith((".", "/")) or not pod:
        return "", word
    if not path:
        raise UsageError("filepath can not be empty")
    return pod, path


def _pod(session: Session, word: str) -> dict[str, Any]:
    namespace, slash, name = word.rpartition("/")
    pod: dict[str, Any] = session.read(session.discovery.named("pods"), name, namespace if slash else session.namespace)
    return pod


def _upload(session: Session, local: str, pod_name: str, remote: str, values: Values) -> int:
    if not os.path.lexists(local):
        raise UsageError(f"{local} doesn't exist in local filesystem")
    pod = _pod(session, pod_name)
    container = container_of(pod, values.container, quiet=True)
    inside = remote.rstrip("/") or "/"
    if remote.endswith("/") or _run(session, pod, container, ["test", "-d", inside]) == 0:
        inside = os.path.join(inside, os.path.basename(os.path.abspath(local)))
    folder, name = os.path.split(inside)
    command = ["tar", "-xmf", "-", "-C", folder or "/"] if folder else ["tar", "-xmf", "-"]
    if values.no_preserve:
        command[1:1] = ["--no-same-permissions", "--no-same-owner"]
    reader, writer = os.pipe()
    packer = threading.Thread(target=pack, args=(local, name, writer), daemon=True)
    packer.start()
    try:
        code = _run(session, pod, container, command, stdin=reader)
    finally:
        os.close(reader)
    packer.join(5)
    if code:
        raise UsageError(
            f"tar in the container ended with exit code {code}; does the image have tar, does {folder!r} exist?"
        )
    return 0


def _download(session: Session, pod_name: str, remote: str, local: str, values: Values) -> int:
    pod = _pod(session, pod_name)
    container = container_of(pod, values.container, quiet=True)
    folder, name = os.path.split(os.path.normpath(remote))
    if os.path.isdir(local) and name not in ("", "."):
        local = os.path.join(local, name)
    with tempfile.TemporaryFile() as received:
        command = ["tar", "cf", "-", "-C", folder or ".", name or "."]
        code = _run(session, pod, container, command, stdout=received.fileno())
        received.seek(0)
        if code:
            raise UsageError(
                f"tar in the container ended with exit code {code}; does the image have tar, is {remote} there?"
            )
        unpack(received, name or ".", local)
    return 0


def _run(
    session: Session,
    pod: dict[str, Any],
    container: str,
    command: list[str],
    *,
    stdin: int | None = None,
    stdout: int = 1,
) -> int:
    """Run a command in the container; its exit code."""
    socket = connect(session, pod, container, command, stdin=stdin is not None, tty=False)
    return streams.join(socket, Streams(stdin, stdout, 2))
