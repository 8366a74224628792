"""A node begun anew: its state is gone, its Node object and pods too, and it joins as if for the first time."""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Callable

from deploy import api, control, lookup, spec
from sampan.errors import ClusterError


def reset(cluster: str, node: str, say: Callable[[str], None]) -> None:
    """Reset a node of a running cluster; a reset that was cut short is begun again. Raises ClusterError."""
    places = lookup.cluster_places(cluster)
    lookup.node_in(places, node)
    port = spec.load(places.description).spec.api_port
    control.ask(places.control, {"do": "node-wipe", "name": node})
    say(f"node {node}: stopped, its state is removed")
    try:
        # Its pods go first: without their node nobody would tell that they have ended.
        selector = urllib.parse.quote(f"spec.nodeName={node}")
        pods = api.get(places.pki, port, f"/api/v1/pods?fieldSelector={selector}")["items"]
        for pod in pods:
            meta = pod["metadata"]
            api.delete(
                places.pki, port, f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}?gracePeriodSeconds=0"
            )
        api.delete(places.pki, port, f"/api/v1/nodes/{node}")
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise ClusterError(
            where=f"node {node}",
            what=f"its objects could not be removed: {error}",
            remedy=f"run it again: kctl cluster node reset {node} --cluster {cluster}",
        ) from error
    if pods:
        say(f"node {node}: pods removed: {len(pods)}")
    control.ask(places.control, {"do": "node-start", "name": node})
