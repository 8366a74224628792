"""What a server needs before it runs: settings, the keys that servers share, certificates, configuration.

Always: nothing that is there is made anew. A further server gets what all have in common from the first one.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy import control_plane, pki
from deploy.machine import certs_upload, server_settings
from deploy.machine.connection import Connection
from deploy.machine.places import MachinePlaces
from deploy.machine.server_settings import Settings
from deploy.machine.trust import address_of, checked_hash, pinned_ca
from sampan import kubeconfig
from sampan.errors import ClusterError
from sampan.files import write_whole

Say = Callable[[str], None]

SHARED = ("ca.crt", "ca.key", "service-accounts.key")
ETCD_FILES = ("etcd-ca.crt", "etcd-client.crt", "etcd-client.key")
SETTINGS = "settings.json"
PROGRAM, PACKAGE = "etcd", "etcd-server"


@dataclass(frozen=True)
class ServerPlaces:
    """One server's directories."""

    state: Path
    run: Path

    @classmethod
    def of(cls, machine: MachinePlaces) -> ServerPlaces:
        """A machine's."""
        return cls(machine.server, machine.run / "server")

    @property
    def settings(self) -> Path:
        return self.state / "server.json"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def etcd(self) -> Path:
        return self.state / "etcd"

    @property
    def etcd_pki(self) -> Path:
        """Copies of the files that lead to an etcd cluster that was there before."""
        return self.state / "etcd-pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def greeted(self) -> Path:
        """Is there once the user was told how machines join."""
        return self.state / "greeted"

    @property
    def control(self) -> Path:
        return self.run / "control.sock"


@dataclass(frozen=True)
class Joining:
    """Where a further server finds the first one."""

    server: str
    token: str
    ca_hash: str
    certificate_key: str


@dataclass(frozen=True)
class EtcdFiles:
    """Files on this machine by which an etcd cluster is reached."""

    ca: str = ""
    cert: str = ""
    key: str = ""


def prepare(
    places: ServerPlaces, given: dict[str, Any], etcd_files: EtcdFiles, joining: Joining | None, say: Say
) -> Settings:
    """Make what is missing: settings, shared keys, certificates, configuration. Raises ClusterError."""
    before = server_settings.read(places.settings)
    for above in (places.state.parent, places.run.parent):
        above.mkdir(parents=True, exist_ok=True, mode=0o755)
    os.umask(0o077)
    if before is not None:
        settings = before.changed(given, str(places.state)).checked()
    else:
        settings = _first(places, given, joining, say)
    if settings.etcd:
        _keep_etcd_files(places, etcd_files)
    elif shutil.which(PROGRAM) is None:
        raise ClusterError(where=f"program {PROGRAM}", what="is not installed", remedy=f"apt-get install {PACKAGE}")
    for directory in (places.state, places.config, places.logs, places.etcd, places.run):
        directory.mkdir(parents=True, exist_ok=True)
    _issue(places, settings)
    control_plane.write_configs(_plane(places, settings))
    settings.write(places.settings)
    _write_admin(places, settings)
    return settings


def renew(places: ServerPlaces, settings: Settings) -> datetime:
    """Renew the certificates that are due. Returns when the next one will be. Raises ClusterError and OSError."""
    _issue(places, settings)
    _write_admin(places, settings)
    return pki.next_due(places.pki, datetime.now(UTC))


def _write_admin(places: ServerPlaces, settings: Settings) -> None:
    """This server first; the others that the file knew stay in it."""
    try:
        known = kubeconfig.load(places.admin_kubeconfig).servers
    except kubeconfig.KubeconfigError:
        known = ()
    servers = tuple(dict.fromkeys((settings.url, *known)))
    admin = pki.kubeconfig(places.pki, "admin", settings.url, "sampan", servers=servers)
    if not places.admin_kubeconfig.exists() or places.admin_kubeconfig.read_text() != pki.as_yaml(admin):
        pki.write_kubeconfig(places.admin_kubeconfig, admin)


def _first(places: ServerPlaces, given: dict[str, Any], joining: Joining | None, say: Say) -> Settings:
    """A server's first settings. Of a further server's, what all have in common comes from the first one."""
    common: dict[str, Any] = {}
    if joining is not None:
        common = _fetch(places, joining, say)
    own = {"advertise_address": given.get("advertise_address") or own_address()}
    own["bind_address"] = given.get("bind_address") or own["advertise_address"]
    if joining is None:
        return Settings(**(given | own)).checked()
    return Settings(**common).changed(given | own, str(places.state)).checked()


