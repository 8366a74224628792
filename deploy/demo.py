"""`make demo`: a three-node cluster does the main job on real input, as a story with timings.

`make demo-vm` tells the same of a cluster with two virtual machines. Whatever a node is, what happens on it is done
through `kctl cluster shell`.

Each step is true or the demo ends with exit code 1. The cluster, its images and its files live in directories of
the demo's own, and a comparison of the machine before and after shows that nothing is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from deploy import cgroups, cluster, removal
from deploy.places import Places

NAME = "demo"
ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ROOT / "manifests"
BUSYBOX = Path("/bin/busybox")
NODES = {"namespace": "[{name: n1}, {name: n2}, {name: n3}]"}
MACHINE = "driver: vm, cpus: 1, memory: 768Mi"
NODES["vm"] = f"[{{name: n1}}, {{name: n2, {MACHINE}}}, {{name: n3, {MACHINE}}}]"
CLUSTER = """\
apiVersion: sampan.dev/v1alpha1
kind: Cluster
spec:
  nodes: {nodes}
  timing: {{nodeLeaseSeconds: {seconds}, nodeMonitorGraceSeconds: {seconds}}}
"""
LOST_SECONDS = {"namespace": 4, "vm": 12}
"""How soon a node counts as lost: one that is emulated on a busy machine may be late by seconds."""
PATIENCE = 60.0
SLOWER = {"namespace": 1, "vm": 3}
PROCESS_OF = """
for place in $(find /sys/fs/cgroup -type d -name '*pod{uid}*'); do
    for process in $(find $place -name cgroup.procs -exec cat {{}} +); do
        grep -q 'NSpid:.*[[:space:]]1$' /proc/$process/status && echo $process && exit
    done
done
"""
"""On a node: the first process of a pod's container, by the node's own numbers (proc_pid_status(5), NSpid)."""


class Untrue(Exception):
    """A step did not do what it says."""


def check(truth: bool, otherwise: str) -> None:
    """The demo goes on only with what is so."""
    if not truth:
        raise Untrue(otherwise)


class Story:
    """Tells each step with what it took, and the table at the end."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, float]] = []
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step of the story."""
        print(f"\n{len(self._rows) + 1}. {title}", flush=True)
        began = time.monotonic()
        yield
        self._rows.append((title, time.monotonic() - began))
        print(f"   done in {self._rows[-1][1]:.1f} s", flush=True)

    def tell(self, text: str) -> None:
        """A remark within a step."""
        print(f"   {text}", flush=True)

    def table(self) -> str:
        """What took how long."""
        rows = [*self._rows, ("all of it", time.monotonic() - self._began)]
        width = max(len(title) for title, _ in rows)
        return "\n".join(f"  {title:<{width}}  {seconds:6.1f} s" for title, seconds in rows)


def kctl(*words: str, stdin: str | None = None) -> str:
    """Run kctl as a user would. Raises Untrue with what it said."""
    command = [sys.executable, "-m", "kctl", *words]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Untrue(
            f"kctl {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def pods(selector: str = "app=web") -> list[dict[str, Any]]:
    """The application's pods that are not going away."""
    items: list[dict[str, Any]] = json.loads(kctl("get", "pods", "-n", "shop", "-l", selector, "-o", "json"))["items"]
    return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod's Ready condition holds."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def restarts(pod: dict[str, Any]) -> int:
    """How often its containers were restarted."""
    return sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))


def on_node(node: str, script: str) -> str:
    """What a shell script prints on a node."""
    return kctl("cluster", "shell", node, "--cluster", NAME, "--", "sh", "-c", script)


def patient() -> float:
    """How long to wait for what takes a moment."""
    return PATIENCE * SLOWER[os.environ.get("SAMPAN_DEMO_DRIVER", "namespace")]


def eventually(question: Callable[[], bool], otherwise: str) -> None:
    """Wait for something to become so. Raises Untrue."""
    patience = patient()
    deadline = time.monotonic() + patience
    while not question():
        check(time.monotonic() < deadline, f"{otherwise} (waited {patience:.0f} s)")
        time.sleep(0.2)


def main_process(pod: dict[str, Any]) -> int:
    """The first process of a pod's container, by its node's numbers."""
    found = on_node(pod["spec"]["nodeName"], PROCESS_OF.format(uid=pod["metadata"]["uid"])).split()
    check(bool(found), f"pod {pod['metadata']['name']} has no process")
    return int(found[0])


def version_of(answer: str) -> str:
    """The version in an answer such as `version=v1 pod=web-5d4-x7`; empty when it has none."""
    return next((word.removeprefix("version=") for word in answer.split() if word.startswith("version=")), "")


