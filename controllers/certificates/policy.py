"""Whether a request may be approved without asking anybody: exactly the identity of the node that asks. Pure.

A machine with a bootstrap token gets the client certificate of a node that does not exist yet (the token's own node,
if the token is bound to one). A node that was off until its certificate ended gets another by a token that is bound to
it, as long as nobody speaks for it. A node gets a new client certificate for itself, and serving certificates for its
own name and addresses. What anybody else asks, an administrator decides.
Source: "TLS bootstrapping"; "Certificates and Certificate Signing Requests", Kubernetes signers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.certificates import usages
from controllers.certificates.requests import (
    APPROVED,
    DENIED,
    FAILED,
    NODE_CLIENT,
    NODE_PREFIX,
    NODE_SERVING,
    NODES_GROUP,
    Asked,
    asked,
    condition,
)
from sampan import names
from sampan.api.certificates_v1 import CertificateSigningRequest
from sampan.api.core_v1 import Node

BOOTSTRAPPERS = "system:bootstrappers"
BOUND_TO = "authentication.sampan.dev/node-name"
OWN_SIGNERS = "kubernetes.io/"
RESERVED = timedelta(minutes=5)
"""How long a name that was given out stays its first asker's, until the Node appears."""
NAMES = ("Hostname", "InternalDNS", "ExternalDNS")


@dataclass(frozen=True)
class Verdict:
    """Approved or denied, why as one word, and the sentence for whoever asked."""

    approved: bool
    reason: str
    message: str


def deny(reason: str, message: str) -> Verdict:
    """A refusal."""
    return Verdict(False, reason, message)


def decide(
    request: CertificateSigningRequest,
    nodes: Collection[Node],
    others: Sequence[CertificateSigningRequest],
    now: datetime,
) -> Verdict | None:
    """The verdict on an undecided request; None when it is not for us, or not decidable yet.

    `nodes` is the Node that the request is about, if it exists; `others` are requests that may be about the same one.
    """
    spec = request.spec
    bootstrapper = BOOTSTRAPPERS in spec.groups
    own = (spec.username or "").removeprefix(NODE_PREFIX) if NODES_GROUP in spec.groups else ""
    if not bootstrapper and not own:
        return None
    if spec.signer_name not in (NODE_CLIENT, NODE_SERVING):
        if bootstrapper and spec.signer_name.startswith(OWN_SIGNERS):
            return deny(
                "SignerNotAllowed",
                f"a bootstrap token may only ask {NODE_CLIENT} for a certificate, not {spec.signer_name}",
            )
        return None
    try:
        wanted = asked(request)
    except ValueError as error:
        return deny("RequestUnreadable", f"the certificate request cannot be read: {error}")
    if problem := usages.OF[spec.signer_name].problem(spec.usages):
        return deny("UsagesNotAllowed", f"{problem}: signer {spec.signer_name} takes {_listed(spec.signer_name)}")
    if not wanted.node or names.dns_subdomain(wanted.node):
        return deny(
            "NotANodeIdentity",
            f"the request is for the user {wanted.common_name!r} in the groups {list(wanted.organizations)}, which is "
            f"no node: a node is a user {NODE_PREFIX}NAME in the one group {NODES_GROUP}",
        )
    if spec.signer_name == NODE_SERVING:
        return serving(wanted, own, next(iter(nodes), None))
    if wanted.dns_names or wanted.addresses or wanted.others:
        return deny("NotANodeIdentity", "a node's client certificate has no alternative names; leave them out")
    if own:
        return renewal(wanted, own)
    bound = (spec.extra.get(BOUND_TO) or [""])[0]
    return joining(request, wanted, bound, next(iter(nodes), None), others, now)


def _listed(signer: str) -> str:
    wanted = usages.OF[signer]
    return ", ".join(sorted(wanted.needed)) + "".join(f", and may have {one}" for one in sorted(wanted.allowed))


