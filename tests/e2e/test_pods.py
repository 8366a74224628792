"""What a pod asks for, seen from inside it. All pods are applied at once; each test looks at one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from clusters import LocalCluster

PACKAGES = str(Path(grpc.__file__).resolve().parents[1])
PRELUDE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, size: "3", "app.conf": "one\\ntwo\\n"}
binaryData: {raw: AAEC}
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Service
metadata: {name: sub}
spec: {clusterIP: None, selector: {app: named}, publishNotReadyAddresses: true, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: sub.NAMESPACE.svc.cluster.local}
"""
HEALTH = """
import threading
from concurrent.futures import ThreadPoolExecutor
import grpc
handler = grpc.unary_unary_rpc_method_handler(lambda request, context: bytes([8, 1]))  # HealthCheckResponse: SERVING
server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})])
server.add_insecure_port("0.0.0.0:9000")
server.start()
threading.Event().wait()
"""
PODS = {
    "environment": """
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "env; sleep 10000"]
          ports: [{containerPort: 80}]
          resources: {limits: {cpu: 250m, memory: 64Mi}, requests: {cpu: 10m}}
          envFrom:
            - configMapRef: {name: settings}
            - secretRef: {name: password}
              prefix: SECRET_
            - configMapRef: {name: absent, optional: true}
          env:
            - {name: PLAIN, value: plain}
            - {name: BOTH, value: "$(PLAIN)-$(color)-$$(PLAIN)-$(ABSENT)"}
            - {name: KEY, valueFrom: {configMapKeyRef: {name: settings, key: size}}}
            - {name: PASSWORD, valueFrom: {secretKeyRef: {name: password, key: password}}}
            - {name: OPTIONAL, valueFrom: {secretKeyRef: {name: absent, key: x, optional: true}}}
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
            - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
            - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
            - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
            - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
            - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    """,
    "volumes": """
      volumes:
        - name: settings
          configMap: {name: settings, defaultMode: 0440, items: [{key: app.conf, path: deep/app.conf}]}
        - {name: whole, configMap: {name: settings}}
        - {name: password, secret: {secretName: password}}
        - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
        - {name: scratch, emptyDir: {}}
        - name: all
          projected:
            sources:
              - configMap: {name: settings, items: [{key: color, path: color}]}
              - secret: {name: password}
              - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
              - serviceAccountToken: {path: token, audience: somebody}
        - {name: down, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
        - {name: host, hostPath: {path: /etc, type: Directory}}
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
          volumeMounts:
            - {name: settings, mountPath: /settings}
            - {name: whole, mountPath: /whole}
            - {name: whole, mountPath: /one/color, subPath: color}
            - {name: password, mountPath: /password, readOnly: true}
            - {name: memory, mountPath: /memory}
            - {name: scratch, mountPath: /data, subPath: inner}
            - {name: scratch, mountPath: /expanded, subPathExpr: "of-$(POD)"}
            - {name: scratch, mountPath: /scratch}
            - {name: all, mountPath: /all}
            - {name: down, mountPath: /down}
            - {name: host, mountPath: /host-etc, readOnly: true}
          env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    """,
    "secured": """
      securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000]}
      volumes: [{name: data, emptyDir: {}}]
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
          securityContext:
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
            seccompProfile: {type: RuntimeDefault}
          volumeMounts: [{name: data, mountPath: /data}]
        - {name: other, image: "busybox:test", command: [sleep, "10000"], securityContext: {runAsUser: 1234}}
        - name: privileged
          image: busybox:test
          command: [sleep, "10000"]
          securityContext: {privileged: true, runAsUser: 0}
    """,
    "image-user": """
      containers: [{name: main, image: "webapp:v1"}]
    """,
    "named": """
      hostname: chosen
      subdomain: sub
      hostAliases: [{ip: 192.0.2.7, hostnames: [alias.example, other.example]}]
      dnsConfig: {searches: [extra.example], options: [{name: ndots, value: "3"}, {name: edns0}]}
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "mkdir /w; echo hello >/w/index.html; httpd -f -h /w"]
    """,
    "on-host": """
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
      containers: [{name: main, image: "busybox:test", command: [sleep, "10000"]}]
    """,
    "own-dns": """
      dnsPolicy: None
      dnsConfig: {nameservers: [192.0.2.53], searches: [only.example]}
      containers: [{name: main, image: "busybox:test", command: [sleep, "10000"]}]
    """,
    "ordered": """
      restartPolicy: Never
      volumes: [{name: log, emptyDir: {}}]
      initContainers:
        - name: first
          image: busybox:test
          command: [sh, -c, "sleep 0.3; echo first >>/log/l"]
          volumeMounts: &log [{name: log, mountPath: /log}]
        - name: sidecar
          image: busybox:test
          restartPolicy: Always
          command: [sh, -c, "echo sidecar >>/log/l; touch /tmp/up; trap 'exit 0' TERM; while true; do sleep 0.1; done"]
          startupProbe: {exec: {command: [ls, /tmp/up]}, periodSeconds: 1}
          volumeMounts: *log
        - {name: second, image: "busybox:test", command: [sh, -c, "echo second >>/log/l"], volumeMounts: *log}
      containers:
        - {name: main, image: "busybox:test", command: [sh, -c, "echo main >>/log/l; cat /log/l"], volumeMounts: *log}
    """,
    "last-words": """
      restartPolicy: Never
      containers:
        - {name: file, image: "busybox:test", command: [sh, -c, "echo -n by file >/dev/termination-log; exit 3"]}
        - name: output
          image: busybox:test
          command: [sh, -c, "echo by output; exit 4"]
          terminationMessagePolicy: FallbackToLogsOnError
        - {name: elsewhere, image: "busybox:test", command: [sh, -c, "echo -n x >/end"], terminationMessagePath: /end}
    """,
    "hungry": """
      restartPolicy: Never
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "x=0123456789abcdef; while true; do x=$x$x; done"]
          resources: {limits: {memory: 24Mi}}
    """,
    "crashing": """
      containers: [{name: main, image: "busybox:test", command: [sh, -c, "exit 9"]}]
    """,
    "probed": """
      containers:
        - name: http
          image: busybox:test
          command: [sh, -c, "mkdir /w; echo hello >/w/index.html; httpd -f -p 8080 -h /w"]
          ports: [{name: web, containerPort: 8080}]
          startupProbe: {tcpSocket: {port: web}, periodSeconds: 1}
          readinessProbe: {httpGet: {path: /index.html, port: web}, periodSeconds: 1}
          livenessProbe: {exec: {command: [sh, -c, "wget -q -O - localhost:8080 | grep hello"]}, periodSeconds: 1}
        - name: failing
          image: busybox:test
          command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
          livenessProbe: {exec: {command: [sh, -c, "echo unwell; exit 1"]}, periodSeconds: 1, failureThreshold: 2}
        - name: unready
          image: busybox:test
          command: [sleep, "10000"]
          readinessProbe: {httpGet: {port: 9}, periodSeconds: 1}
    """,
    "grpc": """
      volumes:
        - {name: usr, hostPath: {path: /usr}}
        - {name: lib, hostPath: {path: /lib}}
        - {name: lib64, hostPath: {path: /lib64}}
        - {name: packages, hostPath: {path: PACKAGES}}
      containers:
        - name: main
          image: busybox:test
          command: [/usr/bin/python3, -c, HEALTH]
          env: [{name: PYTHONPATH, value: /packages}]
          readinessProbe: {grpc: {port: 9000}, periodSeconds: 1}
          volumeMounts:
            - {name: usr, mountPath: /usr, readOnly: true}
            - {name: lib, mountPath: /lib, readOnly: true}
            - {name: lib64, mountPath: /lib64, readOnly: true}
            - {name: packages, mountPath: /packages, readOnly: true}
    """,
    "hooked": """
      terminationGracePeriodSeconds: 10
      volumes: [{name: h, hostPath: {path: HOOKS, type: Directory}}]
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "trap 'echo term >>/h/l; exit 0' TERM; while true; do sleep 0.1; done"]
          volumeMounts: [{name: h, mountPath: /h}]
          lifecycle:
            postStart: {exec: {command: [sh, -c, "echo started >>/h/l"]}}
            preStop: {exec: {command: [sh, -c, "echo stopping >>/h/l"]}}
    """,
    "shared-pids": """
      shareProcessNamespace: true
      containers:
        - {name: main, image: "busybox:test", command: [sleep, "11111"]}
        - {name: other, image: "busybox:test", command: [sleep, "22222"]}
    """,
    "short-lived": """
      activeDeadlineSeconds: 1
      containers: [{name: main, image: "busybox:test", command: [sleep, "10000"]}]
    """,
    "limited": """
      containers:
        - name: main
          image: busybox:test
          command: [sleep, "10000"]
          resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 500m, memory: 32Mi}}
    """,
}


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the machine, which is the nodes' as well."""
    return tmp_path_factory.mktemp("hooks")


