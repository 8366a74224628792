"""kctl and kubectl on the same server say the same, verb by verb and format by format, and end the same way."""

from __future__ import annotations

import os
import queue
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kctl_programs import LOOPBACK, ForkedKctl, Outcome, Programs, plain

WORKERS = 3
OBJECTS = Path(__file__).parent / "objects.yaml"
THEN = "2026-11-24T10:00:00Z"
POD_STATUS = {
    "phase": "Running",
    "hostIP": LOOPBACK,
    "podIP": "10.244.0.5",
    "podIPs": [{"ip": "10.244.0.5"}],
    "startTime": THEN,
    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": THEN}],
    "containerStatuses": [
        {
            "name": "c",
            "ready": True,
            "restartCount": 2,
            "image": "busybox",
            "imageID": "sha256:1",
            "containerID": "x://1",
            "state": {"running": {"startedAt": THEN}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": THEN, "finishedAt": THEN}},
        },
        {
            "name": "d",
            "ready": False,
            "restartCount": 0,
            "image": "busybox",
            "imageID": "",
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        },
    ],
}
NODE_STATUS = {
    "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110", "ephemeral-storage": "10Gi"},
    "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110", "ephemeral-storage": "10Gi"},
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "ok",
            "lastHeartbeatTime": THEN,
            "lastTransitionTime": THEN,
        }
    ],
    "addresses": [{"type": "InternalIP", "address": LOOPBACK}, {"type": "Hostname", "address": "n1"}],
}


@pytest.fixture(scope="module")
def filled(programs: Programs) -> Programs:
    """Namespace `shown` with an object of every kind, some with a status."""
    programs.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shown"}})
    programs.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, "-n", "shown")
    programs.create(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.0.0/24"}}
    )
    programs.create(
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "pc"}, "value": 5}
    )
    done = programs.run("kubectl", "apply", "-n", "shown", "-f", str(OBJECTS))
    assert done.code == 0, done.err
    container = {
        "name": "c",
        "image": "busybox",
        "resources": {"requests": {"cpu": "250m", "memory": "100Mi"}, "limits": {"memory": "1Gi"}},
    }
    bound = {"nodeName": "n1", "containers": [container]}
    programs.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p2"}, "spec": bound}, "-n", "shown")
    programs.patch_status("pod", "p1", POD_STATUS, "-n", "shown")
    programs.patch_status("node", "n1", NODE_STATUS)
    uid = programs.run("kubectl", "get", "pod", "p1", "-n", "shown", "-o", "jsonpath={.metadata.uid}").out
    for number, (reason, count) in enumerate((("Scheduled", 1), ("BackOff", 5))):
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"p1.{number}", "namespace": "shown"},
            "involvedObject": {
                "kind": "Pod",
                "name": "p1",
                "namespace": "shown",
                "uid": uid,
                "apiVersion": "v1",
                **({"fieldPath": "spec.containers{c}"} if number else {}),
            },
            "reason": reason,
            "message": f"it {reason}",
            "type": "Normal",
            "count": count,
            "firstTimestamp": THEN,
            "lastTimestamp": f"2026-11-24T11:0{number}:00Z",
            "source": {"component": "kubelet", "host": "n1"},
        }
        programs.create(event)
    return programs


READING: dict[str, list[str]] = {}
"""Command -> lines that change nothing: what is only read, dry runs, and what is refused."""
for _line in (Path(__file__).parent / "command_lines.txt").read_text().splitlines():
    if _line.startswith("# "):
        READING[_line[2:]] = _lines = []
    elif _line:
        _lines.append(_line)


if os.environ.get("SAMPAN_ROBUSTNESS") != "all":  # make test: 12 lines of each command, and every third of the rest
    READING = {command: [*lines[:12], *lines[12::3]] for command, lines in READING.items()}


@pytest.fixture(scope="module")
def forked(filled: Programs) -> Iterator[list[ForkedKctl]]:
    """kctl, imported once for each worker: starting Python for each line would cost more than the line."""
    made = [ForkedKctl(filled.environment) for _ in range(WORKERS)]
    yield made
    for one in made:
        one.close()


@pytest.mark.parametrize("command", READING)
def test_reading(filled: Programs, forked: list[ForkedKctl], command: str) -> None:
    idle = queue.SimpleQueue[ForkedKctl]()
    for one in forked:
        idle.put(one)

    def both(line: str) -> tuple[str, Outcome, Outcome]:
        words = [str(OBJECTS) if word == "OBJECTS" else word for word in shlex.split(line)]
        if not any(word.startswith(("-n", "--namespace", "-A")) for word in words):
            words = ["-n", "shown", *words]
        kctl = idle.get()
        try:
            return line, plain(filled.run("kubectl", *words)), plain(kctl.run(*words))
        finally:
            idle.put(kctl)

    with ThreadPoolExecutor(WORKERS) as pool:
        different = [
            (line, kctl, kubectl) for line, kubectl, kctl in pool.map(both, READING[command]) if kctl != kubectl
        ]
    assert not different, "\n".join(
        f"{line}\n  kubectl: {kubectl}\n  kctl:    {kctl}" for line, kctl, kubectl in different
    )


