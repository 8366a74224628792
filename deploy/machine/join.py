"""`sampan join`: a machine that knows an address, a token and the CA's fingerprint becomes a node.

Always: nothing but a TLS handshake is sent before the CA's fingerprint was compared; the node's key is made here and
never leaves; all files are put in place by one rename, so that a join that fails leaves nothing.
Elsewhere: whether the machine is fit (preflight.py), what runs afterwards (node.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.machine.places import MachinePlaces
from sampan.clock import Clock

Say = Callable[[str], None]


@dataclass(frozen=True)
class JoinRequest:
    """What the user, or the VM driver, gives. Texts are as on the command line."""

    server: str
    """https://HOST:PORT"""
    token: str
    ca_hash: str
    """sha256:HEX of the CA certificate's SubjectPublicKeyInfo in DER."""
    node_name: str = ""
    """By default the machine's host name."""
    node_ip: str = ""
    """By default the address that leads to the server."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    """KEY[=VALUE]:EFFECT"""
    parent_store: str = ""
    """A read-only image store that is looked in first, such as the one of a VM's host."""
    log_level: str = "info"


def join(request: JoinRequest, places: MachinePlaces, say: Say, clock: Clock | None = None) -> None:
    """Get this machine's identity and write its configuration; a machine that has them keeps them.

    Starts nothing: see deploy.machine.node. Raises ClusterError with the sentence for the user.
    """
    raise NotImplementedError
