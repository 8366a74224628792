"""How each component is started, and what a node's components are told. The control plane's: control_plane.py.

A component is a module with `main(argv) -> int`. It is named here and imported by name, because `deploy` knows how
to start the others without depending on them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deploy import node_config, pki
from deploy.places import NodePlaces, Places, image_store
from deploy.spec import Cluster, NodeSpec

PRELOADED = ("apiserver.main", "scheduler.main", "controllers.main", "nodeagent.main", "nodeagent.runtime.main")
"""What most clusters need; another component (fake nodes) is imported by the process that is it."""
SHARED = ("PODS", "NODES", "SERVICES", "NAMESPACES", "SERVICE_ACCOUNTS", "CONFIG_MAPS", "LEASES", "EVENTS")
API_PORT = 6443
START_FORK_SERVER = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    " from nodeagent.runtime.forkserver import main; sys.exit(main(sys.argv[1:]))"
)
"""Imported, not run as a script, so that it need not be compiled at each start."""
FIRST_INHERITED = node_config.FIRST_INHERITED


def preload_models() -> None:
    """Import and build what all components share, the API server's only need."""
    kinds: Any = importlib.import_module("sampan.kinds")
    client: Any = importlib.import_module("sampan.client")
    client.warm(*(getattr(kinds, name) for name in SHARED))
    importlib.import_module("uvloop")


def preload() -> None:
    """Import every component once, so that a fork starts each in milliseconds and shares its memory."""
    preload_modules(PRELOADED)


def preload_modules(names: Sequence[str]) -> None:
    """Import components. One with a `preload` of its own readies more than imports do, such as the models' parsers."""
    for name in names:
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


SHARED_DISK = {"memory.available": "100Mi", "nodefs.available": "5%", "nodefs.inodesFree": "5%"}
"""When a local node evicts: later than one that has a disk to itself."""


def write_node_configs(cluster: Cluster, places: Places, node: NodeSpec) -> None:
    """Write one node's configuration files."""
    own, network, timing = places.node(node.name), cluster.spec.network, cluster.spec.timing
    for directory in (own.state, own.config, own.run, own.log):
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    ca, pair = places.pki / "ca.crt", pki.paths(places.pki, f"node-{node.name}")
    kubeconfig = own.config / "kubeconfig"
    server = f"https://{network.control_address}:{API_PORT}"
    pki.write_kubeconfig(kubeconfig, node_config.kubeconfig(server, places.name, ca=ca, client=pair))
    facts = node_config.NodeFacts(
        own=own,
        address=node.address or "",
        device="eth0",
        image_store=image_store(),
        credentials=node_config.Credentials(kubeconfig, client_ca=ca, serving=pair, client=pair),
        labels=node.labels,
        reserved_addresses=[network.control_address],
        log_level=cluster.spec.log_level,
        user_ids_first=_first_user_id(own.cgroup),
        eviction_hard=SHARED_DISK,
    )
    agreed = node_config.ClusterFacts(
        cluster_cidr=network.pod_cidr,
        service_cidr=network.service_cidr,
        dns_address=network.dns_address,
        dns_domain=network.domain,
        network_mode=network.mode,
        lease_seconds=timing.node_lease_seconds,
        pod_pids_limit=cluster.spec.pod_pids_limit,
    )
    node_config.write(facts, agreed, own.config)


def _first_user_id(cgroup: str) -> int:
    """Another place for each of a machine's nodes, most likely: 510 places for 128 pods each."""
    return 65536 * (1 + 128 * (zlib.crc32(cgroup.encode()) % 510))


def fork_server_command(own: NodePlaces) -> tuple[str, ...]:
    """The fork server's argv. It is exec'd, isolated and without site-packages: the less it imports, the faster
    it forks."""
    spec = importlib.util.find_spec("nodeagent.runtime")
    locations = list(spec.submodule_search_locations or ()) if spec else []
    if not locations:
        raise FileNotFoundError("nodeagent.runtime is not installed")
    state = own.state / "forkserver"
    state.mkdir(parents=True, exist_ok=True)
    optimized = ("-OO",) if sys.flags.optimize else ()  # as this process is, so that it finds the same compiled files
    start = (sys.executable, "-I", "-S", *optimized, "-c", START_FORK_SERVER, str(Path(locations[0]).parent.parent))
    return (*start, "--socket", str(own.fork_socket), "--state-dir", str(state))
