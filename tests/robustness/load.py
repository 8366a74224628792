"""Work that goes on while things are killed: a rollout, its callers, writers of objects, and short-lived pods.

All of it is applied by `Load.begin`, kept going by `Load.keep_on`, and judged by `Load.verdict` once the cluster has
come to rest. What a client does is decided by its seed.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from inventory import compare, running

from clusters import LocalCluster

PATIENCE = aiohttp.ClientTimeout(total=5)
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  progressDeadlineSeconds: 600
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
      - name: web
        image: webapp:v1
        env: [{name: DRAIN_SECONDS, value: "8"}]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, timeoutSeconds: 5}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: still}
spec:
  replicas: 3
  selector: {matchLabels: {app: still}}
  template:
    metadata: {labels: {app: still}}
    spec:
      terminationGracePeriodSeconds: 0
      volumes: [{name: data, emptyDir: {}}]
      containers:
      - name: still
        image: busybox:test
        command: [sh, -c, "echo start >>/data/starts; while :; do sleep 3600; done"]
        volumeMounts: [{name: data, mountPath: /data}]
        livenessProbe: {exec: {command: [test, -f, /data/starts]}, periodSeconds: 1, timeoutSeconds: 15}
---
apiVersion: v1
kind: Pod
metadata: {name: reader, labels: {app: reader}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: reader, image: "busybox:test", stdin: true, command: [cat]}
  - {name: terminal, image: "busybox:test", stdin: true, tty: true, command: [cat]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: caller
    image: busybox:test
    command:
    - sh
    - -c
    - |
      while :; do
        timeout 10 wget -q -O - http://web/ || echo "FAIL $(date +%s)"
        usleep 30000
      done
"""


@dataclass
class Written:
    """One object that one writer writes: what may be there now."""

    acknowledged: str = ""
    maybe: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Failure:
    """A request that was not answered, or answered with a server's fault."""

    began: float
    ended: float
    what: str


