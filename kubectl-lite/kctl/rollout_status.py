"""How far a rollout is: pure functions from a workload object to a sentence, in kubectl's words."""

from __future__ import annotations

from typing import Any

from sampan.errors import SampanError


class RolloutFailed(SampanError):
    """The rollout will not finish by itself."""


def deployment(value: dict[str, Any]) -> tuple[str, bool]:
    """(sentence, whether it is done). Raises RolloutFailed past the progress deadline."""
    name, spec, status = value["metadata"]["name"], value.get("spec", {}), value.get("status", {})
    if value["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return "Waiting for deployment spec update to be observed...", False
    for one in status.get("conditions") or ():
        if one["type"] == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            raise RolloutFailed(f'deployment "{name}" exceeded its progress deadline')
    replicas, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    if updated < replicas:
        return f"{waiting}{updated} out of {replicas} new replicas have been updated...", False
    if total > updated:
        return f"{waiting}{total - updated} old replicas are pending termination...", False
    if available < updated:
        return f"{waiting}{available} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def daemon_set(value: dict[str, Any]) -> tuple[str, bool]:
    """(sentence, whether it is done)."""
    name, status = value["metadata"]["name"], value.get("status", {})
    if value.get("spec", {}).get("updateStrategy", {}).get("type", "RollingUpdate") != "RollingUpdate":
        raise RolloutFailed("rollout status is only available for RollingUpdate strategy type")
    if value["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return "Waiting for daemon set spec update to be observed...", False
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    waiting = f'Waiting for daemon set "{name}" rollout to finish: '
    if updated < wanted:
        return f"{waiting}{updated} out of {wanted} new pods have been updated...", False
    if available < wanted:
        return f"{waiting}{available} of {wanted} updated pods are available...", False
    return f'daemon set "{name}" successfully rolled out', True


BY_KIND = {"Deployment": deployment, "DaemonSet": daemon_set}
