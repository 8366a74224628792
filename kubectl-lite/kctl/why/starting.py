"""A pod that has a node and no containers yet: the node's refusal, volumes, sandbox, image, settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kctl.why.facts import Facts, Value, finished, going, holds, items, nearest, part
from kctl.why.situation import Entry, PassOn, Situation, Words

PULL = ("ErrImagePull", "ImagePullBackOff")
LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
GONE = ("not found", "has no manifest", "manifest unknown", "no such image", "does not exist")
DENIED = ("user and password", "unauthorized", "401", "403", "denied", "authentication", "forbidden")
UNREACHABLE = ("cannot connect", "connection refused", "name resolution", "timed out", "no route", "unreachable",
               "gave up")  # fmt: skip


def statuses(pod: Value) -> Iterator[Value]:
    """The containers' statuses, the init containers' first."""
    for key in LISTS:
        yield from items(pod, "status", key)


def waiting(pod: Value, *reasons: str) -> Iterator[tuple[Value, str]]:
    """(container status, message) of each container that waits for one of these reasons."""
    for one in statuses(pod):
        state = part(one, "state", "waiting") or {}
        if state.get("reason") in reasons:
            yield one, str(state.get("message") or "")


def _spec(pod: Value, name: str) -> Value:
    lists = ("initContainers", "containers", "ephemeralContainers")
    return next((one for key in lists for one in items(pod, "spec", key) if one.get("name") == name), {})


def _node_in_trouble(facts: Facts, pod: Value) -> Iterator[Value]:
    name = part(pod, "spec", "nodeName")
    node = facts.node(str(name)) if name else None
    if node is not None and not finished(pod) and not holds(node, "Ready"):
        yield node


def _rejected(*reasons: str) -> Callable[[Facts, Value], Words | None]:
    """The pod failed with one of these reasons; without any: the node refused it."""

    def when(facts: Facts, pod: Value) -> Words | None:
        reason = part(pod, "status", "reason")
        if part(pod, "status", "phase") != "Failed" or not reason or (reasons and reason not in reasons):
            return None
        seconds = part(pod, "spec", "activeDeadlineSeconds")
        return {
            "reason": reason,
            "said": part(pod, "status", "message") or "it gave no message",
            "node": part(pod, "spec", "nodeName") or "?",
            "seconds": seconds,
        }

    return when


def _mount(facts: Facts, pod: Value) -> str:
    """What keeps the volumes from being mounted, now."""
    if finished(pod) or any(part(one, "state", "running") for one in statuses(pod)):
        return ""
    return facts.message(pod, "FailedMount", "FailedAttachVolume")


def _said_before(facts: Facts, pod: Value) -> Iterator[str]:
    """What stands in the way of its containers, in the node's words."""
    yield _mount(facts, pod)
    for _, message in waiting(pod, "CreateContainerConfigError"):
        yield message


def _missing(kind: str) -> Callable[[Facts, Value], Words | None]:
    """A ConfigMap or Secret that the pod refers to is not there."""

    def when(facts: Facts, pod: Value) -> Words | None:
        for said in _said_before(facts, pod):
            if found := re.search(rf'{kind.lower()} "([^"]+)" not found', said):
                names = [name for of, name in facts.keys if of == kind]
                near = nearest(found[1], names)
                return {"name": found[1], "kind": kind, "near": f"; there is {near}" if near else "", "lines": [said]}
        return None

    return when


def _missing_key(facts: Facts, pod: Value) -> Words | None:
    for said in _said_before(facts, pod):
        found = re.search(r"couldn't find key (\S+) in (ConfigMap|Secret) [^/\s]+/(\S+)", said)
        if found:
            key, kind, name = found.groups()
        elif found := re.search(r"references non-existent (\w+) (?:(\S+) )?key: (\S+)", said):
            kind = "Secret" if found[1].lower() == "secret" else "ConfigMap"
            name, key = found[2] or _referred(pod, found[3]), found[3]
        else:
            continue
        known = facts.keys.get((kind, name), [])
        has = f"; it has {', '.join(sorted(known)[:8])}" if known else ""
        return {"key": key, "kind": kind, "name": name, "has": has, "lower": kind.lower(), "lines": [said]}
    return None


