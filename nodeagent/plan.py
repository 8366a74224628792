"""What to do next for one pod: desired pod + what is observed + the time -> ordered steps. Pure.

`plan` is level-triggered: it never remembers what it asked for. What is being performed already is in `seen.busy`, so a
step is not asked for twice; what failed is in `seen.failures`, with the time before which it is not tried again.
Always: a stage never goes back; nothing starts once a pod ends; a pod is deleted from the API only when no container,
sandbox or volume of it is left.
Elsewhere: how a step is performed (pod.py), what is reported (status.py), restart policies (restart.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from nodeagent.lifecycle import Stage
from nodeagent.observed import Container, ContainerState, Observed
from nodeagent.restart import Kind, Member, delay_after, members, next_backoff, restarts
from sampan.api import core_v1

START = "start"
SANDBOX = "sandbox"
VOLUMES = "volumes"
DELETE = "delete"
VOLUME_FAILURE = "/volumes"
SANDBOX_FAILURE = "/sandbox"
"""Keys of `failures` that are no container's name (names have no slash)."""
LEAST_GRACE_SECONDS = 2
"""Even a forced end gives a process this long to react to its signal."""
ORPHAN_GRACE_SECONDS = 1
SHOWN_SECONDS = 1.0
"""How long ErrImagePull is shown before it becomes ImagePullBackOff."""


class KillReason(StrEnum):
    """Why a container is stopped while its pod goes on, or ends."""

    POD_ENDS = "pod ends"
    LIVENESS = "liveness"
    STARTUP = "startup"
    POST_START = "post start"
    CHANGED = "changed"
    SANDBOX_LOST = "sandbox lost"


@dataclass(frozen=True, slots=True)
class MountVolumes:
    """Bring the pod's volumes into place."""

    key: str = VOLUMES


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    """Make a sandbox, after the old ones have been stopped."""

    attempt: int
    stop: tuple[str, ...] = ()
    key: str = SANDBOX


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Get the image, then create and start a container in the sandbox."""

    name: str
    kind: Kind
    sandbox_id: str
    restart_count: int
    backoff: float
    made: str = ""
    """A container that was created and never started, whoever did that: start this one."""
    key: str = START


@dataclass(frozen=True, slots=True)
class KillContainer:
    """preStop, stop signal, and SIGKILL after `grace` seconds."""

    container: Container
    reason: KillReason
    grace: int

    @property
    def key(self) -> str:
        """A shorter grace is another step: it overtakes the first."""
        return f"kill:{self.container.id}:{self.grace}"


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Forget a dead container, and its log (a path under its pod's log directory)."""

    id: str
    log_path: str = ""

    @property
    def key(self) -> str:
        return f"remove:{self.id}"


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """End a sandbox and its network."""

    id: str

    @property
    def key(self) -> str:
        return f"stop:{self.id}"


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """Forget a sandbox and its dead containers."""

    id: str

    @property
    def key(self) -> str:
        return f"remove:{self.id}"


@dataclass(frozen=True, slots=True)
class RemoveVolumes:
    """Take the pod's volumes and files away."""

    key: str = VOLUMES


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Take the object out of the API for good."""

    key: str = DELETE


Step = (
    MountVolumes
    | CreateSandbox
    | StartContainer
    | KillContainer
    | RemoveContainer
    | StopSandbox
    | RemoveSandbox
    | RemoveVolumes
    | DeletePod
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The pod has come to its end by itself, or was brought to it."""

    phase: str
    """Succeeded or Failed."""
    reason: str = ""
    message: str = ""
    grace: int | None = None
    """How long its containers have to end, in seconds, where that is not as the pod says."""
    disrupted: bool = False
    """The node ended it for its own sake: the condition DisruptionTarget says so."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One pod as the API last said. `removed`: it is not in the API any more."""

    pod: core_v1.Pod
    removed: bool = False
    verdict: Verdict | None = None
    """What the agent decided earlier and the API may not show yet (an eviction, a refused admission)."""

    @property
    def deleting(self) -> bool:
        """Somebody asked for its end."""
        return self.removed or self.pod.metadata.deletion_timestamp is not None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run just now."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, what to stop doing, and when to look again."""

    stage: Stage
    steps: tuple[Step, ...] = ()
    cancel: frozenset[str] = frozenset()
    wake_at: float | None = None
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    verdict: Verdict | None = None
    report: bool = True
    """Whether status may be made of this observation: not once containers are being removed."""


