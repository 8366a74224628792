"""`sampan leave`: drains this node, ends its processes, deletes its Node, and cleans the machine.

Always: the Node is deleted after the agent ended, which would register it again; the identity's file goes last of all
that is the cluster's, so that a leave that was interrupted can be repeated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from deploy.machine import cleaning, identity
from deploy.machine.connection import Connection, listens
from deploy.machine.drain import drain
from deploy.machine.identity import Identity
from deploy.machine.join import REQUESTS
from deploy.machine.places import MachinePlaces
from deploy.machine.trust import address_of
from sampan.errors import ApiError, ClusterError

DRAIN_SECONDS = 300.0
FORCE = "or run: sampan leave --force, which cleans this machine and leaves the Node to be deleted by kctl"

Say = Callable[[str], None]


def connection_of(who: Identity, places: MachinePlaces) -> Connection:
    """To the first of the cluster's servers that listens, as the node."""
    known = [address_of(url) for url in who.servers]
    server = next(filter(listens, known), known[0])
    return Connection(server, places.ca.read_text(), pair=places.client_pair)


def leave(
    places: MachinePlaces, say: Say, *, drain_seconds: float = DRAIN_SECONDS, force: bool = False, images: bool = True
) -> None:
    """Stop being a node. A machine that is none is cleaned of what an interrupted leave left. Raises ClusterError.

    With `force` the machine is cleaned although pods can't be evicted or the cluster does not answer.
    """
    who = _identity(places, force=force)
    connection = None
    if who is not None:
        connection = connection_of(who, places)
        try:
            drain(connection, who.name, say, seconds=0 if force else drain_seconds)
        except (ApiError, ClusterError) as error:
            if isinstance(error, ApiError) and error.is_not_found:
                say(f"the cluster has no node {who.name}")
            elif force:
                say(f"not drained: {error}")
            else:
                raise _stopped(who, "can't be drained", error) from error
    cleaning.stop_service(say)
    cleaning.stop(places)
    if who is not None and connection is not None:
        try:
            delete_node(connection, who)
            say(f"node {who.name} is deleted")
        except (ApiError, ClusterError) as error:
            if not force:
                raise _stopped(who, "can't be deleted", error) from error
            say(f"node {who.name} is not deleted: {error}")
    cleaning.clean(places, say, images=images)
    say("this machine is clean")


def _identity(places: MachinePlaces, *, force: bool) -> Identity | None:
    try:
        return identity.read(places)
    except ClusterError:
        if not force:
            raise
        return None


def _stopped(who: Identity, what: str, error: Exception) -> ClusterError:
    if isinstance(error, ClusterError):
        remedy = error.remedy if "--force" in error.remedy else f"{error.remedy}; {FORCE}".lstrip("; ")
        return ClusterError(where=f"node {who.name}", what=f"{what}: {error.where}: {error.what}", remedy=remedy)
    return ClusterError(where=f"node {who.name}", what=f"{what}: {error}", remedy=FORCE)


def delete_node(connection: Connection, who: Identity) -> None:
    """Delete the Node, and the request by which its name was given out. Raises ApiError, ClusterError."""
    _delete(connection, f"/api/v1/nodes/{who.name}", (404,))
    if who.request:
        _delete(connection, f"{REQUESTS}/{who.request}", (403, 404))  # one that was cleaned away is nobody's


def _delete(connection: Connection, path: str, accepted: Sequence[int]) -> None:
    try:
        connection.call("DELETE", path)
    except ApiError as error:
        if error.code not in accepted:
            raise


def main(argv: Sequence[str]) -> int:
    """`sampan leave`."""
    parser = argparse.ArgumentParser(prog="sampan leave", description="Drain this node, delete it, clean the machine.")
    parser.add_argument("--force", action="store_true", help="clean the machine although the cluster does not answer")
    parser.add_argument(
        "--timeout", type=float, default=DRAIN_SECONDS, metavar="SECONDS", help="for its pods to go (default 300)"
    )
    parser.add_argument("--keep-images", action="store_true", help="leave the image store")
    options = parser.parse_args(argv)
    leave(
        MachinePlaces.here(),
        lambda text: print(text, file=sys.stderr, flush=True),
        drain_seconds=options.timeout,
        force=options.force,
        images=not options.keep_images,
    )
    return 0
