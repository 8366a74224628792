"""A cluster's supervisor: lives in the cluster's network namespace and keeps its processes running.

`python -m deploy.supervisor NAME` is what `kctl cluster start` leaves behind. It makes what is missing (certificates,
configuration, the bridge), starts etcd while it imports the components, then forks each of them. Killed and started
again, it joins the namespace of the processes that live on and adopts them.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy import cgroups, components, control_plane, fake, links, mounts, pausing, pki, removal, spec, syscalls
from deploy.drivers.driver import Driver, node_child
from deploy.drivers.namespaces import Namespaces
from deploy.drivers.vm import Machines
from deploy.places import NodePlaces, Places
from deploy.process_tree import ChildSpec, ProcessTree, start_time
from deploy.renewal import Renewal, renew_kubeconfigs
from deploy.spec import Cluster, ClusterSpec, NodeSpec
from sampan.version import VERSION

CONTROL_PLANE = ("etcd", "apiserver", "controllers", "scheduler")


class Supervisor:
    """One cluster's processes."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._since = time.time()
        self._cluster = spec.load(places.description)
        self._listener = self._listen()
        self._enter_network()
        self._system = pausing.control_plane_cgroup(places)
        self._drivers: dict[str, Driver] = {"namespace": Namespaces(places), "vm": Machines(places)}
        self._tree = ProcessTree(places.run / "tree.json", places.control, self._answer)
        self._renewal = Renewal(self._certificates, watch=self._tree.watch)
        self._pausing = pausing.Pausing(
            places,
            self._listener,
            watch=self._tree.watch,
            unwatch=self._tree.unwatch,
            hold=self._tree.hold,
            nodes=lambda: [places.node(one.name) for one in self._cluster.spec.nodes],
            machines=self._machines,
            api_pid=lambda: self._tree.pid("apiserver"),
        )

    def _certificates(self) -> datetime:
        """Renew what is due of the cluster's certificates. Returns when the next one will be."""
        places, cluster = self._places, self._cluster
        pki.ensure(cluster, places.pki)
        for one in cluster.spec.nodes:
            if pki.paths(places.pki, f"node-{one.name}")[0].exists():  # a node that joins renews its own
                pki.ensure_node(cluster, one, places.pki)
        if cluster.spec.fake_nodes.names:
            fake.ensure_certificate(cluster, places)
        renew_kubeconfigs(cluster, places)
        return pki.next_due(places.pki, datetime.now(UTC))

    def _listen(self) -> socket.socket:
        """The API's socket on the machine's loopback: a living API server's, or a new one.

        It is opened before leaving the machine's network namespace, to which it belongs for good.
        """
        pid, started = _record(self._places).get("apiserver", (0, 0))
        if pid and start_time(pid) == started:
            return socket.socket(fileno=syscalls.descriptor_of(pid, components.FIRST_INHERITED))
        listener = socket.create_server(("127.0.0.1", self._cluster.spec.api_port), backlog=1024)
        listener.setblocking(False)
        return listener

    def _enter_network(self) -> None:
        """Join the namespace of a living etcd or API server, or make a new one."""
        for name, (pid, started) in _record(self._places).items():
            if name in CONTROL_PLANE and start_time(pid) == started:
                with open(f"/proc/{pid}/ns/net", encoding="ascii") as namespace:
                    syscalls.setns(namespace.fileno(), syscalls.CLONE_NEWNET)
                return
        syscalls.unshare(syscalls.CLONE_NEWNET)

    def run(self) -> None:
        """Start everything and stay until told to end."""
        places, cluster = self._places, self._cluster
        network = cluster.spec.network
        self._pausing.recover()
        self._renewal.renew()
        links.make_bridge(network.control_address, network.prefix_length)
        control_plane.write_configs(control_plane.of_cluster(cluster, places))
        places.etcd.mkdir(exist_ok=True, mode=0o700)
        self._control_plane("etcd")
        components.preload_models()
        _share()
        self._control_plane("apiserver")
        components.preload()  # while the API server, which everybody waits for, imports what it alone needs
        _share()
        for one in cluster.spec.nodes:
            self._start_node(one)
        for name in ("controllers", "scheduler"):
            self._control_plane(name)
        self._start_fake_nodes()
        self._tree.run()

    def _control_plane(self, name: str) -> None:
        places = self._places
        start = components.forked(f"{name}.main", places.config / f"{name}.json")
        if name == "etcd":
            address = self._cluster.spec.network.control_address
            start = components.executed(*control_plane.etcd_command(address, places.pki, places.etcd))
        descriptors = (self._listener.fileno(),) if name == "apiserver" else ()
        log = places.logs / f"{name}.log"
        self._tree.add(ChildSpec(name, start, log, cgroup=self._system, descriptors=descriptors))

    def _start_node(self, one: NodeSpec) -> None:
        for child in self._driver(one).children(self._cluster, one):
            self._tree.add(child)

    def _start_fake_nodes(self) -> None:
        """One process for all of them, begun anew for what the description says now; none without any."""
        self._tree.remove(fake.CHILD)
        if self._cluster.spec.fake_nodes.names:
            self._tree.add(fake.child(self._cluster, self._places, self._system))

    def _end_node(self, one: NodeSpec) -> None:
        first = node_child(one.name)
        for name in [name for name in self._tree.status() if name == first or name.startswith(f"{first}/")]:
            self._tree.remove(name)

    def _machines(self) -> list[NodePlaces]:
        """The virtual machines that run."""
        nodes = [one for one in self._cluster.spec.nodes if one.driver == "vm"]
        return [self._places.node(one.name) for one in nodes if self._tree.pid(node_child(one.name))]

    def _driver(self, one: NodeSpec) -> Driver:
        return self._drivers[one.driver]

    # -- control ------------------------------------------------------------------------------------------------

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("do") not in ("status", "pause", "resume", "hold", "release"):
            self._pausing.resume()  # whatever changes a cluster finds it awake
        match request:
            case {"do": "status"}:
                return {
                    "cluster": self._cluster.metadata.name,
                    "pid": os.getpid(),
                    "paused": self._pausing.since,
                    "version": VERSION,
                    "since": self._since,
                    "children": self._tree.status(),
                }
            case {"do": "pause"}:
                return {"changed": self._pausing.pause()}
            case {"do": "resume"}:
                return {"changed": self._pausing.resume()}
            case {"do": "hold", "pid": int(pid)}:
                self._pausing.hold_for(pid)
                return {}
            case {"do": "release"}:
                self._pausing.release()
                return {}
            case {"do": "stop"}:
                self._tree.end()
                return {"pid": os.getpid()}
            case {"do": "become", "interpreter": str(interpreter), "path": str(path)}:
                return self._become(interpreter, path)
            case {"do": "restart", "component": str(name)} if name in CONTROL_PLANE:
                self._tree.remove(name)
                self._control_plane(name)
                return {}
            case {"do": "fake-nodes"}:
                described = fake.changed(self._cluster.spec.fake_nodes, request)
                fresh = self._cluster.spec.to_json() | {"fakeNodes": described.to_json()}
                self._cluster = self._cluster.model_copy(update={"spec": ClusterSpec.from_json(fresh)})
                save(self._cluster, self._places)
                self._start_fake_nodes()
                return {}
            case {"do": "node-add", "node": dict(value)}:
                return self._add_node(NodeSpec.from_json(value))
            case {"do": "node-remove", "name": str(name)}:
                return self._remove_node(self._known(name))
            case {"do": "node-stop", "name": str(name)}:
                self._end_node(self._known(name))
                return {}
            case {"do": "node-wipe", "name": str(name)}:
                return self._wipe_node(self._known(name))
            case {"do": "node-start", "name": str(name)}:
                self._start_node(self._known(name))
                return {}
            case {"do": "node-disconnect" | "node-connect" as what, "name": str(name)}:
                known = self._known(name)
                self._driver(known).plug(known, what == "node-connect")
                return {}
        raise ValueError(f"unknown request {json.dumps(request)[:200]}")

    def _become(self, interpreter: str, path: str) -> dict[str, Any]:
        """Turn into the code that an interpreter finds with a PYTHONPATH; the children do not notice."""
        if not self._tree.pid("apiserver"):  # it holds the API's socket for the next one
            raise ValueError("the API server does not run, so its socket would be lost; try again in a moment")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        if path:
            environment["PYTHONPATH"] = path
        self._tree.become([interpreter, "-m", "deploy.supervisor", self._places.name], environment)
        return {"pid": os.getpid()}

    def _known(self, name: str) -> NodeSpec:
        found = self._cluster.node(name)
        if found is None:
            raise ValueError(f"cluster {self._cluster.metadata.name} has no node {name!r}")
        return found

    def _add_node(self, added: NodeSpec) -> dict[str, Any]:
        if self._cluster.node(added.name) is not None:
            raise ValueError(f"cluster {self._cluster.metadata.name} has a node {added.name!r} already")
        mounts.check(added.name, added.mounts, self._places)
        self._describe([*self._cluster.spec.nodes, added])
        self._start_node(self._known(added.name))
        return {}

    def _wipe_node(self, wiped: NodeSpec) -> dict[str, Any]:
        """Stop a node and remove its state, disk included. What it has said (its logs) stays."""
        self._end_node(wiped)
        own = self._places.node(wiped.name)
        cgroups.kill(own.cgroup)
        cgroups.remove(own.cgroup)
        kept = [*removal.remove_tree(own.run), *removal.remove_tree(own.state)]
        if kept:
            raise ValueError(f"left alone what is mounted at {', '.join(map(str, kept))}; unmount it and try again")
        return {}

    def _remove_node(self, removed: NodeSpec) -> dict[str, Any]:
        self._wipe_node(removed)
        removal.remove_tree(self._places.node(removed.name).log)
        self._describe([one for one in self._cluster.spec.nodes if one.name != removed.name])
        self._driver(removed).remove(removed)
        return {}

    def _describe(self, nodes: Sequence[NodeSpec]) -> None:
        self._cluster = self._cluster.with_nodes(nodes)
        save(self._cluster, self._places)


