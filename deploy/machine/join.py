"""`sampan join`: a machine that knows an address, a token and the CA's fingerprint becomes a node.

    handshake -> CA's fingerprint -> clock -> token -> signing request -> approval -> certificate -> files

Always: nothing but a TLS handshake is sent before the CA's fingerprint was compared; the node's key is made here and
never leaves; all files are put in place by one rename, so that a join that fails leaves nothing.
Elsewhere: the fingerprint (trust.py), the requests (connection.py), whether the machine is fit (preflight.py), what
runs afterwards (node.py), the command line (command.py).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.machine import identity
from deploy.machine.connection import Connection
from deploy.machine.identity import Identity
from deploy.machine.places import MachinePlaces
from deploy.machine.request import HOW_TO_GET_TOKEN, taint_of
from deploy.machine.request import JoinRequest as JoinRequest
from deploy.machine.trust import Address, address_of, pinned_ca
from sampan.clock import Clock
from sampan.errors import ApiError, ClusterError

Say = Callable[[str], None]

MOST_CLOCK_SECONDS = 60.0
SET_CLOCK = "set it, for instance by: timedatectl set-ntp true"
FACTS_SECONDS, FACTS_PAUSE = 20.0, 0.5
APPROVAL_SECONDS = 300.0
FACTS = "/api/v1/namespaces/kube-system/configmaps/sampan-config"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def join(request: JoinRequest, places: MachinePlaces, say: Say, clock: Clock | None = None) -> None:
    """Get this machine's identity and write its configuration; a machine that has them keeps them.

    One whose certificate has ended, so that it can't renew it, gets another by the token and is the same node.
    Starts nothing: see deploy.machine.node. Raises ClusterError with the sentence for the user.
    """
    request = request.checked()
    if (known := identity.read(places)) is not None:
        _same(known, request)
        if (ended := identity.ended(places, (clock or Clock()).now())) is None:
            say(f"this machine is node {known.name} of {known.server} already")
        else:
            say(f"this machine is node {known.name}, whose certificate has ended at {ended:%Y-%m-%dT%H:%M:%SZ}")
            _begin_again(known, request, places, say, clock)
        return
    server = address_of(request.server)
    ca = pinned_ca(server, request.ca_hash)
    say(f"the CA of {server.url} has the hash that was given")
    connection = Connection(server, ca, token=request.token)
    _check_clock(connection, clock or Clock())
    facts = _facts(connection, say)
    who = Identity(
        name=request.node_name,
        address=request.node_ip,
        device=device_of(request.node_ip),
        server=server.url,
        ca_hash=request.ca_hash,
        facts=facts,
        labels=dict(request.labels),
        taints=[taint_of(one) for one in request.taints],
        parent_store=request.parent_store,
        egress=request.egress,
        log_level=request.log_level,
    )
    _ = who.cluster  # facts that can't be used are found before anything is asked for
    name, certificate, key = _certificate(connection, request.node_name, say)
    who = replace(who, request=name)
    with _staged(places) as staging:
        _write(who, ca, certificate, key, staging, places)
    say(f"this machine has the identity of node {who.name}")


def _begin_again(known: Identity, request: JoinRequest, places: MachinePlaces, say: Say, clock: Clock | None) -> None:
    """A new client certificate for the node that this machine is; all else stays."""
    from sampan.signing_requests import write_pair  # late: it loads OpenSSL's bindings

    server = address_of(request.server)
    connection = Connection(server, pinned_ca(server, request.ca_hash), token=request.token)
    _check_clock(connection, clock or Clock())
    name, certificate, key = _certificate(connection, known.name, say)
    write_pair(places.client_pair, certificate, key)
    fresh = places.identity.with_suffix(".new")
    replace(known, request=name).write(fresh)
    fresh.replace(places.identity)
    say(f"node {known.name} has a new certificate")


def _same(known: Identity, request: JoinRequest) -> None:
    """Refuse to become somebody else."""
    if (known.name, known.ca_hash) != (request.node_name, request.ca_hash):
        raise ClusterError(
            where="this machine",
            what=f"is node {known.name} of {known.server} already, not node {request.node_name} of {request.server}",
            remedy="run: sampan leave, and join again",
        )


def clock_trouble(ours: datetime, theirs: datetime) -> str:
    """What is wrong with this machine's clock beside the server's, "" for nothing. Pure.

    Certificates and tokens begin and end by the calendar.
    """
    off = (ours - theirs).total_seconds()
    if abs(off) <= MOST_CLOCK_SECONDS:
        return ""
    return (
        f"is {abs(off):.0f} seconds {'ahead of' if off > 0 else 'behind'} the server's "
        f"({ours:%Y-%m-%d %H:%M:%S} here, {theirs:%Y-%m-%d %H:%M:%S} there, UTC), so certificates can't be judged"
    )


def _check_clock(connection: Connection, clock: Clock) -> None:
    if what := clock_trouble(clock.now().astimezone(UTC), connection.time()):
        raise ClusterError(where="this machine's clock", what=what, remedy=SET_CLOCK)


def _facts(connection: Connection, say: Say) -> dict[str, Any]:
    """What the cluster tells a machine that joins. The first request that shows the token. Raises ClusterError.

    A cluster that was started a moment ago is given time to say it.
    """
    deadline, told = time.monotonic() + FACTS_SECONDS, False
    while True:
        try:
            answer = connection.call("GET", FACTS)
            break
        except ApiError as error:
            if not error.is_not_found or time.monotonic() > deadline:
                raise _refused(connection.server, error) from error
        if not told:
            say("waiting for the cluster to say what its nodes must know")
            told = True
        time.sleep(FACTS_PAUSE)
    try:
        facts = json.loads(answer["data"]["cluster.json"])
        return dict(facts)
    except (KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            where=f"{connection.server.url}, ConfigMap kube-system/sampan-config", what=f"can't be used: {error!r}"
        ) from error


def _refused(server: Address, error: ApiError) -> ClusterError:
    if error.code == 401:
        remedy = "" if "kctl token create" in error.message else HOW_TO_GET_TOKEN
        return ClusterError(where=server.url, what=f"the token is refused: {error.message}", remedy=remedy)
    if error.code == 403:
        what = f"the token does not allow joining: {error.message}"
        return ClusterError(where=server.url, what=what, remedy=HOW_TO_GET_TOKEN)
    if error.code == 404:
        what = f"the cluster is not prepared for machines that join: {error.message}"
        return ClusterError(where=server.url, what=what, remedy="its servers need Sampan of this version")
    return ClusterError(where=server.url, what=error.message)


def _certificate(connection: Connection, node: str, say: Say) -> tuple[str, bytes, bytes]:
    """The request's name, the node's client certificate and its key, once it is approved. Raises ClusterError."""
    from sampan.signing_requests import CLIENT_SIGNER, node_request  # late: it loads OpenSSL's bindings

    made = node_request(node)
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "node-csr-"},
        "spec": {
            "request": base64.b64encode(made.request).decode(),
            "signerName": CLIENT_SIGNER,
            "usages": ["digital signature", "client auth"],
        },
    }
    where = f"{connection.server.url}, certificate for node {node}"
    try:
        name = connection.call("POST", REQUESTS, body)["metadata"]["name"]
        say(f"certificate signing request {name} is sent; waiting for its approval")
        began = time.monotonic()
        for found in connection.watch(REQUESTS, name=name, seconds=APPROVAL_SECONDS):
            if found is None:
                raise ClusterError(where=where, what=f"request {name} was deleted", remedy="join again")
            if (certificate := _issued(found, where)) is not None:
                say(f"the certificate is there after {time.monotonic() - began:.1f} s")
                return name, certificate, made.key
    except ApiError as error:
        raise _refused(connection.server, error) from error
    raise ClusterError(
        where=where,
        what=f"nobody approved request {name} within {APPROVAL_SECONDS:.0f} seconds",
        remedy="look at it with: kctl describe csr; are the controllers running?",
    )


def _issued(found: Mapping[str, Any], where: str) -> bytes | None:
    """The certificate in a request's status, None while there is none. Raises ClusterError for a refusal."""
    status = found.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Denied", "Failed"):
            verb = "refused" if condition["type"] == "Denied" else "not signed"
            reason = condition.get("message") or condition.get("reason") or "no reason was given"
            raise ClusterError(where=where, what=f"is {verb}: {reason}")
    encoded = status.get("certificate")
    return base64.b64decode(encoded) if encoded else None


