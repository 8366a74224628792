"""Descriptions of deployments, replica sets, daemon sets and jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kctl.ages import human, moment
from kctl.describe.templates import pod_template
from kctl.describe.text import (
    NONE,
    boolean,
    controlled_by,
    labels,
    line,
    notes,
    pairs,
    selector,
    time,
)

Value = dict[str, Any]


def deployment_lines(value: Value, sets: Sequence[Value]) -> Iterable[str]:
    """A deployment and its replica sets."""
    metadata, spec, status = value["metadata"], value["spec"], value.get("status") or {}
    yield line("Name", metadata["name"])
    yield line("Namespace", metadata["namespace"])
    yield line("CreationTimestamp", time(metadata.get("creationTimestamp")))
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    yield line("Selector", selector(spec.get("selector")))
    yield line(
        "Replicas",
        f"{spec.get('replicas', 1)} desired | {status.get('updatedReplicas', 0)} updated |"
        f" {status.get('replicas', 0)} total | {status.get('availableReplicas', 0)} available |"
        f" {status.get('unavailableReplicas', 0)} unavailable",
    )
    strategy = spec.get("strategy") or {}
    yield line("StrategyType", strategy.get("type", ""))
    yield line("MinReadySeconds", spec.get("minReadySeconds", 0))
    if rolling := strategy.get("rollingUpdate"):
        yield line(
            "RollingUpdateStrategy",
            f"{rolling.get('maxUnavailable')} max unavailable, {rolling.get('maxSurge')} max surge",
        )
    yield from pod_template(spec["template"])
    yield from _conditions(status)
    if sets:
        yield from _replica_sets(value, sets)


def _conditions(status: Value) -> Iterable[str]:
    if status.get("conditions"):
        yield "Conditions:"
        yield "  Type\tStatus\tReason"
        yield "  ----\t------\t------"
        yield from (f"  {one['type']} \t{one['status']}\t{one.get('reason', '')}" for one in status["conditions"])


def _replica_sets(value: Value, sets: Sequence[Value]) -> Iterable[str]:
    """The replica set of the present template, and those of earlier ones that still have pods."""
    template = _without_hash(value["spec"]["template"])
    now = next((one for one in sets if _without_hash(one["spec"]["template"]) == template), None)
    old = [one for one in sets if one is not now]
    yield line("OldReplicaSets", _listed(old))
    yield line("NewReplicaSet", _listed([now] if now else []))


def _without_hash(template: Value) -> Value:
    metadata = template.get("metadata") or {}
    own = {key: text for key, text in (metadata.get("labels") or {}).items() if key != "pod-template-hash"}
    return template | {"metadata": metadata | {"labels": own}}


def _listed(sets: Sequence[Value]) -> str:
    shown = [
        f"{one['metadata']['name']} ({(one.get('status') or {}).get('replicas', 0)}/{one['spec'].get('replicas', 0)}"
        " replicas created)"
        for one in sets
    ]
    return ", ".join(shown) or NONE


def pods_status(pods: Sequence[Value]) -> str:
    """How many pods are in which phase."""
    phases = [(one.get("status") or {}).get("phase") for one in pods]
    names = (("Running", "Running"), ("Waiting", "Pending"), ("Succeeded", "Succeeded"), ("Failed", "Failed"))
    return " / ".join(f"{phases.count(phase)} {name}" for name, phase in names)


def replica_set_lines(value: Value, pods: Sequence[Value]) -> Iterable[str]:
    """A replica set."""
    metadata, spec, status = value["metadata"], value["spec"], value.get("status") or {}
    yield line("Name", metadata["name"])
    yield line("Namespace", metadata["namespace"])
    yield line("Selector", selector(spec.get("selector")))
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    if owner := controlled_by(metadata):
        yield line("Controlled By", owner)
    yield line("Replicas", f"{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
    yield line("Pods Status", pods_status(pods))
    yield from pod_template(spec["template"])
    yield from _conditions(status)


def daemon_set_lines(value: Value, pods: Sequence[Value]) -> Iterable[str]:
    """A daemon set."""
    metadata, spec, status = value["metadata"], value["spec"], value.get("status") or {}
    yield line("Name", metadata["name"])
    yield line("Namespace", metadata["namespace"])
    yield line("Selector", selector(spec.get("selector")))
    yield line("Node-Selector", pairs((spec["template"].get("spec") or {}).get("nodeSelector")))
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    for text, field in (
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ):
        yield f"{text}: {status.get(field, 0)}"
    yield line("Pods Status", pods_status(pods))
    yield from pod_template(spec["template"])


def job_lines(value: Value) -> Iterable[str]:
    """A job."""
    metadata, spec, status = value["metadata"], value["spec"], value.get("status") or {}
    yield line("Name", metadata["name"])
    yield line("Namespace", metadata["namespace"])
    if spec.get("selector"):
        yield line("Selector", selector(spec["selector"]))
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    if owner := controlled_by(metadata):
        yield line("Controlled By", owner)
    yield line("Parallelism", spec.get("parallelism", NONE))
    yield line("Completions", spec.get("completions", "<unset>"))
    yield line("Completion Mode", spec.get("completionMode", "NonIndexed"))
    if "suspend" in spec:
        yield line("Suspend", boolean(spec["suspend"]))
    if "backoffLimit" in spec:
        yield line("Backoff Limit", spec["backoffLimit"])
    if "ttlSecondsAfterFinished" in spec:
        yield line("TTL Seconds After Finished", spec["ttlSecondsAfterFinished"])
    if status.get("startTime"):
        yield line("Start Time", time(status["startTime"]))
    if status.get("completionTime"):
        yield line("Completed At", time(status["completionTime"]))
    began, ended = moment(status.get("startTime")), moment(status.get("completionTime"))
    if began and ended:
        yield line("Duration", human((ended - began).total_seconds()))
    if "activeDeadlineSeconds" in spec:
        yield line("Active Deadline Seconds", f"{spec['activeDeadlineSeconds']}s")
    ready = f" ({status['ready']} Ready)" if "ready" in status else ""
    yield line(
        "Pods Statuses",
        f"{status.get('active', 0)} Active{ready} / {status.get('succeeded', 0)} Succeeded /"
        f" {status.get('failed', 0)} Failed",
    )
    if spec.get("completionMode") == "Indexed":
        yield line("Completed Indexes", status.get("completedIndexes", NONE))
    yield from pod_template(spec["template"])
