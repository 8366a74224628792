"""The node's certificates: asked for by signing requests, and asked for anew before they end.

    file -> due? -> new key, CertificateSigningRequest -> approved, signed -> file, by one rename

The client certificate says who the agent is (its client takes a changed file up by itself); the serving certificate
says to the API server whose kubelet API it calls. The moment is somewhere between 70 and 90 percent of a
certificate's life, as kubelet's, so that nodes that joined together do not ask together.
Always: the old pair stays in its file until the new one is there; a key never leaves the machine.
Elsewhere: who approves and signs (the controllers), what a request looks like (sampan/signing_requests.py).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from nodeagent.config import PairConfig
from sampan.client import Client, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError, SampanError
from sampan.kinds import CERTIFICATE_SIGNING_REQUESTS
from sampan.logs import fields
from sampan.signing_requests import CLIENT_SIGNER, SERVING_SIGNER, Validity, node_request, write_pair

log = logging.getLogger(__name__)

RENEW_FROM, RENEW_TO = 0.7, 0.9
MOST_SLEEP_SECONDS = 600.0
"""A machine that was suspended looks at the calendar so soon."""
APPROVAL_SECONDS = 60
FIRST_BACKOFF, MOST_BACKOFF = 1.0, 300.0


class Refused(SampanError):
    """A request was denied, could not be signed, or found nobody who looked at it."""


@dataclass(frozen=True)
class Purpose:
    """What a certificate is for."""

    name: str
    signer: str
    usages: tuple[str, ...]
    hosts: frozenset[str] = frozenset()


CLIENT = Purpose("client", CLIENT_SIGNER, ("digital signature", "client auth"))


def serving(*hosts: str) -> Purpose:
    """To serve the kubelet API under these names and addresses."""
    usages = ("digital signature", "server auth")
    return Purpose("serving", SERVING_SIGNER, usages, frozenset(host for host in hosts if host))


def seconds_until_due(held: Validity | None, hosts: frozenset[str], share: float, now: datetime) -> float:
    """How long a certificate can stay: 0 when there is none, or it has other names. Pure."""
    if held is None or held.hosts != hosts:
        return 0.0
    return max(0.0, (held.at(share) - now).total_seconds())


class Certificate:
    """One pair of the node, kept valid. `there` is set once its file holds one that is."""

    def __init__(
        self,
        node: str,
        pair: PairConfig,
        purpose: Purpose,
        client: Client,
        clock: Clock,
    ) -> None:
        self._node = node
        self._path = pair.cert
        self._purpose = purpose
        self._client = client
        self._clock = clock
        self.there = asyncio.Event()
        self.renewals = 0

    async def run(self) -> NoReturn:
        """Renew it in time, again and again. Until cancelled."""
        backoff = FIRST_BACKOFF
        while True:
            held = self._held()
            if held is not None and held.ends > self._clock.now():
                self.there.set()
            share = random.uniform(RENEW_FROM, RENEW_TO)
            while (left := seconds_until_due(held, self._purpose.hosts, share, self._clock.now())) > 0:
                await self._clock.sleep(min(left, MOST_SLEEP_SECONDS))
            try:
                certificate, key = await self._obtain()
                write_pair(self._path, certificate, key)
            except (ApiError, Unreachable, Refused, OSError) as error:
                log.warning("can't renew a certificate", extra=fields(of=self._purpose.name, error=error))
                self._complain_if_over(held)
                await self._clock.sleep(backoff * random.uniform(0.75, 1.25))
                backoff = min(MOST_BACKOFF, backoff * 2, _patience(held, self._clock.now()))
                continue
            backoff = FIRST_BACKOFF
            self.renewals += 1
            ends = Validity.of(certificate).ends
            log.info("a new certificate", extra=fields(of=self._purpose.name, until=f"{ends:%Y-%m-%dT%H:%M:%SZ}"))

    def _held(self) -> Validity | None:
        """What the file has. Its life begins when it came, as signers date certificates back for clocks that lag."""
        try:
            held = Validity.of(self._path.read_bytes())
            came = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
            return replace(held, begins=max(held.begins, min(came, held.ends)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("a certificate can't be read", extra=fields(file=self._path, error=error))
            return None

    def _complain_if_over(self, held: Validity | None) -> None:
        if self._purpose is CLIENT and held is not None and held.ends < self._clock.now():
            log.error(
                "this node's client certificate has ended, so it can't ask for another; run sampan join again, with a "
                f"token for this node alone: kctl token create --node {self._node} --print-join-command",
                extra=fields(ended=f"{held.ends:%Y-%m-%dT%H:%M:%SZ}"),
            )

    async def _obtain(self) -> tuple[bytes, bytes]:
        """A new certificate and its key. Raises Refused, ApiError, Unreachable."""
        made = node_request(self._node, sorted(self._purpose.hosts))
        request = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(made.request).decode(),
                "signerName": self._purpose.signer,
                "usages": list(self._purpose.usages),
            },
        }
        sent = await self._client.create(CERTIFICATE_SIGNING_REQUESTS, request)
        name, version = sent.metadata.name or "", sent.metadata.resource_version or ""
        watch = self._client.watch(
            CERTIFICATE_SIGNING_REQUESTS,
            resource_version=version,
            field_selector=f"metadata.name={name}",
            timeout_seconds=APPROVAL_SECONDS,
        )
        async for event in watch:
            if event.type == "DELETED":
                raise Refused(f"request {name} was deleted")
            if event.type != "BOOKMARK" and (certificate := issued(name, event.object.to_json())) is not None:
                return certificate, made.key
        raise Refused(f"nobody signed request {name} within {APPROVAL_SECONDS} seconds; are the controllers running?")


def issued(name: str, request: Mapping[str, Any]) -> bytes | None:
    """The certificate (PEM) in a request's status, None while there is none. Raises Refused."""
    status = request.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Denied", "Failed"):
            said = condition.get("message") or condition.get("reason") or "no reason was given"
            raise Refused(f"request {name} is {str(condition['type']).lower()}: {said}")
    encoded = status.get("certificate")
    return base64.b64decode(encoded) if encoded else None


def _patience(held: Validity | None, now: datetime) -> float:
    """The longest wait that still leaves several tries before the pair in use ends, in seconds."""
    left = (held.ends - now) if held is not None else timedelta(minutes=1)
    return max(FIRST_BACKOFF, left.total_seconds() / 8)
