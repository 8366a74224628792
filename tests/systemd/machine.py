"""A virtual machine whose process 1 is systemd, with Sampan installed in a venv."""

from __future__ import annotations

import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from clusters import PATIENCE, LocalCluster
from machines import until
from systemd.image import VENV, SystemdImage, ensure
from virtual_machine import VirtualMachine

NETWORK = """\
[Match]
Name=eth0

[Network]
Address={address}/24
LinkLocalAddressing=no
"""
TRACES = r"""
echo mounts; awk '{print $5}' /proc/self/mountinfo | grep sampan | sort
echo links; ip -o link show | sed 's/^[0-9]*: //; s/[@:].*//' | sort
echo addresses; ip -4 -o address show | awk '{print $2, $4}' | sort
echo routes; ip -4 route show table all | sort
echo rules; nft list ruleset
echo sysctls; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/rp_filter
echo processes; ps -e -o args= | grep '[s]ampan' | grep -v -e nodeagent.shell -e deploy.shell
echo units; find /etc/systemd /run/systemd/system -name '*sampan*' | sort; systemctl --failed --no-legend
echo files; find /var/lib/sampan /run/sampan | sort
echo cgroups; find /sys/fs/cgroup -name '*sampan*' -type d | sort
"""


class SystemdMachine(VirtualMachine):
    """One machine, plugged into a local cluster's link. It has its name and its network as an owner gives them."""

    pace = 12
    """systemd starts some dozens of programs, each of them emulated."""
    program = (f"/{VENV}/bin/sampan",)
    shell_environment: Mapping[str, str] = {"LC_ALL": "C.UTF-8"}

    def __init__(self, cluster: LocalCluster, name: str, address: str) -> None:
        self.cluster = cluster
        supervisor = cluster.places.pid.read_text().strip()
        plug: Any = SimpleNamespace(
            home=cluster.places.run.parent,
            environment=cluster.environment,
            command=lambda *words: ["nsenter", f"--target={supervisor}", "--net", *words],
        )
        super().__init__(plug, name, address)
        network = shlex.quote(NETWORK.format(address=address))
        self.shell(
            "resize2fs -f /dev/vda;"
            f" printf %s {network} > /etc/systemd/network/10-eth0.network; hostnamectl hostname {name};"
            f" printf '{address} {name}\\n' >> /etc/hosts;"
            " networkctl reload; /lib/systemd/systemd-networkd-wait-online --interface=eth0 --timeout=60"
        )

    @staticmethod
    def boot_files() -> SystemdImage:
        """Debian with systemd."""
        return ensure()

    def is_running(self) -> str:
        """Wait until everything that starts at boot has; systemd's word for the outcome."""
        return self.shell("systemctl is-system-running --wait || true").strip()

    def reboot(self) -> None:
        """In order, by systemd; it is up again when this returns."""
        before = self.shell("cat /proc/sys/kernel/random/boot_id")
        power = self._running[0]
        self.shell("systemctl --no-block reboot")
        until(lambda: power.poll() is not None, PATIENCE * self.pace)
        self.power_off()
        self.power_on()
        assert self.shell("cat /proc/sys/kernel/random/boot_id") != before

    def take_images(self) -> None:
        """Put the cluster's images into this machine's store."""
        store = Path(self.cluster.environment["SAMPAN_HOME"], "images")
        with tempfile.TemporaryFile() as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                archive.add(store, "images")
            file.seek(0)
            words = self.inside("tar", "-x", "-C", "/var/lib/sampan")
            subprocess.run(words, stdin=file, env=self.environment, check=True, timeout=PATIENCE * self.pace)

    def service(self) -> dict[str, tuple[str, ...]]:
        """What `sampan service status` says: (file, enabled, active) of each unit."""
        rows = self._run("sh", "-c", f"{self.program[0]} service status || true").splitlines()
        return {unit: tuple(rest) for unit, *rest in (row.split() for row in rows[1:])}

    def journal(self, unit: str) -> str:
        """What a unit has logged since the machine was made."""
        return self.shell(f"journalctl --no-pager -o cat -u {unit}")

    def eventually(self, question: Callable[[], Any]) -> Any:
        """Ask until the answer is true, with the patience that it needs."""
        return self.cluster.eventually(question, PATIENCE * self.pace)

    def traces(self) -> str:
        """All of the machine that a node could leave something in, to compare before with after."""
        return self.shell(TRACES)
