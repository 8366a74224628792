"""What one can do with a local cluster: start, stop, delete, look.

Each operation can be repeated, after a crash too, and says what it does through `say`, one line a step.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy import (
    api,
    cgroups,
    control,
    fake,
    kubeconfig,
    ledger,
    lookup,
    mounts,
    pki,
    process_tree,
    removal,
    spec,
    supervisor,
)
from deploy.ledger import Entry, Made
from deploy.patience import Patience
from deploy.places import MARK, Places, home, run_root
from deploy.snapshots import exchange
from deploy.spec import Cluster, NodeSpec
from deploy.vm import memory, readiness
from sampan.errors import ClusterError

Say = Callable[[str], None]
START_SECONDS = 120.0
MACHINES_SECONDS = 420.0
"""Several machines boot at once, maybe by emulation on a busy machine."""
NOT_HERE = {0: 0}
"""The pids of a virtual machine mean nothing outside it."""
Progress = Callable[[str, float], None]
STOP_SECONDS = 60.0
NODE_SECONDS = 5.0
"""A node that does not answer in time is shown without its processes."""
NEEDED = {"etcd": "etcd-server"}
"""Programs, and the Debian packages that have them."""


def start(name: str, wanted: Cluster | None, say: Say, progress: Progress | None = None) -> bool:
    """Bring a cluster up and wait until its nodes are Ready. Returns False when it was up already.

    `wanted` describes a new cluster; one that exists keeps its own description. `progress` follows the build of the
    node image, which virtual machines need.
    """
    _preflight()
    where = Places.of(name)
    began = time.monotonic()
    running = is_running(where)
    if running:
        if control.ask(where.control, {"do": "resume"})["changed"]:
            say(f"cluster {name} was paused and goes on")
        if kubeconfig.has(name):  # if not, an earlier start was killed, or wrote it elsewhere
            return False
    since = 0.0 if cgroups.processes(where.cgroup) else time.time()  # nodes that live on need not speak again
    exchange.finish_interrupted(where)
    mounts.check_all(spec.load(where.description) if where.description.exists() else wanted, where)
    machines = _machines(where, wanted)
    digest = _ready_for(machines, where, say, progress) if machines and not running else ""
    cluster = _described(where, wanted)
    if digest:
        readiness.note(where, digest)
    say(f"cluster {name}: {len(cluster.spec.nodes)} nodes, API on 127.0.0.1:{cluster.spec.api_port}")
    going_on = [node.name for node in machines if memory.is_marked(where.node(node.name))]
    process = None if running else _launch(where)
    patience = Patience(MACHINES_SECONDS if machines else START_SECONDS, where.cgroup)
    while not where.control.exists() or not _answers(where):
        _still_there(process, where, patience)
        time.sleep(api.POLL_SECONDS)
    patience.progress()
    while not api.wait_until_ready(where.pki, cluster.spec.api_port, time.monotonic() + 1):
        _still_there(process, where, patience)
    patience.progress()
    say(f"API server ready after {time.monotonic() - began:.1f} s")
    write_kubeconfigs(cluster, where)
    real, fakes = {node.name for node in cluster.spec.nodes} - set(going_on), fake.awake(cluster)
    waiting = real | fakes
    for node, ready in api.ready_nodes(where.pki, cluster.spec.api_port, patience.left, since) if waiting else ():
        if ready and node in waiting:
            waiting.discard(node)
            patience.progress()
            if node in real:
                say(f"node {node} Ready after {time.monotonic() - began:.1f} s")
            elif not waiting & fakes:
                say(f"{len(fakes)} fake nodes Ready after {time.monotonic() - began:.1f} s")
        if not waiting:
            break
    for machine in going_on:
        if api.wait_for_renewal(where.pki, cluster.spec.api_port, machine, patience.left, since):
            say(f"node {machine} goes on after {time.monotonic() - began:.1f} s")
        else:
            waiting.add(machine)
    if waiting:
        late = fake.few(f"{one}{_trouble(where, one)}" for one in sorted(waiting))
        raise ClusterError(
            where=f"cluster {name}",
            what=f"not Ready after {patience.told}: {late}",
            remedy=f"look at: kctl cluster doctor {name}",
        )
    return True


def _machines(where: Places, wanted: Cluster | None) -> list[NodeSpec]:
    """The virtual machines of a cluster that exists, or of one that is to be."""
    cluster = spec.load(where.description) if where.description.exists() else wanted
    return [node for node in cluster.spec.nodes if node.driver == "vm"] if cluster else []


def _ready_for(machines: Sequence[NodeSpec], where: Places, say: Say, progress: Progress | None) -> str:
    return readiness.prepare(machines, where.run.parent, say, progress or (lambda what, _: say(f"node image: {what}")))


def _trouble(where: Places, node: str) -> str:
    """What a node's keeper says about why it does not run, in brackets."""
    try:
        return f" ({(where.node(node).run / 'trouble').read_text().strip()})"
    except OSError:
        return ""


