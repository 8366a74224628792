"""What a node needs of the kernel, tried for real in a child whose namespaces, and all in them, end with it."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy import syscalls
from sampan.netlink.route import RouteSocket, add_bridge, add_veth, add_vxlan, set_link

DEVICES = ("sampan-pods", "sampan-vxlan", "sampan-svc")
"""What a node's network makes on its machine (nodeagent/network/config.py)."""
NAMESPACES = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWCGROUP
)
PROBE_MAC = "02:00:00:00:00:01"
NFT = """
table ip probe {
  map ways {
    type ipv4_addr . inet_proto . inet_service : verdict
  }
  chain change {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 192.0.2.1 dnat to 192.0.2.2
  }
}
"""


def _namespaces(_: Path) -> None:
    syscalls.unshare(NAMESPACES)
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)


def _overlayfs(directory: Path) -> None:
    lower, upper, work, merged = (directory / name for name in ("lower", "upper", "work", "merged"))
    for one in (lower, upper, work, merged):
        one.mkdir()
    syscalls.mount("overlay", str(merged), "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")


def _bridge(_: Path) -> None:
    with RouteSocket() as sock:
        sock.perform(add_bridge("probe-bridge", mac=PROBE_MAC))


def _veth(_: Path) -> None:
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with RouteSocket() as sock:
            sock.perform(add_veth("probe-a", "probe-b", namespace, mtu=1500, peer_mac=PROBE_MAC))
    finally:
        os.close(namespace)


def _vxlan(_: Path) -> None:
    with RouteSocket() as sock:
        loopback = next(link for link in sock.links() if link.name == "lo")
        sock.perform(set_link(loopback.index, up=True))
        sock.perform(
            add_vxlan("probe-vxlan", vni=1, link=loopback.index, local="127.0.0.1", port=8472, mac=PROBE_MAC, mtu=1400)
        )


def _nftables(_: Path) -> None:
    module: Any = importlib.import_module("nodeagent.network.services.nftables")
    nftables = module.Nftables()
    try:
        nftables.run(NFT)
    finally:
        nftables.close()


ATTEMPTS: dict[str, Callable[[Path], None]] = {
    "namespaces": _namespaces,
    "overlayfs": _overlayfs,
    "bridge": _bridge,
    "veth": _veth,
    "vxlan": _vxlan,
    "nftables": _nftables,
}
"""The first makes the namespaces in which the others are tried."""


def attempt_all(disk: Path) -> dict[str, str]:
    """What went wrong with each attempt, "" for none; those that could not be made are missing.

    Containers' layers will lie on the filesystem of the directory `disk`, where they are tried.
    """
    reader, writer = os.pipe()
    directory = Path(tempfile.mkdtemp(prefix=".sampan-preflight-", dir=disk))
    try:
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                os.write(writer, json.dumps(_attempt(directory)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            text = answer.read()
        os.waitpid(child, 0)
    finally:
        shutil.rmtree(directory)
    return dict(json.loads(text)) if text else {}


def _attempt(directory: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, attempt in ATTEMPTS.items():
        if found.get("namespaces"):
            break  # outside of them nothing may be tried
        try:
            attempt(directory)
        except Exception as error:  # whatever it is, it is the answer
            found[name] = " ".join(str(error).split()) or type(error).__name__
        else:
            found[name] = ""
    return found
