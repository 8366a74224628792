"""`sampan server`: a control plane on this machine, in the foreground.

    sampan server ── etcd (unless --etcd names one that is there)
                  ├─ API server
                  ├─ controllers, scheduler (those of one server act, by a lease)

Always: nothing that is there is made anew, so it can be started again at any time; a first start that fails halfway
goes on where it was. Several servers share one etcd cluster; what they have in common comes from the first one
(certs_upload.py). It needs no root: whoever runs it owns its state, where the CA's key lies.
Elsewhere: what its flags mean (server_settings.py), what is made before it runs
(server_setup.py), the unit that runs it (service.py).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import components, control, control_plane, pki
from deploy.machine import certs_upload, server_settings, tokens
from deploy.machine.connection import Connection
from deploy.machine.places import MachinePlaces
from deploy.machine.server_settings import Settings
from deploy.machine.server_setup import ETCD_FILES, SETTINGS, SHARED, EtcdFiles, Joining, ServerPlaces, prepare, renew
from deploy.machine.trust import Address, fingerprint
from deploy.process_tree import ChildSpec, ProcessTree
from deploy.renewal import Renewal
from sampan.errors import ApiError, ClusterError

Say = Callable[[str], None]

PRELOADED = ("apiserver.main", "scheduler.main", "controllers.main")
READY_SECONDS = 120.0
POLL_SECONDS = 0.1
FACTS = "/api/v1/namespaces/kube-system/configmaps/sampan-config"


def run(places: ServerPlaces, settings: Settings, greet: Callable[[], None], *, to_stderr: bool) -> int:
    """Keep the control plane running until SIGTERM. `greet` is called beside it, in a process of its own."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        match request:
            case {"do": "status"}:
                return {"server": settings.url, "pid": os.getpid(), "children": tree.status()}
            case {"do": "stop"}:
                tree.end()
                return {"pid": os.getpid()}
        return {"error": f"unknown request {json.dumps(request)[:200]}"}

    def child(name: str, start: Callable[[], int]) -> None:
        tree.add(ChildSpec(name, start, None if to_stderr else places.logs / f"{name}.log"))

    tree = ProcessTree(places.run / "tree.json", places.control, answer)
    Renewal(lambda: renew(places, settings), watch=tree.watch).renew()
    if not settings.etcd:
        child("etcd", components.executed(*control_plane.etcd_command("127.0.0.1", places.pki, places.etcd)))
    components.preload_models()
    _share()
    child("apiserver", components.forked("apiserver.main", places.config / "apiserver.json"))
    components.preload_modules(PRELOADED)
    _share()
    for name in ("controllers", "scheduler"):
        child(name, components.forked(f"{name}.main", places.config / f"{name}.json"))
    if os.fork() == 0:
        _only(greet)
    tree.run()
    return 0


def _share() -> None:
    """Keep what is loaded out of the collector's sight, whose marks would copy the pages that forks share."""
    gc.collect()
    gc.freeze()


def _only(work: Callable[[], None]) -> None:
    """In a child: do one thing and end."""
    code = 1
    try:
        work()
        code = 0
    except (ClusterError, ApiError) as error:
        print(f"sampan server: {error}", file=sys.stderr)
    except BaseException:  # the edge of the process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@dataclass(frozen=True)
class Greeting:
    """What is said once the API answers."""

    how_to_join: bool
    upload: bool
    certificate_key: str = ""
    logged: bool = False
    """What is said ends up in a log, which more people read than may make a machine join."""

    def say(self, places: ServerPlaces, settings: Settings, say: Say) -> None:
        """Wait for the API, then say how to use it and, at the first time, how others join. Raises ClusterError."""
        connection = admin_connection(places, settings)
        deadline = time.monotonic() + READY_SECONDS
        _wait_for(connection, "/readyz", deadline)
        say(f"the API is ready at {settings.url}")
        pki.write_kubeconfig(places.admin_kubeconfig, admin_kubeconfig(places, settings, connection))
        say(f"the administrator's kubeconfig is {places.admin_kubeconfig}")
        if self.how_to_join:
            _wait_for(connection, FACTS, deadline)  # the controllers publish what a machine must know to join
        if self.how_to_join and self.logged:
            say("how a machine joins as a node is said by:")
            say(f"  kctl --kubeconfig {places.admin_kubeconfig} token create --print-join-command")
            places.greeted.touch()
        elif self.how_to_join:
            token = tokens.create(connection, seconds=tokens.JOIN_SECONDS, description="made at the server's start")
            say("a machine joins as a node, within 24 hours, by:")
            say(f"  sampan join {_joining(places, settings, token.text)}")
            places.greeted.touch()
        if self.upload:
            upload(places, settings, self.certificate_key, say)


