"""A virtual machine with the role `machine` is no node: it boots, has its address and a shell, and loses its power."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ha.link import Link
from virtual_machine import VirtualMachine


def test_a_machine_that_is_no_node_runs_what_its_shell_is_told_until_its_power_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "note"
    file.write_text("it's here\n")
    with Link() as link, VirtualMachine(link, "m1", "10.77.0.1") as machine:
        assert " inet 10.77.0.1/24 " in machine.shell("ip -4 addr show eth0")
        assert machine.shell("hostname") == "m1\n"
        assert "sampan-runtime" not in machine.shell("cat /proc/[0-9]*/comm")
        machine.take(file)
        assert machine.shell(f"cat {file}") == "it's here\n"
        assert machine.sampan("leave") == "this machine is clean\n"

        machine.shell("sleep 1000 & exit 0")  # its parent ends, so process 1 is to take it in
        machine.shell("kill -9 $(pidof sleep); while pidof sleep; do :; done")

        with subprocess.Popen(machine.inside("sleep", "1000"), stderr=subprocess.PIPE, text=True) as left:
            machine.shell("until pidof sleep; do :; done")
            machine.close()
            assert left.stderr is not None
            assert "the machine ended" in left.stderr.read()
            assert left.wait(10) != 0
