"""A cluster goes over to newer code under load: no request fails, and every node says the new version afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import yaml

from clusters import ROOT, LocalCluster

NEWER = "0.2.0"
NODE_PORT = 31234
WEB = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      topologySpreadConstraints:
      - {{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway,
          labelSelector: {{matchLabels: {{app: web}}}}}}
      containers:
      - name: web
        image: webapp:v1
        imagePullPolicy: IfNotPresent
        readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
        lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]
"""
# A balancer in front of the nodes: it goes on to another node when one takes no connection, and is told which ones are
# being emptied; a request that has a connection must be answered.
BALANCER = """
import http.client, sys, threading
healthy = list(sys.argv[2:])
over = threading.Event()
def listen():
    for line in sys.stdin:
        what, address = line.split()
        healthy.remove(address) if what == "-" else healthy.append(address)
    over.set()
threading.Thread(target=listen, daemon=True).start()
answered = 0
while not over.wait(0.05):
    for address in tuple(healthy):
        connection = http.client.HTTPConnection(address, int(sys.argv[1]), timeout=5)
        try:
            connection.connect()
        except OSError:
            continue
        try:
            connection.request("GET", "/")
            assert connection.getresponse().read().startswith(b"version=")
            answered += 1
        except Exception as error:
            print(f"{address}: {error!r}", flush=True)
        finally:
            connection.close()
        break
    else:
        print("no node takes a connection", flush=True)
print("answered", answered, flush=True)
"""


def newer_code(directory: Path) -> Path:
    """The same code as another version, as a PYTHONPATH."""
    for package in ("sampan", "apiserver", "scheduler", "controllers", "nodeagent", "deploy", "kubectl-lite/kctl"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, directory / Path(package).name, ignore=ignored)
    version = directory / "sampan" / "version.py"
    text = version.read_text()
    version.write_text(text.replace('VERSION = "0.1.0"', f'VERSION = "{NEWER}"', 1))
    assert version.read_text() != text
    return directory


def test_an_upgrade_goes_node_by_node_and_no_request_fails(tmp_path: Path) -> None:
    with LocalCluster.started(name="up", nodes=2) as cluster:
        cluster.build_webapp("v1")
        cluster.kubectl("apply", "-f", "-", stdin=WEB)
        cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        addresses = {
            node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in cluster.get("nodes")
        }
        supervisor = cluster.places.pid.read_text().strip()
        load = subprocess.Popen(
            [
                *("nsenter", f"--target={supervisor}", "--net"),
                *(sys.executable, "-c", BALANCER, str(NODE_PORT), *addresses.values()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        failures: list[str] = []
        reading = threading.Thread(target=lambda: failures.extend(load.stdout or ()))
        reading.start()
        environment = cluster.environment | {"PYTHONPATH": str(newer_code(tmp_path / "newer"))}
        command = [sys.executable, "-m", "kctl", "cluster", "upgrade", "up"]
        upgrade = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd="/"
        )
        said = []
        assert load.stdin is not None
        assert upgrade.stdout is not None
        for line in upgrade.stdout:
            said.append(line.strip())
            for name, address in addresses.items():
                if line.startswith(f"node {name}: draining"):
                    print("-", address, file=load.stdin, flush=True)
                elif line.startswith(f"node {name}: Ready with"):
                    print("+", address, file=load.stdin, flush=True)
        assert upgrade.wait() == 0, said
        load.stdin.close()
        reading.join(30)
        load.wait(30)

        answered = int(failures.pop().removeprefix("answered"))
        assert not failures
        assert answered > 50
        order = [said.index(one) for one in ("apiserver restarted", "controllers restarted", "scheduler restarted")]
        assert order == sorted(order)
        assert max(order) < said.index("node n1: draining") < said.index("node n2: draining")
        versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in cluster.get("nodes")}
        assert versions == {f"v1.37.0+sampan.{NEWER}"}
        assert not any(node["spec"].get("unschedulable") for node in cluster.get("nodes"))
        server = yaml.safe_load(cluster.kctl("version", "-o", "yaml"))["serverVersion"]["gitVersion"]
        assert server == f"v1.37.0+sampan.{NEWER}"
        cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
