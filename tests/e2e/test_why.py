"""Each situation that kctl why knows and that needs a node, made for real; the others: tests/integration/kctl.

All objects are applied at once; each test waits until kctl why names the cause of one of them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusters import LocalCluster

SLEEPER = '{name: main, image: "busybox:test", command: [sleep, "9999"]}'


def sleeper(more: str) -> str:
    """The only container of a pod: it sleeps, and has something more."""
    return "containers: [" + SLEEPER.replace("}", f", {more}}}") + "]"


def shell(script: str, more: str = "") -> str:
    """The only container of a pod: a shell script."""
    return f'containers: [{{name: main, image: "busybox:test", command: [sh, -c, "{script}"]{more}}}]'


def probe(kind: str, what: str, more: str = "") -> str:
    """A container's probe that is asked often."""
    return f"{kind}: {{{what}, periodSeconds: 1{more}}}"


PODS: dict[str, tuple[str, str, str]] = {
    # name: (spec, situation, what the cause must say)
    "cpu": (sleeper("resources: {requests: {cpu: 640}}"), "no-node-cpu", "asks for 640 CPU"),
    "memory": (sleeper("resources: {requests: {memory: 9Ti}}"), "no-node-memory", "asks for 9216Gi of memory"),
    "disk": (sleeper("resources: {requests: {ephemeral-storage: 900Ti}}"), "no-node-storage", "of disk"),
    "gpu": (sleeper('resources: {limits: {"example.com/gpu": 2}}'), "no-node-resource", "2 example.com/gpu"),
    "selector": (f"{sleeper('stdin: false')}\n  nodeSelector: {{disk: ssd}}", "no-node-selector", "disk=ssd"),
    "affinity": (
        f"{sleeper('stdin: false')}\n  affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: "
        "{nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [moon]}]}]}}}",
        "no-node-affinity",
        "node affinity",
    ),
    "together": (
        f"{sleeper('stdin: false')}\n  affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: "
        "[{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: nobody}}}]}}",
        "no-node-pod-affinity",
        "must be near",
    ),
    "gated": (f"{sleeper('stdin: false')}\n  schedulingGates: [{{name: example.com/later}}]", "scheduling-gated",
              "example.com/later"),
    "other-scheduler": (f"{sleeper('stdin: false')}\n  schedulerName: mine", "scheduler-unknown", "named mine"),
    "node-name": (f"{sleeper('stdin: false')}\n  nodeName: n11", "node-name-unknown", "did you mean n1?"),
    "tag": ('containers: [{name: main, image: "busybox:tset", imagePullPolicy: IfNotPresent}]', "registry-unreachable",
            "busybox:test"),
    "never": ('containers: [{name: main, image: "nowhere:v1", imagePullPolicy: Never}]', "image-never-pulled",
              "nowhere"),
    "bad-name": ('containers: [{name: main, image: "Bad:Name:x"}]', "image-name-invalid", "Bad:Name:x"),
    "no-manifest": ('nodeName: n1\n  containers: [{name: main, image: "127.0.0.1:5055/app:v1"}]', "image-missing",
                    "has no image 127.0.0.1:5055/app:v1"),
    "denied": ('nodeName: n1\n  containers: [{name: main, image: "127.0.0.1:5056/app:v1"}]', "image-denied",
               "does not let node n1"),
    "config-map": (sleeper("envFrom: [{configMapRef: {name: setings}}]"), "config-map-missing", "there is settings"),
    "secret": (sleeper("envFrom: [{secretRef: {name: absent}}]"), "secret-missing", "Secret absent"),
    "secret-volume": (
        "volumes: [{name: s, secret: {secretName: absent}}]\n  "
        + sleeper("volumeMounts: [{name: s, mountPath: /s}]"),
        "secret-missing",
        "Secret absent",
    ),
    "key": (sleeper("env: [{name: X, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}]"), "key-missing",
            "it has color"),
    "key-volume": (
        "volumes: [{name: s, configMap: {name: settings, items: [{key: size, path: size}]}}]\n  "
        + sleeper("volumeMounts: [{name: s, mountPath: /s}]"),
        "key-missing",
        "key size of ConfigMap settings",
    ),
    "host-path": (
        "volumes: [{name: s, hostPath: {path: /nowhere/at/all, type: Directory}}]\n  "
        + sleeper("volumeMounts: [{name: s, mountPath: /s}]"),
        "volume-host-path",
        "/nowhere/at/all",
    ),
    "sub-path": (
        "volumes: [{name: s, configMap: {name: settings}}]\n  "
        + sleeper('volumeMounts: [{name: s, mountPath: /s, subPathExpr: "$(ABSENT)"}]'),
        "sub-path-invalid",
        "subPathExpr",
    ),
    "command": ('containers: [{name: main, image: "busybox:test", command: [nosuchprogram]}]', "command-missing",
                "nosuchprogram"),
    "not-executable": ('containers: [{name: main, image: "busybox:test", command: [/etc/passwd]}]',
                       "command-not-executable", "/etc/passwd"),
    "as-root": (f"{sleeper('stdin: false')}\n  securityContext: {{runAsNonRoot: true}}", "root-image", "runAsNonRoot"),
    "read-only": (shell("echo x > /data", ", securityContext: {readOnlyRootFilesystem: true}"), "read-only",
                  "read-only file system"),
    "crash": (shell("echo no database; exit 3"), "crash-loop", "exit code 3"),
    "shell-command": (shell("nosuchcommand"), "shell-command-missing", "exit code 127"),
    "signal": (shell("ulimit -c 0; kill -SEGV 1; exec sh -c 'exit 139'"), "killed-by-signal", "SIGSEGV"),
    "oom": (shell("x=a; while true; do x=$x$x; done", ", resources: {limits: {memory: 16Mi}}"), "out-of-memory",
            "16Mi"),
    "ends": ('containers: [{name: main, image: "busybox:test", command: ["true"]}]', "ends-at-once", "exit code 0"),
    "failed": (f"restartPolicy: Never\n  {shell('echo bye; exit 9')}", "failed", "exit code 9"),
    "done": ('restartPolicy: Never\n  containers: [{name: main, image: "busybox:test", command: ["true"]}]',
             "completed", "nothing is wrong"),
    "deadline": (f"activeDeadlineSeconds: 1\n  terminationGracePeriodSeconds: 1\n  {sleeper('stdin: false')}",
                 "deadline-exceeded", "activeDeadlineSeconds of 1"),
    "liveness": (
        "terminationGracePeriodSeconds: 1\n  "
        + sleeper(probe("livenessProbe", "tcpSocket: {port: 81}", ", failureThreshold: 1")),
        "liveness-fails",
        "connection refused",
    ),
    "startup": (sleeper(probe("startupProbe", 'exec: {command: ["false"]}', ", failureThreshold: 600")),
                "startup-failing", "startup probe"),
    "startup-killed": (
        "terminationGracePeriodSeconds: 1\n  "
        + sleeper(probe("startupProbe", 'exec: {command: ["false"]}', ", failureThreshold: 1")),
        "startup-killed",
        "failed too often",
    ),
    "status": (
        'containers: [{name: main, image: "busybox:test", command: [httpd, -f, -p, "8080"], '
        + probe("readinessProbe", "httpGet: {port: 8080, path: /healthz}") + "}]",
        "readiness-status",
        "(/healthz) with HTTP 404",
    ),
    "refused": (sleeper(probe("readinessProbe", "httpGet: {port: 8080}")), "readiness-refused", "port 8080"),
    "slow": (
        shell(
            "mkdir /tmp/cgi-bin; cd /tmp/cgi-bin; echo '#!/bin/sh' > s; echo 'sleep 9' >> s; chmod +x s; "
            "exec httpd -f -p 8080 -h /tmp",
            ", " + probe("readinessProbe", "httpGet: {port: 8080, path: /cgi-bin/s}"),
        ),
        "readiness-timeout",
        "in time",
    ),
    "exec-probe": (sleeper(probe("readinessProbe", 'exec: {command: [cat, /ready]}')), "readiness-fails", "/ready"),
    "gate": (f"{sleeper('stdin: false')}\n  readinessGates: [{{conditionType: example.com/lb}}]", "readiness-gate",
             "example.com/lb"),
    "init-crash": (
        'initContainers: [{name: migrate, image: "busybox:test", command: [sh, -c, "echo no schema; exit 4"]}]\n  '
        f"containers: [{SLEEPER}]",
        "init-crash",
        "init container migrate fails with exit code 4",
    ),
    "init-waits": (
        'initContainers: [{name: migrate, image: "busybox:test", command: [sleep, "9999"]}]\n  '
        f"containers: [{SLEEPER}]",
        "init-running",
        "migrate (1 of 1)",
    ),
    "post-start": (
        "terminationGracePeriodSeconds: 1\n  "
        + sleeper('lifecycle: {postStart: {exec: {command: [sh, -c, "exit 7"]}}}'),
        "post-start-fails",
        "postStart hook",
    ),
    "well": (f"containers: [{SLEEPER}]", "healthy", "nothing is wrong"),
}  # fmt: skip
EVIDENCE = {
    "crash": "| no database",
    "failed": "| bye",
    "init-crash": "| no schema",
    "read-only": "Read-only file system",
}

