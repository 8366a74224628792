"""The CNI plugin as a runtime calls it: an executable, variables and stdin."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nodeagent.network.cni import write_configuration

pytestmark = pytest.mark.root


class Plugin:
    """Calls the plugin that write_configuration wrote, from within a node's namespace."""

    def __init__(self, node: Any, directory: Path) -> None:
        self.node = node
        path = write_configuration(directory / "net.d", directory / "bin", node.config.pods(), node.pod_cidr)
        conflist = json.loads(path.read_text())
        self.settings = {"cniVersion": conflist["cniVersion"], "name": conflist["name"], **conflist["plugins"][0]}
        self.program = directory / "bin" / self.settings["type"]

    def call(self, command: str, pod: str, netns_fd: int | None = None, **extra: str) -> tuple[int, dict[str, Any]]:
        variables = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": pod,
            "CNI_NETNS": f"/proc/{os.getpid()}/fd/{netns_fd}" if netns_fd is not None else "",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(self.program.parent),
            "PATH": os.environ["PATH"],
            **extra,
        }
        done = self.node.namespace.run(
            lambda: subprocess.run(
                [self.program], input=json.dumps(self.settings).encode(), env=variables, capture_output=True
            )
        )
        assert done.stderr == b""
        return done.returncode, json.loads(done.stdout) if done.stdout else {}


def test_add_check_and_del(lab: Any, tmp_path: Any) -> None:
    node = lab.node()
    plugin = Plugin(node, tmp_path)
    pod = lab.namespace("pod")
    code, result = plugin.call("ADD", "pod", pod.fd)
    assert code == 0, result
    assert result["ips"] == [{"address": "10.244.1.2/32", "gateway": "10.244.1.1", "interface": 0}]
    assert result["interfaces"][0]["name"] == "eth0"
    assert pod.ping("10.244.1.1")
    assert plugin.call("CHECK", "pod", pod.fd) == (0, {})
    assert plugin.call("DEL", "pod") == (0, {})
    assert plugin.call("DEL", "pod") == (0, {})
    code, error = plugin.call("CHECK", "pod", pod.fd)
    assert code == 1
    assert "has no address" in error["msg"]


def test_errors_are_objects_with_the_specifications_codes(lab: Any, tmp_path: Any) -> None:
    plugin = Plugin(lab.node(), tmp_path)
    pod = lab.namespace("pod")
    assert plugin.call("VERSION", "pod")[1]["supportedVersions"] == ["0.3.0", "0.3.1", "0.4.0", "1.0.0"]
    assert plugin.call("ADD", "pod", pod.fd, CNI_IFNAME="net1")[1]["code"] == 4
    assert plugin.call("ADD", "", pod.fd)[1]["code"] == 4
    plugin.settings["cniVersion"] = "9.9.9"
    assert plugin.call("ADD", "pod", pod.fd)[1]["code"] == 1
    plugin.settings.update(cniVersion="1.0.0", podCIDR=None)
    assert plugin.call("ADD", "pod", pod.fd)[1]["code"] == 7
