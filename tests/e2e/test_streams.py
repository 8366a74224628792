"""Streams into pods, by the real kubectl and by kctl: exec, attach, port-forward, cp, logs, run and debug."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clusters import BIN, LocalCluster
from terminal import Terminal

KUBECTL = str(BIN / "kubectl")
BOX = """
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:test
      command: [sh, -c, "nc -ll -p 7000 -e cat"]
      ports: [{name: echo, containerPort: 7000}]
    - {name: eater, image: "busybox:test", command: [sh, -c, "nc -ll -p 7001 -e md5sum"]}
---
apiVersion: v1
kind: Service
metadata: {name: box}
spec:
  selector: {app: box}
  ports: [{name: echo, port: 80, targetPort: 7000}]
"""
TALKER = """
apiVersion: v1
kind: Pod
metadata: {name: talker, labels: {app: talker}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: count
      image: busybox:test
      command: [sh, -c, "for i in $(seq 100); do echo line $i; done; exec sleep 10000"]
    - {name: other, image: "busybox:test", command: [sh, -c, "echo from other; echo to stderr >&2; sleep 10000"]}
"""
LISTENER = """
apiVersion: v1
kind: Pod
metadata: {name: listener}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:test", stdin: true, stdinOnce: true, tty: %s, command: [sh, -c, %s]}
"""


@pytest.fixture(scope="module")
def box(cluster: LocalCluster, shared: str) -> str:
    """The namespace of a pod `box` that echoes on 7000 and tells the MD5 of what it gets on 7001."""
    cluster.apply(shared, BOX, ready="box")
    return shared


@pytest.fixture(params=["kubectl", "kctl"])
def program(request: pytest.FixtureRequest) -> str:
    """Each of the two command lines."""
    return str(BIN / request.param)


def keyboard(cluster: LocalCluster, program: str, *words: str) -> Terminal:
    """A program on a terminal."""
    return Terminal([program, *words], cluster.environment, rows=33, columns=111)


def test_exec_tells_exit_codes_and_keeps_the_streams_apart(cluster: LocalCluster, program: str, box: str) -> None:
    done = cluster.run(
        program, "exec", "-n", box, "box", "-c", "main", "--", "sh", "-c", "echo out; echo err >&2; exit 42", code=42
    )
    assert done.stdout == "out\n"
    assert done.stderr == "err\ncommand terminated with exit code 42\n"
    defaulted = cluster.run(program, "exec", "-n", box, "box", "--", "true")
    assert defaulted.stderr == 'Defaulted container "main" out of: main, eater\n'
    missing = cluster.run(program, "exec", "-n", box, "box", "-c", "main", "--", "no-such-program", code=None)
    assert missing.returncode != 0
    assert "no-such-program" in missing.stderr
    nowhere = cluster.run(program, "exec", "-n", box, "box", "-c", "absent", "--", "true", code=1)
    assert "container absent" in nowhere.stderr or "container not found" in nowhere.stderr


def test_exec_carries_standard_input_to_its_end(cluster: LocalCluster, program: str, box: str) -> None:
    data = os.urandom(5 << 20)
    done = subprocess.run(
        [program, "exec", "-i", "-n", box, "box", "-c", "main", "--", "cat"],
        input=data,
        capture_output=True,
        env=cluster.environment,
        timeout=60,
        check=True,
    )
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_exec_on_a_terminal_follows_its_size_and_ends_with_its_code(
    cluster: LocalCluster, program: str, box: str
) -> None:
    with keyboard(cluster, program, "exec", "-it", "-n", box, "box", "-c", "main", "--", "sh") as terminal:
        terminal.until("# ")
        terminal.type("tty; stty size\n")
        terminal.until("/dev/pts/0")
        terminal.until("33 111")
        terminal.resize(50, 132)
        terminal.type("while [ \"$(stty size)\" != '50 132' ]; do sleep 0.1; done; echo size-$((40 + 2))\n")
        terminal.until("size-42")
        terminal.type("echo go-$((1 + 1)); sleep 1000\n")
        terminal.until("go-2")
        terminal.type("\x03")
        terminal.until("# ")
        terminal.type("exit 7\n")
        assert terminal.wait() == 7


def test_attach_talks_to_process_one(cluster: LocalCluster, program: str, namespace: str) -> None:
    cluster.apply(namespace, LISTENER % ("false", "'read a; echo got $a; cat; echo end'"), ready="listener")
    told = cluster.run(program, "attach", "-i", "-n", namespace, "listener", stdin="first\nsecond\n").stdout
    assert told.endswith("got first\nsecond\nend\n")
    cluster.run(program, "wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/listener")
    assert cluster.run(program, "logs", "-n", namespace, "listener").stdout == "got first\nsecond\nend\n"


def test_attach_to_a_terminal(cluster: LocalCluster, program: str, namespace: str) -> None:
    cluster.apply(namespace, LISTENER % ("true", "'tty; sh'"), ready="listener")
    with keyboard(cluster, program, "attach", "-it", "-n", namespace, "listener") as terminal:
        # kubectl makes the window one larger and then as it is, so that the program draws itself anew
        terminal.type("until [ \"$(stty size)\" = '33 111' ]; do usleep 100000; done; echo sized $((6 * 7))\n")
        terminal.until("sized 42")
        terminal.type("exit\n")
        assert terminal.wait() == 0


@contextlib.contextmanager
def forwarded(cluster: LocalCluster, program: str, namespace: str, target: str, port: str) -> Iterator[int]:
    """A local port that leads to a pod's or service's one."""
    child = subprocess.Popen(
        [program, "port-forward", "-n", namespace, target, f":{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=cluster.environment,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line + (child.stdout.read() if child.poll() is not None else "")
        yield int(found[1])
    finally:
        child.terminate()
        child.wait()


def echoed(port: int, data: bytes) -> bytes:
    """Send all while reading as much back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock, ThreadPoolExecutor(1) as writer:
        sending = writer.submit(sock.sendall, data)
        got = bytearray()
        while len(got) < len(data) and (piece := sock.recv(1 << 16)):
            got += piece
        sending.result()
        return bytes(got)


def exchange(port: int, data: bytes) -> bytes:
    """Send all, close that half, and read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock, ThreadPoolExecutor(1) as writer:

        def send() -> None:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        sending = writer.submit(send)
        got = bytearray()
        while piece := sock.recv(1 << 16):
            got += piece
        sending.result()
        return bytes(got)


@pytest.mark.parametrize(("target", "port"), [("pod/box", "7000"), ("svc/box", "80"), ("box", "echo")])
def test_a_forwarded_port_carries_many_bytes_both_ways_and_many_at_once(
    cluster: LocalCluster, program: str, box: str, target: str, port: str
) -> None:
    big = os.urandom(8 << 20)
    with forwarded(cluster, program, box, target, port) as local:
        assert hashlib.sha256(echoed(local, big)).digest() == hashlib.sha256(big).digest()
        few = [os.urandom(1 << 16) for _ in range(12)]
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(lambda data: echoed(local, data), few)) == few


def test_a_forwarded_port_keeps_the_half_that_is_still_open(cluster: LocalCluster, box: str) -> None:
    """By kubectl alone: kctl speaks WebSocket's port forwarding, which cannot close one half."""
    data = os.urandom(3 << 20)
    with forwarded(cluster, KUBECTL, box, "pod/box", "7001") as local:
        assert exchange(local, data).decode().split()[0] == hashlib.md5(data).hexdigest()


def test_a_forward_to_a_closed_port_fails_that_connection_alone(cluster: LocalCluster, program: str, box: str) -> None:
    with forwarded(cluster, program, box, "pod/box", "9") as local:
        for _ in range(2):
            with contextlib.suppress(ConnectionError):
                assert echoed(local, b"x") == b""


def test_files_are_copied_both_ways(cluster: LocalCluster, program: str, box: str, tmp_path: Path) -> None:
    tree, there = tmp_path / "tree", f"/tmp/{Path(program).name}"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "big").write_bytes(os.urandom(2 << 20))
    (tree / "small").write_text("hello\n")
    cluster.run(program, "cp", "-c", "main", str(tree), f"{box}/box:{there}")
    assert cluster.inside(box, "box", f"cat {there}/small", "-c", "main") == "hello\n"
    cluster.run(program, "cp", "-c", "main", f"{box}/box:{there}", str(tmp_path / "back"))
    assert (tmp_path / "back" / "deep" / "big").read_bytes() == (tree / "deep" / "big").read_bytes()
    cluster.run(program, "cp", "-c", "main", f"{box}/box:{there}/small", str(tmp_path / "one"))
    assert (tmp_path / "one").read_text() == "hello\n"


