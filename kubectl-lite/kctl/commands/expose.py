"""Make a service for a workload, a service or a pod."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags, targets
from kctl.commands.create import create
from kctl.commands.run import overridden
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.generators import made, port_number
from kctl.session import Session
from kctl.targets import Found
from kctl.templates import pod_spec
from kctl.writes import Write, declare
from sampan.api_error import SampanError

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
    flags.text("external-ip", "an address outside of the cluster that is routed to the nodes")
    flags.text("load-balancer-ip", "the address that a load balancer shall have")
    flags.text("overrides", "JSON that changes the service")
    flags.text("override-type", "merge or json", default="merge")
    flags.text("labels", "labels of the service, KEY=VALUE,...")
    declare(flags)
    flags.switch("save-config", "record the object in its annotation, as apply does")


def run(values: Values) -> int:
    """Create the service."""
    if values.type not in TYPES:
        raise UsageError(f"invalid service type {values.type}: {', '.join(TYPES)} are known")
    selector_words, values.selector = values.selector, ""
    write = Write(values, "kubectl-expose")
    session = flags.session(values)
    failed = False
    for found in targets.targets(session, values):
        try:
            failed |= bool(_expose(session, found, selector_words, values, write))
        except SampanError as error:
            print(wording(error), file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _expose(session: Session, found: Found, selector_words: str, values: Values, write: Write) -> int:
    live = targets.read(session, found)
    kind_name = f"{found.resource.kind}.{found.resource.group}" if found.resource.group else found.resource.kind
    labels = _selector(live, found.resource.kind, selector_words, kind_name)
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
    if values.external_ip:
        spec["externalIPs"] = [values.external_ip]
    if values.load_balancer_ip and values.type == "LoadBalancer":
        spec["loadBalancerIP"] = values.load_balancer_ip
    if own:
        service["metadata"]["labels"] = own
    service = overridden(service, values)
    kind = session.discovery.named("services")
    return create(session, kind, service, values, write, write.query, "exposed")


def _pairs(text: str) -> dict[str, str]:
    from kctl.generators import pairs

    return pairs(text.split(","))


def _selector(live: dict[str, Any], kind: str, words: str, kind_name: str) -> dict[str, str]:
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
    if kind not in ("Service", "ReplicationController", "ReplicaSet", "Deployment"):
        raise UsageError(f"cannot expose a {kind_name}")
    found = chosen if kind in ("Service", "ReplicationController") else chosen.get("matchLabels")
    if not found or chosen.get("matchExpressions"):
        raise UsageError(f"couldn't retrieve selectors via --selector flag or introspection: cannot expose a {kind}")
    return dict(found)


def _number(word: str) -> int:
    if not word.isascii() or not word.isdigit():
        raise UsageError(f'strconv.Atoi: parsing "{word}": invalid syntax')
    return port_number(word)


def _ports(live: dict[str, Any], values: Values) -> list[dict[str, Any]]:
    if values.port:
        numbers = [_number(word) for word in values.port.split(",")]
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