def _share() -> None:
    """Keep what is loaded out of the collector's sight, whose marks would copy the pages that forks share."""
    gc.collect()
    gc.freeze()


def save(cluster: Cluster, places: Places) -> None:
    """Write the cluster's description in one rename."""
    fresh = places.description.with_suffix(".new")
    fresh.write_text(cluster.to_yaml())
    fresh.replace(places.description)


def _record(places: Places) -> dict[str, tuple[int, int]]:
    with contextlib.suppress(OSError, ValueError):
        return {
            name: (pid, started) for name, (pid, started) in json.loads((places.run / "tree.json").read_text()).items()
        }
    return {}


def main(argv: Sequence[str]) -> int:
    """`NAME`: supervise that cluster in the foreground."""
    places = Places.of(argv[0])
    began = time.monotonic()
    sys.path[:] = [entry for entry in sys.path if entry]
    os.chdir("/")
    Path(places.run).mkdir(parents=True, exist_ok=True)
    places.logs.mkdir(parents=True, exist_ok=True)
    cgroups.enter(f"{places.cgroup}/system")
    syscalls.set_process_name("sampan-super")
    places.pid.write_text(str(os.getpid()))
    supervisor = Supervisor(places)
    print(f"supervisor up after {time.monotonic() - began:.2f} s", file=sys.stderr, flush=True)
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