def test_a_copy_by_kctl_never_writes_outside_its_destination(cluster: LocalCluster, box: str, tmp_path: Path) -> None:
    script = "mkdir -p /tmp/evil && ln -sf /etc/passwd /tmp/evil/link && echo plain >/tmp/evil/plain"
    cluster.inside(box, "box", script, "-c", "main")
    done = cluster.run("kctl", "cp", "-c", "main", f"{box}/box:/tmp/evil", str(tmp_path / "got"))
    assert "link" in done.stderr
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["plain"]


@pytest.fixture(scope="module")
def talker(cluster: LocalCluster, shared: str) -> str:
    """The namespace of a pod that has said 100 lines."""
    cluster.apply(shared, TALKER, ready="talker")
    return shared


def test_logs_are_cut_by_tail_since_and_bytes(cluster: LocalCluster, program: str, talker: str) -> None:
    def logs(*words: str) -> list[str]:
        return cluster.run(program, "logs", "-n", talker, *words).stdout.splitlines()

    assert logs("talker", "-c", "count") == [f"line {i}" for i in range(1, 101)]
    assert logs("talker", "-c", "count", "--tail=2") == ["line 99", "line 100"]
    assert logs("talker", "-c", "count", "--limit-bytes=13") == ["line 1", "line 2"]
    assert logs("talker", "-c", "count", "--since-time=2999-01-01T00:00:00Z") == []
    assert logs("talker", "-c", "count", "--since=1h", "--tail=1") == ["line 100"]
    assert logs("talker", "-c", "other") == ["from other", "to stderr"]
    stamped = logs("talker", "-c", "count", "--timestamps", "--tail=3")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line \d+", line) for line in stamped)
    assert logs("talker", "-c", "count", f"--since-time={stamped[0].split()[0]}")[-1] == "line 100"
    both = sorted(logs("talker", "--all-containers", "--prefix", "--tail=1"))  # kubectl's own order is a Go map's
    assert both == ["[pod/talker/count] line 100", "[pod/talker/other] to stderr"]
    assert sorted(logs("-l", "app=talker", "--all-containers", "--tail=1")) == ["line 100", "to stderr"]
    assert "a container name must be specified" not in cluster.run(program, "logs", "-n", talker, "talker").stderr


