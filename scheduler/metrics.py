"""What the scheduler counts, under upstream's names where it has them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class Metrics:
    """The metrics of one scheduler, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "scheduler_schedule_attempts", "Attempts to schedule pods, by result", ["result"], registry=self.registry
        )
        self.pending = Gauge("scheduler_pending_pods", "Pods that wait, by queue", ["queue"], registry=self.registry)
        self.batch_seconds = Histogram(
            "scheduler_batch_duration_seconds",
            "Time to place one batch of pods, without the API",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.bind_seconds = Histogram(
            "scheduler_bind_duration_seconds", "Time of binding calls", buckets=SECONDS, registry=self.registry
        )
        self.preemptions = Counter(
            "scheduler_preemption_attempts", "Attempts to make room by force", registry=self.registry
        )
        self.victims = Counter("scheduler_preemption_victims", "Pods evicted to make room", registry=self.registry)
        self.leading = Gauge("leader_election_master_status", "1 while this replica leads", registry=self.registry)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