class Client:
    """The client pod's answers so far."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._retries = 0
        kctl("apply", "-f", str(MANIFESTS / "client.yaml"))
        kctl("wait", "-n", "shop", "--for=condition=Ready", "pod/client", f"--timeout={patient():.0f}s")

    def lines(self) -> list[str]:
        """All answers, oldest first."""
        return kctl("logs", "-n", "shop", "client").splitlines()

    def versions(self) -> list[str]:
        """The versions that answered, in order, repetitions left out."""
        seen: list[str] = []
        for line in self.lines():
            version = version_of(line)
            if version and (not seen or seen[-1] != version):
                seen.append(version)
        return seen

    def check_no_failure(self, *, retries: bool = False) -> None:
        """Not one request has failed; not even one attempt unless `retries` are allowed from now on."""
        lines = self.lines()
        failed = [number for number, line in enumerate(lines) if "FAIL" in line]
        again = sum("RETRY" in line for line in lines) - self._retries
        check(bool(lines), "the client has no answer")
        check(not failed, f"{len(failed)} of {len(lines)} requests failed, the first as number {failed[:1]}")
        reasons = [lines[at - 1] for at, line in enumerate(lines) if "RETRY" in line and at][-again:]
        slow = os.environ.get("SAMPAN_DEMO_DRIVER") == "vm"  # an emulated node may be late for one attempt's time-out
        check(retries or slow or not again, f"{again} attempts failed: {reasons}")
        self._retries += again
        self._story.tell(
            f"{len(lines)} requests so far, none failed" + (f", {again} needed a second try" if again else "")
        )


def build_images(story: Story, scratch: Path) -> None:
    """Build both versions of the web application and show them."""
    context = scratch / "webapp"
    shutil.copytree(MANIFESTS / "webapp", context)
    shutil.copy2(BUSYBOX, context / "busybox")
    for version in ("v1", "v2"):
        kctl("image", "build", "-t", f"webapp:{version}", "--build-arg", f"VERSION={version}", str(context))
    for line in kctl("image", "ls").splitlines():
        story.tell(line)


def apply_application(story: Story) -> None:
    """Apply the manifest and see six pods spread over the nodes."""
    for line in kctl("apply", "-f", str(MANIFESTS / "app.yaml")).splitlines():
        story.tell(line)
    kctl("rollout", "status", "-n", "shop", "deployment/web", f"--timeout={patient():.0f}s")
    spread = Counter(pod["spec"]["nodeName"] for pod in pods())
    story.tell(f"pods a node: {dict(sorted(spread.items()))}")
    check(sum(spread.values()) == 6, f"{sum(spread.values())} pods instead of 6")
    check(len(spread) == 3, "the pods are not on all three nodes")


def roll(story: Story, client: Client) -> None:
    """Update to version 2 and back while the client calls."""
    kctl("set", "image", "-n", "shop", "deployment/web", "web=webapp:v2")
    kctl("rollout", "status", "-n", "shop", "deployment/web", f"--timeout={2 * patient():.0f}s")
    eventually(lambda: client.versions()[-1:] == ["v2"], "version 2 does not answer")
    kctl("rollout", "undo", "-n", "shop", "deployment/web")
    kctl("rollout", "status", "-n", "shop", "deployment/web", f"--timeout={2 * patient():.0f}s")
    eventually(lambda: client.versions()[-1:] == ["v1"], "version 1 does not answer again")
    order = client.versions()
    check(order[0] == "v1" and "v2" in order, f"the versions answered in the order {order}")
    counts = Counter(filter(None, map(version_of, client.lines())))
    story.tell(f"answers by version: {dict(counts)}")
    client.check_no_failure()


def kill_a_process(story: Story, client: Client) -> None:
    """SIGKILL a container's process: it is restarted."""
    victim = pods()[0]
    name = victim["metadata"]["name"]
    pid = main_process(victim)
    story.tell(f"kill -9 {pid}, the process of {name} on {victim['spec']['nodeName']}")
    on_node(victim["spec"]["nodeName"], f"kill -9 {pid}")

    def back() -> bool:
        pod = next(one for one in pods() if one["metadata"]["name"] == name)
        return restarts(pod) == 1 and is_ready(pod)

    eventually(back, f"{name} is not back with restartCount 1")
    client.check_no_failure(retries=True)  # those that the killed process was answering


def kill_an_agent(story: Story, client: Client) -> None:
    """SIGKILL a node's agent and runtime: its containers go on and are found again."""
    node = "n2"
    before = {pod["metadata"]["name"]: restarts(pod) for pod in pods()}
    first = {pod["metadata"]["name"]: main_process(pod) for pod in pods() if pod["spec"]["nodeName"] == node}
    for component in ("agent", "runtime"):
        story.tell(f"kill -9, the {component} of {node}")
        on_node(
            node,
            f"for one in $(grep -lx sampan-{component} /proc/[0-9]*/comm); do kill -9 $(echo $one | cut -d/ -f3); done",
        )

    def back() -> bool:
        components = {one.name: one for one in cluster.status(NAME).components}
        pair = [components.get(f"{node}/{name}") for name in ("agent", "runtime")]
        return all(one is not None and one.runs and one.restarts for one in pair)

    eventually(back, "agent and runtime were not restarted")
    scratch = "after-the-kill"
    kctl("run", scratch, "-n", "shop", "--image=webapp:v1", f"--overrides={json.dumps({'spec': {'nodeName': node}})}")
    kctl("wait", "-n", "shop", "--for=condition=Ready", f"pod/{scratch}", f"--timeout={patient():.0f}s")
    kctl("delete", "pod", "-n", "shop", scratch, "--grace-period=1")
    after = {pod["metadata"]["name"]: restarts(pod) for pod in pods()}
    check(after == before, f"restart counts changed from {before} to {after}")
    again = {pod["metadata"]["name"]: main_process(pod) for pod in pods() if pod["spec"]["nodeName"] == node}
    check(again == first, "containers of the node have other processes than before")
    story.tell(f"{len(again)} containers of {node} still run as the same processes")
    client.check_no_failure()