def _referred(pod: Value, key: str) -> str:
    """The name of what a volume takes this key from."""
    for volume in items(pod, "spec", "volumes"):
        parts = [volume, *items(volume, "projected", "sources")]
        for one in parts:
            for kind, field in (("configMap", "name"), ("secret", "secretName"), ("secret", "name")):
                if any(item.get("key") == key for item in items(one, kind, "items")) and part(one, kind, field):
                    return str(one[kind][field])
    return "?"


def _volume(facts: Facts, pod: Value) -> Words | None:
    said = _mount(facts, pod)
    found = re.search(r'volume "([^"]+)" ?: ?(.*)', said, re.DOTALL)
    return {"volume": found[1] if found else "?", "said": found[2] if found else said} if said else None


def _sandbox(facts: Facts, pod: Value) -> Words | None:
    if finished(pod) or holds(pod, "PodReadyToStartContainers"):
        return None
    said = facts.message(pod, "FailedCreatePodSandBox").removeprefix("Failed to create pod sandbox: ")
    return {"said": said, "node": part(pod, "spec", "nodeName")} if said else None


def _image(*texts: str, reasons: tuple[str, ...] = PULL) -> Callable[[Facts, Value], Words | None]:
    """An image can't be had, and the node's words have one of these texts in them; without any, in any words."""

    def when(facts: Facts, pod: Value) -> Words | None:
        for status, said in waiting(pod, *reasons):
            if texts and not any(text in said.lower() for text in texts):
                continue
            image = str(_spec(pod, str(status["name"])).get("image") or status.get("image"))
            node = str(part(pod, "spec", "nodeName"))
            return {
                "container": status["name"],
                "image": image,
                "node": node,
                "near": _near(facts, node, image),
                "said": re.sub(r"^.*?desc = ", "", said, flags=re.DOTALL),
                "registry": _registry(image),
            }
        return None

    return when


def _near(facts: Facts, node: str, image: str) -> str:
    """Images of the node that could have been meant."""
    names = [
        str(name)
        for one in items(facts.node(node) or {}, "status", "images")
        for name in one.get("names") or ()
        if "@" not in str(name)
    ]
    short = {name.removeprefix("docker.io/").removeprefix("library/"): name for name in names}
    near = nearest(image.removeprefix("docker.io/").removeprefix("library/"), short)
    return f"; the node has {near}" if near and near != image else ""


def _registry(image: str) -> str:
    first, slash, _ = image.partition("/")
    named = first == "localhost" or any(mark in first for mark in ".:")
    return first if slash and named else "docker.io"


def _settings(*texts: str) -> Callable[[Facts, Value], Words | None]:
    """A container's settings can't be carried out, and the node's words have one of these texts in them."""

    def when(facts: Facts, pod: Value) -> Words | None:
        for status, said in waiting(pod, "CreateContainerConfigError", "CreateContainerError"):
            if not texts or any(text in said for text in texts):
                return {"container": status["name"], "said": said}
        return None

    return when


def _creating(facts: Facts, pod: Value) -> Words | None:
    if going(pod) or finished(pod) or part(pod, "status", "phase") not in (None, "Pending"):
        return None
    if any(part(one, "state", "running") or part(one, "lastState", "terminated") for one in statuses(pod)):
        return None
    pulls = next(facts.about(pod, "Pulling", "Pulled"), None)
    doing = "it is being started"
    if pulls is not None and pulls.get("reason") == "Pulling":
        doing = str(pulls.get("message", "")).replace("Pulling", "it is pulling", 1)
    return {"age": f"{facts.age(pod):.0f}", "doing": doing, "node": part(pod, "spec", "nodeName")}