CHANGING = [
    """
    apply --server-side -f OBJECTS
    apply --server-side -f OBJECTS
    apply --server-side -f OBJECTS -o name
    scale deploy/web --replicas=5
    apply --server-side -f OBJECTS --force-conflicts
    get deploy web -o jsonpath={.spec.replicas}
    """,
    """
    apply -f OBJECTS
    apply -f OBJECTS
    apply -f OBJECTS -o name
    delete -f OBJECTS --wait=false
    apply -f OBJECTS -n other
    """,
    """
    create -f OBJECTS
    apply -f OBJECTS
    replace -f OBJECTS
    delete deploy web
    delete cm/cm secret/s
    delete cm --all
    """,
    """
    create deployment web --image=nginx:1 --replicas=2
    scale deploy web --replicas=3
    scale deploy web --replicas=2 --current-replicas=9
    scale deploy --all --replicas=2
    scale deploy web --replicas=4 --dry-run=server
    scale deploy web --replicas=4 --dry-run=client
    get deploy web -o jsonpath={.spec.replicas}
    set image deploy/web nginx=nginx:1
    set image deploy/web nginx=nginx:2
    get deploy web -o jsonpath={.spec.template.spec.containers[0].image}
    rollout status deploy/web --watch=false
    rollout pause deploy/web
    rollout pause deploy/web
    rollout restart deploy/web
    rollout resume deploy/web
    rollout resume deploy/web
    expose deploy web --port=80
    expose deploy web --port=80
    delete deploy,svc web
    """,
    """
    create cm c --from-literal=k=v
    create cm c --from-literal=k=v
    label cm c x=y
    label cm c x=y
    label cm c x=z
    label cm c x=z --overwrite
    label cm --all b=1 c=2
    get cm c --show-labels
    label cm c x-
    label cm c x-
    label cm c q=1 --dry-run=client
    label cm c q=1 --dry-run=server -o yaml
    annotate cm c x=y
    annotate cm c x=y
    annotate cm c x=z
    annotate cm c x=z --overwrite
    annotate cm c x-
    annotate cm c x-
    patch cm c -p '{"data":{"k":"w"}}'
    patch cm c -p '{"data":{"k":"w"}}'
    patch cm c -p '{"data":{"k":null}}' --type=merge
    patch cm c -p '[{"op":"add","path":"/data","value":{"j":"1"}}]' --type=json
    patch cm c -p '[{"op":"remove","path":"/data/nope"}]' --type=json
    patch cm c --type=merge -p '{"nosuch":1}'
    get cm c -o yaml
    """,
    """
    create deployment web --image=nginx:1
    create cm conf --from-literal=a=1 --from-literal=b.c=2
    set env deploy/web X=y Z=
    set env deploy/web X=y
    set env deploy/web X=z W=1 Z-
    set env deploy/web --from=cm/conf --prefix=C_
    set env deploy/web --list
    set env deploy/web --list --resolve
    set resources deploy/web --limits=cpu=1,memory=64Mi --requests=cpu=100m
    set resources deploy/web --limits=cpu=1
    set serviceaccount deploy/web builder
    set image deploy/web nginx=nginx:2
    get deploy web -o jsonpath={.spec.template.spec}
    create svc clusterip web --tcp=80
    set selector svc/web app=other,tier=front
    get svc web -o go-template={{.spec.selector}}
    apply -f OBJECTS
    apply view-last-applied cm/cm
    """,
    """
    create sa builder
    create secret generic s --from-literal=a=b --type=foo
    create secret generic s2 --from-env-file=OBJECTS
    create svc clusterip s --tcp=80
    create svc externalname e --external-name=a.b
    create job j --image=busybox -- date
    get secret s -o yaml
    delete secret s s2
    delete sa builder -o name
    delete job j --wait=false
    delete svc -l app=s
    """,
]


@pytest.mark.parametrize("script", CHANGING, ids=lambda script: script.split()[0] + "-" + script.split()[1])
def test_changing(programs: Programs, script: str) -> None:
    """The same commands in a namespace each."""
    transcripts = {}
    for program in ("kubectl", "kctl"):
        namespace = f"{program}-{CHANGING.index(script)}"
        programs.namespace(namespace)
        said = []
        for line in filter(None, map(str.strip, script.splitlines())):
            words = [str(OBJECTS) if word == "OBJECTS" else word for word in shlex.split(line)]
            if "-n" not in words:
                words = ["-n", namespace, *words]
            outcome = programs.run(program, *words)
            said.append((line, without_versions(plain(outcome, namespace).out), plain(outcome, namespace)))
        transcripts[program] = [(line, out, outcome.err, outcome.code) for line, out, outcome in said]
    assert transcripts["kctl"] == transcripts["kubectl"]


def without_versions(text: str) -> str:
    """Without resource versions, addresses and ports, which no two objects share."""
    text = re.sub(r'(resourceVersion"?: )"\d+"', r"\1VERSION", text)
    return re.sub(r"10\.96\.\d+\.\d+", "ADDRESS", text)


@pytest.fixture
def node(programs: Programs) -> Iterator[str]:
    """A node of the test's own."""
    programs.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "spare"}})
    yield "spare"
    programs.run("kubectl", "delete", "node", "spare")


NODE_SCRIPT = """
cordon spare
cordon spare
uncordon spare
uncordon spare
taint node spare kk=v:NoSchedule
taint node spare kk=v:NoSchedule
taint node spare kk=w:NoSchedule --overwrite
taint node spare kk-
taint node spare kk-
drain spare
drain spare --dry-run=client
uncordon spare
""".strip().splitlines()


def test_nodes(programs: Programs, node: str) -> None:
    """What is done to nodes: once by each program, to the same node, which ends as it began."""
    reference = [plain(programs.run("kubectl", *shlex.split(line))) for line in NODE_SCRIPT]
    assert [plain(programs.run("kctl", *shlex.split(line))) for line in NODE_SCRIPT] == reference
