"""A machine joins by a token, runs pods like any node, and leaves without a trace."""

from __future__ import annotations

POD = """
apiVersion: v1
kind: Pod
metadata: {name: %(name)s, labels: {app: %(name)s}}
spec:
  nodeName: %(node)s
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: busybox:test
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "mkdir /www; echo %(name)s > /www/index.html; exec httpd -f -p 8080 -h /www"]
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes:
  - {name: scratch, emptyDir: {medium: Memory}}
"""


def test_a_machine_joins_runs_a_pod_and_leaves_without_a_trace(joinable, machine) -> None:
    before = machine.traces()
    said = machine.sampan(*joinable.join())
    print(said)
    with machine.node():
        joinable.ready("m1")
        print(machine.shell("ps -e -o pid,ppid,args; ip link; findmnt | tail -20"))
        print(machine.sampan("leave"))
    assert machine.traces() == before
