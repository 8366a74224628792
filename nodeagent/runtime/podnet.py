"""The runtime's door to a network for sandboxes: the built-in one, or none but loopback."""

import asyncio
from pathlib import Path
from typing import Any, Protocol

from nodeagent.runtime.config import Config


class SandboxNetwork(Protocol):
    """Attaches sandboxes. Both calls can be repeated."""

    async def add(self, sandbox_id: str, netns: str, pod_cidr: str, pod: str) -> list[str]:
        """Attach the namespace at the path, for the pod of that UID; its addresses, the primary one first."""

    async def remove(self, sandbox_id: str) -> None:
        """Detach, and free the addresses."""

    @property
    def needs_cidr(self) -> bool:
        """Whether it waits for the node's pod range."""


class NoNetwork:
    """Sandboxes have loopback and nothing else."""

    needs_cidr = False

    async def add(self, sandbox_id: str, netns: str, pod_cidr: str, pod: str) -> list[str]:
        return []

    async def remove(self, sandbox_id: str) -> None:
        return None


class BuiltinNetwork:
    """nodeagent.network's bridge and veth pairs. Its calls block for milliseconds, so they have a thread."""

    needs_cidr = True

    def __init__(self, settings: dict[str, Any]) -> None:
        # the one door between the two packages; late, so that a runtime without it never loads netlink
        from nodeagent.network.config import Mode, PodNetworkConfig
        from nodeagent.network.pod import PodNetwork

        values = dict(settings)
        values["state_dir"] = Path(values["state_dir"])
        if "mode" in values:
            values["mode"] = Mode(values["mode"])
        self._network = PodNetwork(PodNetworkConfig(**values))
        self._one_at_a_time = asyncio.Lock()

    async def add(self, sandbox_id: str, netns: str, pod_cidr: str, pod: str) -> list[str]:
        async with self._one_at_a_time:
            address = await asyncio.to_thread(self._network.add, sandbox_id, netns, pod_cidr=pod_cidr, pod=pod)
        return list(address.ips)

    async def remove(self, sandbox_id: str) -> None:
        async with self._one_at_a_time:
            await asyncio.to_thread(self._network.remove, sandbox_id)


def network_of(config: Config) -> SandboxNetwork:
    """The network that the config asks for."""
    return BuiltinNetwork(config.pod_network) if config.network == "builtin" else NoNetwork()