@pytest.fixture(scope="module")
def pods(cluster: LocalCluster, shared: str, hooks: Path) -> str:
    """The namespace in which all of them run."""
    documents = [PRELUDE.replace("NAMESPACE", shared)]
    for name, spec in PODS.items():
        grace = "" if "terminationGracePeriodSeconds" in spec else "\n      terminationGracePeriodSeconds: 0"
        head = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec:{grace}"
        spec = spec.replace("HOOKS", str(hooks)).replace("PACKAGES", PACKAGES).replace("HEALTH", json.dumps(HEALTH))
        documents.append(head + spec)
    cluster.kubectl("apply", "-n", shared, "-f", "-", stdin="\n---\n".join(documents))
    return shared


def ready(cluster: LocalCluster, namespace: str, pod: str) -> None:
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")


def phase(cluster: LocalCluster, namespace: str, pod: str, wanted: str) -> Any:
    """The pod's status once it is in a phase."""

    def asked() -> Any:
        status = cluster.get("pod", pod, "-n", namespace)["status"]
        return status if status["phase"] == wanted else None

    return cluster.eventually(asked)


def statuses(status: Any) -> dict[str, Any]:
    return {one["name"]: one for one in status["containerStatuses"]}


def test_variables_from_everywhere(cluster: LocalCluster, pods: str) -> None:
    ready(cluster, pods, "environment")
    lines = cluster.kubectl("logs", "-n", pods, "environment").splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    pod = cluster.get("pod", "environment", "-n", pods)
    expected = {
        "PLAIN": "plain", "BOTH": "plain-blue-$(PLAIN)-$(ABSENT)", "KEY": "3", "PASSWORD": "hunter2",
        "SECRET_password": "hunter2", "color": "blue", "size": "3", "POD": "environment", "LABEL": "environment",
        "NODE": pod["spec"]["nodeName"], "IP": pod["status"]["podIP"], "HOST_IP": pod["status"]["hostIP"],
        "CPU": "250", "MEMORY": "64", "KUBERNETES_SERVICE_HOST": "10.96.0.1", "HOSTNAME": "environment",
    }  # fmt: skip
    assert {name: told.get(name) for name in expected} == expected
    assert "OPTIONAL" not in told