REST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
---
apiVersion: v1
kind: Pod
metadata: {name: registry}
spec:
  nodeName: n1
  hostNetwork: true
  containers:
    - {name: empty, image: "busybox:test", command: [httpd, -f, -p, "127.0.0.1:5055"]}
    - name: closed
      image: busybox:test
      command: [sh, -c, "echo /v2:user:secret > /tmp/conf; exec httpd -f -p 127.0.0.1:5056 -c /tmp/conf -r closed"]
"""
WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: crashing}
spec:
  selector: {matchLabels: {app: crashing}}
  template:
    metadata: {labels: {app: crashing}}
    spec: {containers: [{name: main, image: "busybox:test", command: [sh, -c, "echo out of cheese; exit 5"]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: paused}
spec:
  paused: true
  selector: {matchLabels: {app: paused}}
  template:
    metadata: {labels: {app: paused}}
    spec: {containers: [SLEEPER]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: zero}
spec:
  replicas: 0
  selector: {matchLabels: {app: zero}}
  template:
    metadata: {labels: {app: zero}}
    spec: {containers: [SLEEPER]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: forbidden}
spec:
  selector: {matchLabels: {app: forbidden}}
  template:
    metadata: {labels: {app: forbidden}}
    spec: {serviceAccountName: nobody, containers: [SLEEPER]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: spread-out}
spec:
  replicas: 9
  progressDeadlineSeconds: 600
  selector: {matchLabels: {app: spread-out}}
  template:
    metadata: {labels: {app: spread-out}}
    spec:
      containers: [SLEEPER]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: spread-out}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: host-port}
spec:
  replicas: 9
  selector: {matchLabels: {app: host-port}}
  template:
    metadata: {labels: {app: host-port}}
    spec:
      containers:
        - {name: main, image: "busybox:test", command: [sleep, "9999"], ports: [{containerPort: 80, hostPort: 8099}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: slow-to-count}
spec:
  minReadySeconds: 600
  progressDeadlineSeconds: 900
  selector: {matchLabels: {app: slow-to-count}}
  template:
    metadata: {labels: {app: slow-to-count}}
    spec: {containers: [SLEEPER]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web, tier: front}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      containers:
        - name: main
          image: busybox:test
          command: [httpd, -f, -p, "8080"]
          ports: [{name: http, containerPort: 8080}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: nowhere}
spec:
  selector: {matchLabels: {app: nowhere}}
  template:
    metadata: {labels: {app: nowhere}}
    spec: {nodeSelector: {disk: ssd}, containers: [SLEEPER]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec: {containers: [SLEEPER]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: gives-up}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "busybox:test", command: [sh, -c, "echo no luck; exit 6"]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: too-long}
spec:
  activeDeadlineSeconds: 1
  template: {spec: {restartPolicy: Never, terminationGracePeriodSeconds: 1, containers: [SLEEPER]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: suspended}
spec:
  suspend: true
  template: {spec: {restartPolicy: Never, containers: [SLEEPER]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: at-work}
spec:
  template: {spec: {restartPolicy: Never, containers: [SLEEPER]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: complete}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: "busybox:test", command: ["true"]}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: no-image}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: "nowhere:v2", imagePullPolicy: Never}]}}
---
apiVersion: v1
kind: Service
metadata: {name: typo}
spec: {selector: {app: wep}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: unready}
spec: {selector: {app: crashing}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: no-port-name}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: https}]}
---
apiVersion: v1
kind: Service
metadata: {name: wrong-port}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8081}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: by-hand}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: example.com}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: good}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
""".replace("SLEEPER", SLEEPER)
OTHERS = {
    # object: (situation, what the cause must say)
    "deployment/crashing": ("crash-loop", "exit code 5"),
    "deployment/paused": ("paused", "paused"),
    "deployment/zero": ("scaled-to-zero", "scaled to 0"),
    "deployment/forbidden": ("create-forbidden", "nobody"),
    "deployment/spread-out": ("no-node-pod-anti-affinity", "must not be near"),
    "deployment/host-port": ("no-node-host-port", "8099 is taken"),
    "deployment/slow-to-count": ("min-ready-seconds", "minReadySeconds (600)"),
    "deployment/web": ("healthy", "2 of 2 pods are ready"),
    "daemonset/nowhere": ("daemons-no-node-selected", "disk=ssd"),
    "daemonset/everywhere": ("healthy", "runs on 3 node(s)"),
    "job/gives-up": ("job-back-off-limit", "exit code 6"),
    "job/too-long": ("job-deadline", "activeDeadlineSeconds of 1"),
    "job/suspended": ("job-suspended", "suspended"),
    "job/at-work": ("job-running", "1 pod(s) run, 0 of 1 succeeded"),
    "job/complete": ("job-complete", "nothing is wrong"),
    "job/no-image": ("image-never-pulled", "nowhere:v2"),
    "service/typo": ("selector-matches-nothing", "the nearest is app=web"),
    "service/unready": ("crash-loop", "exit code 5"),
    "service/no-port-name": ("port-not-named", "they have http"),
    "service/wrong-port": ("nobody-listens", "nobody listens on port 8081"),
    "service/headless": ("healthy", "its name leads to 2"),
    "service/by-hand": ("no-selector", "no selector"),
    "service/elsewhere": ("external-name", "example.com"),
    "service/balanced": ("load-balancer-pending", "load balancer"),
    "service/good": ("healthy", "leads to 2 ready endpoint(s)"),
}


