"""`sampan node`: the processes of this machine's node, in the foreground.

    sampan node ── fork server ── containers
                ├─ runtime
                └─ agent

Always: when this ends, runtime and agent end with it, while the fork server and the containers go on; the next
`sampan node` adopts the fork server. So a unit that runs this needs KillMode=process and Delegate=yes, as kubelet's.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from deploy import components, node
from deploy.machine import identity, sysctls
from deploy.machine.places import MachinePlaces
from deploy.places import NodePlaces
from deploy.process_tree import ChildSpec, ProcessTree

PRELOADED = ("nodeagent.main", "nodeagent.runtime.main")


def preload() -> None:
    """Import what runtime and agent need, once, so that both share it. Starts no thread."""
    components.preload_modules(PRELOADED)
    gc.collect()
    gc.freeze()


def run(places: MachinePlaces, *, to_stderr: bool = False) -> int:
    """Keep fork server, runtime and agent running until SIGTERM; usable as process 1.

    They log to files under the node's state, or `to_stderr`, which under systemd is the journal. Raises ClusterError.
    """
    who = identity.joined(places)
    own = places.node(who.name)
    os.umask(0o022)
    for directory in (own.config, own.run, own.log):
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    sysctls.remember(sysctls.changed_by(who.device), places.sysctls)
    identity.write_configs(who, places)
    names = node.dns_sockets(who.cluster.dns_address)

    def control(request: dict[str, Any]) -> dict[str, Any]:
        match request:
            case {"do": "status"}:
                return {"node": who.name, "pid": os.getpid(), "children": tree.status()}
            case {"do": "stop"}:  # for good: containers end with their fork server
                tree.end(all_of_them=True)
                return {"pid": os.getpid()}
        return {"error": f"unknown request {json.dumps(request)[:200]}"}

    tree = ProcessTree(own.run / "tree.json", own.run / "control.sock", control)
    fork_server = components.executed(*components.fork_server_command(own))
    tree.add(_child("forkserver", fork_server, own, to_stderr=to_stderr, outlives=True))
    preload()
    for name, module in (("runtime", "nodeagent.runtime.main"), ("agent", "nodeagent.main")):
        inherited = tuple(one.fileno() for one in names) if name == "agent" else ()
        start = components.forked(module, own.config / f"{name}.json")
        tree.add(_child(name, start, own, to_stderr=to_stderr, descriptors=inherited))
    tree.run()
    return 0


def _child(name: str, start: Any, own: NodePlaces, *, to_stderr: bool, **more: Any) -> ChildSpec:
    log = None if to_stderr else own.log / f"{name}.log"
    return ChildSpec(name, start, log, cgroup=f"{own.cgroup}/system", **more)


def main(argv: Sequence[str]) -> int:
    """`sampan node`."""
    parser = argparse.ArgumentParser(prog="sampan node", description="Run this machine's node in the foreground.")
    parser.add_argument("--log-files", action="store_true", help="log to files instead of standard error")
    options = parser.parse_args(argv)
    sys.path[:] = [entry for entry in sys.path if entry]
    os.chdir("/")
    return run(MachinePlaces.here(), to_stderr=not options.log_files)
