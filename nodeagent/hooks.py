"""postStart and preStop: a command in the container, an HTTP request, a TCP connection, or a pause.

Source: the Kubernetes documentation, "Container Lifecycle Hooks": delivered at least once; an HTTP hook counts as done
with any status below 400; preStop eats from the grace period.
"""

from __future__ import annotations

import asyncio

from nodeagent.cri import CriError, Runtime
from nodeagent.probes import dial
from nodeagent.restart import Spec
from sampan.api import core_v1
from sampan.clock import Clock
from sampan.errors import SampanError

LONGEST_SECONDS = 86_400.0


class HookError(SampanError):
    """A hook did not do what it should. The message is upstream's."""


async def run_hook(
    hook: core_v1.LifecycleHandler,
    *,
    runtime: Runtime,
    container_id: str,
    spec: Spec,
    pod_ip: str,
    clock: Clock,
    timeout: float = LONGEST_SECONDS,
) -> None:
    """Run a hook to its end. Raises HookError; TimeoutError after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        if hook.exec is not None:
            await _exec(hook.exec.command, runtime, container_id, timeout)
        elif hook.http_get is not None:
            target = dial.http_target(hook.http_get, spec, pod_ip)
            answer = await dial.http(target, timeout=min(timeout, 30.0))
            if not answer.ok:
                raise HookError(answer.output)
        elif hook.tcp_socket is not None:
            port = dial.port_number(hook.tcp_socket.port, spec)
            answer = await dial.tcp(hook.tcp_socket.host or pod_ip, port, timeout=min(timeout, 30.0))
            if not answer.ok:
                raise HookError(answer.output)
        elif hook.sleep is not None:
            await clock.sleep(hook.sleep.seconds)


async def _exec(command: list[str], runtime: Runtime, container_id: str, timeout: float) -> None:
    try:
        code, output = await runtime.exec_sync(container_id, list(command), timeout)
    except CriError as error:
        raise HookError(f"rpc error: code = {error.code} desc = {error.detail}") from None
    if code != 0:
        text = output.decode("utf-8", "replace").strip()[:1000]
        raise HookError(f"command '{' '.join(command)}' exited with {code}: {text}")