def device_of(address: str) -> str:
    """The interface that has this address. Raises ClusterError."""
    from sampan.netlink.route import RouteSocket

    with RouteSocket() as sock:
        names = {link.index: link.name for link in sock.links()}
        for one in sock.addresses():
            if one.address == address:
                return names[one.index]
    raise ClusterError(
        where=f"node address {address}", what="no interface of this machine has it", remedy="give another by --node-ip"
    )


def _write(who: Identity, ca: str, certificate: bytes, key: bytes, staging: Path, places: MachinePlaces) -> None:
    """The node's files, written below `staging` for where they will be."""
    from sampan.signing_requests import write_pair

    at = MachinePlaces(staging, places.run)
    at.pki.mkdir(parents=True, mode=0o700)
    at.ca.write_text(ca)
    write_pair(at.client_pair, certificate, key)
    identity.write_kubeconfig(who, at, places)
    who.write(at.identity)


@contextmanager
def _staged(places: MachinePlaces) -> Iterator[Path]:
    """A directory whose `node` becomes the machine's in one rename, or goes with all that was made for it."""
    above = [one for one in (places.state, *places.state.parents) if not one.exists()]
    places.state.mkdir(parents=True, exist_ok=True, mode=0o755)
    staging = Path(tempfile.mkdtemp(prefix=".join-", dir=places.state))
    try:
        yield staging
        os.rename(staging / places.node_state.name, places.node_state)
        descriptor = os.open(places.state, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        staging.rmdir()
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for directory in above:
            with suppress(OSError):  # somebody else put something there meanwhile
                directory.rmdir()
        raise