def upload(places: ServerPlaces, settings: Settings, certificate_key: str, say: Say) -> None:
    """Share the keys for two hours and say how another server joins. Raises ClusterError."""
    if not settings.etcd:
        raise ClusterError(
            where="--upload-certs",
            what="this server's etcd is its own, with one member, so there can be no second server",
            remedy="start it with --etcd and the URLs of an etcd cluster",
        )
    key = certificate_key or certs_upload.new_key()
    files = {name: (places.pki / name).read_bytes() for name in SHARED}
    files |= {name: (places.etcd_pki / name).read_bytes() for name in ETCD_FILES}
    shared = json.loads(places.settings.read_bytes())
    for own in ("advertiseAddress", "bindAddress"):
        shared.pop(own)
    files[SETTINGS] = json.dumps(shared).encode()
    connection = admin_connection(places, settings)
    certs_upload.upload(connection, files, key)
    token = tokens.create(connection, seconds=certs_upload.SECONDS, description="for further servers")
    say("a machine joins as a further server, within 2 hours, by:")
    say(f"  sampan server --join {_joining(places, settings, token.text)} --certificate-key {key}")


def admin_kubeconfig(places: ServerPlaces, settings: Settings, connection: Connection) -> dict[str, Any]:
    """The administrator's kubeconfig, with all servers that live now, this one first. Raises ApiError, ClusterError."""
    found = connection.call("GET", "/api/v1/namespaces/default/endpoints/kubernetes")
    living = [
        f"https://{address['ip']}:{port['port']}"
        for subset in found.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    servers = tuple(dict.fromkeys((settings.url, *living)))
    return pki.kubeconfig(places.pki, "admin", settings.url, "sampan", servers=servers)


def admin_connection(places: ServerPlaces, settings: Settings) -> Connection:
    """This machine's own API, as the administrator."""
    ca = (places.pki / "ca.crt").read_text()
    return Connection(Address(settings.bind_address, settings.port), ca, pair=pki.paths(places.pki, "admin"))


def _joining(places: ServerPlaces, settings: Settings, token: str) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = x509.load_pem_x509_certificate((places.pki / "ca.crt").read_bytes())
    return f"{settings.url} --token {token} --ca-hash {fingerprint(certificate.public_bytes(Encoding.DER))}"


def _wait_for(connection: Connection, path: str, deadline: float) -> None:
    """Return once the API answers at `path`. Raises ClusterError."""
    while True:
        try:
            connection.call("GET", path)
            return
        except (ApiError, ClusterError) as error:
            if time.monotonic() > deadline:
                raise ClusterError(
                    where=connection.server.url,
                    what=f"{path} does not answer after {READY_SECONDS:.0f} s: {error}",
                    remedy="look at the logs of API server, controllers and etcd",
                ) from error
        time.sleep(POLL_SECONDS)  # before the API is up there is nothing to watch


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser(
        prog="sampan server",
        description="Run a control plane in the foreground. Settings are kept: a restart needs no flag.",
    )
    server_settings.add_flags(made)
    made.add_argument("--etcd-ca", default="", metavar="FILE", help="the CA of the etcd cluster's certificates")
    made.add_argument("--etcd-cert", default="", metavar="FILE", help="a client certificate for the etcd cluster")
    made.add_argument("--etcd-key", default="", metavar="FILE", help="its key")
    made.add_argument("--config", default="", metavar="FILE", help="settings as JSON, named as the flags in camelCase")
    made.add_argument("--join", default="", metavar="URL", help="be a further server beside the one at this address")
    made.add_argument("--token", default="", help="with --join: a bootstrap token")
    made.add_argument("--token-file", default="", metavar="FILE", help="with --join: a file that holds the token")
    made.add_argument("--ca-hash", default="", metavar="sha256:HEX", help="with --join: the CA's fingerprint")
    made.add_argument(
        "--certificate-key", default="", metavar="HEX", help="with --join, or --upload-certs: what the keys are under"
    )
    made.add_argument(
        "--certificate-key-file", default="", metavar="FILE", help="a file that holds the certificate key"
    )
    made.add_argument("--upload-certs", action="store_true", help="share the keys for two hours, for further servers")
    made.add_argument(
        "--print-kubeconfig", action="store_true", help="print the administrator's kubeconfig with all living servers"
    )
    made.add_argument("--prepare", action="store_true", help="only write what a start needs, as service install does")
    made.add_argument("--log-files", action="store_true", help="log to files instead of standard error")
    return made


def main(argv: Sequence[str]) -> int:
    """`sampan server`."""
    options = parser().parse_args(argv)
    options.certificate_key = options.certificate_key or _text("--certificate-key-file", options.certificate_key_file)
    places = ServerPlaces.of(MachinePlaces.here())
    given = server_settings.given_by(options)
    if options.config:
        path = Path(options.config)
        try:
            given = server_settings.from_json(path.read_bytes(), str(path)) | given
        except OSError as error:
            raise ClusterError(where=f"--config {path}", what=error.strerror or str(error)) from error
    if _is_running(places):
        return _while_running(places, options, given)
    if options.print_kubeconfig:
        raise ClusterError(where="--print-kubeconfig", what="no server runs here", remedy="run: sampan server")
    joining = None if places.settings.exists() else _joining_of(options)
    settings = prepare(places, given, EtcdFiles(options.etcd_ca, options.etcd_cert, options.etcd_key), joining, _say)
    if options.prepare:
        _say(f"what a server needs is in {places.state}")
        return 0
    greeting = Greeting(
        joining is None and not places.greeted.exists(),
        options.upload_certs,
        options.certificate_key,
        logged="JOURNAL_STREAM" in os.environ,  # systemd.exec(5)
    )
    sys.path[:] = [entry for entry in sys.path if entry]
    os.chdir("/")
    return run(places, settings, lambda: greeting.say(places, settings, _say), to_stderr=not options.log_files)


def _joining_of(options: argparse.Namespace) -> Joining | None:
    if not options.join:
        return None
    wanted = {
        "--token": options.token or _text("--token-file", options.token_file),
        "--ca-hash": options.ca_hash,
        "--certificate-key": options.certificate_key,
    }
    for flag, value in wanted.items():
        if not value:
            raise ClusterError(
                where=flag, what="is needed with --join", remedy="take the command from: sampan server --upload-certs"
            )
    return Joining(options.join, *wanted.values())


def _text(flag: str, path: str) -> str:
    """What a file says that a flag names, empty without one. Raises ClusterError."""
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(where=f"{flag} {path}", what=str(error)) from error


def _is_running(places: ServerPlaces) -> bool:
    try:
        control.ask(places.control, {"do": "status"})
    except control.NotRunning:
        return False
    except PermissionError as error:
        raise ClusterError(
            where=str(error.filename or places.control),
            what="belongs to another user, who runs this machine's server",
            remedy="run it as that user, or with sudo",
        ) from error
    return True


def _while_running(places: ServerPlaces, options: argparse.Namespace, given: dict[str, Any]) -> int:
    """A server runs already: only what can be done beside it. Raises ClusterError for the rest."""
    settings = server_settings.read(places.settings)
    aside = options.upload_certs or options.print_kubeconfig
    if not aside or given or options.join or settings is None:
        raise ClusterError(
            where="this machine",
            what="a server runs here already",
            remedy="end it to change its settings; --upload-certs and --print-kubeconfig work beside it",
        )
    if options.upload_certs:
        upload(places, settings, options.certificate_key, _say)
    if options.print_kubeconfig:
        import yaml

        value = admin_kubeconfig(places, settings, admin_connection(places, settings))
        print(yaml.safe_dump(value, sort_keys=False), end="")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)
