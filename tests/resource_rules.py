"""What limits and requests do to a pod on one node, as its user sees it: one text for cgroup v1 and v2.

A test file imports these tests and gives them `place`, the node. Everything is seen from inside pods: a container reads
its own cgroup, and a pod with the node's /sys/fs/cgroup mounted reads those above it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import pytest

from clusters import LocalCluster

PIDS_LIMIT = 400
"""The cluster's podPidsLimit."""
MEBI = 1 << 20
PODS = {
    "looker": """
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
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
          resources: {limits: {cpu: 200m}}
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
          resources: {limits: {cpu: 250m, memory: 24Mi}}
        - name: two
          image: busybox:test
          command: [sleep, "10000"]
          resources: {limits: {cpu: 100m, memory: 8Mi}}
""",
    "burstable": """
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
          resources: {requests: {cpu: 200m, memory: 16Mi}, limits: {memory: 48Mi}}
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

    @property
    def version(self) -> int:
        """Of the node's cgroups."""
        return 2 if self.inside("looker", "ls /cgroups/cgroup.controllers 2>/dev/null || true").strip() else 1

    def directory(self, pod: str) -> str:
        """Where the pod's cgroup is below the mount of the hierarchy that limits memory."""
        uid = self.cluster.get("pod", pod, "-n", self.namespace)["metadata"]["uid"]
        top = "/cgroups" if self.version == 2 else "/cgroups/memory"
        return self.inside("looker", f"find {top} -type d -name pod{uid} 2>/dev/null || true").strip().removeprefix(top)

    def above(self, directory: str, v1: str, v2: str) -> str:
        """A file of a cgroup above containers; `v1` is controller and name."""
        controller, _, name = v1.partition("/")
        path = f"/cgroups{directory}/{v2}" if self.version == 2 else f"/cgroups/{controller}{directory}/{name}"
        return self.inside("looker", f"cat {path}").strip()

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


def assert_weight(place: Place, directory: str, shares: int) -> None:
    expected = str(weight(shares) if place.version == 2 else shares)
    assert place.above(directory, "cpu/cpu.shares", "cpu.weight") == expected


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
    assert 0.05 < (last[1] - first[1]) / (last[0] - first[0]) < 0.3


def test_busy_pods_share_a_cpu_by_their_requests(pods: Place) -> None:
    """1:4 on v1; v2's weights are on another scale, where these two are about 1:3."""
    shares = {"little": 102, "much": 409}
    for name, cpu in (("little", "100m"), ("much", "400m")):
        text = BUSY.replace("NAME", name).replace("NODE", pods.node).replace("CPU", cpu)
        pods.cluster.apply(pods.namespace, text)
    try:
        for name in shares:
            pods.cluster.kubectl(
                "wait", "-n", pods.namespace, "--for=condition=Ready", f"pod/{name}", "--timeout=120s", timeout=130
            )
            assert_weight(pods, pods.directory(name), shares[name])
        paths = {name: pods.directory(name) for name in shares}
        expected = 409 / 102 if pods.version == 1 else weight(409) / weight(102)

        def used() -> dict[str, float]:
            found = {}
            for name, path in paths.items():
                text = pods.above(path, "cpuacct/cpuacct.usage", "cpu.stat")
                usec = re.search(r"usage_usec (\d+)", text)
                found[name] = int(usec[1]) / 1e6 if usec else int(text) / 1e9
            return found

        before = used()

        def enough() -> dict[str, float] | None:
            spent = {name: used - before[name] for name, used in used().items()}
            return spent if sum(spent.values()) > 2.5 else None

        spent = pods.cluster.eventually(enough, 120)
        assert expected / 1.7 < spent["much"] / spent["little"] < expected * 1.7
    finally:
        pods.cluster.kubectl("delete", "pod", "-n", pods.namespace, *shares, "--wait=false")


def test_a_pod_can_not_fork_beyond_its_limit(pods: Place) -> None:
    directory = pods.directory("forks")
    assert pods.above(directory, "pids/pids.max", "pids.max") == str(PIDS_LIMIT)
    script = f"i=0; while [ $i -lt {PIDS_LIMIT + 50} ]; do sleep 60 & i=$((i+1)); done; echo all"
    done = pods.cluster.run(
        "kubectl", "exec", "-n", pods.namespace, "forks", "--", "sh", "-c", script, code=None, timeout=120
    )
    assert "can't fork: Resource temporarily unavailable" in done.stderr
    assert "all" not in done.stdout
    assert int(pods.above(directory, "pids/pids.current", "pids.current")) <= PIDS_LIMIT


def test_pods_lie_in_the_cgroup_of_their_class_with_what_they_asked_for(pods: Place) -> None:
    uids = {name: pods.cluster.get("pod", name, "-n", pods.namespace)["metadata"]["uid"] for name in PODS}
    ends = {"guaranteed": "kubepods", "burstable": "kubepods/burstable", "looker": "kubepods/besteffort"}
    for name, end in ends.items():
        assert pods.directory(name).endswith(f"/{end}/pod{uids[name]}")
    guaranteed, burstable = pods.directory("guaranteed"), pods.directory("burstable")
    best_effort = pods.directory("looker")
    assert pods.above(guaranteed, "memory/memory.limit_in_bytes", "memory.max") == str(32 * MEBI)
    quota = pods.above(guaranteed, "cpu/cpu.cfs_quota_us", "cpu.max")
    assert quota == ("35000 100000" if pods.version == 2 else "35000")
    assert_weight(pods, guaranteed, 358)
    assert_weight(pods, burstable, 204)
    assert_weight(pods, best_effort, 2)
    assert_weight(pods, best_effort.rpartition("/")[0], 2)
    unlimited = pods.above(burstable, "cpu/cpu.cfs_quota_us", "cpu.max")
    assert unlimited == ("max 100000" if pods.version == 2 else "-1")


def test_the_class_of_burstable_pods_has_the_share_that_they_ask_for_together(pods: Place) -> None:
    def asked() -> int:
        total = 0
        items = pods.cluster.get("pods", "-A", "--field-selector", f"spec.nodeName={pods.node}")
        for pod in items:
            if pod["status"].get("qosClass") == "Burstable" and pod["status"]["phase"] in ("Pending", "Running"):
                for container in pod["spec"]["containers"]:
                    text = container.get("resources", {}).get("requests", {}).get("cpu", "0")
                    total += int(text[:-1]) if text.endswith("m") else int(text) * 1000
        return max(2, total * 1024 // 1000)

    classes = pods.directory("burstable").rpartition("/")[0]

    def agrees() -> bool:
        assert_weight(pods, classes, asked())
        return True

    assert pods.cluster.eventually(agrees)


def test_a_pods_cgroup_goes_with_it(pods: Place) -> None:
    manifest = f"""
apiVersion: v1
kind: Pod
metadata: {{name: short}}
spec:
  nodeName: {pods.node}
  restartPolicy: Never
  containers: [{{name: main, image: busybox:test, command: [sleep, "1"], resources: {{limits: {{memory: 16Mi}}}}}}]
"""
    pods.cluster.apply(pods.namespace, manifest)
    pods.cluster.eventually(lambda: pods.directory("short"))
    pods.cluster.eventually(lambda: pods.ended("short"))
    pods.cluster.eventually(lambda: not pods.directory("short"))


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
