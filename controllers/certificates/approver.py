"""Approves and denies certificate requests by policy (policy.py), and forgets what a deleted node was given."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.certificates.policy import BOOTSTRAPPERS, decide
from controllers.certificates.requests import APPROVED, DENIED, NODE_CLIENT, NODE_SERVING, asked, undecided
from sampan.actions import Action, Delete, Update
from sampan.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from sampan.api.core_v1 import Node
from sampan.informer import Change
from sampan.kinds import CERTIFICATE_SIGNING_REQUESTS, NODES
from sampan.loop import Controller, Watch
from sampan.objects import Key, key_of
from sampan.world import World

BY_NODE = "node"


def node_of(request: CertificateSigningRequest) -> Iterator[str]:
    """The node that a request is about."""
    if request.spec.signer_name in (NODE_CLIENT, NODE_SERVING):
        try:
            name = asked(request).node
        except ValueError:
            return
        if name:
            yield name


def reconcile(request: CertificateSigningRequest, world: World) -> Iterator[Action]:
    """Decide what nobody has decided."""
    if not undecided(request) or request.metadata.deletion_timestamp is not None:
        return
    name = next(node_of(request), "")
    node = world.get(NODES, "", name) if name else None
    others = world.by(CERTIFICATE_SIGNING_REQUESTS, BY_NODE, name) if name else []
    verdict = decide(request, [node] if node is not None else [], others, world.now)
    if verdict is None:
        return
    condition = CertificateSigningRequestCondition(
        type=APPROVED if verdict.approved else DENIED, status="True", reason=verdict.reason, message=verdict.message
    )
    status = request.status.model_copy(update={"conditions": [*request.status.conditions, condition]})
    decided = request.model_copy(update={"status": status})
    yield Update(CERTIFICATE_SIGNING_REQUESTS, decided, subresource="approval")


def waiting_for(change: Change[Node], world: World) -> Iterator[Key]:
    """The undecided requests about a node."""
    name = change.object.metadata.name or ""
    for request in world.by(CERTIFICATE_SIGNING_REQUESTS, BY_NODE, name):
        if undecided(request):
            yield key_of(request)


def forget(key: Key, world: World) -> Iterator[Action]:
    """A node is deleted: its name is free for whoever joins next, so what it was given is no promise any more."""
    for request in world.by(CERTIFICATE_SIGNING_REQUESTS, BY_NODE, key.name):
        if request.status.certificate and BOOTSTRAPPERS in request.spec.groups:
            yield Delete(CERTIFICATE_SIGNING_REQUESTS, request)


APPROVER = Controller(
    name="certificate-approver",
    of=CERTIFICATE_SIGNING_REQUESTS,
    reconcile=reconcile,
    watches=(Watch(NODES, waiting_for),),
    indexes={CERTIFICATE_SIGNING_REQUESTS: {BY_NODE: node_of}},
    workers=1,  # two could promise one name to two machines
)
NAMES = Controller(
    name="certificate-node-names",
    of=NODES,
    reconcile=lambda node, world: (),
    gone=forget,
    reads=(CERTIFICATE_SIGNING_REQUESTS,),
    indexes={CERTIFICATE_SIGNING_REQUESTS: {BY_NODE: node_of}},
    workers=1,
)
