"""What the server counts, for /metrics. Names are upstream's where upstream has the same."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY = CollectorRegistry()
REQUESTS = Counter("apiserver_request_total", "Requests answered", ("verb", "resource", "code"), registry=REGISTRY)
SECONDS = Histogram(
    "apiserver_request_duration_seconds",
    "Time to answer, watches excluded",
    ("verb",),
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
IN_FLIGHT = Gauge(
    "apiserver_current_inflight_requests", "Requests being answered", ("request_kind",), registry=REGISTRY
)
WATCHERS = Gauge("apiserver_longrunning_requests", "Watches and upgraded connections", ("verb",), registry=REGISTRY)
PURGES = Counter("sampan_watch_cache_purges", "Times the watch cache was found to differ from etcd", registry=REGISTRY)
EXPIRED = Counter("sampan_watchers_expired", "Watchers that fell behind and were told 410", registry=REGISTRY)
COMPACTIONS = Counter("sampan_etcd_compactions", "Compactions asked of etcd", registry=REGISTRY)

MOST_SERIES = 4096
"""Verbs, resources and codes told apart: clients choose what they ask for, and may ask for what there is not."""
_counts: dict[tuple[str, str, int], Counter] = {}
_times: dict[str, Histogram] = {}

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)


def text() -> bytes:
    """The exposition format, version 0.0.4."""
    return generate_latest(REGISTRY)


def answered(verb: str, resource: str, code: int, seconds: float) -> None:
    """Count a request that was answered. The series are looked up here, which costs a third of `labels`."""
    count = _counts.get((verb, resource, code))
    if count is None:
        if len(_counts) >= MOST_SERIES:
            verb = resource = "other"
        count = _counts[verb, resource, code] = REQUESTS.labels(verb, resource, code)
    count.inc()
    if verb != "watch":
        time = _times.get(verb)
        if time is None:
            time = _times[verb] = SECONDS.labels(verb)
        time.observe(seconds)
