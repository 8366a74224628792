"""What kctl debug makes: a container to be added to a pod, a copy of a pod, a pod on a node. Pure.

Source: the kubectl documentation, "kubectl debug" (profile general).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from kctl.errors import UsageError

Value = dict[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def debugger(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    arguments_only: bool,
    env: Mapping[str, str],
    pull_policy: str,
    stdin: bool,
    tty: bool,
) -> Value:
    """A container for looking around."""
    made: Value = {"name": name, "image": image, "terminationMessagePolicy": "File"}
    if command:
        made["args" if arguments_only else "command"] = list(command)
    if env:
        made["env"] = [{"name": key, "value": value} for key, value in env.items()]
    if pull_policy:
        made["imagePullPolicy"] = pull_policy
    if stdin:
        made["stdin"] = True
    if tty:
        made["tty"] = True
    return made


def ephemeral(container: Value, pod: Value, target: str) -> Value:
    """The patch that adds the container to a running pod. Raises UsageError for a target that is not there."""
    names = [one["name"] for one in pod["spec"]["containers"]]
    if target and target not in names:
        raise UsageError(f"container {target!r} is not in pod {pod['metadata']['name']}; it has {', '.join(names)}")
    added = container | {"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}
    if target:
        added["targetContainerName"] = target
    return {"spec": {"ephemeralContainers": [added]}}


def pod_copy(
    pod: Value,
    name: str,
    container: Value | None,
    *,
    replaced: str,
    images: Mapping[str, str],
    same_node: bool,
    share: bool,
) -> Value:
    """A copy of a pod without its owners, labels and probes. `replaced` is the container that is changed instead of
    one being added. Raises UsageError for names that are not there."""
    spec = copy.deepcopy(pod["spec"])
    if not same_node:
        spec.pop("nodeName", None)
    spec.pop("ephemeralContainers", None)
    if share:
        spec["shareProcessNamespace"] = True
    for one in spec["containers"]:
        for probe in PROBES:
            one.pop(probe, None)
    names = [one["name"] for one in spec["containers"]]
    for key, image in images.items():
        if key != "*" and key not in names:
            raise UsageError(f"unable to find container {key!r} in pod {pod['metadata']['name']}")
        for one in spec["containers"]:
            if key in ("*", one["name"]):
                one["image"] = image
    if container is not None:
        if replaced and replaced in names:
            own = spec["containers"][names.index(replaced)]
            own.update({key: value for key, value in container.items() if key != "name" and value})
            if "command" in container:
                own.pop("args", None)
        else:
            added = container | {"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}
            spec["containers"].append(added)
    metadata = {"name": name, "namespace": pod["metadata"]["namespace"]}
    if notes := pod["metadata"].get("annotations"):
        metadata["annotations"] = notes
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def node_pod(node: str, name: str, namespace: str, container: Value) -> Value:
    """A pod that sees a node as it is: its network, processes and, at /host, its files."""
    own = container | {"volumeMounts": [{"name": "host-root", "mountPath": "/host"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "hostPID": True,
            "hostIPC": True,
            "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}],
            "containers": [own],
            "volumes": [{"name": "host-root", "hostPath": {"path": "/"}}],
        },
    }