def test_logs_of_the_container_before_the_restart(cluster: LocalCluster, program: str, namespace: str) -> None:
    script = "'echo life $(cat /keep/n 2>/dev/null); echo second >/keep/n; exec sleep ${LIFE:-1}'"
    pod = (
        "{apiVersion: v1, kind: Pod, metadata: {name: mortal}, spec: {terminationGracePeriodSeconds: 0,"
        " volumes: [{name: keep, emptyDir: {}}], containers: [{name: main, image: 'busybox:test', command: [sh, -c,"
        f" {script}], volumeMounts: [{{name: keep, mountPath: /keep}}]}}]}}}}"
    )
    cluster.apply(namespace, pod)
    cluster.eventually(lambda: "life second" in cluster.run(program, "logs", "-n", namespace, "mortal").stdout)
    assert cluster.run(program, "logs", "-n", namespace, "mortal", "--previous").stdout == "life\n"


def test_followed_logs_come_as_they_are_written_and_end_with_the_container(
    cluster: LocalCluster, program: str, namespace: str
) -> None:
    pod = LISTENER.replace("stdinOnce: true, tty: %s, ", "") % "'while read line; do echo $line; done'"
    cluster.apply(namespace, pod, ready="listener")
    following = subprocess.Popen(
        [program, "logs", "-f", "-n", namespace, "listener"],
        stdout=subprocess.PIPE,
        text=True,
        env=cluster.environment,
    )
    assert following.stdout is not None
    try:
        for word in ("one", "two"):
            cluster.inside(namespace, "listener", f"echo {word} >/proc/1/fd/1")
            assert following.stdout.readline() == f"{word}\n"
        cluster.run(program, "delete", "pod", "-n", namespace, "listener", "--wait=false")
        assert following.stdout.read() == ""
        assert following.wait(30) == 0
    finally:
        following.kill()
        following.wait()


