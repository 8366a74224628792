"""Getting the image of a container: pull policies, pull secrets, one pull of an image at a time, unused ones dropped.

Elsewhere: what a failed pull means for the container (plan.py: ErrImagePull, then ImagePullBackOff).
Source: the Kubernetes documentation, "Images"; the format of ~/.docker/config.json.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.cri import CriError, Image, Runtime
from nodeagent.security import ImageUser
from sampan.clock import Clock
from sampan.cri import api_pb2 as cri
from sampan.errors import SampanError
from sampan.logs import fields

log = logging.getLogger(__name__)

MOST_PULLS_AT_ONCE = 3
COLLECT_SECONDS = 300.0
LEAST_AGE_SECONDS = 120.0
HIGH_PERCENT, LOW_PERCENT = 85, 80

Say = Callable[[str, str, str], None]
"""Record an event: type, reason, message."""


class ImageError(SampanError):
    """An image can't be had. `reason` is the container's waiting reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ready:
    """An image that containers can be made from."""

    ref: str
    user: ImageUser


def with_tag(name: str) -> str:
    """The name with `:latest` if it has neither tag nor digest. Raises ImageError."""
    if not name or any(c.isspace() or ord(c) < 33 or ord(c) > 126 for c in name) or name.startswith(("/", ":", "@")):
        raise ImageError(
            "InvalidImageName",
            f'Failed to apply default image tag "{name}": '
            f'couldn\'t parse image name "{name}": invalid reference format',
        )
    last = name.rpartition("/")[2]
    return name if "@" in last or ":" in last else f"{name}:latest"


def pull_policy(name: str, policy: str | None) -> str:
    """Always, IfNotPresent or Never; by the tag where the spec leaves it open."""
    if policy:
        return policy
    last = name.rpartition("/")[2]
    return "Always" if "@" not in last and (":" not in last or last.endswith(":latest")) else "IfNotPresent"


def registry_of(name: str) -> str:
    """The registry that an image name points at; Docker Hub's where it names none."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "index.docker.io"


def credentials(name: str, secrets: Iterable[bytes]) -> Iterator[cri.AuthConfig]:
    """What the pull secrets (`.dockerconfigjson` texts) say for this image's registry, most specific first."""
    registry = registry_of(name)
    found: list[tuple[int, cri.AuthConfig]] = []
    for text in secrets:
        for server, entry in _entries(text):
            host, _, path = server.partition("/")
            if host in ("docker.io", "registry-1.docker.io"):
                host = "index.docker.io"
            path = "" if path in ("v1", "v1/", "v2", "v2/") else path.rstrip("/")
            if host != registry or (path and not name.startswith(f"{host}/{path}")):
                continue
            if (auth := _auth(server, entry)) is not None:
                found.append((len(path), auth))
    for _, auth in sorted(found, key=lambda one: -one[0]):
        yield auth


