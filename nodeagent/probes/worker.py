"""Probing one running container until it ends: one task a probe, owned by the pod's worker.

`Health` of a container is what these tasks last held true; a change of it wakes the pod's worker.
Elsewhere: thresholds (verdict.py), how one probe is made (dial.py), what follows from it (plan.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from nodeagent.cri import Runtime
from nodeagent.probes import dial
from nodeagent.probes.verdict import FIRST_TRIES, ProbeKind, Row, Schedule, fold, initial
from nodeagent.restart import Spec
from sampan.api import core_v1
from sampan.clock import Clock

AWAY_SECONDS = 2.0
"""A wait that took so much longer than it was to take: the node was frozen, or its machine slept."""
SPREAD_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Probed:
    """The container under probe."""

    id: str
    spec: Spec
    pod_ip: str
    started_at: float


async def ask(probe: core_v1.Probe, probed: Probed, runtime: Runtime, timeout: float) -> dial.Answer:
    """One answer."""
    try:
        if probe.exec is not None:
            return await dial.command(runtime, probed.id, list(probe.exec.command), timeout=timeout)
        if probe.http_get is not None:
            return await dial.http(dial.http_target(probe.http_get, probed.spec, probed.pod_ip), timeout=timeout)
        if probe.tcp_socket is not None:
            port = dial.port_number(probe.tcp_socket.port, probed.spec)
            return await dial.tcp(probe.tcp_socket.host or probed.pod_ip, port, timeout=timeout)
        if probe.grpc is not None:
            return await dial.grpc_health(probed.pod_ip, probe.grpc.port, probe.grpc.service or "", timeout=timeout)
    except dial.ProbeError as error:
        return dial.Answer(False, str(error))
    return dial.Answer(True, "")


async def keep_asking(
    probe: core_v1.Probe,
    kind: ProbeKind,
    probed: Probed,
    *,
    runtime: Runtime,
    clock: Clock,
    held: Callable[[bool | None], None],
    say: Callable[[str, str, str], None],
    known: bool | None = None,
) -> None:
    """Probe until cancelled (a startup probe: until it has decided). `held` hears each change of mind.

    `known`: what an earlier life of the agent had found out about this very container.
    """
    schedule = Schedule.of(probe)
    row = initial(kind) if known is None else Row(held=known)
    # the delay counts from the container's start, not from when this agent came to know it
    age = max(0.0, clock.now().timestamp() - probed.started_at)
    if schedule.initial_delay > age:
        await clock.sleep(schedule.initial_delay - age)
    if known is None and kind is not ProbeKind.LIVENESS and schedule.successes == 1:
        row = await _first(probe, kind, probed, schedule, row, runtime, clock)
        if row.held:
            held(True)
            if kind is ProbeKind.STARTUP:
                return
            await clock.sleep(schedule.period)
    elif known is not None:
        # after a restart of the agent all probes would fire at once
        await clock.sleep(random.uniform(0, schedule.period))
    while True:
        began = clock.monotonic()
        answer = await ask(probe, probed, runtime, schedule.timeout)
        if answer.ok is False and clock.monotonic() - began > schedule.timeout + AWAY_SECONDS:
            # It was we who did not listen: that says nothing about the container.
            await clock.sleep(random.uniform(0, min(schedule.period, SPREAD_SECONDS)))
            continue
        before = row.held
        if answer.ok is None:
            say("Warning", "Unhealthy", f"{kind} probe errored: {answer.output}")
        else:
            if not answer.ok:
                say("Warning", "Unhealthy", f"{kind} probe failed: {answer.output}")
            row = fold(row, answer.ok, schedule)
        if row.held is not before:
            held(row.held)
            if kind is ProbeKind.STARTUP:
                return
        wait = max(0.05, schedule.period - (clock.monotonic() - began))
        due = clock.monotonic() + wait
        await clock.sleep(wait)
        if clock.monotonic() - due > AWAY_SECONDS:  # every probe of the node is due at this moment
            await clock.sleep(random.uniform(0, min(schedule.period, SPREAD_SECONDS)))


async def _first(
    probe: core_v1.Probe,
    kind: ProbeKind,
    probed: Probed,
    schedule: Schedule,
    row: Row,
    runtime: Runtime,
    clock: Clock,
) -> Row:
    """Eager tries within the first period; only success counts."""
    spent = 0.0
    for pause in FIRST_TRIES:
        if spent + pause > schedule.period:
            break
        spent += pause
        await clock.sleep(pause)
        answer = await ask(probe, probed, runtime, schedule.timeout)
        if answer.ok:
            row = fold(row, True, schedule)
            if row.held:
                return row
        else:
            row = initial(kind)
    return initial(kind)