def test_volumes_show_what_they_hold(cluster: LocalCluster, pods: str) -> None:
    ready(cluster, pods, "volumes")

    def inside(script: str) -> str:
        return cluster.inside(pods, "volumes", script)

    assert inside("cat /settings/deep/app.conf; ls /settings; stat -L -c %a /settings/deep/app.conf") == (
        "one\ntwo\ndeep\n440\n"
    )
    assert inside("xxd -p /whole/raw; cat /one/color; cat /password/password") == "000102\nbluehunter2"
    assert inside("cat /all/color /all/password; grep app /all/labels; cut -d. -f1 /all/token | cut -c1-3").split() == [
        "bluehunter2app=\"volumes\"", "eyJ",
    ]  # fmt: skip
    assert inside("cat /down/name; cat /host-etc/debian_version | wc -l") == "volumes1\n"
    assert inside("echo x >/data/a; cat /scratch/inner/a; ls -d /scratch/of-volumes").split() == [
        "x", "/scratch/of-volumes",
    ]  # fmt: skip
    filled = inside(
        "df /memory | tail -1 | awk '{print $1, $2}'; dd if=/dev/zero of=/memory/x bs=1M count=2 2>&1 | tail -1"
    )
    assert filled.startswith("tmpfs 1024\n")
    with pytest.raises(AssertionError, match="Read-only file system"):
        inside("touch /host-etc/x")
    for path in ("/password/x", "/whole/x"):
        with pytest.raises(AssertionError, match="Read-only file system"):
            inside(f"touch {path}")


