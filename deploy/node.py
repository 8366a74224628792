"""A node that is a namespace: what its process 1 does.

It has its own network, mount, PID, UTS, IPC and cgroup namespaces, and keeps the same three processes running that a
real machine's service manager would: fork server, runtime, agent. When it ends, the kernel ends all that the node
ever started.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from deploy import components, links, mounts, syscalls
from deploy.places import Places
from deploy.process_tree import ChildSpec, ProcessTree
from deploy.spec import Cluster, NodeSpec

NAMESPACES = (
    syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWCGROUP
)

IP_FREEBIND = 15  # linux/in.h
DNS_PORT = 53


def run(cluster: Cluster, places: Places, node: NodeSpec) -> int:
    """Be process 1 of a node until told to end."""
    own, network = places.node(node.name), cluster.spec.network
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
    mounts.bind(node)
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    syscalls.set_hostname(node.name)
    links.configure_node(node.address or "", network.prefix_length)
    os.umask(0o022)
    names = dns_sockets(network.dns_address)

    def control(request: dict[str, Any]) -> dict[str, Any]:
        if request.get("do") == "status":
            return {"children": tree.status()}
        return {"error": f"unknown request {json.dumps(request.get('do'))}"}

    record = own.run / "tree.json"
    record.unlink(missing_ok=True)
    tree = ProcessTree(record, own.run / "control.sock", control)
    system = f"{own.cgroup}/system"
    for name, start in (
        ("forkserver", components.executed(*components.fork_server_command(own))),
        ("runtime", components.forked("nodeagent.runtime.main", own.config / "runtime.json")),
        ("agent", components.forked("nodeagent.main", own.config / "agent.json")),
    ):
        inherited = tuple(one.fileno() for one in names) if name == "agent" else ()
        tree.add(ChildSpec(name, start, own.log / f"{name}.log", cgroup=system, descriptors=inherited))
    tree.run()
    return 0


def dns_sockets(address: str) -> tuple[socket.socket, socket.socket]:
    """(UDP, TCP) bound to the node's DNS address, which need not be there yet.

    They live as long as the node: a question that comes while its agent is restarted waits here for the next one.
    """
    opened = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        one = socket.socket(socket.AF_INET, kind)
        one.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, DNS_PORT))
        opened.append(one)
    opened[1].listen(128)
    return opened[0], opened[1]
