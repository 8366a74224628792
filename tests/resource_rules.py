"""What limits and requests do to a pod on one node, as its user sees it: one text for cgroup v1 and v2.

A test file imports these tests and gives them `place`, the node. Everything is seen from inside pods: a container reads
its own cgroup, and a pod with the node's /sys/fs/cgroup mounted reads those above it.
"""

from __future__ import annotations

import functools
import json
import math
import re
from dataclasses import dataclass

import pytest

from clusters import LocalCluster

PIDS_LIMIT = 200
"""The cluster's podPidsLimit."""
MEBI = 1 << 20
PODS = {
    "looker": """
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
          resources: {limits: {cpu: 300m, memory: 32Mi}}
          volumeMounts: [{name: cgroups, mountPath: /cgroups, readOnly: true}]
      volumes: [{name: cgroups, hostPath: {path: /sys/fs/cgroup}}]
""",
    "hungry": """
      restartPolicy: Never
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "exec tail /dev/zero"]
          resources: {limits: {memory: 32Mi}}
""",
    "family": """
      restartPolicy: Never
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "tail /dev/zero; echo lives on; exit 5"]
          resources: {limits: {memory: 32Mi}}
""",
    "throttled": """
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "while true; do :; done"]
          resources: {limits: {cpu: 100m}, requests: {cpu: 10m}}
""",
    "forks": """
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
""",
    "guaranteed": """
      containers:
        - name: one
          image: busybox:test
          command: [sleep, "10000"]
          resources: {limits: {cpu: 150m, memory: 24Mi}}
        - name: two
          image: busybox:test
          command: [sleep, "10000"]
          resources: {limits: {cpu: 50m, memory: 8Mi}}
""",
    "burstable": """
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
          resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {memory: 48Mi}}
        - name: free
          image: busybox:test
          command: [sleep, "10000"]
""",
    "devices": """
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
""",
}
BUSY = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  nodeName: NODE
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:test
      command: [taskset, "1", sh, -c, "while true; do :; done"]
      resources: {requests: {cpu: CPU}}
"""


@dataclass
class Place:
    """A node, and the namespace on it that holds the pods above."""

    cluster: LocalCluster
    node: str
    namespace: str

    def start(self) -> None:
        """Apply all pods, and wait until none is to start any more."""
        documents = [
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n"
            f"      nodeName: {self.node}\n      terminationGracePeriodSeconds: 0{spec}"
            for name, spec in PODS.items()
        ]
        self.cluster.apply(self.namespace, "---\n".join(documents))
        running = [name for name in PODS if name not in ("hungry", "family")]
        words = [f"pod/{name}" for name in running]
        self.cluster.kubectl(
            "wait", "-n", self.namespace, "--for=condition=Ready", *words, "--timeout=180s", timeout=200
        )

    def inside(self, pod: str, script: str, *more: str) -> str:
        return self.cluster.inside(self.namespace, pod, script, *more)

    @functools.cached_property
    def version(self) -> int:
        """Of the node's cgroups."""
        return 2 if self.inside("looker", "ls /cgroups/cgroup.controllers 2>/dev/null || true").strip() else 1

    def uid(self, pod: str) -> str:
        return str(self.cluster.get("pod", pod, "-n", self.namespace)["metadata"]["uid"])

    def directories(self, *pods: str) -> list[str]:
        """Where each pod's cgroup is below the mount of the hierarchy that limits memory; empty if it is gone."""
        top = "/cgroups" if self.version == 2 else "/cgroups/memory"
        names = " -o ".join(f"-name pod{self.uid(pod)}" for pod in pods)
        found = self.inside("looker", f"find {top} -type d \\( {names} \\) 2>/dev/null || true").split()
        by_name = {path.rpartition("/")[2]: path.removeprefix(top) for path in found}
        return [by_name.get(f"pod{self.uid(pod)}", "") for pod in pods]

    def above(self, *wishes: tuple[str, str, str]) -> list[str]:
        """Files of cgroups above containers: directory, the controller and name on v1, the name on v2."""
        paths = [
            f"/cgroups{directory}/{v2}" if self.version == 2 else f"/cgroups/{v1.replace('/', directory + '/')}"
            for directory, v1, v2 in wishes
        ]
        return self.inside("looker", f"for f in {' '.join(paths)}; do cat $f; echo ==; done").split("==\n")[:-1]

    def weights(self, *directories: str) -> list[str]:
        return [text.strip() for text in self.above(*((one, "cpu/cpu.shares", "cpu.weight") for one in directories))]

    def weight(self, shares: int) -> str:
        """What those shares are on this node."""
        return str(weight(shares) if self.version == 2 else shares)

    def ended(self, pod: str) -> dict[str, object]:
        """How the pod's container has ended."""

        def look() -> dict[str, object] | None:
            statuses = self.cluster.get("pod", pod, "-n", self.namespace)["status"].get("containerStatuses", [])
            return statuses[0]["state"].get("terminated") if statuses else None

        found: dict[str, object] = self.cluster.eventually(look, 120)
        return found