@pytest.fixture(scope="module")
def made(cluster: LocalCluster, shared: str) -> str:
    """The namespace in which everything is, its pods as they came."""
    cluster.apply(shared, REST, ready="registry")
    pods = [
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n" for name, (spec, *_) in PODS.items()
    ]
    cluster.kctl("apply", "-n", shared, "-f", "-", stdin="---\n".join(pods) + "---" + WORKLOADS)
    return shared


def why(cluster: LocalCluster, namespace: str, *words: str) -> dict[str, Any]:
    """What kctl why says."""
    found: dict[str, Any] = json.loads(cluster.kctl("why", *words, "-n", namespace, "-o", "json"))
    return found


@pytest.mark.parametrize("name", PODS)
def test_the_cause_of_a_pod(cluster: LocalCluster, made: str, name: str) -> None:
    _, situation, says = PODS[name]

    def named() -> dict[str, Any]:
        found = why(cluster, made, f"pod/{name}")
        assert found["situation"] == situation, found
        assert says in found["cause"], found
        return found

    found = cluster.eventually(named)
    assert found["next"]
    assert found["healthy"] == (situation in ("healthy", "completed"))
    if name in EVIDENCE:
        assert any(EVIDENCE[name] in line for line in found["evidence"]), found


@pytest.mark.parametrize("which", OTHERS)
def test_the_cause_of_what_owns_pods_or_leads_to_them(cluster: LocalCluster, made: str, which: str) -> None:
    situation, says = OTHERS[which]

    def named() -> dict[str, Any]:
        found = why(cluster, made, which)
        assert found["situation"] == situation, found
        assert says in found["cause"], found
        return found

    found = cluster.eventually(named)
    assert found["chain"][0] == which


