"""Pods' network as a CNI plugin, for container runtimes that bring their own sandboxes (containerd, CRI-O).

The runtime runs `python -m nodeagent.network.cni` with CNI_* variables and the configuration on stdin, once a step;
all state is that of PodNetwork on disk. Type `loopback` is answered as well, since containerd asks for it.
Source: CNI specification 1.0.0 (results of 0.3 and 0.4 are given to those who ask in them).
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodeagent.network.config import Mode, PodNetworkConfig
from nodeagent.network.errors import NetworkError
from nodeagent.network.namespaces import inside
from nodeagent.network.pod import INTERFACE, LOOPBACK_INDEX, PodNetwork, gateway_of
from sampan.netlink.route import RouteSocket, set_link

VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0")
OLDER = VERSIONS[:-1]
"""Their results name the version of an address; containerd 1.6 asks for the loopback in 0.3.1."""
TYPE = "sampan"
LOOPBACK = "loopback"
VERSION_UNSUPPORTED, BAD_ENVIRONMENT, IO_FAILED, UNDECODABLE, BAD_CONFIGURATION, FAILED = 1, 4, 5, 6, 7, 100


class CniError(Exception):
    """A failure with its code of the specification's section 5, "Error"."""

    def __init__(self, code: int, message: str, details: str = "") -> None:
        self.code = code
        self.message = message
        self.details = details
        super().__init__(message)


def run(environment: Mapping[str, str], text: bytes) -> dict[str, Any] | None:
    """One plugin call: what to print, None for nothing. Raises CniError."""
    command = _variable(environment, "CNI_COMMAND")
    try:
        value = json.loads(text or b"{}")
    except ValueError as error:
        raise CniError(UNDECODABLE, "the configuration on stdin is not JSON", str(error)) from error
    if not isinstance(value, dict):
        raise CniError(UNDECODABLE, f"the configuration on stdin is {type(value).__name__}, not an object")
    version = value.get("cniVersion", VERSIONS[-1])
    if command == "VERSION":
        return {"cniVersion": version, "supportedVersions": list(VERSIONS)}
    if version not in VERSIONS:
        raise CniError(VERSION_UNSUPPORTED, f"cniVersion {version!r} is not among {', '.join(VERSIONS)}")
    if command not in ("ADD", "DEL", "CHECK"):
        raise CniError(BAD_ENVIRONMENT, f"CNI_COMMAND {command!r} is not ADD, DEL, CHECK or VERSION")
    if value.get("type") == LOOPBACK:
        return _loopback(command, version, environment)
    interface = _variable(environment, "CNI_IFNAME")
    if interface != INTERFACE:
        raise CniError(BAD_ENVIRONMENT, f"CNI_IFNAME {interface!r}: only {INTERFACE} can be given to a pod")
    sandbox = _variable(environment, "CNI_CONTAINERID")
    network, pod_cidr = _configured(value)
    if command == "DEL":
        network.remove(sandbox)
        return None
    netns = _variable(environment, "CNI_NETNS")
    if command == "CHECK":
        network.check(sandbox, netns)
        return None
    made = network.add(sandbox, netns, pod_cidr=pod_cidr)
    address = {"address": f"{made.ips[0]}/32", "gateway": made.gateway, "interface": 0}
    return {
        "cniVersion": version,
        "interfaces": [{"name": made.interface, "mac": made.mac, "sandbox": netns}],
        "ips": [{**address, "version": "4"} if version in OLDER else address],
        "routes": [{"dst": "0.0.0.0/0", "gw": made.gateway}],
        "dns": {},
    }


def write_configuration(directory: Path, plugins: Path, config: PodNetworkConfig, pod_cidr: str) -> Path:
    """Write what a runtime needs: a conflist in `directory`, the plugins' executables in `plugins`.

    Returns the conflist's path. containerd: `conf_dir` and `bin_dir` of its CRI plugin's `cni` table.
    """
    gateway_of(pod_cidr)
    plugins.mkdir(parents=True, exist_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    for name in (TYPE, LOOPBACK):
        script = f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nodeagent.network.cni\n"
        _replace(plugins / name, script, 0o755)
    settings = {
        "type": TYPE,
        "podCIDR": pod_cidr,
        "stateDir": str(config.state_dir),
        "device": config.device,
        "mode": config.mode.value,
        "bridge": config.bridge,
        "mtu": config.mtu,
    }
    conflist = {"cniVersion": "1.0.0", "name": "sampan", "plugins": [settings]}
    path = directory / "10-sampan.conflist"
    _replace(path, json.dumps(conflist, indent=2) + "\n", 0o644)
    return path


def _replace(path: Path, text: str, mode: int) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


def _variable(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise CniError(BAD_ENVIRONMENT, f"the variable {name} is not set")
    return value


def _configured(value: dict[str, Any]) -> tuple[PodNetwork, str]:
    for key, kind in (("podCIDR", str), ("stateDir", str), ("device", str)):
        if not isinstance(value.get(key), kind):
            raise CniError(BAD_CONFIGURATION, f"the configuration's {key} is missing or not a string")
    try:
        config = PodNetworkConfig(
            state_dir=Path(value["stateDir"]),
            device=value["device"],
            mode=Mode(value.get("mode", Mode.VXLAN.value)),
            bridge=str(value.get("bridge", "sampan-pods")),
            mtu=int(value.get("mtu", 0)),
        )
    except (ValueError, TypeError) as error:
        raise CniError(BAD_CONFIGURATION, str(error)) from error
    return PodNetwork(config), value["podCIDR"]


def _loopback(command: str, version: str, environment: Mapping[str, str]) -> dict[str, Any] | None:
    if command != "ADD":
        return None
    netns = _variable(environment, "CNI_NETNS")
    fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with inside(fd, netns), RouteSocket() as kernel:
            kernel.perform(set_link(LOOPBACK_INDEX, up=True))
    finally:
        os.close(fd)
    address: dict[str, Any] = {"address": "127.0.0.1/8", "interface": 0}
    return {
        "cniVersion": version,
        "interfaces": [{"name": "lo", "mac": "00:00:00:00:00:00", "sandbox": netns}],
        "ips": [{**address, "version": "4"} if version in OLDER else address],
        "dns": {},
    }


def main() -> int:
    """The plugin's entry: 0, or 1 with an error object on stdout."""
    try:
        result = run(os.environ, sys.stdin.buffer.read(1 << 20))
    except CniError as error:
        result, code, message, details = None, error.code, error.message, error.details
    except NetworkError as error:
        result, code, message, details = None, FAILED, str(error), error.remedy
    except OSError as error:
        result, code, message, details = None, IO_FAILED, str(error), ""
    else:
        if result is not None:
            json.dump(result, sys.stdout)
        return 0
    json.dump({"cniVersion": VERSIONS[-1], "code": code, "msg": message, "details": details}, sys.stdout)
    return 1


if __name__ == "__main__":
    sys.exit(main())
