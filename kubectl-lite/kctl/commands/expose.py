"""Make a service for a workload, a service or a pod."""

from __future__ import annotations

from typing import Any

from kctl import flags, targets
from kctl.commands.create import create
from kctl.commands.set import pod_spec
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.generators import made, port_number
from kctl.writes import Write, declare

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(-f FILENAME | TYPE NAME) [--port=PORT] [--target-port=NUMBER-OR-NAME] [--name=NAME]"
    targets.declare(flags)
    flags.text("port", "the service's port; by default those of the containers")
    flags.text("target-port", "the pods' port, by number or name")
    flags.text("name", "the service's name; by default the object's")
    flags.text("type", "ClusterIP, NodePort or LoadBalancer", default="ClusterIP")
    flags.text("protocol", "TCP, UDP or SCTP", default="TCP")
    flags.text("cluster-ip", "the cluster IP, or None")
    flags.text("session-affinity", "None or ClientIP")
    flags.text("labels", "labels of the service, KEY=VALUE,...")
    declare(flags)
    flags.switch("save-config", "record the object in its annotation, as apply does")


def run(values: Values) -> int:
    """Create the service."""
    if values.type not in TYPES:
        raise UsageError(f'The Service "" is invalid: spec.type: Unsupported value: "{values.type}"')
    selector_words, values.selector = values.selector, ""
    write = Write(values, "kubectl-expose")
    session = flags.session(values)
    for found in targets.targets(session, values):
        live = targets.read(session, found)
        labels = _selector(live, found.resource.kind, selector_words)
        ports = _ports(live, values)
        spec: dict[str, Any] = {"selector": labels, "ports": ports}
        if values.type != "ClusterIP":
            spec["type"] = values.type
        if values.cluster_ip:
            spec["clusterIP"] = values.cluster_ip
        if values.session_affinity:
            spec["sessionAffinity"] = values.session_affinity
        service = made("v1", "Service", values.name or found.name, spec=spec, status={"loadBalancer": {}})
        own = _pairs(values.labels) if values.labels else live["metadata"].get("labels")
        if own:
            service["metadata"]["labels"] = own
        kind = session.discovery.named("services")
        if code := create(session, kind, service, values, write, write.query, "exposed"):
            return code
    return 0


def _pairs(text: str) -> dict[str, str]:
    from kctl.generators import pairs

    return pairs(text.split(","))


def _selector(live: dict[str, Any], kind: str, words: str) -> dict[str, str]:
    if words:
        return _pairs(words)
    if kind == "Pod":
        found = live["metadata"].get("labels")
        if not found:
            raise UsageError(
                "couldn't retrieve selectors via --selector flag or introspection: "
                "the pod has no labels and cannot be exposed"
            )
        return dict(found)
    chosen = live.get("spec", {}).get("selector") or {}
    found = chosen if kind in ("Service", "ReplicationController") else chosen.get("matchLabels")
    if not found or chosen.get("matchExpressions"):
        raise UsageError(f"couldn't retrieve selectors via --selector flag or introspection: cannot expose a {kind}")
    return dict(found)


def _ports(live: dict[str, Any], values: Values) -> list[dict[str, Any]]:
    if values.port:
        numbers = [port_number(word) for word in values.port.split(",")]
    elif live.get("kind") == "Service":
        numbers = [one["port"] for one in live["spec"].get("ports") or ()]
    else:
        numbers = [
            one["containerPort"] for each in pod_spec(live).get("containers") or () for one in each.get("ports") or ()
        ]
    if not numbers:
        raise UsageError("couldn't find port via --port flag or introspection")
    ports = []
    for at, number in enumerate(numbers, 1):
        aim: int | str = number
        if values.target_port:
            aim = port_number(values.target_port) if values.target_port.isdigit() else values.target_port
        name = {"name": f"port-{at}"} if len(numbers) > 1 else {}
        ports.append({**name, "port": number, "protocol": values.protocol, "targetPort": aim})
    return ports