def renewal(wanted: Asked, own: str) -> Verdict:
    """A node asks for its next client certificate."""
    if wanted.node != own:
        return another(wanted, own)
    return Verdict(True, "AutoApproved", f"node {own} renews its own client certificate")


def another(wanted: Asked, own: str) -> Verdict:
    """A node claims to be another."""
    return deny(
        "AnotherNodesIdentity",
        f"node {own} asks for a certificate of node {wanted.node}: a node's certificate can only be used to get "
        "certificates of that same node",
    )


def joining(
    request: CertificateSigningRequest,
    wanted: Asked,
    bound: str,
    node: Node | None,
    others: Sequence[CertificateSigningRequest],
    now: datetime,
) -> Verdict:
    """A machine with a bootstrap token asks to become a node."""
    name = wanted.node
    if bound and bound != name:
        return deny(
            "TokenBoundToAnotherNode",
            f"the token of {request.spec.username} is for node {bound} only and cannot be used to join as {name}; "
            f"join with --node-name {bound}, or use another token",
        )
    if node is not None and _speaks(node):
        return deny(
            "NodeNameTaken",
            f"the cluster has a node {name} already; choose another --node-name, or if that node is gone for good "
            f"run: kctl delete node {name}",
        )
    if node is not None and not bound:
        return deny(
            "NodeNameTaken",
            f"the cluster has a node {name} already, which is not heard of; choose another --node-name; if it is this "
            f"machine, make a token for it alone: kctl token create --node {name}; if it is gone for good run: "
            f"kctl delete node {name}",
        )
    for other in others:
        given = condition(other, APPROVED)
        if given is None or other.spec.request == request.spec.request:
            continue
        left = RESERVED - (now - (given.last_update_time or now))
        if left > timedelta() and _competes(other, wanted):
            return deny(
                "NodeNameTaken",
                f"another machine was given the name {name} and has not come up yet; choose another --node-name, or "
                f"try again in {int(left.total_seconds()) + 1} s",
            )
    return Verdict(True, "AutoApproved", f"the token of {request.spec.username} lets a machine join as node {name}")


def _speaks(node: Node) -> bool:
    """Whether somebody reports as this node, or may do so in a moment."""
    ready = next((one.status for one in node.status.conditions if one.type == "Ready"), "")
    return ready != "Unknown"


def _competes(other: CertificateSigningRequest, wanted: Asked) -> bool:
    """Whether another machine was promised the same name: the same name for another key."""
    if condition(other, DENIED) is not None or condition(other, FAILED) is not None:
        return False
    if other.spec.signer_name != NODE_CLIENT or BOOTSTRAPPERS not in other.spec.groups:
        return False
    try:
        theirs = asked(other)
    except ValueError:
        return False
    return theirs.node == wanted.node and theirs.public_key != wanted.public_key


def canonical(address: str) -> str:
    """An address as certificates show it; what is none stays as it is."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def serving(wanted: Asked, own: str, node: Node | None) -> Verdict | None:
    """A node asks for the certificate that its kubelet API shows. None until the Node has addresses."""
    if not own:
        return deny("NotANodeIdentity", "only a node itself may ask for its serving certificate, after it has joined")
    if wanted.node != own:
        return another(wanted, own)
    if not wanted.dns_names and not wanted.addresses:
        return deny("AddressMissing", f"the request of node {own} names no address that it would serve")
    if wanted.others:
        return deny("NotANodeIdentity", "a serving certificate has DNS names and addresses, no other names")
    if node is None or not node.status.addresses:
        return None
    known = {one.address for one in node.status.addresses if one.type in NAMES} | {own}
    addresses = {canonical(one.address) for one in node.status.addresses if one.type not in NAMES}
    strange = sorted({*wanted.dns_names} - known) + sorted({*wanted.addresses} - addresses)
    if strange:
        return deny(
            "NotTheNodesAddress",
            f"node {own} may not serve as {strange[0]}: that is neither its name nor one of its status.addresses",
        )
    return Verdict(True, "AutoApproved", f"node {own} asks for a serving certificate for its own name and addresses")
