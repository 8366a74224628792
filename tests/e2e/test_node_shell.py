"""kctl cluster shell, console and cp on nodes of namespaces. tests/vm has the same for machines."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from clusters import BIN, LocalCluster
from deploy import cgroups
from terminal import Terminal

KCTL = str(BIN / "kctl")


def shell(cluster: LocalCluster, node: str, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return cluster.run(KCTL, "cluster", "shell", node, "--cluster", cluster.name, "--", *words, **more)  # type: ignore[arg-type]  # as run takes them


def test_a_command_runs_in_the_nodes_namespaces_and_its_exit_code_is_ours(cluster: LocalCluster) -> None:
    assert shell(cluster, "n2", "hostname").stdout == "n2\n"
    assert (
        shell(cluster, "n2", "sh", "-c", "readlink /proc/1/ns/pid; readlink /proc/self/ns/pid").stdout.count(
            shell(cluster, "n2", "readlink", "/proc/1/ns/pid").stdout
        )
        == 2
    )
    done = shell(cluster, "n1", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert shell(cluster, "n1", "sh", "-c", "kill -9 $$", code=137).stdout == ""
    assert "nosuch: No such file" in shell(cluster, "n1", "nosuch", code=127).stderr


def test_streams_carry_more_than_all_buffers_hold(cluster: LocalCluster) -> None:
    text = "0123456789abcdef" * (1 << 18)
    assert shell(cluster, "n1", "cat", stdin=text).stdout == text
    assert shell(cluster, "n1", "wc", "-c", stdin=text).stdout.strip() == str(len(text))
    assert shell(cluster, "n1", "true", stdin=text).returncode == 0, "a command need not read its input"


def test_a_terminal_has_the_windows_size_and_control_characters(cluster: LocalCluster) -> None:
    words = [KCTL, "cluster", "shell", "n1", "--cluster", cluster.name]
    with Terminal(words, cluster.environment | {"TERM": "dumb"}, rows=33, columns=97) as terminal:
        terminal.until("# ")
        terminal.type("PS1='rea''dy> '; stty size\n")
        terminal.until("33 97")
        terminal.until("ready> ")
        terminal.type("trap 'stty size; echo chan''ged' WINCH; echo s''et\n")
        terminal.until("set")
        terminal.resize(40, 120)
        terminal.type("sleep 0.2\n")
        terminal.until("40 120")
        terminal.until("changed")
        terminal.type("sleep 1000\n")
        time.sleep(0.3)  # the keyboard is not to be faster than the shell
        terminal.type("\x03")
        terminal.type("echo $? inter''rupted\n")
        terminal.until("130 interrupted")
        terminal.type("exit 5\n")
        assert terminal.wait() == 5


def test_two_sessions_at_once_and_one_whose_kctl_is_killed_ends(cluster: LocalCluster) -> None:
    words = [KCTL, "cluster", "shell", "n1", "--cluster", cluster.name, "--", "sh", "-c", "echo up; exec sleep 4321"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, env=cluster.environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        assert shell(cluster, "n1", "echo", "meanwhile").stdout == "meanwhile\n"
        other.kill()

    def sleeps() -> bool:
        pids = cgroups.processes(cluster.places.node("n1").cgroup)
        return any(
            b"4321" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids if Path(f"/proc/{pid}").exists()
        )

    cluster.eventually(lambda: not sleeps())


def test_what_cannot_be_reached_is_named(cluster: LocalCluster) -> None:
    assert shell(cluster, "n9", "true", code=1).stderr == (
        f"error: cluster {cluster.name}: it has no node 'n9'; its nodes are: n1, n2, n3\n"
    )
    done = cluster.run(KCTL, "cluster", "shell", "--cluster", cluster.name, code=1)
    assert "needs the node's name" in done.stderr


def test_the_console_is_the_nodes_own_log_and_outlives_it(cluster: LocalCluster) -> None:
    log = cluster.places.node("n1").log / "init.log"
    with log.open("a") as out:
        out.write("first line\nlast line\n")
    console = ("cluster", "console", "n1", "--cluster", cluster.name)
    assert cluster.kctl(*console, "--tail", "1") == "last line\n"
    assert "first line\nlast line\n" in cluster.kctl(*console)
    with subprocess.Popen(
        [KCTL, *console, "--follow", "--tail", "1"], stdout=subprocess.PIPE, env=cluster.environment
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == b"last line\n"
        with log.open("a") as out:
            out.write("and one more\n")
        assert following.stdout.readline() == b"and one more\n"
        following.kill()


def test_files_and_folders_go_both_ways(cluster: LocalCluster, tmp_path: Path) -> None:
    def cp(source: str, target: str, code: int = 0) -> str:
        return cluster.run(KCTL, "cluster", "cp", "--cluster", cluster.name, source, target, code=code).stderr

    big = tmp_path / "big"
    big.write_bytes(b"sampan" * 500_000)
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/run").write_text("#!/bin/sh\necho ran\n")
    (folder / "sub/run").chmod(0o755)
    remote = tmp_path / "remote"  # a node of namespaces has the machine's files
    remote.mkdir()
    cp(str(big), f"n1:{remote}/renamed")
    cp(str(folder), f"n1:{remote}")
    assert shell(cluster, "n1", f"{remote}/folder/sub/run").stdout == "ran\n"
    cp(f"n1:{remote}/renamed", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    cp(f"n1:{remote}/folder", str(tmp_path / "copied"))
    assert (tmp_path / "copied/sub/run").stat().st_mode & 0o777 == 0o755
    assert "is there /nowhere?" in cp("n1:/nowhere", str(tmp_path / "x"), code=1)
    assert "absolute" in cp("n1:etc", str(tmp_path / "x"), code=1)
    assert "one of them must be NODE:/PATH" in cp("/a", "/b", code=1)
    assert "no node 'n9'" in cp("n9:/etc/hostname", str(tmp_path / "x"), code=1)
    assert "is there a folder /nowhere" in cp(str(big), "n1:/nowhere/x", code=1)