@pytest.fixture(scope="module")
def pods(place: Place) -> Place:
    """The node with all pods of this file."""
    place.start()
    return place


def weight(shares: int) -> int:
    """What CRI runtimes make of v1's shares on v2."""
    doublings = math.log2(shares)
    return math.ceil(10 ** ((doublings**2 + 125 * doublings) / 612 - 7 / 34))


def test_a_container_over_its_memory_limit_is_killed_and_says_so(pods: Place) -> None:
    end = pods.ended("hungry")
    assert (end["reason"], end["exitCode"]) == ("OOMKilled", 137)


def test_out_of_memory_a_container_ends_as_a_whole_on_v2(pods: Place) -> None:
    """memory.oom.group; v1 has nothing like it, so there the shell goes on."""
    end = pods.ended("family")
    logs = pods.cluster.kubectl("logs", "-n", pods.namespace, "family")
    if pods.version == 2:
        assert (end["reason"], end["exitCode"], logs) == ("OOMKilled", 137, "")
    else:
        assert (end["exitCode"], logs.splitlines()[-1]) == (5, "lives on")


def test_a_container_sees_its_memory_limit_and_may_not_swap(pods: Place) -> None:
    script = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert pods.inside("guaranteed", script, "-c", "one").strip() == str(24 * MEBI)
    if pods.version == 2:
        assert pods.inside("burstable", "cat /sys/fs/cgroup/memory.swap.max", "-c", "free").strip() == "0"


def test_a_busy_container_gets_its_cpu_limit_and_no_more(pods: Place) -> None:
    def used() -> tuple[float, float, int]:
        script = (
            "cut -d' ' -f1 /proc/uptime;"
            " grep -h usage_usec /sys/fs/cgroup/cpu.stat 2>/dev/null || cat /sys/fs/cgroup/cpuacct/cpuacct.usage"
            " /sys/fs/cgroup/cpu,cpuacct/cpuacct.usage 2>/dev/null | head -1;"
            " grep -hw nr_throttled /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu*/cpu.stat 2>/dev/null | head -1"
        )
        uptime, usage, throttled = pods.inside("throttled", script).splitlines()
        number = int(usage.split()[-1])
        return float(uptime), number / 1e6 if "usec" in usage else number / 1e9, int(throttled.split()[1])

    first = used()

    def later() -> tuple[float, float, int] | None:
        now = used()
        return now if now[0] - first[0] > 3 else None

    last = pods.cluster.eventually(later)
    assert last[2] > first[2]
    assert 0.02 < (last[1] - first[1]) / (last[0] - first[0]) < 0.2


def test_busy_pods_share_a_cpu_by_their_requests(pods: Place) -> None:
    """1:4 on v1; v2's weights are on another scale, where these two are about 1:3."""
    shares = {"little": 51, "much": 204}
    for name, cpu in (("little", "50m"), ("much", "200m")):
        text = BUSY.replace("NAME", name).replace("NODE", pods.node).replace("CPU", cpu)
        pods.cluster.apply(pods.namespace, text)
    try:
        words = [f"pod/{name}" for name in shares]
        pods.cluster.kubectl(
            "wait", "-n", pods.namespace, "--for=condition=Ready", *words, "--timeout=180s", timeout=200
        )
        paths = pods.directories(*shares)
        assert pods.weights(*paths) == [pods.weight(number) for number in shares.values()]
        expected = 4 if pods.version == 1 else weight(204) / weight(51)

        def used() -> list[float]:
            found = []
            for text in pods.above(*((path, "cpuacct/cpuacct.usage", "cpu.stat") for path in paths)):
                usec = re.search(r"usage_usec (\d+)", text)
                found.append(int(usec[1]) / 1e6 if usec else int(text) / 1e9)
            return found

        before = used()

        def enough() -> list[float] | None:
            spent = [now - then for now, then in zip(used(), before, strict=True)]
            return spent if sum(spent) > 2.5 else None

        little, much = pods.cluster.eventually(enough, 120)
        assert expected / 1.7 < much / little < expected * 1.7
    finally:
        pods.cluster.kubectl("delete", "pod", "-n", pods.namespace, *shares, "--wait=false")