def _fetch(places: ServerPlaces, joining: Joining, say: Say) -> dict[str, Any]:
    """Put the shared files in place. Returns the shared settings. Raises ClusterError."""
    certs_upload.checked_key(joining.certificate_key)
    address = address_of(joining.server)
    ca = pinned_ca(address, checked_hash(joining.ca_hash))
    say(f"the CA of {address.url} has the hash that was given")
    files = certs_upload.download(Connection(address, ca, token=joining.token), joining.certificate_key)
    settings = server_settings.from_json(files.pop(SETTINGS, b"{}"), f"{address.url}, shared settings")
    if not settings.get("etcd"):
        raise ClusterError(
            where=address.url,
            what="its etcd is its own, with one member, so there can be no second server",
            remedy="start the first server with --etcd and the URLs of an etcd cluster",
        )
    for name in SHARED:
        if name not in files:
            raise ClusterError(where=f"{address.url}, Secret kube-system/sampan-certs", what=f"{name} is missing")
    for directory, names in ((places.pki, SHARED), (places.etcd_pki, ETCD_FILES)):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in names:
            if name in files:
                write_whole(directory / name, files[name])
    say("the keys that all servers share are here")
    return settings


def _keep_etcd_files(places: ServerPlaces, given: EtcdFiles) -> None:
    """Copy what leads to etcd; what is here already stays unless it is given anew."""
    places.etcd_pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, flag, source in zip(
        ETCD_FILES, ("--etcd-ca", "--etcd-cert", "--etcd-key"), (given.ca, given.cert, given.key), strict=True
    ):
        target = places.etcd_pki / name
        if source:
            try:
                write_whole(target, Path(source).read_bytes())
            except OSError as error:
                raise ClusterError(where=f"{flag} {source}", what=error.strerror or str(error)) from error
        elif not target.exists():
            raise ClusterError(where=flag, what="is needed with --etcd", remedy="give a PEM file")


def _issue(places: ServerPlaces, settings: Settings) -> None:
    """The certificates; those that name addresses again when the addresses are others."""
    authority = pki.ensure_shared(places.pki)
    addresses = dict.fromkeys((settings.advertise_address, settings.bind_address, settings.first_service_address))
    before = server_settings.read(places.settings)
    if before is not None and (before.advertise_address, before.bind_address) != (
        settings.advertise_address,
        settings.bind_address,
    ):
        for path in pki.paths(places.pki, "apiserver"):
            path.unlink(missing_ok=True)
    pki.ensure_control_plane(places.pki, authority, settings.domain, (*addresses, socket.gethostname()))
    if not settings.etcd:
        pki.issue(places.pki, authority, "etcd", "etcd", hosts=("localhost", "127.0.0.1"))


def _plane(places: ServerPlaces, settings: Settings) -> control_plane.ControlPlane:
    if settings.etcd:
        ca, certificate, key = (places.etcd_pki / name for name in ETCD_FILES)
    else:
        ca = places.pki / "ca.crt"
        certificate, key = pki.paths(places.pki, "etcd-client")
    endpoints = settings.etcd or (f"https://127.0.0.1:{control_plane.ETCD_PORT}",)
    # The member on this machine first: it lives and dies with the server, and the others' load is spread.
    endpoints = tuple(sorted(endpoints, key=lambda url: f"//{settings.advertise_address}:" not in url))
    return control_plane.ControlPlane(
        identity=f"{socket.gethostname()}_{settings.advertise_address}",
        pki=places.pki,
        config=places.config,
        etcd=control_plane.EtcdAccess(endpoints, ca, certificate, key),
        address=settings.advertise_address,
        listen=(f"{settings.bind_address}:{settings.port}",),
        inherited=(),
        pod_cidr=settings.pod_cidr,
        service_cidr=settings.service_cidr,
        domain=settings.domain,
        node_monitor_grace_seconds=settings.node_monitor_grace_seconds,
        log_level=settings.log_level,
        network_mode=settings.network_mode,
        node_lease_seconds=settings.node_lease_seconds,
    )


def own_address() -> str:
    """This machine's address: the one that a packet to elsewhere would come from, or the first. Raises ClusterError.

    Sends nothing: connecting a UDP socket only looks for the way.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737), so the default route decides
            return str(probe.getsockname()[0])
        except OSError:
            pass
    from sampan.netlink.route import RouteSocket

    with RouteSocket() as sock:
        loopback = {link.index for link in sock.links() if link.name == "lo"}
        for one in sock.addresses():
            if one.index not in loopback and ":" not in str(one.address):
                return str(one.address)
    raise ClusterError(
        where="this machine", what="has no IPv4 address but the loopback", remedy="give --advertise-address"
    )