def pod_label(pod: core_v1.Pod) -> str:
    """`name_namespace(uid)`, as upstream's messages name a pod."""
    meta = pod.metadata
    return f"{meta.name}_{meta.namespace}({meta.uid})"


def duration(seconds: float) -> str:
    """`10s`, `1m20s`, `5m0s`: as Go prints a duration."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def plan(wish: Wish, seen: Observed, now: float) -> Plan:
    """The next steps. `now` in seconds since the epoch."""
    verdict = verdict_of(wish, seen, now)
    if wish.deleting or verdict is not None:
        return _ending(wish, seen, verdict)
    return _running(wish.pod, seen, now)


def verdict_of(wish: Wish, seen: Observed, now: float) -> Verdict | None:
    """Whether the pod has come to its end: as the API says, by its deadline, or because nothing restarts."""
    pod = wish.pod
    if pod.status.phase in ("Succeeded", "Failed"):
        return Verdict(pod.status.phase, pod.status.reason or "", pod.status.message or "")
    if wish.verdict is not None:
        return wish.verdict
    deadline = deadline_of(pod)
    if deadline is not None and now >= deadline:
        return Verdict("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    return _outcome(pod, seen)


def deadline_of(pod: core_v1.Pod) -> float | None:
    """When activeDeadlineSeconds is over, in epoch seconds."""
    if pod.spec.active_deadline_seconds is None or pod.status.start_time is None:
        return None
    return pod.status.start_time.timestamp() + pod.spec.active_deadline_seconds


def _outcome(pod: core_v1.Pod, seen: Observed) -> Verdict | None:
    codes = []
    for member in members(pod):
        newest = seen.newest(member.name)
        if (
            member.kind is Kind.INIT
            and newest is not None
            and newest.exited
            and newest.exit_code != 0
            and not restarts(pod, member, newest.exit_code)
            and not _initialised(pod, seen, newest.sandbox_id)
        ):
            return Verdict("Failed")
        if member.kind is not Kind.REGULAR:
            continue
        if newest is None or not newest.exited or restarts(pod, member, newest.exit_code):
            return None
        codes.append(newest.exit_code)
    if not codes:
        return None
    return Verdict("Failed" if any(codes) else "Succeeded")


def _initialised(pod: core_v1.Pod, seen: Observed, sandbox_id: str) -> bool:
    """A regular container exists in this sandbox, so its init containers were done."""
    names = {spec.name for spec in pod.spec.containers}
    return any(c.name in names and c.sandbox_id == sandbox_id for c in seen.containers)


# --- a pod that lives


class _Running:
    """Collects the steps for a living pod."""

    def __init__(self, pod: core_v1.Pod, seen: Observed, now: float) -> None:
        self.pod, self.seen, self.now = pod, seen, now
        self.steps: list[Step] = []
        self.waiting: dict[str, Waiting] = {}
        self.wakes: list[float] = []
        if (deadline := deadline_of(pod)) is not None:
            self.wakes.append(deadline)

    def add(self, step: Step) -> None:
        if step.key not in self.seen.busy:
            self.steps.append(step)

    def held_back(self, name: str) -> bool:
        """The last try failed and it is too early for another."""
        failure = self.seen.failures.get(name)
        if failure is None or failure.retry_at <= self.now:
            return False
        self.wakes.append(failure.retry_at)
        if failure.reason == "ErrImagePull":
            if self.now < failure.at + SHOWN_SECONDS:
                self.wakes.append(failure.at + SHOWN_SECONDS)
            else:
                image = next((one.spec.image for one in members(self.pod) if one.name == name), "")
                text = f'Back-off pulling image "{image}": ErrImagePull: {failure.message}'
                self.waiting[name] = Waiting("ImagePullBackOff", text)
        return True

    def start(self, member: Member, sandbox_id: str) -> None:
        """Start a container, or say why it waits."""
        newest = self.seen.newest(member.name, sandbox_id)  # one that ended with its sandbox did not crash
        if newest is not None and newest.exited:
            delay = delay_after(newest)
            due = newest.finished_at + delay
            if due > self.now:
                self.wakes.append(due)
                self.waiting[member.name] = Waiting(
                    "CrashLoopBackOff",
                    f"back-off {duration(delay)} restarting failed container={member.name} pod={pod_label(self.pod)}",
                )
                return
        if self.held_back(member.name) or not self.seen.volumes_ready:
            return
        if newest is not None and newest.state is ContainerState.CREATED:
            made = newest.id if newest.hash == container_hash(member) else ""
            count = newest.restart_count + (not made)
            self.add(StartContainer(member.name, member.kind, sandbox_id, count, newest.backoff, made))
            return
        backoff = next_backoff(newest) if newest is None or newest.exited else newest.backoff
        count = restart_count(self.pod, self.seen, member.name)
        self.add(StartContainer(member.name, member.kind, sandbox_id, count, backoff))

    def unhealthy(self, member: Member, container: Container) -> bool:
        """Stop a running container that must not run on as it is."""
        health = self.seen.health.get(container.id)
        reason, probe = None, None
        if health is not None and health.post_start_failed:
            reason = KillReason.POST_START
        elif health is not None and health.startup_failed:
            reason, probe = KillReason.STARTUP, member.spec.startup_probe
        elif health is not None and health.live is False:
            reason, probe = KillReason.LIVENESS, member.spec.liveness_probe
        elif container.hash and container.hash != container_hash(member):
            reason = KillReason.CHANGED
        if reason is None:
            return False
        grace = spec_grace(self.pod)
        if probe is not None and probe.termination_grace_period_seconds is not None:
            grace = probe.termination_grace_period_seconds
        if not any(key.startswith(f"kill:{container.id}:") for key in self.seen.busy):
            self.add(KillContainer(container, reason, grace))
        return True

    def done(self) -> Plan:
        started = any(c.state is not ContainerState.CREATED for c in self.seen.containers)
        return Plan(
            Stage.RUNNING if started else Stage.STARTING,
            tuple(self.steps),
            wake_at=min(self.wakes, default=None),
            waiting=self.waiting,
        )


def container_hash(member: Member) -> str:
    """What of a container's spec, once changed, needs another container: its name and image."""
    text = f"{member.name}\0{member.spec.image or ''}"
    return sha256(text.encode()).hexdigest()[:8]