def test_a_pod_can_not_fork_beyond_its_limit(pods: Place) -> None:
    (directory,) = pods.directories("forks")
    script = f"i=0; while [ $i -lt {PIDS_LIMIT + 20} ]; do sleep 60 & i=$((i+1)); done; echo all"
    done = pods.cluster.run(
        "kubectl", "exec", "-n", pods.namespace, "forks", "--", "sh", "-c", script, code=None, timeout=180
    )
    assert "can't fork: Resource temporarily unavailable" in done.stderr
    assert "all" not in done.stdout
    most, now = pods.above((directory, "pids/pids.max", "pids.max"), (directory, "pids/pids.current", "pids.current"))
    assert (int(most), int(now) <= PIDS_LIMIT) == (PIDS_LIMIT, True)


def test_pods_lie_in_the_cgroup_of_their_class_with_what_they_asked_for(pods: Place) -> None:
    ends = {"guaranteed": "kubepods", "burstable": "kubepods/burstable", "forks": "kubepods/besteffort"}
    guaranteed, burstable, best_effort = found = pods.directories(*ends)
    for directory, (name, end) in zip(found, ends.items(), strict=True):
        assert directory.endswith(f"/{end}/pod{pods.uid(name)}")
    classes = best_effort.rpartition("/")[0]
    expected = [pods.weight(shares) for shares in (204, 102, 2, 2)]
    assert pods.weights(guaranteed, burstable, best_effort, classes) == expected
    memory, quota, unlimited = pods.above(
        (guaranteed, "memory/memory.limit_in_bytes", "memory.max"),
        (guaranteed, "cpu/cpu.cfs_quota_us", "cpu.max"),
        (burstable, "cpu/cpu.cfs_quota_us", "cpu.max"),
    )
    assert int(memory) == 32 * MEBI
    assert (quota.split()[0], unlimited.split()[0]) == ("20000", "max" if pods.version == 2 else "-1")


def test_the_class_of_burstable_pods_has_the_share_that_they_ask_for_together(pods: Place) -> None:
    def asked() -> int:
        total = 0
        for pod in pods.cluster.get("pods", "-A", "--field-selector", f"spec.nodeName={pods.node}"):
            if pod["status"].get("qosClass") == "Burstable" and pod["status"]["phase"] in ("Pending", "Running"):
                for container in pod["spec"]["containers"]:
                    text = container.get("resources", {}).get("requests", {}).get("cpu", "0")
                    total += int(text[:-1]) if text.endswith("m") else int(text) * 1000
        return max(2, total * 1024 // 1000)

    classes = pods.directories("burstable")[0].rpartition("/")[0]
    assert pods.cluster.eventually(lambda: pods.weights(classes) == [pods.weight(asked())])


def test_a_pods_cgroup_goes_with_it(pods: Place) -> None:
    manifest = f"""
apiVersion: v1
kind: Pod
metadata: {{name: short}}
spec:
  nodeName: {pods.node}
  restartPolicy: Never
  containers: [{{name: main, image: busybox:test, command: [sleep, "3"], resources: {{limits: {{memory: 16Mi}}}}}}]
"""
    pods.cluster.apply(pods.namespace, manifest)
    pods.cluster.eventually(lambda: pods.directories("short")[0])
    pods.cluster.eventually(lambda: pods.ended("short"))
    pods.cluster.eventually(lambda: not pods.directories("short")[0])


def test_only_the_usual_devices_can_be_opened(pods: Place) -> None:
    script = """
for wish in 'null c 1 3' 'kmsg c 1 11' 'nvme c 247 0' 'disk b 259 0'; do
  set -- $wish
  mknod /tmp/$1 $2 $3 $4 || echo "$1 is not made"
  if (: < /tmp/$1) 2>/tmp/trouble; then echo "$1 opens"; else echo "$1: $(sed 's/.*: //' /tmp/trouble)"; fi
done
: > /dev/null && echo "written"
"""
    answer = pods.inside("devices", script).splitlines()
    refused = "Operation not permitted"
    assert answer == ["null opens", f"kmsg: {refused}", f"nvme: {refused}", f"disk: {refused}", "written"]


def test_the_figures_of_a_container_are_those_of_its_cgroup(pods: Place) -> None:
    def look() -> bool:
        text = pods.cluster.kubectl("get", "--raw", f"/api/v1/nodes/{pods.node}/proxy/stats/summary")
        for pod in json.loads(text)["pods"]:
            if pod["podRef"]["name"] == "guaranteed" and pod["podRef"]["namespace"] == pods.namespace:
                one = next(container for container in pod["containers"] if container["name"] == "one")
                memory = one["memory"]
                assert 0 < memory["workingSetBytes"] <= memory["usageBytes"] < 24 * MEBI
                assert memory["availableBytes"] == 24 * MEBI - memory["workingSetBytes"]
                assert one["cpu"]["usageCoreNanoSeconds"] > 0
                return True
        return False

    assert pods.cluster.eventually(look)