def test_run_gives_a_shell_and_takes_its_pod_away(cluster: LocalCluster, program: str, namespace: str) -> None:
    words = ("run", "-n", namespace, "--rm", "-it", "--restart=Never", "--image=busybox:test", "shell", "--", "sh")
    with keyboard(cluster, program, *words) as terminal:
        terminal.until("# ")
        terminal.type("echo $((6 * 7))-$(hostname)\n")
        terminal.until("42-shell")
        terminal.type("exit 5\n")
        assert terminal.wait() == 5
        assert 'pod "shell" deleted' in terminal.seen
    assert cluster.get("pods", "-n", namespace) == []


def test_run_without_a_terminal_tells_output_and_code(cluster: LocalCluster, program: str, namespace: str) -> None:
    words = ("run", "-n", namespace, "--rm", "-i", "-q", "--restart=Never", "--image=busybox:test", "once")
    told = cluster.run(program, *words, "--", "md5sum", stdin="hello\n").stdout
    assert told.split()[0] == hashlib.md5(b"hello\n").hexdigest()


def test_debug_adds_an_ephemeral_container_that_sees_its_target(cluster: LocalCluster, box: str) -> None:
    words = ("debug", "-n", box, "box", "--image=busybox:test", "--target=main", "-c", "doctor", "-it", "--", "sh")
    with keyboard(cluster, KUBECTL, *words) as terminal:
        terminal.until("# ")
        terminal.type("tr '\\0' ' ' </proc/1/cmdline; wget -q -O - localhost:1 2>&1; echo done-$((1 + 1))\n")
        assert "nc -ll -p 7000" in terminal.until("done-2")
        terminal.type("exit\n")
        assert terminal.wait() == 0
    status = cluster.eventually(lambda: cluster.get("pod", "-n", box, "box")["status"]["ephemeralContainerStatuses"][0])
    assert status["name"] == "doctor"
    cluster.eventually(
        lambda: "terminated" in cluster.get("pod", "-n", box, "box")["status"]["ephemeralContainerStatuses"][0]["state"]
    )


def test_debug_copies_a_pod(cluster: LocalCluster, box: str) -> None:
    words = (
        "debug",
        "-n",
        box,
        "box",
        "--copy-to=copy",
        "--share-processes=false",
        "--set-image=*=busybox:test",
        "--container=main",
    )
    cluster.kubectl(*words, "--", "sh", "-c", "sleep 1000")
    cluster.kubectl("wait", "-n", box, "--for=condition=Ready", "pod/copy", "--timeout=30s")
    assert cluster.inside(box, "copy", "tr '\\0' ' ' </proc/1/cmdline", "-c", "main") == "sleep 1000 "
    cluster.kubectl("delete", "pod", "-n", box, "copy")
