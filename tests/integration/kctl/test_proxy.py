"""kctl proxy: the API on a local port, for whoever is let through."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from collections.abc import Iterator

import pytest

from kctl_programs import KCTL, Programs


@pytest.fixture(scope="module")
def port(programs: Programs) -> Iterator[int]:
    programs.namespace("proxied")
    words = [*KCTL, "proxy", "--port=0"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=programs.environment)
    try:
        assert child.stdout is not None
        found = re.fullmatch(r"Starting to serve on 127\.0\.0\.1:(\d+)\n", child.stdout.readline())
        assert found is not None
        yield int(found[1])
    finally:
        child.kill()
        child.wait()


def ask(port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_requests_are_made_as_the_user(port: int) -> None:
    status, body = ask(port, "GET", "/api/v1/namespaces/proxied")
    assert (status, json.loads(body)["metadata"]["name"]) == (200, "proxied")
    made = json.dumps({"metadata": {"name": "through"}, "data": {"a": "b" * 100_000}})
    maps = "/api/v1/namespaces/proxied/configmaps"
    status, body = ask(port, "POST", maps, made, **{"Content-Type": "application/json"})
    assert (status, json.loads(body)["metadata"]["name"]) == (201, "through")
    assert ask(port, "GET", f"{maps}/nobody", Authorization="Bearer forged")[0] == 404


def test_the_real_kubectl_works_through_it(programs: Programs, port: int) -> None:
    done = programs.run("kubectl", "--server", f"http://127.0.0.1:{port}", "get", "ns", "proxied", "-o", "name",
                        KUBECONFIG="/dev/null")  # fmt: skip
    assert (done.out, done.code) == ("namespace/proxied\n", 0)


def test_a_watch_is_passed_on_as_it_comes(programs: Programs, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        path = "/api/v1/namespaces/proxied/configmaps?watch=true&fieldSelector=metadata.name%3Dseen"
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with sock.makefile("rb") as stream:
            assert stream.readline().startswith(b"HTTP/1.1 200")
            programs.kctl("create", "cm", "seen", "-n", "proxied")
            assert any(b'"name":"seen"' in line for line in stream)


def test_strangers_and_other_paths_are_refused(port: int) -> None:
    assert ask(port, "GET", "/version", Host="evil.example")[0] == 403
    assert ask(port, "POST", "/api/v1/namespaces/x/pods/y/exec?command=sh")[0] == 403
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 400")