def test_the_chain_leads_from_the_deployment_to_the_pod(cluster: LocalCluster, made: str) -> None:
    said = cluster.kctl("why", "deployment", "crashing", "-n", made).splitlines()
    assert [one.partition("/")[0] for one in said[0].split(" -> ")] == ["deployment", "replicaset", "pod"]
    assert "         | out of cheese" in said
    assert said[-1].startswith("  next:  kctl logs pod/crashing-")
    command = said[-1].removeprefix("  next:  kctl ").split()
    assert "out of cheese" in cluster.kctl(*command)


def test_a_kind_alone_tells_of_those_in_trouble_only(cluster: LocalCluster, made: str) -> None:
    told = [one["object"] for one in why(cluster, made, "jobs")["items"]]
    assert "job/gives-up" in told
    assert "job/complete" not in told


def test_a_pod_may_use_its_grace_to_end(cluster: LocalCluster, namespace: str) -> None:
    script = "trap 'while true; do sleep 1; done' TERM; while true; do sleep 1; done"
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: stubborn}}\nspec:\n  {shell(script)}\n"
    cluster.apply(namespace, pod, ready="stubborn")
    cluster.kctl("delete", "pod/stubborn", "-n", namespace, "--wait=false")
    found = why(cluster, namespace, "pod/stubborn")
    assert found["situation"] == "terminating-grace"
    assert "may take up to 30 s to end" in found["cause"]
    cluster.kctl("delete", "pod/stubborn", "-n", namespace, "--grace-period=0", "--force")


