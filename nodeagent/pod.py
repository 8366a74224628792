"""The worker of one pod: an asyncio task that keeps it as the API last said, until it is gone.

Level-triggered: observe, plan, begin the steps, report, wait for the next change. Steps that take long (a pull, a
graceful stop) run as tasks of their own; the plan knows which are under way and does not ask for them twice.
Always: cancelled, a worker leaves its containers running; one pod's trouble is its own; nothing is remembered that
a restarted agent could not find again in the runtime's labels and the API.
Elsewhere: what to do (plan.py), what to say (status.py), how containers look (containers.py, volumes/).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodeagent import timings
from nodeagent.containers import log_directory
from nodeagent.cri import CriError
from nodeagent.lifecycle import Stage, move_pod
from nodeagent.messages import last_words
from nodeagent.node_context import NodeContext
from nodeagent.observed import Container, Failure, Observed
from nodeagent.plan import (
    SANDBOX_FAILURE,
    START,
    VOLUME_FAILURE,
    CreateSandbox,
    DeletePod,
    KillContainer,
    KillReason,
    MountVolumes,
    Plan,
    RemoveContainer,
    RemoveSandbox,
    RemoveVolumes,
    StartContainer,
    Step,
    StopSandbox,
    Verdict,
    Wish,
    deadline_of,
    plan,
)
from nodeagent.probes.attend import Prober
from nodeagent.references import referenced
from nodeagent.restart import Kind, Member, members
from nodeagent.server.logs import remove_logs
from nodeagent.start import StartFailure, kill, start_container, start_sandbox
from nodeagent.status import status_of
from nodeagent.statuses import Latest, StatusWriter
from nodeagent.timings import Timings
from nodeagent.volumes.errors import VolumeError
from nodeagent.volumes.tree import remove_tree
from sampan.api import core_v1
from sampan.errors import ApiError, SampanError
from sampan.kinds import PODS
from sampan.logs import fields

log = logging.getLogger(__name__)

RESYNC_SECONDS = 60.0
OBSERVE_SECONDS = 30.0
FIRST_HOLD, MOST_HOLD = 0.5, 60.0
PULL_FIRST, PULL_MOST = 10.0, 300.0
REFUSED_IN_CONFIG = ("CreateContainerConfigError",)


@dataclass
class _Hold:
    until: float
    seconds: float


class PodWorker:
    """Tends one pod, by uid. Own `run` in a TaskGroup; `update` and `wake` tell it that something changed."""

    def __init__(self, node: NodeContext, pod: core_v1.Pod, *, removed: bool = False) -> None:
        self._node = node
        self._latest = Latest(pod, removed)
        self.uid = pod.metadata.uid or ""
        self.stage = Stage.STARTING
        self._wake = asyncio.Event()
        self._activities: dict[str, asyncio.Task[None]] = {}
        self._holds: dict[str, _Hold] = {}
        self._failures: dict[str, Failure] = {}
        self._tries: dict[str, int] = {}
        self._messages: dict[str, str] = {}
        self._prober = Prober(node, self._latest, self._spawn, self._wake.set)
        self._pre_stopped: set[str] = set()
        self._deadline_told = False
        self._volumes_ready = False
        self._announced: dict[str, str] = {}
        self._statuses = StatusWriter(node.client, node.clock, self._latest, self._wake.set)
        self._verdict: Verdict | None = None
        self.observed = Observed()
        self.timings = Timings(node.clock)
        self.timings.begin(timings.SEEN)
        self.waiting: dict[str, str] = {}
        """Why containers do not run just now, by name."""
        self._watchers: list[Callable[[], None]] = []
        self._group: asyncio.TaskGroup | None = None

    def successor(self) -> PodWorker:
        """A fresh worker that knows what the API had said, for when this one has failed."""
        made = PodWorker(self._node, self._pod, removed=self._latest.removed)
        made._verdict = self._verdict
        return made

    # --- what others tell it

    @property
    def pod(self) -> core_v1.Pod:
        """The pod as last known."""
        return self._latest.pod

    @property
    def takes_room(self) -> bool:
        """Whether the node's room and ports are still this pod's, for the admission of others.

        Not once it is refused, all of it has ended, or the API has forgotten it: then the scheduler has given its room
        away already.
        """
        if self._latest.removed or self.stage in (Stage.REMOVING, Stage.GONE):
            return False
        return self._verdict is None or bool(self.observed.alive)

    @property
    def may_be_evicted(self) -> bool:
        """Whether it lives, and nothing has decided its end yet."""
        return (
            self._verdict is None
            and not self._latest.removed
            and self.stage in (Stage.STARTING, Stage.RUNNING)
            and self.pod.metadata.deletion_timestamp is None
        )

    @property
    def _pod(self) -> core_v1.Pod:
        return self._latest.pod

    def update(self, pod: core_v1.Pod | None) -> None:
        """The API says this now; None: the pod is not there any more."""
        if pod is None:
            self._latest.removed = True
        elif (old := self._latest.take(pod)) is None:
            return  # our own write comes back
        elif referenced(pod) != referenced(old):
            self._volumes_ready = False
        elif self._volumes_ready and _shown(pod) != _shown(old):
            self._begin("refresh", self._refresh())
        self._wake.set()

    def wake(self) -> None:
        """Look again."""
        self._wake.set()

    def references_changed(self) -> None:
        """A ConfigMap or Secret that this pod uses is another now: what failed for want of it is tried at once."""
        for name, failure in tuple(self._failures.items()):
            if failure.reason in REFUSED_IN_CONFIG or name == VOLUME_FAILURE:
                self._failures[name] = replace(failure, retry_at=0.0)
        if self._volumes_ready:
            self._begin("refresh", self._refresh())
        self._wake.set()

    def on_observed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each observation; returns what takes that back."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def condemn(self, verdict: Verdict) -> None:
        """Bring the pod to its end by the node's decision (an eviction, a refused admission)."""
        self._verdict = verdict
        self._wake.set()

    # --- its life

    async def run(self) -> None:
        """Tend the pod until nothing of it is left. Cancelled, it leaves containers running."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            writer = group.create_task(self._statuses.run())
            try:
                await self._tend()
            finally:
                for task in (writer, *self._activities.values(), *self._prober.tasks):
                    task.cancel()

    async def _tend(self) -> None:
        trouble = 0
        while True:
            self._wake.clear()
            try:
                planned = await self._round()
            except (CriError, TimeoutError) as error:  # one pod's trouble is its own
                trouble += 1
                log.warning("can't observe a pod", extra=fields(pod=self._label, error=error))
                await self._pause(min(MOST_HOLD, FIRST_HOLD * 2 ** min(trouble, 8)))
                continue
            except SampanError:
                trouble += 1
                log.exception("can't tend a pod", extra=fields(pod=self._label))
                await self._pause(min(MOST_HOLD, FIRST_HOLD * 2 ** min(trouble, 8)))
                continue
            trouble = 0
            if planned.stage is Stage.GONE:
                self.stage = Stage.GONE
                return
            await self._sleep(planned.wake_at)

    async def _round(self) -> Plan:
        """Observe, plan, act, report: once."""
        now = self._node.clock.now()
        busy = self._busy(now.timestamp())
        async with asyncio.timeout(OBSERVE_SECONDS):
            self.observed = seen = await self._observe(busy)
        now = self._node.clock.now()
        seen = replace(seen, busy=busy | self._busy(now.timestamp()))
        wish = Wish(self._pod, self._latest.removed, self._verdict)
        planned = plan(wish, seen, now.timestamp())
        stage = move_pod(self.stage, planned.stage)
        if stage is not self.stage:
            log.info("pod stage", extra=fields(pod=self._label, stage=stage.value))
        if stage is Stage.REMOVING and self.stage is not Stage.REMOVING and not self._latest.removed:
            self._report(seen, planned)
            await self._statuses.flushed()
        self.stage = stage
        if stage is Stage.GONE:
            return planned
        for key in planned.cancel:
            if (task := self._activities.get(key)) is not None:
                task.cancel()
        self._prober.attend(seen, ending=stage not in (Stage.STARTING, Stage.RUNNING))
        self._announce(planned)
        if planned.report and not self._latest.removed:
            self._report(seen, planned)
        self.waiting = {name: waiting.reason for name, waiting in planned.waiting.items()} | {
            name: failure.reason for name, failure in self._failures.items() if name not in planned.waiting
        }
        for callback in tuple(self._watchers):
            callback()
        self._act(planned)
        return planned

    def _act(self, planned: Plan) -> None:
        starts = [step for step in planned.steps if isinstance(step, StartContainer)]
        if starts:
            self._begin(START, self._start_all(starts))
        for step in planned.steps:
            if not isinstance(step, StartContainer):
                self._begin(step.key, self._perform(step))

    @property
    def _label(self) -> str:
        return f"{self._pod.metadata.namespace}/{self._pod.metadata.name}"

    def _busy(self, now: float) -> frozenset[str]:
        held = {key for key, hold in self._holds.items() if hold.until > now}
        return frozenset(self._activities.keys() | held)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past the next change."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _sleep(self, wake_at: float | None) -> None:
        now = self._node.clock.now().timestamp()
        moments = [hold.until for hold in self._holds.values() if hold.until > now]
        moments += [one for one in (wake_at, self._node.tokens.next_renewal(self.uid)) if one is not None]
        wait = min((moment - now for moment in moments), default=RESYNC_SECONDS)
        await self._pause(min(RESYNC_SECONDS, max(0.02, wait)))
        renewal = self._node.tokens.next_renewal(self.uid)
        if renewal is not None and renewal <= self._node.clock.now().timestamp() and self._volumes_ready:
            self._begin("refresh", self._refresh())

    @property
    def _log_directory(self) -> Path:
        return log_directory(self._node.log_dir, self._pod)

    # --- observing

    async def _observe(self, busy: frozenset[str]) -> Observed:
        sandboxes, containers = await self._node.runtime.pod(self.uid)
        containers = tuple(self._with_words(container) for container in containers)
        return Observed(
            sandboxes=sandboxes,
            containers=containers,
            health={container.id: self._prober.health(container) for container in containers if container.running},
            failures=dict(self._failures),
            busy=busy,
            volumes_ready=self._volumes_ready,
            volumes_present=self._node.volumes.present(self.uid),
            network_ready=self._node.network_ready,
        )

    def _with_words(self, container: Container) -> Container:
        if not container.exited:
            return container
        if container.id not in self._messages:
            self._messages[container.id] = last_words(container)
        return replace(container, message=self._messages[container.id])

    def _member(self, name: str) -> Member | None:
        return next((one for one in members(self._pod) if one.name == name), None)

    def _pod_ip(self) -> str:
        ips = self._pod_ips()
        return ips[0] if ips else ""

    # --- acting

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._group is not None
        return self._group.create_task(work)

    def _begin(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        if key in self._activities:
            work.close()
            return
        self._activities[key] = self._spawn(self._supervise(key, work))

    async def _supervise(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        began = self._node.clock.monotonic()
        try:
            await work
            self._holds.pop(key, None)
            took = round((self._node.clock.monotonic() - began) * 1000, 1)
            log.debug("step done", extra=fields(pod=self._label, step=key, milliseconds=took))
        except (SampanError, OSError, TimeoutError) as error:
            self._hold(key)
            log.warning("a step failed", extra=fields(pod=self._label, step=key, error=error))
        except Exception:  # likewise: one pod's trouble is its own
            self._hold(key)
            log.exception("a step failed", extra=fields(pod=self._label, step=key))
        finally:
            self._activities.pop(key, None)
            self._wake.set()

    def _hold(self, key: str) -> None:
        """Not again at once: each failure in a row doubles the wait."""
        before = self._holds.get(key)
        seconds = min(MOST_HOLD, before.seconds * 2) if before is not None else FIRST_HOLD
        self._holds[key] = _Hold(self._node.clock.now().timestamp() + seconds, seconds)

    async def _perform(self, step: Step) -> None:
        node = self._node
        match step:
            case MountVolumes():
                await self._mount_volumes()
            case CreateSandbox():
                await self._create_sandbox(step)
            case KillContainer():
                await self._kill(step)
            case RemoveContainer():
                await node.runtime.remove_container(step.id)
                remove_logs(self._log_directory, step.log_path)
            case StopSandbox():
                await node.runtime.stop_sandbox(step.id)
                await node.cgroups.release(self.uid)
            case RemoveSandbox():
                await node.runtime.stop_sandbox(step.id)
                await node.runtime.remove_sandbox(step.id)
            case RemoveVolumes():
                await asyncio.to_thread(remove_tree, self._log_directory)
                await node.volumes.remove(self.uid)
                node.users.forget(self.uid)
                self._volumes_ready = False
            case DeletePod():
                await self._delete()
            case StartContainer():
                raise AssertionError("containers are started in order, by _start_all")

    async def _mount_volumes(self) -> None:
        self.timings.begin(timings.VOLUMES)
        try:
            await self._node.references.want(self.uid, referenced(self._pod))
            tokens = await self._node.tokens.of_pod(self._pod)
            await self._node.volumes.prepare(self._pod, tokens, self._node.here(self._pod_ips()))
        except TimeoutError:
            self._fail(VOLUME_FAILURE, "ContainerCreating", "timed out waiting for ConfigMaps and Secrets")
        except VolumeError as error:
            self._node.say(self._pod, "Warning", "FailedMount", str(error))
            self._fail(VOLUME_FAILURE, "ContainerCreating", str(error))
        else:
            self._clear(VOLUME_FAILURE)
            self._volumes_ready = True
            self.timings.end(timings.VOLUMES)

    async def _refresh(self) -> None:
        if self.stage not in (Stage.STARTING, Stage.RUNNING):
            return
        try:
            tokens = await self._node.tokens.of_pod(self._pod)
            self._node.volumes.refresh(self._pod, tokens, self._node.here(self._pod_ips()))
        except VolumeError as error:
            self._node.say(self._pod, "Warning", "FailedMount", str(error))

    @property
    def address(self) -> str:
        """Where the pod answers, empty while it does not run."""
        return self._pod_ip()

    def _pod_ips(self) -> tuple[str, ...]:
        if self._pod.spec.host_network:
            return self._node.facts.host_ips
        sandbox = self.observed.sandbox
        return sandbox.ips if sandbox is not None else ()

    async def _create_sandbox(self, step: CreateSandbox) -> None:
        self.timings.begin(timings.SANDBOX)
        try:
            await start_sandbox(self._node, self._pod, step)
        except SampanError as error:
            message = f"Failed to create pod sandbox: {error}"
            self._node.say(self._pod, "Warning", "FailedCreatePodSandBox", message)
            self._fail(SANDBOX_FAILURE, "ContainerCreating", message, first=1.0, most=30.0)
        else:
            self._clear(SANDBOX_FAILURE)
            self.timings.end(timings.SANDBOX)

    async def _start_all(self, steps: list[StartContainer]) -> None:
        """Start containers one after another; one that fails does not stop the next."""
        for step in steps:
            member = self._member(step.name)
            if member is None:
                continue
            if step.kind is Kind.REGULAR and self._deadline_passed():
                return
            try:
                await self._start(step, member)
            except StartFailure as failure:
                pull = failure.reason in ("ErrImagePull", "ImageInspectError")
                self._fail(
                    step.name,
                    failure.reason,
                    str(failure),
                    first=PULL_FIRST if pull else 1.0 if failure.container_exists else 2.0,
                    most=PULL_MOST,
                )
            else:
                self._clear(step.name)
            self._wake.set()

    def _deadline_passed(self) -> bool:
        deadline = deadline_of(self._pod)
        return deadline is not None and self._node.clock.now().timestamp() >= deadline

    async def _start(self, step: StartContainer, member: Member) -> None:
        sandbox = next((one for one in self.observed.sandboxes if one.id == step.sandbox_id), None)
        if sandbox is None:
            return

        def created(container_id: str) -> None:
            self.timings.end(timings.CREATED, member.name)
            self.timings.begin(timings.STARTED, member.name)
            self._prober.starting.add(container_id)

        def started(container_id: str) -> None:
            self.timings.end(timings.STARTED, member.name)
            self._wake.set()

        def pulled() -> None:
            self.timings.end(timings.IMAGE, member.name)
            self.timings.begin(timings.CREATED, member.name)

        self.timings.begin(timings.IMAGE, member.name)

        try:
            await start_container(
                self._node,
                self._pod,
                member,
                step,
                sandbox,
                self.observed,
                pulled=pulled,
                created=created,
                started=started,
            )
        except StartFailure as failure:
            if failure.reason == "PostStartHookError" and failure.container_id:
                self._prober.post_start_failed.add(failure.container_id)
            raise
        finally:
            self._prober.starting.clear()  # one container starts at a time
            self._wake.set()

    async def _kill(self, step: KillContainer) -> None:
        member = self._member(step.container.name)
        first = step.container.id not in self._pre_stopped
        self._pre_stopped.add(step.container.id)
        if first:
            self._node.say(self._pod, "Normal", "Killing", _killing(step), container=member)
        await kill(self._node, self._pod, member, step, self._pod_ip(), with_hook=first)

    async def _delete(self) -> None:
        """Take the pod out of the API: nothing of it is left here."""
        meta = self._pod.metadata
        try:
            await self._node.client.delete(
                PODS, meta.name or "", meta.namespace or "", grace_period_seconds=0, uid=self.uid
            )
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
        self._latest.removed = True

    def _fail(self, name: str, reason: str, message: str, *, first: float = 2.0, most: float = 60.0) -> None:
        tries = self._tries[name] = self._tries.get(name, 0) + 1
        now = self._node.clock.now().timestamp()
        self._failures[name] = Failure(reason, message, now, now + min(most, first * 2 ** min(tries - 1, 10)))

    def _clear(self, name: str) -> None:
        self._failures.pop(name, None)
        self._tries.pop(name, None)

    # --- telling

    def _announce(self, planned: Plan) -> None:
        """Events for what the plan holds back, once each time it begins to."""
        now = {name: waiting.reason for name, waiting in planned.waiting.items()}
        for name, reason in now.items():
            if self._announced.get(name) == reason:
                continue
            member = self._member(name)
            if reason == "CrashLoopBackOff":
                text = f"Back-off restarting failed container {name} in pod {_under(self._pod)}"
                self._node.say(self._pod, "Warning", "BackOff", text, container=member)
            elif reason == "ImagePullBackOff" and member is not None:
                self._node.say(
                    self._pod, "Normal", "BackOff", f'Back-off pulling image "{member.spec.image}"', container=member
                )
                self._node.say(self._pod, "Warning", "Failed", "Error: ImagePullBackOff", container=member)
        self._announced = now
        verdict = planned.verdict
        if verdict is not None and verdict.reason == "DeadlineExceeded" and not self._deadline_told:
            self._deadline_told = True
            if self._pod.status.phase not in ("Succeeded", "Failed"):
                self._node.say(self._pod, "Normal", "DeadlineExceeded", verdict.message)

    def _report(self, seen: Observed, planned: Plan) -> None:
        status = status_of(self._pod, seen, planned, self._node.facts, self._node.clock.now())
        if not self.timings.ready and any(one.type == "Ready" and one.status == "True" for one in status.conditions):
            self.timings.ready = True
            self.timings.begin(timings.READY)
        self._statuses.put(status)


def _under(pod: core_v1.Pod) -> str:
    meta = pod.metadata
    return f"{meta.name}_{meta.namespace}({meta.uid})"


def _shown(pod: core_v1.Pod) -> tuple[dict[str, str], dict[str, str]]:
    """What the downward API shows and may change."""
    return pod.metadata.labels, pod.metadata.annotations


def _killing(step: KillContainer) -> str:
    name = step.container.name
    match step.reason:
        case KillReason.LIVENESS:
            return f"Container {name} failed liveness probe, will be restarted"
        case KillReason.STARTUP:
            return f"Container {name} failed startup probe, will be restarted"
        case KillReason.POST_START:
            return f"Container {name} failed its PostStart hook, will be restarted"
        case KillReason.CHANGED:
            return f"Container {name} definition changed, will be restarted"
    return f"Stopping container {name}"