def cut_a_node_off(story: Story) -> None:
    """Pull a node's cable: its pods come up elsewhere."""
    lost = "n3"
    kctl("cluster", "node", "disconnect", lost, "--cluster", NAME)

    def not_ready() -> bool:
        conditions = json.loads(kctl("get", "node", lost, "-o", "json"))["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] != "True" for one in conditions)

    eventually(not_ready, f"{lost} does not become NotReady")
    story.tell(f"{lost} is NotReady")

    def moved() -> bool:
        alive = [pod for pod in pods() if pod["spec"].get("nodeName") != lost and is_ready(pod)]
        return len(alive) == 6

    eventually(moved, "the pods did not come up elsewhere")
    spread = Counter(pod["spec"]["nodeName"] for pod in pods() if pod["spec"]["nodeName"] != lost)
    story.tell(f"pods a node: {dict(sorted(spread.items()))}")


def machine(places: Sequence[Path]) -> dict[str, list[str]]:
    """What a cluster could leave behind on this machine; of mounts and processes, those of `places`."""

    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()

    ours = [os.fsencode(place) for place in places]
    processes = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            environment = path.read_bytes()
            if any(place in environment for place in ours):
                processes.append(f"{path.parent.name} {path.with_name('comm').read_text().strip()}")
    return {
        "mounts": [str(point) for place in places for point in removal.mount_points(place)],
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "nftables": lines("nft", "list", "ruleset"),
        "cgroups": sorted(str(one / "sampan") for one in cgroups.hierarchies() if (one / "sampan").exists()),
        "processes": sorted(processes),
    }


def tell(scratch: Path, run: Path, driver: str) -> str:
    """The whole story. Raises Untrue. Returns the table."""
    before = machine((scratch, run))
    story = Story()
    where = Places.of(NAME)
    with story.step("a three-node cluster comes up"):
        description = scratch / "cluster.yaml"
        description.write_text(CLUSTER.format(nodes=NODES[driver], seconds=LOST_SECONDS[driver]))
        for line in kctl("cluster", "start", NAME, "-f", str(description)).splitlines():
            story.tell(line)
    with story.step("two versions of a web application become images"):
        build_images(story, scratch)
    with story.step("the application is applied"):
        apply_application(story)
    client = Client(story)
    with story.step("a rolling update and its undo under constant load"):
        roll(story, client)
    with story.step("a container's process is killed"):
        kill_a_process(story, client)
    with story.step("a node's agent and runtime are killed"):
        kill_an_agent(story, client)
    kctl("delete", "-f", str(MANIFESTS / "client.yaml"))
    with story.step("a node is cut off"):
        cut_a_node_off(story)
    with story.step("the cluster is deleted, and nothing is left"):
        kctl("cluster", "delete", NAME)
        after = machine((scratch, run))
        for kind, things in before.items():
            left = [one for one in after[kind] if one not in things]
            check(not left, f"left behind: {kind} {left}")
        check(not where.state.exists() and not where.run.exists(), "the cluster's directories are still there")
    return story.table()


def main(driver: str = "namespace") -> int:
    """Tell the story of a cluster whose nodes are made by `driver`, and clean up whatever happened."""
    scratch = Path(tempfile.mkdtemp(prefix="sampan-demo-", dir="/var/tmp"))
    run = Path(tempfile.mkdtemp(prefix="sampan-", dir="/run"))
    os.environ.update(
        SAMPAN_HOME=str(scratch / "home"),
        SAMPAN_RUN=str(run),
        KUBECONFIG=str(scratch / "kubeconfig"),
        HOME=str(scratch),
        SAMPAN_DEMO_DRIVER=driver,
    )
    os.environ.setdefault("SAMPAN_VM_STORE", str(ROOT / ".tools" / "vm-images"))
    os.environ.pop("SAMPAN_IMAGE_STORE", None)
    try:
        table = tell(scratch, run, driver)
    except Untrue as error:
        print(f"\nerror: {error}", file=sys.stderr)
        if os.environ.get("SAMPAN_DEMO_KEEP"):
            print(f"kept: SAMPAN_HOME={scratch / 'home'} SAMPAN_RUN={run}", file=sys.stderr)
        return 1
    finally:
        if not os.environ.get("SAMPAN_DEMO_KEEP"):
            cluster.delete(NAME, lambda text: None)
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(run, ignore_errors=True)
    print(f"\nAll of it is true. What took how long:\n\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
