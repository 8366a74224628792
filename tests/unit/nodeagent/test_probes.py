"""Thresholds as a fold, probes in virtual time, and single probes against real sockets on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.cri import CriError
from nodeagent.probes import dial
from nodeagent.probes import worker as probing
from nodeagent.probes.verdict import ProbeKind, Row, Schedule, fold, initial
from sampan.api.core_v1 import Container, HTTPGetAction, Probe
from sampan.clock import LoopClock

START = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = Container.from_json({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]})


def schedule(**more: Any) -> Schedule:
    return Schedule.of(Probe.from_json(more))


def test_defaults_are_upstreams() -> None:
    assert schedule() == Schedule(0, 10, 1, 1, 3)


@given(st.lists(st.booleans()), st.integers(1, 4), st.integers(1, 4))
def test_the_fold_agrees_with_looking_back(answers: list[bool], successes: int, failures: int) -> None:
    plan = schedule(successThreshold=successes, failureThreshold=failures)
    row = Row()
    held: bool | None = None
    for at, answer in enumerate(answers):
        row = fold(row, answer, plan)
        needed = successes if answer else failures
        if at + 1 >= needed and all(one is answer for one in answers[at + 1 - needed : at + 1]):
            held = answer
        assert row.held is held


def test_what_is_held_before_the_first_answer() -> None:
    assert initial(ProbeKind.LIVENESS).held is True
    assert initial(ProbeKind.READINESS).held is None


class Script:
    """Answers by the clock: healthy between two moments."""

    def __init__(
        self,
        clock: LoopClock,
        healthy: list[tuple[float, float]],
        frozen_in_flight: bool = False,
        away: tuple[float, float] = (0, 0),
    ) -> None:
        self.away = away
        self.frozen_in_flight = frozen_in_flight
        self.clock, self.healthy, self.began = clock, healthy, asyncio.get_running_loop().time()
        self.asked: list[float] = []
        self.held: list[tuple[float, bool | None]] = []
        self.said: list[str] = []

    @property
    def now(self) -> float:
        return round(asyncio.get_running_loop().time() - self.began, 3)

    async def ask(self, *_: Any) -> dial.Answer:
        self.asked.append(self.now)
        if self.frozen_in_flight and 20 <= self.now < 3600:
            await asyncio.sleep(3600 - 1e-6)
            return dial.Answer(False, "timed out")
        if self.away[0] <= self.now < self.away[1]:
            return dial.Answer(None, "no")
        return dial.Answer(any(low <= self.now < high for low, high in self.healthy), "no")


async def run(
    monkeypatch: pytest.MonkeyPatch, kind: ProbeKind, healthy: list[tuple[float, float]], seconds: float,
    known: bool | None = None, clock: LoopClock | None = None, frozen_in_flight: bool = False,
    away: tuple[float, float] = (0, 0), **probe: Any,
) -> Script:  # fmt: skip
    clock = clock or LoopClock(START)
    script = Script(clock, healthy, frozen_in_flight, away)
    monkeypatch.setattr(probing, "ask", script.ask)
    probed = probing.Probed("id", SPEC, "127.0.0.1", clock.now().timestamp())
    try:
        async with asyncio.timeout(seconds):
            await probing.keep_asking(
                Probe.from_json(probe), kind, probed, runtime=None, clock=clock,  # type: ignore[arg-type]  # not asked
                held=lambda value: script.held.append((script.now, value)),
                say=lambda *words: script.said.append(words[2]), known=known,
            )  # fmt: skip
    except TimeoutError:
        pass
    return script


@pytest.mark.looptime
async def test_readiness_comes_fast_in_spite_of_a_long_period(monkeypatch: pytest.MonkeyPatch) -> None:
    script = await run(monkeypatch, ProbeKind.READINESS, [(0.3, 1e9)], 100, periodSeconds=60)
    assert script.held == [(0.35, True)]
    assert script.said == []
    assert len(script.asked) <= 6


@pytest.mark.looptime
async def test_readiness_is_lost_after_the_threshold_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = await run(
        monkeypatch, ProbeKind.READINESS, [(0, 15), (55, 1e9)], 100, periodSeconds=10, failureThreshold=2
    )
    assert [value for _, value in script.held] == [True, False, True]
    assert script.held[1][0] == 30
    assert script.said[0] == "Readiness probe failed: no"


@pytest.mark.looptime
async def test_liveness_fails_after_its_delay_and_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    script = await run(
        monkeypatch, ProbeKind.LIVENESS, [], 30, initialDelaySeconds=5, periodSeconds=2, failureThreshold=3
    )
    assert script.asked[0] == 5
    assert script.held[0] == (9, False)


class FrozenClock(LoopClock):
    """The clock of an agent that is frozen after 20 s for an hour."""

    def __init__(self) -> None:
        super().__init__(START)
        self.began = asyncio.get_running_loop().time()
        self.frozen = False

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not self.frozen and asyncio.get_running_loop().time() >= self.began + 20:
            self.frozen = True
            await asyncio.sleep(3600)


@pytest.mark.looptime
async def test_after_an_hour_frozen_the_probes_of_a_node_do_not_all_come_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    firsts = []
    for _ in range(20):
        script = await run(monkeypatch, ProbeKind.LIVENESS, [(0, 1e9)], 3700, clock=FrozenClock(), periodSeconds=10)
        firsts.append(next(one for one in script.asked if one > 3600))
        assert script.held == [], "an agent that was away has nothing to say about a container"
    assert max(firsts) - min(firsts) > 1


@pytest.mark.looptime
async def test_a_probe_that_was_under_way_when_its_agent_froze_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = await run(
        monkeypatch, ProbeKind.LIVENESS, [(0, 20), (3620, 1e9)], 3700,
        frozen_in_flight=True, periodSeconds=10, failureThreshold=1,
    )  # fmt: skip
    assert script.held == []
    assert script.said == []
    assert [one for one in script.asked if one > 3620], "it goes on afterwards"


@pytest.mark.looptime
async def test_what_could_not_be_asked_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    script = await run(
        monkeypatch, ProbeKind.LIVENESS, [(0, 20), (60, 1e9)], 100,
        away=(20, 60), periodSeconds=5, failureThreshold=1,
    )  # fmt: skip
    assert script.held == []
    assert set(script.said) == {"Liveness probe errored: no"}


class NoRuntime:
    """As the client of a runtime that is away."""

    async def exec_sync(self, *_: Any) -> tuple[int, bytes]:
        raise CriError("ExecSync", self.code, "why")

    def __init__(self, code: str) -> None:
        self.code = code


@pytest.mark.parametrize(("code", "ok"), [("DEADLINE_EXCEEDED", False), ("UNAVAILABLE", None)])
async def test_a_command_that_takes_too_long_fails_and_a_runtime_that_is_away_proves_nothing(
    code: str, ok: bool | None
) -> None:
    answer = await dial.command(NoRuntime(code), "id", ["true"], timeout=1)  # type: ignore[arg-type]
    assert answer.ok is ok


@pytest.mark.looptime
async def test_a_startup_probe_ends_with_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    good = await run(monkeypatch, ProbeKind.STARTUP, [(7, 1e9)], 100, periodSeconds=5, failureThreshold=30)
    assert [value for _, value in good.held] == [True]
    bad = await run(monkeypatch, ProbeKind.STARTUP, [], 100, periodSeconds=5, failureThreshold=3)
    assert [value for _, value in bad.held] == [False]


@pytest.mark.looptime
async def test_an_agent_that_comes_back_believes_what_it_knew(monkeypatch: pytest.MonkeyPatch) -> None:
    script = await run(monkeypatch, ProbeKind.READINESS, [(0, 1e9)], 60, known=True, periodSeconds=10)
    assert script.held == []
    assert script.asked


# --- real sockets


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], asked


def target(port: int, path: str = "/x", **more: Any) -> dial.Target:
    return dial.http_target(HTTPGetAction.from_json({"port": port, "path": path} | more), SPEC, "127.0.0.1")


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (399, True), (400, False), (503, False)])
async def test_http_is_healthy_below_400(status: int, ok: bool) -> None:
    async with server(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nhi".encode()) as (port, asked):
        answer = await dial.http(target(port, httpHeaders=[{"name": "Host", "value": "me.test"}]), timeout=5)
    assert answer.ok is ok
    if not ok:
        assert answer.output == f"HTTP probe failed with statuscode: {status}"
    assert asked[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"Host: me.test\r\n" in asked[0]
    assert b"User-Agent: kube-probe/" in asked[0]


async def test_a_redirect_elsewhere_is_health_and_one_here_is_followed() -> None:
    async with server(b"HTTP/1.1 302 X\r\nLocation: http://elsewhere.test/\r\n\r\n") as (port, _):
        assert (await dial.http(target(port), timeout=5)).ok
    async with (
        server(b"HTTP/1.1 500 X\r\n\r\n") as (there, _),
        server(f"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:{there}/y\r\n\r\n".encode()) as (here, _),
    ):
        assert not (await dial.http(target(here), timeout=5)).ok


@pytest.mark.parametrize("garbage", [b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 100_000])
async def test_what_is_no_http_is_a_failure_and_no_crash(garbage: bytes) -> None:
    async with server(garbage) as (port, _):
        answer = await dial.http(target(port), timeout=5)
    assert not answer.ok


async def test_nobody_listens() -> None:
    async with server(b"") as (port, _):
        pass
    answer = await dial.tcp("127.0.0.1", port, timeout=5)
    assert answer == dial.Answer(False, f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    answer = await dial.http(target(port), timeout=5)
    assert answer.output == f'Get "http://127.0.0.1:{port}/x": dial tcp 127.0.0.1:{port}: connect: connection refused'


async def test_a_silent_server_runs_into_the_timeout() -> None:
    held = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        answer = await dial.http(target(port), timeout=0.05)
        assert "context deadline exceeded" in answer.output
        assert (await dial.tcp("127.0.0.1", port, timeout=5)).ok
        held.set()


async def test_grpc_health() -> None:
    import grpc.aio

    statuses = {b"": b"\x08\x01", b"\x0a\x03sub": b"\x08\x02"}

    async def check(request: bytes, _: Any) -> bytes:
        return statuses[request]

    method = grpc.unary_unary_rpc_method_handler(check)
    grpc_server = grpc.aio.server()
    grpc_server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method}),)
    )
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    try:
        assert (await dial.grpc_health("127.0.0.1", port, "", timeout=5)).ok
        sick = await dial.grpc_health("127.0.0.1", port, "sub", timeout=5)
        assert sick == dial.Answer(False, 'service unhealthy (responded with "NOT_SERVING")')
    finally:
        await grpc_server.stop(0)


def test_ports_by_name_and_number() -> None:
    assert dial.port_number("web", SPEC) == 8080
    assert dial.port_number("81", SPEC) == 81
    for bad in ("none", 0, 70_000, None):
        with pytest.raises(dial.ProbeError):
            dial.port_number(bad, SPEC)
