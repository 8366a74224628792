"""kctl and kubectl on the same server say the same, verb by verb and format by format, and end the same way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kctl_programs import LOOPBACK, Programs, plain

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


READING = """
get pods
get pods -o wide
get pods -A
get pods -A -o wide --no-headers
get pods --show-labels
get pods -L a,app
get pods p1
get pods p1 -o yaml
get pods p1 -o json
get pods -o json
get pods -o yaml
get pods p1 p2 -o yaml
get pods -o name
get pod/p1 svc/web -o name
get pod/p1 svc/web
get pods,svc
get pods,svc,nosuch
get all
get all -A
get pods p1 nosuch
get pods nosuch nosuch2
get pods nosuch -o yaml
get pods p1 nosuch -o name
get pods nosuch --ignore-not-found
get nodes
get node n1 -o wide
get nodes -A
get ns default -o jsonpath={.metadata.name}
get pods -o jsonpath={.items[*].metadata.name}
get pods -o jsonpath='{range .items[*]}{.metadata.name}{"\\t"}{.spec.nodeName}{"\\n"}{end}'
get pods -o jsonpath={.nosuch}
get pods -o jsonpath
get pods -o custom-columns=NAME:.metadata.name,IMG:.spec.containers[*].image,NODE:.spec.nodeName
get pods -o custom-columns=NAME
get pods -o custom-columns
get pods -o custom-columns=A:.metadata.name --no-headers
get pods --sort-by=.metadata.name
get pods --sort-by=.spec.nodeName
get pods -l a=b
get pods -l a=b -o name
get pods -l 'a in (b'
get pods -l app=none
get pods --field-selector=spec.nodeName=n1
get pods --field-selector=foo=bar
get pods --field-selector status.phase!=Running -o name
get deploy
get deploy,rs,ds,job -o wide
get events
get ev p1.0
get secrets
get cm cm -o yaml
get svc -o wide
get sa
get priorityclasses
get leases
get pods --namespace=nosuch
-n shown get pods
--namespace shown get pods -o name
get -n=shown pods -o=name
get pods -nkube-system
get po/p1 p2
get pods/
get /p1
get pods/p1/x
get
get nosuch
get nosuch.apps
get deployments.apps
get deployments.v1.apps web
get Deployment
get pods.v1.
get pods -o wide -w=false
get pods --show-kind
get pods p1 -A
get pods p1 -l a=b
get pods -o
get pods --foo
get pods -Z
get pods -w=zz
get pods --chunk-size=1
get pods --chunk-size=abc
get pods --subresource=status
get deploy web --subresource=scale
get deploy web --subresource=scale -o yaml
get -f OBJECTS
get -f OBJECTS -o name
get -f /nope
get pods,svc -w
get --raw /version
api-versions
api-resources
api-resources -o name
api-resources -o wide
api-resources --namespaced=false
api-resources --api-group=apps
api-resources --verbs=list,watch -o name
api-resources --no-headers --sort-by=kind
auth whoami
auth can-i create pods
auth can-i get nodes
auth can-i list foo
auth can-i create pods --list
auth can-i x
config current-context
config get-contexts
config get-contexts -o name
config get-clusters
config get-users
config view
config view --minify
config use-context nosuch
config foo
explain pods
explain pods.spec
explain pods.spec.containers
explain pod.spec.containers.image
explain deploy.spec.strategy.rollingUpdate.maxSurge
explain
explain configmap.data
explain pods.metadata.labels
explain pods.spec.restartPolicy
explain ns --recursive
explain pods.spec.containers.resources --recursive
explain svc.spec.ports.targetPort
explain deployments.apps.spec.replicas
events
events -A
events --for pod/p1
events --types=Warning
events --types=foo
events --for foo
describe deploy/web
describe svc/web
describe cm/cm
describe secret/s
describe job/job
describe ds/ds
describe rs/rs
describe pod/p1
describe pod/p2
describe node/n1
describe sa/default
describe ns/default
describe pc/pc
describe lease/x
describe ev/p1.0
describe pods
describe pod p
describe pod zz
describe foo
create ns x1 --dry-run=client
create ns 'X_bad'
create ns default
create cm c1 --from-literal=a
create cm c1 --from-file=/nope
create cm c1 --from-literal=a=b --from-literal=a=c
create cm c1 --from-literal='a b=b'
create cm
create cm a b
create secret generic
create secret tls x
create secret docker-registry x
create secret docker-registry r --docker-username=u --docker-password=p --docker-email=e --dry-run=client -o yaml
create svc clusterip s1
create svc clusterip s --tcp=80:8080 --tcp=81 --dry-run=client -o yaml
create svc nodeport s --tcp=80:http --node-port=30001 --dry-run=client -o yaml
create deployment d1 --dry-run=client
create deployment d1 --image=a --dry-run=client -o name
create deployment d --image=nginx:1 --image=b/busybox --port=80 --replicas=2 --dry-run=client -o yaml
create deployment d1 --image=a --dry-run=server
create job j1 --dry-run=client
create job j1 --image=a --dry-run=client -o yaml -- date
create foo a
create -f /nope
create -f OBJECTS
create priorityclass p --value=5 --description=d --dry-run=client -o yaml
create priorityclass p1 --value=abc
create token nosuch
run
run x
run x --image=busybox --dry-run=client -o yaml
run x --image=busybox --dry-run=server -o name
run x --image=busybox --restart=foo
run x --image=busybox --rm
run x --image=busybox --dry-run=foo
delete pod nosuch
delete pod nosuch --ignore-not-found
delete pod
delete
delete pods -l nosuch=1
delete nosuch x
delete pod x --cascade=foo
delete pod p1 --dry-run=client
delete pod p1 --dry-run=server
delete pod/p1 svc/web --dry-run=client -o name
delete -f /nope
delete -f OBJECTS --dry-run=client
delete pod p1 --grace-period=abc
delete ns default --dry-run=client
apply -f /nope
apply
apply -f OBJECTS --dry-run=client
apply -f OBJECTS --dry-run=server
apply -f OBJECTS -l a=b
apply -f OBJECTS --dry-run=foo
apply -f OBJECTS --server-side --dry-run=client
apply -f OBJECTS --force-conflicts
replace -f OBJECTS --dry-run=client
replace
scale deploy web
scale deploy web --replicas=-1
scale deploy nosuch --replicas=1
scale --replicas=2
set image deploy/web web=nginx:2 --dry-run=server
set image deploy/web '*=nginx:3' --dry-run=client
set image deploy/web nosuch=nginx:2
set image deploy/web
set image deploy nosuch web=a
set image
set image svc/web a=b
set foo
rollout status ds/ds --watch=false
rollout status pod/p1
rollout status deploy/nosuch
rollout status
rollout history deploy/web
rollout history pod/p1
rollout undo deploy/web
rollout restart deploy/nosuch
rollout restart pod/p1
rollout foo
label pod p1
label pod nosuch x=y
label pods --list p1
patch pod p1
patch pod nosuch -p '{}'
patch deploy web -p '{"spec":{"replicas":"x"}}'
patch deploy web -p '{"spec":{"replicas":2}}' --dry-run=server
patch deploy web -p '{"spec":{"replicas":3}}' --dry-run=client
patch deploy web -p '{"spec":{"replicas":2}}' --dry-run=client
cordon nosuch
cordon n1 --dry-run=client
drain nosuch
taint node n1
taint node n1 kk=v:Foo
taint pod p1 a=b:NoSchedule
wait pod/p1 --for=condition=Ready --timeout=1s
wait pod/p1 --for=jsonpath='{.status.phase}'=Running --timeout=1s
wait pod/nosuch --for=condition=Ready --timeout=1s
wait pod/nosuch --for=delete --timeout=1s
wait pod/p1
wait pod/p1 --for=foo
wait pod --for=condition=Ready
wait pod/p1 --for=create --timeout=1s
logs
logs nosuch
logs p1 -c nosuch
logs -l a=b x
exec
exec p1
exec p1 ls
exec nosuch -- ls
exec p1 -c nosuch -- ls
attach nosuch
port-forward
port-forward p1
port-forward nosuch 80
expose deploy web --port=80 --dry-run=client -o yaml
expose deploy web --dry-run=client -o yaml --name=w2
expose pod p1 --port=80 --dry-run=client
expose deploy nosuch --port=80
expose svc web --port=81 --name=w3 --dry-run=client -o yaml
edit pod nosuch
""".strip().splitlines()


@pytest.mark.parametrize("line", READING)
def test_reading(filled: Programs, line: str) -> None:
    words = [str(OBJECTS) if word == "OBJECTS" else word for word in shlex.split(line)]
    if not any(word.startswith(("-n", "--namespace", "-A")) for word in words):
        words = ["-n", "shown", *words]
    with ThreadPoolExecutor(2) as pool:
        reference, ours = pool.map(lambda program: plain(filled.run(program, *words)), ("kubectl", "kctl"))
    assert ours == reference


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