def restart_count(pod: core_v1.Pod, seen: Observed, name: str) -> int:
    """How often the next container of this name will have been restarted."""
    if (newest := seen.newest(name)) is not None:
        return newest.restart_count + 1
    status = pod.status
    for known in (*status.container_statuses, *status.init_container_statuses, *status.ephemeral_container_statuses):
        # the runtime has forgotten (a wiped disk, say), the API has not
        if known.name == name and known.container_id:
            return known.restart_count + 1
    return 0


def _running(pod: core_v1.Pod, seen: Observed, now: float) -> Plan:
    work = _Running(pod, seen, now)
    if not seen.volumes_ready and not work.held_back(VOLUME_FAILURE):
        work.add(MountVolumes())
    sandbox = seen.sandbox
    if sandbox is None or not sandbox.ready:
        for container in seen.alive:
            if not any(key.startswith(f"kill:{container.id}:") for key in seen.busy):
                work.add(KillContainer(container, KillReason.SANDBOX_LOST, spec_grace(pod)))
        networked = seen.network_ready or pod.spec.host_network
        if not seen.alive and networked and not work.held_back(SANDBOX_FAILURE):
            attempt = sandbox.attempt + 1 if sandbox is not None else 0
            work.add(CreateSandbox(attempt, tuple(one.id for one in seen.sandboxes)))
        return work.done()
    for member in members(pod):
        if member.kind is Kind.EPHEMERAL and seen.newest(member.name) is None:
            work.start(member, sandbox.id)
    if _init(work, sandbox.id):
        for member in members(pod):
            if member.kind is Kind.REGULAR:
                _keep(work, member, sandbox.id)
    _sweep(work)
    return work.done()


def _init(work: _Running, sandbox_id: str) -> bool:
    """Bring init containers and sidecars on, in their order. True: the regular ones may start."""
    pod, seen = work.pod, work.seen
    inits = [member for member in members(pod) if member.kind in (Kind.INIT, Kind.SIDECAR)]
    if _initialised(pod, seen, sandbox_id):
        for member in inits:
            if member.kind is Kind.SIDECAR:
                _keep(work, member, sandbox_id)
        return True
    reached = max((at for at, one in enumerate(inits) if seen.newest(one.name, sandbox_id)), default=-1)
    for at, member in enumerate(inits):
        here = seen.newest(member.name, sandbox_id)
        if member.kind is Kind.SIDECAR:
            _keep(work, member, sandbox_id)
            if at < reached:
                continue  # it had started before a later one was let go
            health = seen.health.get(here.id) if here is not None else None
            if here is None or not here.running or health is None or not health.started:
                return False
        elif (here is not None and here.exited and here.exit_code == 0) or at < reached:
            continue
        else:
            _keep(work, member, sandbox_id)
            return False
    return True


