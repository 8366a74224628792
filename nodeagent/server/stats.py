"""Use of resources: /stats/summary as JSON, /metrics/resource and /metrics as text. Pure: CRI's figures are given.

Source: the kubelet's stats.k8s.io summary API; the Prometheus text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodeagent import observed
from sampan.cri import api_pb2 as cri

NANO = 10**9


@dataclass(frozen=True, slots=True)
class NodeUse:
    """The whole node's use: CPU in nanoseconds since boot, memory in bytes."""

    cpu_ns: int
    memory_used: int
    memory_available: int
    disk_size: int
    disk_free: int
    boot: datetime


def _stamp(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / NANO, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cpu(cpu: cri.CpuUsage) -> dict[str, Any]:
    found: dict[str, Any] = {"time": _stamp(cpu.timestamp)}
    if cpu.HasField("usage_nano_cores"):
        found["usageNanoCores"] = cpu.usage_nano_cores.value
    if cpu.HasField("usage_core_nano_seconds"):
        found["usageCoreNanoSeconds"] = cpu.usage_core_nano_seconds.value
    return found


def _memory(memory: cri.MemoryUsage) -> dict[str, Any]:
    found: dict[str, Any] = {"time": _stamp(memory.timestamp)}
    names = {
        "available_bytes": "availableBytes",
        "usage_bytes": "usageBytes",
        "working_set_bytes": "workingSetBytes",
        "rss_bytes": "rssBytes",
        "page_faults": "pageFaults",
        "major_page_faults": "majorPageFaults",
    }
    for field, name in names.items():
        if memory.HasField(field):
            found[name] = getattr(memory, field).value
    return found


def _network(network: cri.NetworkUsage) -> dict[str, Any]:
    def one(usage: cri.NetworkInterfaceUsage) -> dict[str, Any]:
        return {
            "name": usage.name,
            "rxBytes": usage.rx_bytes.value,
            "rxErrors": usage.rx_errors.value,
            "txBytes": usage.tx_bytes.value,
            "txErrors": usage.tx_errors.value,
        }

    found = {"time": _stamp(network.timestamp), "interfaces": [one(usage) for usage in network.interfaces]}
    return found | one(network.default_interface) if network.HasField("default_interface") else found


def _container(stats: cri.ContainerStats) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": stats.attributes.labels.get(observed.CONTAINER_NAME, stats.attributes.metadata.name),
        "cpu": _cpu(stats.cpu),
        "memory": _memory(stats.memory),
    }
    if stats.HasField("writable_layer"):
        layer = stats.writable_layer
        found["rootfs"] = {
            "time": _stamp(layer.timestamp),
            "usedBytes": layer.used_bytes.value,
            "inodesUsed": layer.inodes_used.value,
        }
    return found


def summary(node_name: str, node: NodeUse, pods: Iterable[cri.PodSandboxStats], now: datetime) -> dict[str, Any]:
    """The summary API's answer."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "node": {
            "nodeName": node_name,
            "startTime": node.boot.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "cpu": {"time": stamp, "usageCoreNanoSeconds": node.cpu_ns},
            "memory": {
                "time": stamp,
                "availableBytes": node.memory_available,
                "usageBytes": node.memory_used,
                "workingSetBytes": node.memory_used,
            },
            "fs": {
                "time": stamp,
                "availableBytes": node.disk_free,
                "capacityBytes": node.disk_size,
                "usedBytes": node.disk_size - node.disk_free,
            },
        },
        "pods": [_pod(pod) for pod in pods],
    }


def _pod(pod: cri.PodSandboxStats) -> dict[str, Any]:
    meta, linux = pod.attributes.metadata, pod.linux
    return {
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "containers": [_container(container) for container in linux.containers],
        "cpu": _cpu(linux.cpu),
        "memory": _memory(linux.memory),
        "network": _network(linux.network),
        "process_stats": {"process_count": linux.process.process_count.value},
    }


def metrics_resource(node: NodeUse, pods: Sequence[cri.PodSandboxStats]) -> str:
    """What metrics-server reads."""
    lines = [
        *_family("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds"),
        f"node_cpu_usage_seconds_total {node.cpu_ns / NANO}",
        *_family("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes"),
        f"node_memory_working_set_bytes {node.memory_used}",
    ]
    lines += _family(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
    )
    for labels, container in _containers(pods):
        seconds = container.cpu.usage_core_nano_seconds.value / NANO
        lines.append(f"container_cpu_usage_seconds_total{labels} {seconds} {container.cpu.timestamp // 10**6}")
    lines += _family("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes")
    for labels, container in _containers(pods):
        used = container.memory.working_set_bytes.value
        lines.append(f"container_memory_working_set_bytes{labels} {used} {container.memory.timestamp // 10**6}")
    lines += _family("pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod")
    for pod in pods:
        cpu = pod.linux.cpu
        seconds = cpu.usage_core_nano_seconds.value / NANO
        lines.append(f"pod_cpu_usage_seconds_total{_pod_labels(pod)} {seconds} {cpu.timestamp // 10**6}")
    lines += _family("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes")
    for pod in pods:
        memory = pod.linux.memory
        used = memory.working_set_bytes.value
        lines.append(f"pod_memory_working_set_bytes{_pod_labels(pod)} {used} {memory.timestamp // 10**6}")
    lines += _family("resource_scrape_error", "gauge", "1 if there was an error, 0 otherwise")
    lines.append("resource_scrape_error 0")
    return "\n".join(lines) + "\n"


def _containers(pods: Iterable[cri.PodSandboxStats]) -> Iterator[tuple[str, cri.ContainerStats]]:
    for pod in pods:
        meta = pod.attributes.metadata
        for container in pod.linux.containers:
            name = container.attributes.labels.get(observed.CONTAINER_NAME, container.attributes.metadata.name)
            yield f'{{container="{name}",namespace="{meta.namespace}",pod="{meta.name}"}}', container


def _pod_labels(pod: cri.PodSandboxStats) -> str:
    meta = pod.attributes.metadata
    return f'{{namespace="{meta.namespace}",pod="{meta.name}"}}'


def _family(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def gauges(values: dict[str, float]) -> str:
    """Plain numbers in the text format."""
    lines: list[str] = []
    for name, value in sorted(values.items()):
        lines += [f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}", f"{name} {value}"]
    return "\n".join(lines) + "\n"
