"""What a server is told by its flags, kept on the machine so that a restart needs none of them."""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from sampan.api.base import wire_name
from sampan.errors import ClusterError

MODES = ("vxlan", "direct")
LEVELS = ("debug", "info", "warning", "error")
DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
FIXED = ("pod_cidr", "service_cidr", "domain", "network_mode", "etcd")
"""What a cluster that has begun can't change."""


@dataclass(frozen=True)
class Settings:
    """One server."""

    advertise_address: str = ""
    """What nodes and the other servers call; by default the machine's own address."""
    bind_address: str = ""
    """Where the API listens; by default the advertised address."""
    port: int = 6443
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    domain: str = "cluster.local"
    network_mode: str = "vxlan"
    node_lease_seconds: int = 40
    node_monitor_grace_seconds: int = 40
    etcd: tuple[str, ...] = ()
    """https URLs of an etcd cluster that is there; none: this server runs an etcd of its own."""
    log_level: str = "info"

    @property
    def first_service_address(self) -> str:
        """The address of the `kubernetes` Service."""
        return str(ipaddress.IPv4Network(self.service_cidr)[1])

    @property
    def dns_address(self) -> str:
        """The Service address that every node answers DNS on: host 10, as kubeadm has it."""
        return str(ipaddress.IPv4Network(self.service_cidr)[10])

    @property
    def url(self) -> str:
        """Where this server is called."""
        return f"https://{self.advertise_address}:{self.port}"

    def checked(self) -> Settings:
        """The same, each value in its usual form. Raises ClusterError that names the flag."""
        for name in ("pod_cidr", "service_cidr"):
            try:
                network = ipaddress.IPv4Network(getattr(self, name))
            except ValueError as error:
                raise _wrong(name, f"{error}", "write it as 10.96.0.0/16") from None
            if network.prefixlen > 24:
                raise _wrong(name, f"{network} is too small", "give a /24 or larger")
        if ipaddress.IPv4Network(self.pod_cidr).overlaps(ipaddress.IPv4Network(self.service_cidr)):
            raise _wrong("pod_cidr", f"{self.pod_cidr} overlaps {self.service_cidr}", "choose ranges that do not meet")
        for name in ("advertise_address", "bind_address"):
            try:
                ipaddress.IPv4Address(getattr(self, name))
            except ValueError as error:
                raise _wrong(name, str(error), "give an IPv4 address of this machine") from None
        if not 0 < self.port < 65536:
            raise _wrong("port", f"{self.port} is no port", "give 6443 or another")
        if not DOMAIN.fullmatch(self.domain):
            raise _wrong("domain", f"{self.domain!r} is no DNS name", "give cluster.local or another")
        if self.network_mode not in MODES:
            raise _wrong("network_mode", f"{self.network_mode!r} is unknown", f"give one of {', '.join(MODES)}")
        if self.log_level not in LEVELS:
            raise _wrong("log_level", f"{self.log_level!r} is unknown", f"give one of {', '.join(LEVELS)}")
        for name in ("node_lease_seconds", "node_monitor_grace_seconds"):
            if getattr(self, name) < 1:
                raise _wrong(name, "is below 1", "give seconds, such as 40")
        for endpoint in self.etcd:
            if not re.fullmatch(r"https://[^/@\s]+:\d+", endpoint):
                raise _wrong("etcd", f"{endpoint!r} is no https://HOST:PORT", "separate several by commas")
        return self

    def changed(self, given: Mapping[str, Any], where: str) -> Settings:
        """With what was given by flags. Raises ClusterError for what can't change any more."""
        for name in FIXED:
            if name in given and given[name] != getattr(self, name):
                raise ClusterError(
                    where=f"{flag(name)} {_shown(given[name])}",
                    what=f"this server's cluster has {_shown(getattr(self, name)) or 'its own'}, which can't change",
                    remedy=f"leave the flag out, or remove {where} to begin a new cluster",
                )
        return replace(self, **given)

    def write(self, path: Path) -> None:
        """Keep it, in one rename."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({wire_name(key): value for key, value in asdict(self).items()}, indent=1) + "\n")
        fresh.replace(path)


def read(path: Path) -> Settings | None:
    """The settings of an earlier run. Raises ClusterError for a file that can't be used."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    return Settings(**from_json(text, str(path)))


def from_json(text: bytes, where: str) -> dict[str, Any]:
    """A JSON object of settings, named as the flags in camelCase, by attribute. Raises ClusterError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ClusterError(where=where, what=f"is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ClusterError(where=where, what="is no JSON object of settings")
    names = {wire_name(one.name): one for one in fields(Settings)}
    found: dict[str, Any] = {}
    for key, given in value.items():
        if key not in names:
            raise ClusterError(where=where, what=f"unknown setting {key!r}", remedy=f"there are: {', '.join(names)}")
        default = names[key].default
        if isinstance(default, tuple):
            if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
                raise ClusterError(where=f"{where}, {key}", what="is no list of texts")
            given = tuple(given)
        elif not isinstance(given, type(default)) or isinstance(given, bool):
            raise ClusterError(where=f"{where}, {key}", what=f"{given!r} is no {type(default).__name__}")
        found[names[key].name] = given
    return found


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags, one for each setting; what is not given stays as it is."""
    for one in fields(Settings):
        number = isinstance(one.default, int)
        shown = f" (default {_shown(one.default)})" if one.default not in ("", ()) else ""
        parser.add_argument(
            flag(one.name),
            dest=one.name,
            type=int if number else str,
            default=None,
            metavar="N" if number else "URLS" if one.name == "etcd" else "VALUE",
            help=HELP[one.name] + shown,
        )


HELP = {
    "advertise_address": "the address that nodes and other servers call (default: the machine's own)",
    "bind_address": "where the API listens (default: the advertised address)",
    "port": "the API's port",
    "pod_cidr": "the range of the pods' addresses; every node gets a /24 of it",
    "service_cidr": "the range of the services' addresses",
    "domain": "the cluster's DNS domain",
    "network_mode": "vxlan, or direct for nodes on one link",
    "node_lease_seconds": "how long a node's lease is valid",
    "node_monitor_grace_seconds": "without a renewal for so long, a node is NotReady",
    "etcd": "an etcd cluster that is there: https URLs, separated by commas (default: an etcd of this server's own)",
    "log_level": "debug, info, warning or error",
}


def given_by(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the flags give."""
    found = {one.name: getattr(options, one.name) for one in fields(Settings)}
    found = {name: value for name, value in found.items() if value is not None}
    if "etcd" in found:
        found["etcd"] = tuple(part.strip() for part in found["etcd"].split(",") if part.strip())
    return found


def flag(name: str) -> str:
    """`pod_cidr` -> `--pod-cidr`."""
    return f"--{name.replace('_', '-')}"


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _wrong(name: str, what: str, remedy: str) -> ClusterError:
    return ClusterError(where=flag(name), what=what, remedy=remedy)