def _keep(work: _Running, member: Member, sandbox_id: str) -> None:
    """Have this container run in this sandbox, as its policies say."""
    pod, seen = work.pod, work.seen
    here = seen.newest(member.name, sandbox_id)
    if here is not None and here.running:
        work.unhealthy(member, here)
        return
    if here is not None and here.exited and not restarts(pod, member, here.exit_code):
        return
    if here is None and member.kind is Kind.REGULAR:
        before = seen.newest(member.name)
        if before is not None and before.exited and not restarts(pod, member, before.exit_code):
            return  # it had its end in an earlier sandbox
    if here is not None and here.state is ContainerState.UNKNOWN:
        if not any(key.startswith(f"kill:{here.id}:") for key in seen.busy):
            work.add(KillContainer(here, KillReason.SANDBOX_LOST, spec_grace(pod)))
        return
    work.start(member, sandbox_id)


def _sweep(work: _Running) -> None:
    """Forget what nothing refers to any more: all but the newest two of a name, and sandboxes emptied by that."""
    seen = work.seen
    kept: set[str] = set()
    for name in {container.name for container in seen.containers}:
        for at, container in enumerate(seen.of_name(name)):
            if at < 2 or container.state is ContainerState.RUNNING:
                kept.add(container.sandbox_id)
            elif START not in seen.busy:
                work.add(RemoveContainer(container.id, f"{container.name}/{container.restart_count}.log"))
    for sandbox in seen.sandboxes[1:]:
        if sandbox.id not in kept:
            work.add(RemoveSandbox(sandbox.id))


# --- a pod that ends


def spec_grace(pod: core_v1.Pod) -> int:
    """terminationGracePeriodSeconds of the spec."""
    grace = pod.spec.termination_grace_period_seconds
    return 30 if grace is None else max(grace, LEAST_GRACE_SECONDS)


def end_grace(wish: Wish) -> int:
    """How long this pod's containers have to end, in seconds."""
    asked = wish.pod.metadata.deletion_grace_period_seconds
    if wish.verdict is not None and wish.verdict.grace is not None:
        asked = wish.verdict.grace if asked is None else min(asked, wish.verdict.grace)
    if asked is not None:
        return max(asked, LEAST_GRACE_SECONDS)
    return spec_grace(wish.pod)


def _ending(wish: Wish, seen: Observed, verdict: Verdict | None) -> Plan:
    steps: list[Step] = []

    def add(step: Step) -> None:
        if step.key not in seen.busy:
            steps.append(step)

    cancel = frozenset({START} & seen.busy)
    for container in _next_to_end(wish.pod, seen):
        add(KillContainer(container, KillReason.POD_ENDS, end_grace(wish)))
    making = bool(seen.busy & {START, SANDBOX}) or (VOLUMES in seen.busy)
    if seen.alive or making:
        return Plan(Stage.ENDING, tuple(steps), cancel, verdict=verdict)
    for sandbox in seen.sandboxes:
        if sandbox.ready:
            add(StopSandbox(sandbox.id))
    if not wish.deleting or any(sandbox.ready for sandbox in seen.sandboxes):
        return Plan(Stage.ENDING, tuple(steps), cancel, verdict=verdict)
    if seen.sandboxes or seen.containers:
        known = {sandbox.id for sandbox in seen.sandboxes}
        for sandbox in seen.sandboxes:
            add(RemoveSandbox(sandbox.id))
        for container in seen.containers:
            if container.sandbox_id not in known:
                add(RemoveContainer(container.id))
        return Plan(Stage.REMOVING, tuple(steps), cancel, verdict=verdict, report=False)
    if seen.volumes_present:
        add(RemoveVolumes())
        return Plan(Stage.REMOVING, tuple(steps), cancel, verdict=verdict, report=False)
    if not wish.removed:
        add(DeletePod())
        return Plan(Stage.REMOVING, tuple(steps), cancel, verdict=verdict, report=False)
    return Plan(Stage.GONE, report=False)


def _next_to_end(pod: core_v1.Pod, seen: Observed) -> Iterator[Container]:
    """Those to stop now: all but the sidecars at once; then the sidecars, the last one first."""
    sidecars = [member.name for member in members(pod) if member.kind is Kind.SIDECAR]
    others = [container for container in seen.alive if container.name not in sidecars]
    if others:
        yield from others
        return
    for name in reversed(sidecars):
        alive = [container for container in seen.alive if container.name == name]
        if alive:
            yield from alive
            return