def _entries(text: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return
    if not isinstance(parsed, dict):
        return
    auths = parsed.get("auths", parsed)
    if not isinstance(auths, dict):
        return
    for server, entry in auths.items():
        if isinstance(entry, dict):
            yield str(server).removeprefix("https://").removeprefix("http://"), entry


def _auth(server: str, entry: dict[str, Any]) -> cri.AuthConfig | None:
    name, password = entry.get("username", ""), entry.get("password", "")
    if encoded := entry.get("auth", ""):
        try:
            name, _, password = base64.b64decode(str(encoded), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
    token = entry.get("identitytoken", "")
    if not name and not token:
        return None
    return cri.AuthConfig(username=str(name), password=str(password), identity_token=str(token), server_address=server)


class Images:
    """The images of one node. `serial` pulls one at a time."""

    def __init__(self, runtime: Runtime, clock: Clock, *, serial: bool = False) -> None:
        self._runtime = runtime
        self._clock = clock
        self._pulls = asyncio.Semaphore(1 if serial else MOST_PULLS_AT_ONCE)
        self._locks: dict[str, asyncio.Lock] = {}
        self._used: dict[str, float] = {}

    async def ensure(
        self, name: str, policy: str | None, secrets: Sequence[bytes], sandbox: cri.PodSandboxConfig, say: Say
    ) -> Ready:
        """Have the image here, by its pull policy. Raises ImageError."""
        try:
            return await self._ensure(name, policy, secrets, sandbox, say)
        except CriError as error:
            say("Warning", "InspectFailed", f'Failed to inspect image "{name}": {error}')
            raise ImageError("ImageInspectError", f'Failed to inspect image "{name}": {error}') from None

    async def _ensure(
        self, name: str, policy: str | None, secrets: Sequence[bytes], sandbox: cri.PodSandboxConfig, say: Say
    ) -> Ready:
        tagged = with_tag(name)
        policy = pull_policy(name, policy)
        if policy != "Always" and (image := await self._runtime.image(tagged)) is not None:
            say(
                "Normal",
                "Pulled",
                f'Container image "{name}" already present on machine and can be accessed by the pod',
            )
            return self._ready(image)
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            say("Warning", "ErrImageNeverPull", message)
            raise ImageError("ErrImageNeverPull", message)
        asked = self._clock.monotonic()
        lock = self._locks.setdefault(tagged, asyncio.Lock())
        async with lock:
            if policy != "Always" and (image := await self._runtime.image(tagged)) is not None:
                say(
                    "Normal",
                    "Pulled",
                    f'Container image "{name}" already present on machine and can be accessed by the pod',
                )
                return self._ready(image)
            async with self._pulls:
                say("Normal", "Pulling", f'Pulling image "{name}"')
                began = self._clock.monotonic()
                try:
                    ref = await self._pull(tagged, secrets, sandbox)
                except CriError as error:
                    say("Warning", "Failed", f'Failed to pull image "{name}": {error}')
                    raise ImageError("ErrImagePull", str(error)) from None
                done = self._clock.monotonic()
        image = await self._runtime.image(ref) or await self._runtime.image(tagged)
        if image is None:
            raise ImageError("ErrImagePull", f'the runtime pulled "{name}" as {ref}, and then did not know it')
        say(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {_seconds(done - began)} ({_seconds(done - asked)} including '
            f"waiting). Image size: {image.size} bytes.",
        )
        return self._ready(image)

    async def _pull(self, name: str, secrets: Sequence[bytes], sandbox: cri.PodSandboxConfig) -> str:
        tries = list(credentials(name, secrets))
        if not tries:
            return await self._runtime.pull(name, None, sandbox)
        for at, auth in enumerate(tries):
            try:
                return await self._runtime.pull(name, auth, sandbox)
            except CriError:
                if at == len(tries) - 1:
                    raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _ready(self, image: Image) -> Ready:
        self._used[image.id] = self._clock.monotonic()
        return Ready(image.id, ImageUser(image.uid, image.username))

    async def collect(self, in_use: Callable[[], Iterable[str]], disk_percent: Callable[[], float]) -> None:
        """Drop images that no container uses, least recently used first, while the disk is too full. Runs until
        cancelled."""
        while True:
            await self._clock.sleep(COLLECT_SECONDS)
            try:
                await self.collect_once(in_use(), disk_percent)
            except CriError as error:
                log.warning("can't collect images", extra=fields(error=error))

    async def collect_once(self, in_use: Iterable[str], disk_percent: Callable[[], float]) -> list[str]:
        """One round; returns the ids of dropped images."""
        if disk_percent() < HIGH_PERCENT:
            return []
        used = set(in_use)
        now = self._clock.monotonic()
        dropped = []
        for image in sorted(await self._runtime.images(), key=lambda one: self._used.get(one.id, 0.0)):
            if disk_percent() < LOW_PERCENT:
                break
            names = {image.id, *image.tags, *image.digests}
            if image.pinned or names & used or now - self._used.get(image.id, -1e9) < LEAST_AGE_SECONDS:
                continue
            await self._runtime.remove_image(image.id)
            dropped.append(image.id)
            log.info("dropped an unused image", extra=fields(image=image.id, bytes=image.size))
        return dropped

    async def drop_unused(self, in_use: Iterable[str]) -> list[str]:
        """Drop every image that no container uses, because the disk is needed; returns their ids."""
        used = set(in_use)
        dropped = []
        for image in await self._runtime.images():
            if image.pinned or {image.id, *image.tags, *image.digests} & used:
                continue
            await self._runtime.remove_image(image.id)
            dropped.append(image.id)
            log.info("dropped an unused image", extra=fields(image=image.id, bytes=image.size))
        return dropped


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f}ms" if value < 1 else f"{value:.3f}s"
