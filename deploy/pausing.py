"""A whole cluster at rest: what pause and resume do, in kctl and in the supervisor.

All processes but the supervisor's (and the relays of virtual machines) are frozen. The supervisor sleeps on the API's
listening socket and on the connections that clients have open: whoever asks the API wakes the cluster.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from deploy import control, freezer, lookup, syscalls
from deploy.places import NodePlaces, Places
from deploy.shell import client, reach
from deploy.vm import memory
from deploy.vm.qmp import Qmp
from sampan.errors import ClusterError

CLOSE_NOTIFY_BYTES = 24
"""The size of a TLS 1.3 record that says goodbye (RFC 8446, 6.1): no request is that short."""


@contextlib.contextmanager
def held(places: Places) -> Iterator[None]:
    """The cluster rests for as long as the block, and this process, last; not even a request wakes it.

    Virtual machines stand still, but their QEMU goes on. Raises ClusterError.
    """
    control.ask(places.control, {"do": "hold", "pid": os.getpid()})
    try:
        yield
    finally:
        control.ask(places.control, {"do": "release"})


def pause(name: str) -> bool:
    """Freeze a cluster. Returns False when it was. Raises ClusterError when it does not run."""
    return bool(control.ask(lookup.cluster_places(name).control, {"do": "pause"})["changed"])


def resume(name: str) -> bool:
    """Let a cluster go on. Returns False when it was not paused. Raises ClusterError when it does not run."""
    return bool(control.ask(lookup.cluster_places(name).control, {"do": "resume"})["changed"])


def control_plane_cgroup(places: Places) -> str:
    """Where the control plane's processes are: apart from the supervisor, which never freezes."""
    return f"{places.cgroup}/control-plane"


class Pausing:
    """The supervisor's part.

    `watch` and `unwatch` are its event loop's; `hold` keeps it from starting processes, which would freeze halfway;
    `nodes` are all nodes, `machines` those that are virtual machines and run; `api_pid` is the API server's process,
    0 without one.
    """

    def __init__(
        self,
        places: Places,
        listener: socket.socket,
        *,
        watch: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
        hold: Callable[[bool], None],
        nodes: Callable[[], Iterable[NodePlaces]],
        machines: Callable[[], Iterable[NodePlaces]],
        api_pid: Callable[[], int],
    ) -> None:
        self._control_plane = control_plane_cgroup(places)
        self._listener = listener
        self._watch, self._unwatch, self._hold = watch, unwatch, hold
        self._nodes, self._machines, self._api_pid = nodes, machines, api_pid
        self._watched: dict[int, socket.socket] = {}
        self._holder = -1
        self._paused_before = False
        self.since: float | None = None
        """When it was paused, by the wall clock; None while it runs."""

    # -- paused: whoever asks the API wakes it --------------------------------------------------------------------

    def pause(self) -> bool:
        """Freeze everything. Returns False when it is. Raises ClusterError, and then all goes on."""
        if self.since is not None:
            return False
        self._stop()
        self._listen()
        return True

    def resume(self) -> bool:
        """Let everything go on. Returns False when it does. Raises ClusterError while it is held."""
        self._refuse_while_held()
        if self.since is None:
            return False
        self._deafen()
        self._go_on()
        return True

    def recover(self) -> None:
        """What an earlier supervisor has paused goes on: this one does not know who waits for it."""
        if any(freezer.is_frozen(one) for one in self._cgroups()):
            self._go_on()

    # -- held: at rest for one process, which copies what lies on disk --------------------------------------------

    def hold_for(self, pid: int) -> None:
        """Rest until `release`, or until process `pid` ends. Raises ClusterError."""
        self._refuse_while_held()
        holder = os.pidfd_open(pid)
        try:
            self._paused_before = self.since is not None
            if self._paused_before:
                self._deafen()
                machines = list(self._machines())
                freezer.thaw(f"{one.cgroup}" for one in machines)
            else:
                self._stop(machines_too=False)
        except BaseException:
            os.close(holder)
            raise
        self._holder = holder
        self._watch(holder, self.release)

    def release(self) -> None:
        """Be again what it was before: running, or paused."""
        if self._holder < 0:
            return
        self._unwatch(self._holder)
        os.close(self._holder)
        self._holder = -1
        if self._paused_before:
            freezer.freeze(self._cgroups())
            self._listen()
        else:
            self._go_on()

    def _refuse_while_held(self) -> None:
        if self._holder >= 0:
            raise ClusterError(
                where="the cluster", what="it rests while a snapshot is taken", remedy="try again in a moment"
            )

    # -- both -----------------------------------------------------------------------------------------------------

    def _cgroups(self, *, machines_too: bool = True) -> list[str]:
        machines = set() if machines_too else {one.name for one in self._machines()}
        return [self._control_plane, *(one.cgroup for one in self._nodes() if one.name not in machines)]

    def _stop(self, *, machines_too: bool = True) -> None:
        self._hold(True)
        try:
            for machine in self._machines():
                _tell_machine(machine, "stop")
            freezer.freeze(self._cgroups(machines_too=machines_too))
        except BaseException:
            self._go_on()
            raise
        self.since = time.time()

    def _go_on(self) -> None:
        self.since = None
        freezer.thaw(self._cgroups())
        for machine in self._machines():
            try:
                _tell_machine(machine, "cont")
                with contextlib.suppress(OSError):  # without a relay, it learns the time when there is one
                    client.tell_time(reach.relay_socket(machine))
            except ClusterError as error:  # one machine that died must not keep the rest asleep
                print(f"resume: {error}", file=sys.stderr, flush=True)
        self._hold(False)

    def _listen(self) -> None:
        """Wake by the API's listening socket and by the connections that are open."""
        self._watch(self._listener.fileno(), lambda: self._wake("a connection to the API"))
        for connection in _connections(self._api_pid(), self._listener.getsockname()):
            self._watched[connection.fileno()] = connection
            self._watch(connection.fileno(), partial(self._look, connection))

    def _deafen(self) -> None:
        self._unwatch(self._listener.fileno())
        for connection in list(self._watched.values()):
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        self._unwatch(connection.fileno())
        del self._watched[connection.fileno()]
        connection.close()

    def _wake(self, why: str) -> None:
        print(f"resumed by {why}", file=sys.stderr, flush=True)
        self.resume()

    def _look(self, connection: socket.socket) -> None:
        """An open connection has something: a request, or its end, which wakes nobody."""
        try:
            waiting = len(connection.recv(CLOSE_NOTIFY_BYTES + 1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        except OSError:
            waiting = 0
        if waiting > CLOSE_NOTIFY_BYTES:
            self._wake("a request to the API")
            return
        self._forget(connection)


def _tell_machine(machine: NodePlaces, what: str) -> None:
    with Qmp.connect(memory.socket_of(machine), machine.name) as qmp:
        qmp.ask(what)


def _connections(pid: int, local: Any) -> list[socket.socket]:
    """Copies of the connections that a process has on a local TCP address."""
    found: list[socket.socket] = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd") if pid else ():
            with contextlib.suppress(OSError):
                if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                    continue
                one = socket.socket(fileno=syscalls.descriptor_of(pid, int(name)))
                if one.family == socket.AF_INET and one.getsockname() == local and _has_peer(one):
                    found.append(one)
                else:
                    one.close()
    return found


def _has_peer(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True
