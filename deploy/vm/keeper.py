"""The process that is a virtual machine to its cluster's supervisor: starts QEMU, speaks with the guest, ends it.

    supervisor ── keeper ── QEMU
                         ├─ images      serves the machine's image store to the guest's port
                         └─ virtiofsd   one for each mounted directory

Always: QEMU dies with its keeper, as a machine does whose plug is pulled; a keeper whose QEMU has ended ends too, with
a reason in its log, and the supervisor starts both again. A machine's token is good for its name alone and is deleted
as soon as the machine has joined.
Elsewhere: QEMU's command line (qemu.py), process 1 inside (guest.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy import links, pki, syscalls
from deploy.machine import tokens
from deploy.machine.connection import Connection
from deploy.machine.trust import Address, fingerprint
from deploy.places import NodePlaces, Places, image_store
from deploy.process_tree import REQUEST_BYTES
from deploy.spec import Cluster, Mount, NodeSpec
from deploy.vm import acceleration, code, ext4, image, images_port, memory, qemu
from deploy.vm.qmp import QmpError
from sampan.errors import ApiError, ClusterError

API_PORT = 6443
TOKEN_SECONDS = 1800
STOP_SECONDS = 20.0
"""How long a guest has to end by itself: with emulation on a busy machine it needs several."""
SOCKET_SECONDS = 10.0
PR_SET_PDEATHSIG = 1
VIRTIOFSD = Path("/usr/lib/qemu/virtiofsd")
SECRETS = "/api/v1/namespaces/kube-system/secrets"


def joined_mark(own: NodePlaces) -> Path:
    """Exists once the machine on the node's disk has its identity."""
    return own.state / "joined"


def disk(own: NodePlaces) -> Path:
    """The node's disk: what it has written over the image."""
    return own.state / "disk.qcow2"


def trouble(own: NodePlaces) -> Path:
    """A sentence about why the machine does not run, while it doesn't."""
    return own.run / "trouble"


def image_of(places: Places, own: NodePlaces) -> image.Image:
    """The image that the node's disk lies over, or that a new node gets. Raises ClusterError."""
    for note in (own.state / "image", places.state / "vm-image"):
        if note.exists():
            digest = note.read_text().strip()
            if (found := image.find(digest)) is not None:
                return found
            raise ClusterError(
                where=f"node {own.name}",
                what=f"its node image {digest} is no longer in {image.store()}",
                remedy=f"remove the node and add it again: kctl cluster node remove {own.name}",
            )
    raise ClusterError(where=f"node {own.name}", what="no node image was built", remedy="kctl cluster start builds one")


def run(cluster: Cluster, places: Places, node: NodeSpec) -> int:
    """Be the machine until told to end. Returns 0 after an orderly end, 1 when the machine ended by itself."""
    keeper = Keeper(cluster, places, node)
    try:
        return keeper.run()
    except (ClusterError, ApiError, OSError) as error:
        keeper.say_trouble(str(error))
        return 1
    finally:
        keeper.tidy()