class Load:
    """Everything that goes on in one namespace."""

    def __init__(self, cluster: LocalCluster, namespace: str, seed: int) -> None:
        self.cluster, self.namespace, self.seed = cluster, namespace, seed
        self.written: dict[str, Written] = {}
        self.failures: list[Failure] = []
        self.shorts: dict[str, int] = {}
        """Pods that run once -> the exit code that they end with."""
        self._before: dict[str, str] = {}
        self._context = ssl.create_default_context(cafile=str(cluster.places.pki / "ca.crt"))
        self._context.load_cert_chain(cluster.places.pki / "admin.crt", cluster.places.pki / "admin.key")
        port = cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
        self._url = f"{port}/api/v1/namespaces/{namespace}"

    # -- beginning

    def begin(self) -> None:
        """Everything there and ready."""
        self.cluster.apply(self.namespace, MANIFEST)
        self.rolled_out()
        self.cluster.kubectl("rollout", "status", "-n", self.namespace, "deployment/still", "--timeout=90s")
        for name in ("caller", "reader"):
            self.cluster.kubectl("wait", "-n", self.namespace, "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        self.cluster.eventually(lambda: "version=" in self._caller_says())
        self._before = self._unmoved()

    def roll(self, version: str) -> None:
        """Ask for another version."""
        self.cluster.eventually(
            lambda: self.cluster.kubectl(
                "set", "image", "-n", self.namespace, "deployment/web", f"web=webapp:{version}"
            )
        )

    def rolled_out(self) -> None:
        """Return when the rollout is through."""
        self.cluster.eventually(
            lambda: self.cluster.kubectl(
                "rollout", "status", "-n", self.namespace, "deployment/web", "--timeout=100s", timeout=120
            ),
            patience=180,
        )

    # -- going on

    @asynccontextmanager
    async def going_on(self, *, writers: int = 3, shorts: bool = True) -> AsyncIterator[None]:
        """Clients write objects, and pods come that run once, until the block ends."""
        until = asyncio.Event()
        async with (
            asyncio.TaskGroup() as tasks,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._context), timeout=PATIENCE) as session,
        ):
            own = [tasks.create_task(self._write(session, number, until)) for number in range(writers)]
            if shorts:
                own.append(tasks.create_task(self._start_shorts(session, until)))
            try:
                yield
            finally:
                until.set()
                await asyncio.wait(own)

    async def _write(self, session: aiohttp.ClientSession, number: int, until: asyncio.Event) -> None:
        dice, count = random.Random(f"{self.seed}/{number}"), 0
        while not until.is_set():
            count += 1
            name, token = f"w{number}-{dice.randrange(20)}", f"{number}-{count}"
            known = self.written.setdefault(name, Written())
            known.maybe.add(token)
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"token": token}}
            url = f"{self._url}/configmaps/{name}?fieldManager=load"
            if await self._ask(session, "PATCH", url, body, "application/apply-patch+yaml"):
                known.acknowledged, known.maybe = token, set()
            await asyncio.sleep(dice.random() * 0.1)

    async def _start_shorts(self, session: aiohttp.ClientSession, until: asyncio.Event) -> None:
        dice = random.Random(f"{self.seed}/shorts")
        while not until.is_set():
            name, code = f"short-{len(self.shorts)}", dice.randrange(1, 100)
            script = f"echo once; usleep {dice.randrange(1_500_000)}; exit {code}"
            container = {"name": "short", "image": "busybox:test", "command": ["sh", "-c", script]}
            body = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app": "short"}},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            }
            self.shorts[name] = code
            while not await self._ask(session, "POST", f"{self._url}/pods", body, "application/json", also=409):
                pass  # it has waited a little
            await asyncio.sleep(dice.random() * 0.8)

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, url: str, body: object, kind: str, also: int = 200
    ) -> bool:
        began = time.monotonic()
        try:
            async with session.request(method, url, json=body, headers={"Content-Type": kind}) as response:
                said = await response.text()
                if response.status in (200, 201, also):
                    return True
                what = f"{method} {url}: {response.status} {said[:300]}"
                assert response.status in (429, 500, 503, 504), what
        except (aiohttp.ClientError, TimeoutError) as error:
            what = f"{method} {url}: {type(error).__name__} {error}"
        self.failures.append(Failure(began, time.monotonic(), what))
        await asyncio.sleep(0.2)
        return False

    # -- what came of it

    def verdict(self) -> list[str]:
        """Whatever is not as it must be, once all has come to rest."""
        pods = self.cluster.get("pods", "-n", self.namespace)
        return [
            *self._at_rest(pods),
            *self._lost_writes(),
            *self._shorts(pods),
            *self._restarted(pods),
            *self._unanswered(),
        ]

    def settle(self, patience: float = 120.0) -> None:
        """Return when the machine and the API agree, and every short-lived pod has ended."""

        def settled() -> bool:
            pods = self.cluster.get("pods", "-n", self.namespace)
            problems = self._at_rest(pods)
            assert not problems, problems
            return True

        self.cluster.eventually(settled, patience=patience)

    def _at_rest(self, pods: Sequence[dict[str, Any]]) -> Iterator[str] | list[str]:
        nodes = [node["metadata"]["name"] for node in self.cluster.get("nodes")]
        everywhere = self.cluster.get("pods", "-A")
        problems = compare(everywhere, running(self.cluster.places, nodes))
        problems += [f"{pod['metadata']['name']} is going" for pod in pods if "deletionTimestamp" in pod["metadata"]]
        problems += [
            f"{pod['metadata']['name']} is {pod['status'].get('phase')}"
            for pod in pods
            if pod["metadata"]["name"] in self.shorts and pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]
        return problems

    def _lost_writes(self) -> Iterator[str]:
        found = self.cluster.get("configmaps", "-n", self.namespace)
        there = {one["metadata"]["name"]: one["data"].get("token", "") for one in found}
        for name, known in self.written.items():
            allowed = known.maybe | {known.acknowledged}
            if there.get(name, "") not in allowed:
                yield f"configmap {name} has {there.get(name)!r}, and was {known.acknowledged!r}, perhaps {known.maybe}"

    def _shorts(self, pods: Sequence[dict[str, Any]]) -> Iterator[str]:
        by_name = {pod["metadata"]["name"]: pod for pod in pods}
        for name, code in self.shorts.items():
            if name not in by_name:
                yield f"{name} is not there"
                continue
            [status] = by_name[name]["status"].get("containerStatuses", [{}])
            ended = status.get("state", {}).get("terminated", {})
            if ended.get("exitCode") != code or status["restartCount"]:
                yield f"{name} ended as {status}, not with {code}"
            said = self.cluster.kubectl("logs", "-n", self.namespace, name)
            if said != "once\n":
                yield f"{name} said {said!r}"

    def _unmoved(self) -> dict[str, str]:
        """The containers that nobody has a reason to touch."""
        return {
            f"{pod['metadata']['name']}/{status['name']}": f"{status['containerID']} {list(status['state'])}"
            for pod in self.cluster.get("pods", "-n", self.namespace, "-l", "app in (still, reader, caller)")
            for status in pod["status"]["containerStatuses"]
        }

    def _restarted(self, pods: Sequence[dict[str, Any]]) -> Iterator[str]:
        now = self._unmoved()
        if now != self._before:
            yield f"containers that had no reason to move are {now}, and were {self._before}"
        for pod in pods:
            for status in pod["status"].get("containerStatuses", ()):
                if status["restartCount"]:
                    yield f"{pod['metadata']['name']} was restarted: {json.dumps(status)}"
            if pod["metadata"]["labels"]["app"] == "still":
                starts = self.cluster.inside(self.namespace, pod["metadata"]["name"], "cat /data/starts")
                if starts != "start\n":
                    yield f"{pod['metadata']['name']} began {starts.split()}"

    def _unanswered(self) -> Iterator[str]:
        """What the caller met besides answers, once there had been a first one: it may start before the others."""
        lines = self._caller_says().splitlines()
        first = next(place for place, line in enumerate(lines) if line.startswith("version="))
        yield from (f"the caller: {line}" for line in lines[first:] if not line.startswith("version="))

    def _caller_says(self) -> str:
        return self.cluster.kubectl("logs", "-n", self.namespace, "caller")