def stop(name: str, say: Say) -> bool:
    """End all processes of a cluster; its state stays. Returns False when it was stopped already."""
    where = lookup.cluster_places(name)
    had = bool(cgroups.processes(where.cgroup))
    try:
        pid = int(control.ask(where.control, {"do": "stop"})["pid"])
    except control.NotRunning:
        pid = 0
    if pid:
        say(f"cluster {name}: stopping")
        deadline = time.monotonic() + STOP_SECONDS
        while process_tree.start_time(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    cgroups.kill(where.cgroup)
    cgroups.remove(where.cgroup)
    where.control.unlink(missing_ok=True)
    return had


def delete(name: str, say: Say) -> bool:
    """Remove a cluster and all that it made. Returns False when there was nothing."""
    where = Places.of(name)
    if not where.state.exists() and not where.run.exists() and not cgroups.exists(where.cgroup):
        return False
    say(f"cluster {name}: ending its processes")
    cgroups.kill(where.cgroup)
    cgroups.remove(where.cgroup)
    cgroups.remove_if_empty("/sampan")
    mounts.remove_targets(where)
    for entry in ledger.read(where.ledger):
        if entry.kind is Made.KUBECONFIG:
            kubeconfig.remove(name, Path(entry.what))
    say(f"cluster {name}: removing its files")
    kept = [*removal.remove_tree(where.run), *removal.remove_tree(where.state)]
    if kept:
        raise ClusterError(
            where=f"cluster {name}",
            what=f"left alone what is mounted at {', '.join(map(str, kept))}",
            remedy="unmount it and delete the cluster again",
        )
    return True


def _answers(where: Places) -> bool:
    """`is_running`, of a supervisor that may take very long to begin."""
    try:
        return is_running(where)
    except control.NoAnswer:
        return False


def is_running(where: Places) -> bool:
    """Whether a supervisor answers."""
    try:
        control.ask(where.control, {"do": "status"})
    except control.NotRunning:
        return False
    return True


@dataclass(frozen=True)
class Component:
    """One process of a cluster. `pid` is the machine's; 0 when it does not run."""

    name: str
    pid: int
    restarts: int
    last_exit: str
    runs: bool = True
    """Also of what runs inside a virtual machine, whose pids mean nothing here."""
    seconds: float = 0.0
    """How long it has run since it was started last."""
    health: str = ""
    """"ok" or what is wrong with it (doctor/health.py); empty when it was not asked."""


@dataclass(frozen=True)
class Status:
    """A cluster at one moment."""

    name: str
    state: str
    api: str
    nodes: int
    components: list[Component] = field(default_factory=list)


def status(name: str) -> Status:
    """Look at a cluster."""
    where = lookup.cluster_places(name)
    cluster = spec.load(where.description)
    address = f"https://127.0.0.1:{cluster.spec.api_port}"
    try:
        answer = control.ask(where.control, {"do": "status"})
    except control.NotRunning:
        left = cgroups.processes(where.cgroup)
        return Status(name, "unsupervised" if left else "stopped", address, len(cluster.spec.nodes))
    components = [_component(child, value, {}) for child, value in answer["children"].items()]
    if answer["paused"]:  # who is frozen can't be asked, and a question to the API would wake it
        return Status(name, "paused", address, len(cluster.spec.nodes), components)
    components = [_with_trouble(where, one) for one in components]
    for node in cluster.spec.nodes:
        own = where.node(node.name)
        try:
            inside = control.ask(own.run / "control.sock", {"do": "status"}, NODE_SECONDS)["children"]
        except (ClusterError, OSError):
            continue
        pids = _host_pids(own.cgroup) if node.driver == "namespace" else NOT_HERE
        components += [_component(f"{node.name}/{child}", value, pids) for child, value in inside.items()]
    ready = api.is_ready(where.pki, cluster.spec.api_port)
    return Status(name, "running" if ready else "starting", address, len(cluster.spec.nodes), components)


def _with_trouble(where: Places, component: Component) -> Component:
    """A node that is a machine says more about its end than an exit code."""
    said = _trouble(where, component.name.removeprefix("node/")) if component.name.startswith("node/") else ""
    return replace(component, last_exit=f"{component.last_exit}{said}".strip()) if said else component


def _component(name: str, value: dict[str, Any], pids: dict[int, int]) -> Component:
    pid = int(value["pid"])
    return Component(
        name,
        pids.get(pid, pid if not pids else 0),
        value["restarts"],
        value["lastExit"],
        value["running"],
        float(value.get("seconds", 0)),
    )


def _host_pids(cgroup: str) -> dict[int, int]:
    """A node's own pids -> the machine's (proc_pid_status(5), NSpid)."""
    found = {}
    for pid in cgroups.processes(f"{cgroup}/system"):
        try:
            text = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        line = next((line for line in text.splitlines() if line.startswith("NSpid:")), "")
        numbers = line.split()[1:]
        if len(numbers) > 1:
            found[int(numbers[1])] = pid
    return found


def add_node(
    name: str, node: str | None, say: Say, shape: Mapping[str, Any] | None = None, progress: Progress | None = None
) -> str:
    """Add a node to a running cluster and wait until it is Ready. Returns its name.

    `shape` are more fields of its NodeSpec, such as its driver.
    """
    where = lookup.cluster_places(name)
    cluster = spec.load(where.description)
    taken = {one.name for one in cluster.spec.nodes}
    chosen = node or next(f"n{number}" for number in range(1, len(taken) + 2) if f"n{number}" not in taken)
    added = spec.node_of(chosen, shape or {})
    if added.driver == "vm":
        readiness.note(where, _ready_for([added], where, say, progress))
    since = time.time()
    control.ask(where.control, {"do": "node-add", "node": added.to_json()})
    wait_for_node(where, chosen, since, say)
    return chosen


def add_fake_nodes(name: str, count: int, say: Say, shape: Mapping[str, Any] | None = None) -> None:
    """Add so many fake nodes and wait until they are Ready. `shape` are more fields of FakeNodes, for all of them."""
    where = lookup.cluster_places(name)
    before = fake.awake(spec.load(where.description))
    began, since = time.monotonic(), time.time()
    control.ask(where.control, {"do": "fake-nodes", "add": count} | dict(shape or {}))
    cluster = spec.load(where.description)
    waiting = fake.awake(cluster) - before
    say(f"{len(waiting)} fake nodes: {fake.few(one for one in cluster.spec.fake_nodes.names if one in waiting)}")
    patience = Patience(START_SECONDS, where.cgroup)
    for node, ready in api.ready_nodes(where.pki, cluster.spec.api_port, patience.left, since):
        if ready and node in waiting:
            waiting.discard(node)
            patience.progress()
        if not waiting:
            say(f"all Ready after {time.monotonic() - began:.1f} s")
            return
    raise ClusterError(
        where=f"cluster {name}",
        what=f"not Ready after {patience.told}: {fake.few(sorted(waiting))}",
        remedy=f"see {where.logs / fake.CHILD}.log",
    )


def remove_fake_nodes(name: str, count: int) -> list[str]:
    """Remove the last `count` fake nodes. Returns their names. Raises ClusterError when there are fewer."""
    where = lookup.cluster_places(name)
    cluster = spec.load(where.description)
    names = cluster.spec.fake_nodes.names
    if count > len(names):
        raise ClusterError(
            where=f"cluster {name}", what=f"it has {len(names)} fake nodes, not {count}", remedy="remove fewer"
        )
    removed = names[len(names) - count :]
    control.ask(where.control, {"do": "fake-nodes", "remove": removed})
    for node in removed:
        api.delete(where.pki, cluster.spec.api_port, f"/api/v1/nodes/{node}")
    return removed


def wait_for_node(where: Places, node: str, since: float, say: Say) -> None:
    """Wait until one node has said after `since` (seconds since the epoch) that it is Ready."""
    cluster = spec.load(where.description)
    began = time.monotonic()
    machine = not fake.is_fake(cluster, node) and lookup.node_of(cluster, node).driver == "vm"
    patience = Patience(MACHINES_SECONDS if machine else START_SECONDS, where.cgroup)
    for name, ready in api.ready_nodes(where.pki, cluster.spec.api_port, patience.left, since):
        if name == node and ready:
            say(f"node {node} Ready after {time.monotonic() - began:.1f} s")
            return
    raise ClusterError(where=f"node {node}", what=f"not Ready after {patience.told}{_trouble(where, node)}")


def node_request(name: str, node: str, what: str) -> None:
    """`stop`, `start`, `remove`, `disconnect` or `connect` a node."""
    where = lookup.cluster_places(name)
    if fake.is_fake(spec.load(where.description), node):
        fake.check_action(node, what)
        control.ask(where.control, {"do": "fake-nodes", what: [node]})
    else:
        known = lookup.node_in(where, node)
        if what == "start" and known.driver == "vm":
            readiness.check_memory([known], readiness.memory_available())
        control.ask(where.control, {"do": f"node-{what}", "name": node})
    if what == "remove":
        api.delete(where.pki, spec.load(where.description).spec.api_port, f"/api/v1/nodes/{node}")


def description(name: str) -> Cluster:
    """The Cluster object of a cluster."""
    return spec.load(lookup.cluster_places(name).description)


def log_files(name: str) -> list[Path]:
    """The cluster's log files, the control plane's first."""
    logs = lookup.cluster_places(name).logs
    return sorted(logs.glob("*.log")) + sorted(logs.glob("*/*.log"))


def admin_kubeconfig(name: str) -> str:
    """The admin's kubeconfig as YAML. Raises ClusterError when the cluster never came up."""
    path = lookup.cluster_places(name).admin_kubeconfig
    if not path.exists():
        raise ClusterError(where=f"cluster {name}", what="it has not come up yet", remedy=f"kctl cluster start {name}")
    return path.read_text()


def write_kubeconfigs(cluster: Cluster, where: Places) -> None:
    """Write the admin's kubeconfig and merge it into the user's."""
    context = kubeconfig.context_name(where.name)
    server = f"https://127.0.0.1:{cluster.spec.api_port}"
    entry = pki.kubeconfig(where.pki, "admin", server, context)
    pki.write_kubeconfig(where.admin_kubeconfig, entry)
    target = kubeconfig.target()
    ledger.note(where.ledger, Entry(Made.KUBECONFIG, str(target.resolve())))
    kubeconfig.merge(entry, target)


def _described(where: Places, wanted: Cluster | None) -> Cluster:
    """The description of an existing cluster, or a new one on disk, with every address and port settled."""
    if where.description.exists():
        cluster = spec.load(where.description)
    else:
        for directory in (where.state, where.run):
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        cluster = wanted or spec.compose(where.name, 1)
    ledger.note(
        where.ledger,
        Entry(Made.DIRECTORY, str(where.state)),
        Entry(Made.DIRECTORY, str(where.run)),
        Entry(Made.CGROUP, where.cgroup),
    )
    settled = cluster.with_nodes(cluster.spec.nodes)
    if not settled.spec.api_port:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        settled = settled.model_copy(update={"spec": settled.spec.model_copy(update={"api_port": port})})
    supervisor.save(settled, where)
    return settled


def _launch(where: Places) -> subprocess.Popen[bytes]:
    where.logs.mkdir(parents=True, exist_ok=True)
    where.run.mkdir(parents=True, exist_ok=True)
    with (where.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.supervisor", where.name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "NOTIFY_SOCKET")}
            | {"SAMPAN_HOME": str(home()), "SAMPAN_RUN": str(run_root()), MARK: where.name},
        )


def _still_there(process: subprocess.Popen[bytes] | None, where: Places, patience: Patience) -> None:
    log = where.logs / "supervisor.log"
    if process is not None and process.poll() is not None:
        lines = log.read_text(errors="replace").splitlines()
        raise ClusterError(
            where=f"cluster {where.name}",
            what=f"its supervisor ended: {lines[-1] if lines else 'no output'}",
            remedy=f"see {log}",
        )
    if process is None and not _answers(where):
        raise ClusterError(
            where=f"cluster {where.name}",
            what="its supervisor has ended just now",
            remedy=f"start it again: kctl cluster start {where.name}",
        )
    if not patience.left():
        raise ClusterError(
            where=f"cluster {where.name}",
            what=f"not up after {patience.told}",
            remedy=f"look at: kctl cluster doctor {where.name}, and {where.logs}",
        )


def _preflight() -> None:
    if os.geteuid() != 0:
        raise ClusterError(where="kctl cluster start", what="needs root", remedy="run it with sudo")
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            raise ClusterError(where=f"program {program}", what="is not installed", remedy=f"apt-get install {package}")
