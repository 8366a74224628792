"""kubectl and kctl as tests run them, and how what they say is made comparable."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import KUBECTL, Servers

KCTL = (sys.executable, "-m", "kctl")
LOOPBACK = "127.0.0.1"  # the nodes of these tests are nowhere; their address must never be anybody's


@dataclass(frozen=True)
class Outcome:
    """What a program said."""

    out: str
    err: str
    code: int


class Programs:
    """Runs kubectl and kctl on the same server, and makes their words comparable."""

    def __init__(self, servers: Servers, directory: Path) -> None:
        self.servers = servers
        self.environment = os.environ | {"KUBECONFIG": str(servers.kubeconfig), "HOME": str(directory)}

    def run(self, program: str, *words: str, stdin: str = "", **environment: str) -> Outcome:
        """Run `kubectl` or `kctl`."""
        command = [str(KUBECTL)] if program == "kubectl" else list(KCTL)
        done = subprocess.run(
            [*command, *words],
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=60,
            env=self.environment | environment,
            check=False,
        )
        return Outcome(done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode)

    def kctl(self, *words: str, stdin: str = "", **environment: str) -> Outcome:
        """Run kctl."""
        return self.run("kctl", *words, stdin=stdin, **environment)

    def create(self, value: dict[str, Any], *flags: str) -> None:
        """Create an object by kubectl. Raises AssertionError."""
        done = self.run("kubectl", "create", "-f", "-", *flags, stdin=json.dumps(value))
        assert done.code == 0, done.err

    def namespace(self, name: str) -> None:
        """Create a namespace with the service account that pods need; no controller does it here."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, "-n", name)

    def patch_status(self, kind: str, name: str, status: dict[str, Any], *flags: str) -> None:
        """Write an object's status by kubectl, as a node or a controller would. Raises AssertionError."""
        patch = json.dumps({"status": status})
        done = self.run("kubectl", "patch", kind, name, "--subresource=status", "--type=merge", "-p", patch, *flags)
        assert done.code == 0, done.err


class ForkedKctl:
    """kctl in forks of one process that has imported it: each call has its own process, and no start to wait for."""

    _LOOP = """
import json, os, sys
import kctl.__main__ as program
import kctl.commands.get, kctl.printers, kctl.jsonpath, kctl.manifests, yaml
for line in sys.stdin:
    words, out, err = json.loads(line)
    child = os.fork()
    if not child:
        for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
        code = program.main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

    def __init__(self, environment: dict[str, str]) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, *words: str) -> Outcome:
        """Run one command line, with nothing on its standard input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        out, err = (Path(self._directory.name) / name for name in ("out", "err"))
        self._process.stdin.write(json.dumps([words, str(out), str(err)]) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Outcome(out.read_text(errors="replace"), err.read_text(errors="replace"), code)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()


AGE = re.compile(r"\b(?:\d+[ydhms]){1,2}\b")
UID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
KLOG = re.compile(r"^[IWE]\d{4} .*\n", re.M)
MOUNT = re.compile(r"kube-api-access-[a-z0-9]{5}")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def plain(outcome: Outcome, namespace: str = "") -> Outcome:
    """Without what differs from call to call: ages, UIDs, the log lines of kubectl's libraries, its own name."""

    def clean(text: str) -> str:
        text = MOUNT.sub("kube-api-access", KLOG.sub("", text))
        text = AGE.sub("AGE", UID.sub("UID", STAMP.sub("TIME", text)))
        text = re.sub(r"\bkubectl\b(?![.-])", "kctl", text)
        return text.replace(namespace, "NAMESPACE") if namespace else text

    return Outcome(clean(outcome.out), clean(outcome.err), outcome.code)