def test_a_changed_config_map_is_seen_but_not_by_a_sub_path(cluster: LocalCluster, pods: str) -> None:
    ready(cluster, pods, "volumes")
    cluster.kubectl("patch", "configmap", "settings", "-n", pods, "-p", '{"data": {"color": "green"}}')
    cluster.eventually(lambda: cluster.inside(pods, "volumes", "cat /whole/color /all/color") == "greengreen", 90)
    assert cluster.inside(pods, "volumes", "cat /one/color") == "blue"


def test_users_groups_capabilities_and_a_read_only_root(cluster: LocalCluster, pods: str) -> None:
    ready(cluster, pods, "secured")
    status = "grep -E '^(Uid|Gid|Groups|CapEff|NoNewPrivs|Seccomp):' /proc/1/status | tr '\\t' ' '"
    assert cluster.inside(pods, "secured", status, "-c", "main").splitlines() == [
        "Uid: 1000 1000 1000 1000", "Gid: 2000 2000 2000 2000", "Groups: 2000 3000 4000 ",
        "CapEff: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2",
    ]  # fmt: skip
    assert cluster.inside(pods, "secured", "grep CapBnd /proc/1/status", "-c", "main").split()[1] == "0000000000000400"
    assert cluster.inside(pods, "secured", "touch /data/x; stat -c '%u %g' /data /data/x", "-c", "main").split("\n")[
        :2
    ] == ["0 3000", "1000 3000"]
    with pytest.raises(AssertionError, match="Read-only file system"):
        cluster.inside(pods, "secured", "touch /x", "-c", "main")
    assert cluster.inside(pods, "secured", "id -u; id -g; id -G", "-c", "other").split()[:2] == ["1234", "2000"]
    full = cluster.inside(pods, "secured", "grep CapEff /proc/self/status", "-c", "privileged").split()[1]
    assert int(full, 16).bit_count() > 30


def test_the_images_own_user_and_group(cluster: LocalCluster, pods: str) -> None:
    ready(cluster, pods, "image-user")
    assert cluster.inside(pods, "image-user", "grep -E '^[UG]id' /proc/1/status").split() == (
        ["Uid:", *["65534"] * 4, "Gid:", *["65534"] * 4]
    )
    assert cluster.inside(pods, "image-user", "id -u; id -g").split() == ["65534", "65534"]


def test_names_and_resolvers(cluster: LocalCluster, pods: str) -> None:
    for name in ("named", "on-host", "own-dns", "environment"):
        ready(cluster, pods, name)
    resolver = cluster.inside(pods, "named", "cat /etc/resolv.conf").splitlines()
    assert "nameserver 10.96.0.10" in resolver
    assert f"search {pods}.svc.cluster.local svc.cluster.local cluster.local extra.example" in resolver
    options = next(line for line in resolver if line.startswith("options")).split()[1:]
    assert sorted(options) == ["edns0", "ndots:3"]
    assert cluster.inside(pods, "named", "hostname; hostname -f") == f"chosen\nchosen.sub.{pods}.svc.cluster.local\n"
    assert cluster.inside(pods, "named", "grep example /etc/hosts").split() == [
        "192.0.2.7", "alias.example", "other.example",
    ]  # fmt: skip
    own = cluster.inside(pods, "own-dns", "cat /etc/resolv.conf").splitlines()
    assert own == ["search only.example", "nameserver 192.0.2.53"]
    node = cluster.get("pod", "on-host", "-n", pods)
    assert node["status"]["podIP"] == node["status"]["hostIP"]
    assert node["status"]["podIP"] in cluster.inside(pods, "on-host", "ip -4 addr")
    assert cluster.inside(pods, "on-host", "hostname").strip() == node["spec"]["nodeName"]
    for client in ("environment", "on-host"):
        for name in ("chosen.sub", "sub", "elsewhere"):
            for ending in (pods, f"{pods}.svc.cluster.local"):
                assert cluster.inside(pods, client, f"wget -q -O - http://{name}.{ending}/") == "hello\n"


def test_init_containers_and_sidecars_start_in_order(cluster: LocalCluster, pods: str) -> None:
    status = phase(cluster, pods, "ordered", "Succeeded")
    assert cluster.kubectl("logs", "-n", pods, "ordered", "-c", "main").split() == [
        "first", "sidecar", "second", "main",
    ]  # fmt: skip
    ended = {one["name"]: one["state"]["terminated"]["exitCode"] for one in status["initContainerStatuses"]}
    assert ended == {"first": 0, "sidecar": 0, "second": 0}


