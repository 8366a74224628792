"""Finding a cluster and its nodes by name, with errors that name what there is."""

from __future__ import annotations

from deploy import places, spec
from deploy.places import Places
from deploy.spec import Cluster, NodeSpec
from sampan.errors import ClusterError


def cluster_places(name: str) -> Places:
    """The places of a cluster that exists. Raises ClusterError."""
    where = Places.of(name)
    if not where.description.exists():
        others = ", ".join(places.existing()) or "none"
        raise ClusterError(
            where=f"cluster {name}", what="there is no such cluster", remedy=f"the clusters are: {others}"
        )
    return where


def node_of(cluster: Cluster, node: str) -> NodeSpec:
    """A node of a cluster. Raises ClusterError."""
    found = cluster.node(node)
    if found is None:
        known = ", ".join(one.name for one in cluster.spec.nodes) or "none"
        where = f"cluster {cluster.metadata.name}"
        raise ClusterError(where=where, what=f"it has no node {node!r}", remedy=f"its nodes are: {known}")
    return found


def node_in(where: Places, node: str) -> NodeSpec:
    """A node of the cluster that is described there. Raises ClusterError."""
    return node_of(spec.load(where.description), node)
