"""Services: why nobody answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kctl.why.facts import Facts, Value, finished, going, items, label, name_of, nearest, part, ready, table
from kctl.why.situation import Entry, PassOn, Situation, Words


def selects(service: Value, pod: Value) -> bool:
    """Whether the service's selector matches a pod."""
    labels = table(pod, "metadata", "labels")
    return all(labels.get(key) == value for key, value in table(service, "spec", "selector").items())


def chosen(facts: Facts, service: Value) -> list[Value]:
    """The pods that it selects and that have not ended for good."""
    return [one for one in facts.pods if selects(service, one) and not finished(one)]


def target_port(port: Value, pod: Value) -> int:
    """The pod's port behind a service's port, 0 if the pod has none of that name."""
    wanted = port.get("targetPort", port.get("port"))
    if isinstance(wanted, int):
        return wanted
    for container in [*items(pod, "spec", "containers"), *items(pod, "spec", "initContainers")]:
        for one in container.get("ports") or ():
            if one.get("name") == wanted and one.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(one["containerPort"])
    return 0


def _external(facts: Facts, service: Value) -> Words | None:
    if part(service, "spec", "type") != "ExternalName":
        return None
    return {"name": part(service, "spec", "externalName")}


def _by_hand(facts: Facts, service: Value) -> Words | None:
    if table(service, "spec", "selector") or _endpoints(facts, service):
        return None
    return {"name": name_of(service)}


def _endpoints(facts: Facts, service: Value) -> list[Value]:
    return [
        one
        for cut in facts.slices
        if table(cut, "metadata", "labels").get("kubernetes.io/service-name") == name_of(service)
        for one in items(cut, "endpoints")
        if part(one, "conditions", "ready") is not False
    ]


def _nobody(facts: Facts, service: Value) -> Words | None:
    selector = table(service, "spec", "selector")
    if not selector or chosen(facts, service):
        return None
    over = [one for one in facts.pods if selects(service, one)]
    if over:
        return None
    near, pod = _closest(facts, selector)
    shown = ",".join(f"{key}={value}" for key, value in selector.items())
    return {
        "selector": shown,
        "near": f"; the nearest is {near} of {pod}" if near else "; no pod has labels like these",
        "lines": [
            f"{label(one)} has " + (",".join(f"{k}={v}" for k, v in table(one, "metadata", "labels").items()) or "none")
            for one in facts.pods[:8]
        ],
    }


def _closest(facts: Facts, selector: dict[str, str]) -> tuple[str, str]:
    """The labels of a pod that are most like the selector, and that pod."""
    best: tuple[int, str, str] = (0, "", "")
    for pod in facts.pods:
        labels = {f"{key}={value}": key for key, value in table(pod, "metadata", "labels").items()}
        found = [nearest(f"{key}={value}", labels) for key, value in selector.items()]
        hits = [one for one in found if one]
        if len(hits) > best[0]:
            best = (len(hits), ",".join(hits), label(pod))
    return best[1], best[2]


def _all_ended(facts: Facts, service: Value) -> Words | None:
    if not table(service, "spec", "selector") or chosen(facts, service):
        return None
    over = [one for one in facts.pods if selects(service, one)]
    return {"count": len(over), "lines": [f"{label(one)} {part(one, 'status', 'phase')}" for one in over[:8]]}


def _no_such_port(facts: Facts, service: Value) -> Words | None:
    pods = chosen(facts, service)
    for port in items(service, "spec", "ports"):
        wanted = port.get("targetPort")
        if isinstance(wanted, str) and pods and not any(target_port(port, one) for one in pods):
            names = sorted(
                {str(p.get("name")) for one in pods for c in items(one, "spec", "containers")
                 for p in c.get("ports") or () if p.get("name")}
            )  # fmt: skip
            return {"port": wanted, "has": f"; they have {', '.join(names)}" if names else "; they name no ports"}
    return None


def _unready(facts: Facts, service: Value) -> Iterator[Value]:
    pods = chosen(facts, service)
    if pods and not any(map(ready, pods)) and not part(service, "spec", "publishNotReadyAddresses"):
        yield from sorted(pods, key=going)[:5]


def _controller(facts: Facts, service: Value) -> Words | None:
    if not any(map(ready, chosen(facts, service))) or _endpoints(facts, service):
        return None
    silent = facts.absent("sampan-controllers")
    return {"why": f"they have none: the endpoints controller {silent}" if silent else "it is about to be listed"}


def _nobody_listens(facts: Facts, service: Value) -> Words | None:
    for pod in chosen(facts, service):
        for port in items(service, "spec", "ports"):
            number = target_port(port, pod)
            if (said := facts.refused.get((name_of(pod), number))) is not None:
                declared = sorted(
                    {int(p["containerPort"]) for c in items(pod, "spec", "containers") for p in c.get("ports") or ()}
                )
                others = [str(one) for one in declared if one != number]
                return {
                    "port": port.get("port"),
                    "target": number,
                    "pod": label(pod),
                    "has": f"; the pod declares {', '.join(others)}" if others else "",
                    "lines": [said],
                }
    return None


def _balancer(facts: Facts, service: Value) -> Words | None:
    waits = part(service, "spec", "type") == "LoadBalancer" and not items(service, "status", "loadBalancer", "ingress")
    return {"name": name_of(service)} if waits else None


def _healthy(facts: Facts, service: Value) -> Words | None:
    count = len(_endpoints(facts, service))
    address = part(service, "spec", "clusterIP")
    return (
        {"count": count, "how": "its name leads to" if address == "None" else f"{address} leads to"} if count else None
    )


SERVICES: tuple[Entry, ...] = (
    Situation(
        "external-name",
        _external,
        "nothing is wrong here: it is only another name for {name}",
        "if {name} does not answer, look there",
        healthy=True,
    ),
    Situation(
        "no-selector",
        _by_hand,
        "it has no selector, so its endpoints are made by hand, and there are none",
        "give it a selector: kctl edit {label}{namespace}; or make an EndpointSlice for it",
    ),
    Situation(
        "selector-matches-nothing",
        _nobody,
        "its selector {selector} matches no pod{near}",
        "correct spec.selector: kctl edit {label}{namespace}; or the pods' labels",
    ),
    Situation(
        "pods-ended",
        _all_ended,
        "all {count} pods that it selects have ended",
        "start new ones, by a Deployment for example",
    ),
    Situation(
        "port-not-named",
        _no_such_port,
        "its targetPort {port} is a name that no port of its pods has{has}",
        "name the container's port {port}, or use its number: kctl edit {label}{namespace}",
    ),
    PassOn(_unready),
    Situation(
        "endpoints-missing", _controller, "its pods are ready and {why}", "kctl cluster status, or wait a moment"
    ),
    Situation(
        "nobody-listens",
        _nobody_listens,
        "nobody listens on port {target} in {pod}, where its port {port} leads{has}",
        "correct targetPort: kctl edit {label}{namespace}; or have the program listen there",
    ),
    Situation(
        "load-balancer-pending",
        _balancer,
        "it waits for a load balancer's address, and this cluster has none that gives it one",
        "inside the cluster it works as it is; from outside: kctl port-forward {label}{namespace} PORT",
    ),
    Situation(
        "healthy",
        _healthy,
        "nothing is wrong: {how} {count} ready endpoint(s)",
        "nothing to do",
        healthy=True,
    ),
)