def test_a_finalizer_keeps_a_pod_and_the_namespace_around_it(cluster: LocalCluster) -> None:
    namespace = "kept-by-a-finalizer"
    cluster.kubectl("create", "namespace", namespace)
    cluster.eventually(lambda: cluster.get("serviceaccount", "default", "-n", namespace))
    held = "kind: Pod\napiVersion: v1\nmetadata: {name: held, finalizers: [example.com/guard]}\n"
    cluster.apply(namespace, f"{held}spec: {{terminationGracePeriodSeconds: 1, containers: [{SLEEPER}]}}", ready="held")
    cluster.kctl("delete", "namespace", namespace, "--wait=false")

    def kept(*words: str) -> dict[str, Any]:
        found = why(cluster, namespace, *words)
        assert found["situation"] in ("terminating-finalizer", "namespace-finalizers"), found
        return found

    pod = cluster.eventually(lambda: kept("pod/held"))
    assert "look for one of example.com should remove it" in pod["cause"]
    around = cluster.eventually(lambda: kept("namespace", namespace))
    assert around["situation"] == "namespace-finalizers"
    assert "pod/held: example.com/guard" in around["evidence"]
    command = pod["next"].partition("kctl ")[2].replace("'", "").split()
    cluster.kctl(*command)
    cluster.eventually(lambda: not cluster.kctl("get", "namespace", namespace, "--ignore-not-found"))


def test_an_owner_waits_for_what_it_owns(cluster: LocalCluster, namespace: str) -> None:
    claims = "metadata: {finalizers: [example.com/guard], labels: {app: kept}}"
    manifest = f"""
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: kept}}
spec:
  selector: {{matchLabels: {{app: kept}}}}
  template: {{{claims}, spec: {{terminationGracePeriodSeconds: 1, containers: [{SLEEPER}]}}}}
"""
    cluster.apply(namespace, manifest)
    pod = cluster.eventually(lambda: cluster.get("pods", "-n", namespace)[0]["metadata"]["name"])
    cluster.kubectl("delete", "rs", "kept", "-n", namespace, "--cascade=foreground", "--wait=false")
    try:
        found = cluster.eventually(
            lambda: (it := why(cluster, namespace, "rs/kept"))["situation"] == "terminating-dependents" and it
        )
        assert f"pod/{pod} (terminating)" in found["evidence"]
        assert found["next"] == f"kctl why pod/{pod}" + f" -n {namespace}"
    finally:
        patch = '{"metadata":{"finalizers":null}}'
        cluster.kubectl("patch", "pod", pod, "-n", namespace, "--type=merge", "-p", patch)


def test_the_nodes_are_well(cluster: LocalCluster) -> None:
    found = why(cluster, "default", "node/n1")
    assert found["situation"] == "healthy", found