REFUSED: tuple[Entry, ...] = (
    Situation(
        "evicted",
        _rejected("Evicted"),
        "node {node} evicted it: {said}",
        "kctl why node/{node}; then delete what is left of it: kctl delete {label}{namespace}",
    ),
    Situation(
        "deadline-exceeded",
        _rejected("DeadlineExceeded"),
        "it was ended because it ran for longer than its activeDeadlineSeconds of {seconds}",
        "raise activeDeadlineSeconds, or find out what takes so long: kctl logs {label}{namespace}",
    ),
    Situation(
        "node-refused",
        _rejected(),
        "node {node} refused it ({reason}): {said}",
        "kctl describe node {node}; then delete it: kctl delete {label}{namespace}",
    ),
    PassOn(_node_in_trouble),
)
STARTING: tuple[Entry, ...] = (
    Situation(
        "config-map-missing",
        _missing("ConfigMap"),
        "it needs ConfigMap {name}, and there is none{near}",
        "kctl create configmap {name}{namespace} --from-literal=KEY=VALUE; it then starts by itself",
    ),
    Situation(
        "secret-missing",
        _missing("Secret"),
        "it needs Secret {name}, and there is none{near}",
        "kctl create secret generic {name}{namespace} --from-literal=KEY=VALUE; it then starts by itself",
    ),
    Situation(
        "key-missing",
        _missing_key,
        "it needs key {key} of {kind} {name}, which does not have it{has}",
        "add it: kctl edit {lower} {name}{namespace}; it then starts by itself",
    ),
    Situation(
        "volume-host-path",
        lambda facts, pod: _volume(facts, pod) if "hostPath" in _mount(facts, pod) else None,
        "its volume {volume} can't be mounted: {said}",
        "make that path on the node, or use type: DirectoryOrCreate",
    ),
    Situation(
        "volume-fails",
        _volume,
        "its volume {volume} can't be mounted: {said}",
        "kctl describe {label}{namespace}",
    ),
    Situation(
        "sandbox-fails",
        _sandbox,
        "node {node} can't make its sandbox: {said}",
        "kctl why node/{node}",
    ),
    Situation(
        "image-name-invalid",
        _image(reasons=("InvalidImageName", "ImageInspectError")),
        "{image} is no image's name: {said}",
        "correct the image of container {container}: [REGISTRY/]NAME[:TAG]",
    ),
    Situation(
        "image-never-pulled",
        _image(reasons=("ErrImageNeverPull",)),
        "image {image} is not on node {node}, and imagePullPolicy: Never forbids pulling it{near}",
        "kctl image build or kctl image load it, or allow pulling",
    ),
    Situation(
        "image-denied",
        _image(*DENIED),
        "registry {registry} does not let node {node} have image {image}",
        "give the pod an imagePullSecrets with credentials for {registry}",
    ),
    Situation(
        "registry-unreachable",
        _image(*UNREACHABLE),
        "image {image} is not on node {node}, and registry {registry} can't be reached: {said}{near}",
        "correct the image's name or tag, or bring it in: kctl image load FILE",
    ),
    Situation(
        "image-missing",
        _image(*GONE),
        "registry {registry} has no image {image}{near}",
        "correct the image or tag of container {container}, or push it",
    ),
    Situation(
        "image-fails",
        _image(),
        "image {image} can't be pulled: {said}",
        "kctl describe {label}{namespace}",
    ),
    Situation(
        "root-image",
        _settings("runAsNonRoot", "non-root"),
        "container {container} must not run as root (runAsNonRoot), and its image does",
        "set securityContext.runAsUser to another user than 0, or USER in the image",
    ),
    Situation(
        "sub-path-invalid",
        _settings("subPath"),
        "container {container} has a volumeMount that can't be: {said}",
        "correct subPath or subPathExpr of its volumeMounts",
    ),
    Situation(
        "settings-fail",
        _settings(),
        "container {container} can't be made: {said}",
        "correct its spec: kctl get {label}{namespace} -o yaml",
    ),
)
CREATING: tuple[Entry, ...] = (
    Situation(
        "starting",
        _creating,
        "{doing} on node {node}, made {age} s ago",
        "wait a moment and ask again",
    ),
)