class Keeper:
    """One machine's."""

    def __init__(self, cluster: Cluster, places: Places, node: NodeSpec) -> None:
        self._cluster, self._places, self._node = cluster, places, node
        self._own = places.node(node.name)
        self._selector = selectors.DefaultSelector()
        self._qemu: subprocess.Popen[bytes] | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        self._guest: socket.socket | None = None
        self._heard = b""
        self._asked = 0
        self._waiting: dict[int, socket.socket] = {}
        self._stopping = False
        self._token = ""
        self._kill_at = float("inf")
        self._full = False
        self._booted = False
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)

    # -- starting -------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Start the machine and stay with it."""
        own = self._own
        self._clear()
        base = image_of(self._places, own)
        self._make_disk(base)
        files = {"machine": self._write_machine()}
        if not joined_mark(own).exists():
            files["join"] = self._write_join()
        machine = qemu.Machine(
            own=own,
            cpus=self._node.machine_cpus,
            memory=self._node.machine_memory,
            mac=links.mac(self._node.name),
            acceleration=acceleration.find(self._places.run.parent, base.kernel),
            kernel=base.kernel,
            initrd=base.initrd,
            disk=disk(own),
            code=memory.programs_of(own) or code.ensure(),
            files=files,
            mounts=self._node.mounts,
        )
        for number, mount in enumerate(self._node.mounts):
            self._share(number, mount)
        self._power_on(machine)
        self._take_up_memory()
        self._listen()
        return self._attend()

    def _clear(self) -> None:
        """Sockets and notes of an earlier machine."""
        for path in self._own.run.glob("*.sock"):
            if path.name != "shell-mux.sock":
                path.unlink(missing_ok=True)
        trouble(self._own).unlink(missing_ok=True)

    def _make_disk(self, base: image.Image) -> None:
        own = self._own
        note = own.state / "image"
        if disk(own).exists() and note.exists():
            return
        joined_mark(own).unlink(missing_ok=True)
        fresh = disk(own).with_suffix(".new")
        size = str(self._node.machine_disk)
        options = ("-q", "-f", "qcow2", "-F", "raw", "-b", str(base.disk))
        ext4.run("qemu-img", "create", *options, str(fresh), size, where=f"node {own.name}, disk")
        note.write_text(base.digest + "\n")
        fresh.replace(disk(own))

    def _write_machine(self) -> Path:
        node, network = self._node, self._cluster.spec.network
        told = {
            "name": node.name,
            "address": node.address,
            "prefixLength": network.prefix_length,
            "machineId": uuid.uuid5(uuid.NAMESPACE_DNS, f"{node.name}.{self._places.state}").hex,
            "mounts": [one.guest for one in node.mounts],
        }
        path = self._own.run / "machine.json"
        path.write_text(json.dumps(told))
        return path

    def _write_join(self) -> Path:
        """What the machine joins by, in a file of its owner's alone; waits for the API. Raises ClusterError."""
        token = self._make_token()
        self._token = token.secret
        certificate = ssl.PEM_cert_to_DER_cert((self._places.pki / "ca.crt").read_text())
        told = {
            "server": self._server.url,
            "token": token.text,
            "caHash": fingerprint(certificate),
            "nodeName": self._node.name,
            "nodeIp": self._node.address,
            "nodeLabels": dict(self._node.labels),
            "parentStore": f"port:dev.sampan.{images_port.PORT}",
            "logLevel": self._cluster.spec.log_level,
        }
        path = self._own.run / "join.json"
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_text(json.dumps(told))
        return path

    @property
    def _server(self) -> Address:
        return Address(self._cluster.spec.network.control_address, API_PORT)

    def _admin(self) -> Connection:
        ca = (self._places.pki / "ca.crt").read_text()
        return Connection(self._server, ca, pair=pki.paths(self._places.pki, "admin"))

    def _make_token(self) -> tokens.Token:
        while True:
            try:
                return tokens.create(
                    self._admin(),
                    seconds=TOKEN_SECONDS,
                    description=f"for the virtual machine {self._node.name}; deleted once it has joined",
                    usages=("authentication",),
                    node=self._node.name,
                )
            except (ClusterError, ApiError):
                if self._stopping:
                    raise
                time.sleep(0.25)  # the API server starts at the same time as its first nodes

    def _share(self, number: int, mount: Mount) -> None:
        """Serve a directory of this machine to the guest (virtio-fs)."""
        path = self._own.run / f"mount{number}.sock"
        directory = mount.host
        if not Path(directory).is_dir():
            raise ClusterError(
                where=f"node {self._node.name}, mount {directory}",
                what="there is no such directory on this machine",
                remedy="make it, and start the node again",
            )
        if mount.read_only:  # virtiofsd of QEMU 7.2 knows no such thing, so what it serves is a mount that is
            seen = self._own.run / f"mount{number}"
            seen.mkdir(exist_ok=True)
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
            syscalls.mount(directory, str(seen), "", syscalls.MS_BIND | syscalls.MS_REC)
            syscalls.mount("none", str(seen), "", syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)
            directory = str(seen)
        options = ("-o", f"source={directory}", "-o", "cache=auto", "--rlimit-nofile=0")
        self._spawn(str(VIRTIOFSD), f"--socket-path={path}", *options, "-f")
        self._wait_for(path)

    def _spawn(self, *command: str, descriptors: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        libc = ctypes.CDLL(None)

        def die_with_keeper() -> None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=descriptors, preexec_fn=die_with_keeper, cwd="/"
        )
        self._children.append(started)
        return started

    def _wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + SOCKET_SECONDS
        while not path.exists():
            if any(one.poll() is not None for one in self._children) or time.monotonic() > deadline:
                raise ClusterError(
                    where=f"node {self._node.name}", what=f"{path.name} does not come up", remedy=f"see {self._own.log}"
                )
            time.sleep(0.05)

    def _take_up_memory(self) -> None:
        """A machine of a snapshot that was restored goes on instead of booting."""
        try:
            if memory.take_up(self._own):
                self._booted = True
                self._forget_token()
                self._say("the machine goes on where its memory was saved")
        except QmpError as error:
            self._say(str(error))

    def _power_on(self, machine: qemu.Machine) -> None:
        tap = links.open_tap(self._node.name)
        try:
            self._qemu = self._spawn(*qemu.arguments(machine, tap), descriptors=(tap,))
        finally:
            os.close(tap)
        self._wait_for(self._own.run / "images.sock")
        self._children.append(images_port.serve(self._own.run / "images.sock", image_store()))
        self._guest = self._connect("node.sock", self._hear)
        self._events = self._connect("events.sock", self._notice)
        self._events.sendall(b'{"execute":"qmp_capabilities"}\n')
        self._event_bytes = b""
        pidfd = os.pidfd_open(self._qemu.pid)
        self._selector.register(pidfd, selectors.EVENT_READ, self._reap)
        self._say(f"QEMU runs as {self._qemu.pid}, by {machine.acceleration.told}")

    def _connect(self, name: str, ready: Callable[[], None]) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(self._own.run / name))
        self._selector.register(connection, selectors.EVENT_READ, ready)
        return connection

    def _listen(self) -> None:
        """The socket on which `kctl cluster status` asks a node, whatever it is."""
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = self._own.run / "control.sock"
        path.unlink(missing_ok=True)
        self._control.bind(str(path))
        path.chmod(0o600)
        self._control.listen(16)
        self._selector.register(self._control, selectors.EVENT_READ, self._accept)

    # -- attending ------------------------------------------------------------------------------------------------

    def _attend(self) -> int:
        assert self._qemu is not None
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

        def woken() -> None:
            os.read(wake_read, 512)

        self._selector.register(wake_read, selectors.EVENT_READ, woken)
        asked = False
        while self._qemu.poll() is None:
            if self._stopping and not asked:
                asked = True
                self._kill_at = time.monotonic() + STOP_SECONDS
                self._ask({"do": "stop"}, None)
            left = self._kill_at - time.monotonic()
            if left <= 0:
                self._say("the guest does not end by itself; its power is cut")
                self._qemu.kill()
            wait = 5.0 if self._full else None if self._kill_at == float("inf") else max(0.0, left)
            for key, _ in self._selector.select(wait):
                key.data()
            if self._full:
                self._try_again()
        code_ = self._qemu.returncode
        if self._stopping:
            self._say("the machine is off")
            return 0
        how = f"by signal {-code_}" if code_ < 0 else f"with exit code {code_}" if code_ else "as the guest wanted"
        self.say_trouble(
            f"QEMU has ended {how}; the machine is started again. Its console: {self._own.log}/console.log"
        )
        return 1

    def _end(self, *_: object) -> None:
        self._stopping = True

    def _reap(self) -> None:
        assert self._qemu is not None
        self._qemu.wait()

    def _hear(self) -> None:
        """Lines from the guest: events, and answers to what was asked."""
        assert self._guest is not None
        data = self._guest.recv(65536)
        if not data:
            self._selector.unregister(self._guest)
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict) and "event" in value:
                self._told(value)
            elif isinstance(value, dict) and (asker := self._waiting.pop(value.get("id", 0), None)) is not None:
                self._reply(asker, value.get("answer") or {})

    def _told(self, event: dict[str, Any]) -> None:
        self._say(f"guest: {json.dumps(event)}")
        match event["event"]:
            case "booted":
                self._booted = True
            case "joined":
                joined_mark(self._own).touch()
                self._forget_token()
            case "refused":
                if event.get("code") == 3:  # deploy.vm.guest.UNJOINED
                    joined_mark(self._own).unlink(missing_ok=True)

    def _notice(self) -> None:
        """QEMU's events."""
        data = self._events.recv(65536)
        if not data:
            self._selector.unregister(self._events)
            return
        *lines, self._event_bytes = (self._event_bytes + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, KeyError):
                event = json.loads(line)
                if event["event"] == "BLOCK_IO_ERROR" and event["data"].get("nospace"):
                    self._full = True
                    self.say_trouble(
                        f"the disk of this machine is full, so {self._node.name} stands still; it goes on once there "
                        f"is room in {self._own.state}"
                    )

    def _try_again(self) -> None:
        """Let a machine go on that stands still for want of room."""
        if shutil.disk_usage(self._own.state).free < 64 << 20:
            return
        self._full = False
        trouble(self._own).unlink(missing_ok=True)
        self._events.sendall(b'{"execute":"cont"}\n')
        self._say("there is room again; the machine goes on")

    def _accept(self) -> None:
        asker, _ = self._control.accept()
        asker.settimeout(2.0)
        try:
            data = b""
            while not data.endswith(b"\n") and len(data) < REQUEST_BYTES:
                piece = asker.recv(65536)
                if not piece:
                    break
                data += piece
            self._ask(json.loads(data), asker)
        except (OSError, ValueError) as error:
            self._reply(asker, {"error": str(error)})

    def _ask(self, request: dict[str, Any], asker: socket.socket | None) -> None:
        """Send the guest a question; the answer goes to `asker` when it comes."""
        self._asked += 1
        if asker is not None and not self._booted:
            self._reply(asker, {"children": {}})
            return
        if asker is not None:
            self._waiting[self._asked] = asker
        for number in [one for one in self._waiting if one < self._asked - 32]:
            self._waiting.pop(number).close()  # a guest that does not answer, such as one that boots
        if self._guest is not None:
            with contextlib.suppress(OSError):
                self._guest.sendall(json.dumps(request | {"id": self._asked}).encode() + b"\n")

    @staticmethod
    def _reply(asker: socket.socket, value: dict[str, Any]) -> None:
        with asker, contextlib.suppress(OSError):
            asker.sendall(json.dumps(value).encode() + b"\n")

    # -- ending ---------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """End what is left of the machine, and take its token back."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self._forget_token()
        (self._own.run / "join.json").unlink(missing_ok=True)

    def _forget_token(self) -> None:
        if not self._token:
            return
        try:
            self._admin().call("DELETE", f"{SECRETS}/{self._token}")
        except (ClusterError, ApiError) as error:
            self._say(f"token {self._token} could not be deleted and ends by itself: {error}")
        self._token = ""
        (self._own.run / "join.json").unlink(missing_ok=True)

    def say_trouble(self, text: str) -> None:
        """Note why the machine does not run."""
        self._say(text)
        with contextlib.suppress(OSError):
            trouble(self._own).write_text(text + "\n")

    @staticmethod
    def _say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