def test_last_words(cluster: LocalCluster, pods: str) -> None:
    ended = {
        name: one["state"]["terminated"] for name, one in statuses(phase(cluster, pods, "last-words", "Failed")).items()
    }
    assert {name: (one["exitCode"], one["reason"]) for name, one in ended.items()} == {
        "file": (3, "Error"), "output": (4, "Error"), "elsewhere": (0, "Completed"),
    }  # fmt: skip
    words = {name: one["message"] for name, one in ended.items()}
    assert words == {"file": "by file", "output": "by output\n", "elsewhere": "x"}


def test_too_much_memory_is_an_oom_kill(cluster: LocalCluster, pods: str) -> None:
    (ended,) = statuses(phase(cluster, pods, "hungry", "Failed")).values()
    assert (ended["state"]["terminated"]["reason"], ended["state"]["terminated"]["exitCode"]) == ("OOMKilled", 137)


def test_a_crashing_container_waits_longer_and_longer(cluster: LocalCluster, pods: str) -> None:
    def held_back() -> bool:
        (one,) = statuses(cluster.get("pod", "crashing", "-n", pods)["status"]).values()
        waiting = one["state"].get("waiting", {})
        ended = one["lastState"]["terminated"]["exitCode"] == 9 if one.get("lastState") else False
        return waiting.get("reason") == "CrashLoopBackOff" and ended and one["restartCount"] >= 1

    cluster.eventually(held_back)
    assert "CrashLoopBackOff" in cluster.kubectl("get", "pod", "crashing", "-n", pods)
    assert "BackOff" in cluster.kubectl("events", "-n", pods, "--for", "pod/crashing")


def test_probes_by_http_tcp_and_exec(cluster: LocalCluster, pods: str) -> None:
    def seen() -> bool:
        told = statuses(cluster.get("pod", "probed", "-n", pods)["status"])
        assert (told["http"]["ready"], told["http"]["started"], told["unready"]["ready"]) == (True, True, False)
        return told["failing"]["restartCount"] >= 1 and told["http"]["restartCount"] == 0

    cluster.eventually(seen)
    events = cluster.kubectl("events", "-n", pods, "--for", "pod/probed")
    assert "Liveness probe failed: unwell" in events
    assert "Readiness probe failed: " in events
    assert "Container failing failed liveness probe, will be restarted" in events


def test_a_grpc_server_tells_that_it_is_ready(cluster: LocalCluster, pods: str) -> None:
    """By a health server on the machine's Python, mounted into the pod."""
    ready(cluster, pods, "grpc")


def test_hooks_run_before_and_after(cluster: LocalCluster, pods: str, hooks: Path) -> None:
    ready(cluster, pods, "hooked")
    cluster.kubectl("delete", "pod", "hooked", "-n", pods)
    assert (hooks / "l").read_text().split() == ["started", "stopping", "term"]


def test_containers_may_see_one_anothers_processes(cluster: LocalCluster, pods: str) -> None:
    ready(cluster, pods, "shared-pids")
    listed = cluster.inside(pods, "shared-pids", "ps", "-c", "other")
    assert "sleep 11111" in listed
    assert "sleep 22222" in listed
    assert "sleep 22222" not in cluster.inside(pods, "environment", "ps")


def test_a_deadline_ends_a_pod(cluster: LocalCluster, pods: str) -> None:
    assert phase(cluster, pods, "short-lived", "Failed")["reason"] == "DeadlineExceeded"


def test_requests_and_limits_are_in_the_cgroup(cluster: LocalCluster, pods: str) -> None:
    ready(cluster, pods, "limited")
    script = (
        "cd /sys/fs/cgroup; if [ -e memory.max ]; then cat memory.max; cut -d' ' -f1 cpu.max;"
        " else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us; fi"
    )
    assert cluster.inside(pods, "limited", script).split() == [str(32 << 20), "50000"]
    assert cluster.get("pod", "limited", "-n", pods)["status"]["qosClass"] == "Burstable"
    assert cluster.get("pod", "named", "-n", pods)["status"]["qosClass"] == "BestEffort"
