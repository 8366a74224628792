"""kctl's streams into pods: exec, attach, port-forward, cp, logs and run; and drain, which needs real pods."""

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

KCTL = str(BIN / "kctl")
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
      ports: [{containerPort: 7000, name: echo}]
    - {name: other, image: "busybox:test", command: [sh, -c, "echo from other; sleep 10000"]}
---
apiVersion: v1
kind: Service
metadata: {name: box}
spec:
  selector: {app: box}
  ports: [{name: echo, port: 80, targetPort: 7000}]
"""
LISTENER = """
apiVersion: v1
kind: Pod
metadata: {name: listener}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers:
    - name: main
      image: busybox:test
      stdin: true
      stdinOnce: true
      command: [sh, -c, "read a; echo got $a; cat; echo end"]
"""


@pytest.fixture(scope="module")
def box(cluster: LocalCluster, shared: str) -> str:
    """The namespace of a pod `box` that echoes on 7000."""
    cluster.apply(shared, BOX, ready="box")
    return shared


def test_exec_tells_exit_codes_and_keeps_the_streams_apart(cluster: LocalCluster, box: str) -> None:
    script = "echo out; echo err >&2; exit 42"
    done = cluster.run(KCTL, "exec", "-n", box, "box", "-c", "main", "--", "sh", "-c", script, code=42)
    assert done.stdout == "out\n"
    assert done.stderr == "err\ncommand terminated with exit code 42\n"
    defaulted = cluster.run(KCTL, "exec", "-n", box, "box", "--", "true")
    assert defaulted.stderr == 'Defaulted container "main" out of: main, other\n'
    missing = cluster.run(KCTL, "exec", "-n", box, "box", "-c", "main", "--", "no-such-program", code=None)
    assert missing.returncode != 0
    assert "no-such-program" in missing.stderr


def test_exec_carries_standard_input_to_its_end(cluster: LocalCluster, box: str) -> None:
    data = os.urandom(5 << 20)
    done = subprocess.run(
        [KCTL, "exec", "-i", "-n", box, "box", "-c", "main", "--", "cat"],
        input=data,
        capture_output=True,
        env=cluster.environment,
        timeout=60,
        check=True,
    )
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_exec_on_a_terminal_follows_its_size_and_ends_with_its_code(cluster: LocalCluster, box: str) -> None:
    words = [KCTL, "exec", "-it", "-n", box, "box", "-c", "main", "--", "sh"]
    with Terminal(words, cluster.environment, rows=33, columns=111) as terminal:
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


def test_attach_talks_to_process_one(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, LISTENER, ready="listener")
    told = cluster.kctl("attach", "-i", "-n", namespace, "listener", stdin="first\nsecond\n")
    assert told.endswith("got first\nsecond\nend\n")
    cluster.kctl("wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/listener")
    assert cluster.kctl("logs", "-n", namespace, "listener") == "got first\nsecond\nend\n"


@contextlib.contextmanager
def forwarded(cluster: LocalCluster, namespace: str, target: str, port: str) -> Iterator[int]:
    """A local port that leads to a pod's or service's one."""
    child = subprocess.Popen(
        [KCTL, "port-forward", "-n", namespace, target, f":{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=cluster.environment,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line
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


@pytest.mark.parametrize(("target", "port"), [("pod/box", "7000"), ("svc/box", "80"), ("box", "echo")])
def test_a_forwarded_port_carries_bytes_both_ways_and_many_at_once(
    cluster: LocalCluster, box: str, target: str, port: str
) -> None:
    big = os.urandom(4 << 20)
    with forwarded(cluster, box, target, port) as local:
        assert hashlib.sha256(echoed(local, big)).digest() == hashlib.sha256(big).digest()
        few = [os.urandom(1 << 16) for _ in range(8)]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda data: echoed(local, data), few)) == few


def test_a_forward_to_a_closed_port_fails_that_connection_alone(cluster: LocalCluster, box: str) -> None:
    with forwarded(cluster, box, "pod/box", "9") as local:
        for _ in range(2):
            with contextlib.suppress(ConnectionError):
                assert echoed(local, b"x") == b""


def test_files_are_copied_both_ways(cluster: LocalCluster, box: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "big").write_bytes(os.urandom(2 << 20))
    (tree / "small").write_text("hello\n")
    cluster.kctl("cp", "-c", "main", str(tree), f"{box}/box:/tmp/tree")
    assert cluster.inside(box, "box", "cat /tmp/tree/small", "-c", "main") == "hello\n"
    cluster.kctl("cp", "-c", "main", f"{box}/box:/tmp/tree", str(tmp_path / "back"))
    assert (tmp_path / "back" / "deep" / "big").read_bytes() == (tree / "deep" / "big").read_bytes()
    cluster.kctl("cp", "-n", box, "-c", "main", "box:/tmp/tree/small", str(tmp_path / "one"))
    assert (tmp_path / "one").read_text() == "hello\n"


def test_a_copy_never_writes_outside_its_destination(cluster: LocalCluster, box: str, tmp_path: Path) -> None:
    script = "mkdir -p /tmp/evil && ln -sf /etc/passwd /tmp/evil/link && echo plain >/tmp/evil/plain"
    cluster.inside(box, "box", script, "-c", "main")
    done = cluster.run(KCTL, "cp", "-c", "main", f"{box}/box:/tmp/evil", str(tmp_path / "got"))
    assert "link" in done.stderr
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["plain"]


def test_logs_of_several_containers_and_pods(cluster: LocalCluster, box: str) -> None:
    assert cluster.kctl("logs", "-n", box, "box", "-c", "other") == "from other\n"
    both = cluster.kctl("logs", "-n", box, "-l", "app=box", "--all-containers", "--prefix")
    assert "[pod/box/other] from other\n" in both


def test_followed_logs_come_as_they_are_written_and_end_with_the_container(
    cluster: LocalCluster, namespace: str
) -> None:
    cluster.apply(namespace, LISTENER, ready="listener")
    following = subprocess.Popen(
        [KCTL, "logs", "-f", "-n", namespace, "listener"], stdout=subprocess.PIPE, text=True, env=cluster.environment
    )
    assert following.stdout is not None
    try:
        cluster.inside(namespace, "listener", "echo one >/proc/1/fd/1")
        assert following.stdout.readline() == "one\n"
        cluster.kctl("delete", "pod", "-n", namespace, "listener", "--wait=false")
        assert following.stdout.read() == ""
        assert following.wait(30) == 0
    finally:
        following.kill()
        following.wait()


def test_run_gives_a_shell_and_takes_its_pod_away(cluster: LocalCluster, namespace: str) -> None:
    words = [
        KCTL,
        "run",
        "-n",
        namespace,
        "--rm",
        "-it",
        "--restart=Never",
        "--image=busybox:test",
        "shell",
        "--",
        "sh",
    ]
    with Terminal(words, cluster.environment, rows=24, columns=80) as terminal:
        terminal.until("# ")
        terminal.type("echo $((6 * 7))-$(hostname)\n")
        terminal.until("42-shell")
        terminal.type("exit 5\n")
        assert terminal.wait() == 5
        assert 'pod "shell" deleted' in terminal.seen
    assert cluster.get("pods", "-n", namespace) == []


def test_run_without_a_terminal_tells_output_and_code(cluster: LocalCluster, namespace: str) -> None:
    words = ("run", "-n", namespace, "--rm", "-i", "-q", "--restart=Never", "--image=busybox:test", "once")
    assert cluster.kctl(*words, "--", "md5sum", stdin="hello\n").split()[0] == hashlib.md5(b"hello\n").hexdigest()
