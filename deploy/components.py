"""How each component is started, and what a node's components are told. The control plane's: control_plane.py.

A component is a module with `main(argv) -> int`. It is named here and imported by name, because `deploy` knows how
to start the others without depending on them.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy import pki
from deploy.places import NodePlaces, Places, image_store
from deploy.spec import Cluster, NodeSpec

PRELOADED = ("apiserver.main", "scheduler.main", "controllers.main", "nodeagent.main", "nodeagent.runtime.main")
SHARED = ("PODS", "NODES", "SERVICES", "NAMESPACES", "SERVICE_ACCOUNTS", "CONFIG_MAPS", "LEASES", "EVENTS")
API_PORT = 6443
KUBELET_PORT = 10250
FIRST_INHERITED = 3


def preload_models() -> None:
    """Import and build what all components share, the API server's only need."""
    kinds: Any = importlib.import_module("sampan.kinds")
    client: Any = importlib.import_module("sampan.client")
    client.warm(*(getattr(kinds, name) for name in SHARED))
    importlib.import_module("uvloop")


def preload() -> None:
    """Import every component once, so that a fork starts each in milliseconds and shares its memory.

    A component with a `preload` of its own readies more than imports do, such as the models' parsers.
    """
    for name in PRELOADED:
        module = importlib.import_module(name)
        if hasattr(module, "preload"):
            module.preload()


def forked(module: str, config: Path) -> Callable[[], int]:
    """Run a component's main in this process."""

    def run() -> int:
        code: int = importlib.import_module(module).main(["--config", str(config)])
        return code

    return run


def executed(*argv: str) -> Callable[[], int]:
    """Become another program."""

    def run() -> int:
        os.execvp(argv[0], list(argv))

    return run


def write_node_configs(cluster: Cluster, places: Places, node: NodeSpec) -> None:
    """Write one node's configuration files."""
    own, network, timing = places.node(node.name), cluster.spec.network, cluster.spec.timing
    for directory in (own.state, own.config, own.run, own.log):
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    kubeconfig = own.config / "kubeconfig"
    server = f"https://{network.control_address}:{API_PORT}"
    pki.write_kubeconfig(kubeconfig, pki.kubeconfig(places.pki, f"node-{node.name}", server, places.name))
    certificate, key = pki.paths(places.pki, f"node-{node.name}")
    _write(
        own.config / "runtime.json",
        {
            "socket": str(own.cri_socket),
            "state_dir": str(own.state / "runtime"),
            "run_dir": str(own.run / "runtime"),
            "image_store": str(image_store()),
            "cgroup_parent": own.cgroup,
            "forkserver_socket": str(own.fork_socket),
            "streaming_address": "127.0.0.1:0",
            "network": "builtin",
            "pod_network": {"state_dir": str(own.state / "network"), "device": "eth0", "mode": network.mode},
            "log_level": cluster.spec.log_level,
        },
    )
    _write(
        own.config / "agent.json",
        {
            "node_name": node.name,
            "node_ip": node.address,
            "kubeconfig": str(kubeconfig),
            "cri_socket": str(own.cri_socket),
            "state_dir": str(own.state / "agent"),
            "log_dir": str(own.state / "pod-logs"),
            "cgroup_root": own.cgroup,
            "tls": {"cert": str(certificate), "key": str(key), "client_ca": str(places.pki / "ca.crt")},
            "port": KUBELET_PORT,
            "cluster_dns": [network.dns_address],
            "cluster_domain": network.domain,
            "network": {
                "node_name": node.name,
                "node_address": node.address,
                "device": "eth0",
                "cluster_cidr": network.pod_cidr,
                "service_cidr": network.service_cidr,
                "dns_address": network.dns_address,
                "dns_domain": network.domain,
                "dns_descriptors": [FIRST_INHERITED, FIRST_INHERITED + 1],
                "mode": network.mode,
                "state_dir": str(own.state / "network"),
                "reserved_addresses": [network.control_address],
            },
            "lease_seconds": timing.node_lease_seconds,
            "register_with_labels": node.labels,
            "log_level": cluster.spec.log_level,
        },
    )


def fork_server_command(own: NodePlaces) -> tuple[str, ...]:
    """The fork server's argv. It is exec'd, isolated and without site-packages: the less it imports, the faster
    it forks."""
    spec = importlib.util.find_spec("nodeagent.runtime")
    locations = list(spec.submodule_search_locations or ()) if spec else []
    if not locations:
        raise FileNotFoundError("nodeagent.runtime is not installed")
    program = str(Path(locations[0]) / "forkserver.py")
    state = own.state / "forkserver"
    state.mkdir(parents=True, exist_ok=True)
    return (sys.executable, "-I", "-S", program, "--socket", str(own.fork_socket), "--state-dir", str(state))


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
