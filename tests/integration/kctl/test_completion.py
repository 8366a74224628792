"""Completion, with the names that are there; by bash itself, too."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kctl_programs import KCTL, Programs


@pytest.fixture(scope="module")
def space(programs: Programs) -> str:
    programs.namespace("completing")
    for name in ("blue", "black", "red"):
        programs.kctl("create", "cm", name, "-n", "completing")
    programs.kctl("create", "deployment", "web", "--image=x", "-n", "completing")
    programs.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web-1", "namespace": "completing"},
            "spec": {"containers": [{"name": "main", "image": "x"}, {"name": "side", "image": "x"}]},
        }
    )
    return "completing"


def candidates(programs: Programs, line: str) -> list[str]:
    done = programs.kctl("__complete", *line.split(" "))
    assert (done.err, done.code) == ("", 0)
    return [one.partition("\t")[0] for one in done.out.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("desc", ["describe"]),
        ("rollout st", ["status"]),
        ("-n completing get configm", ["configmaps"]),
        ("-n completing get cm b", ["black", "blue"]),
        ("get cm -n completing r", ["red"]),
        ("-n completing delete cm/bl", ["cm/black", "cm/blue"]),
        ("-n completing logs we", ["web-1"]),
        ("-n completing logs dep", ["deployment/"]),
        ("-n completing logs deployment/", ["deployment/web"]),
        ("-n completing logs web-1 -c s", ["side"]),
        ("-n completing rollout status deployments w", ["web"]),
        ("-n completing scale deploy w", ["web"]),
        ("get -n compl", ["completing"]),
        ("get pods --namespace=compl", ["--namespace=completing"]),
        ("get pods -o js", ["json", "jsonpath="]),
        ("get pods --all-n", ["--all-namespaces"]),
        ("apply -f ", ["\x1b"]),
        ("explain configm", ["configmaps"]),
        ("completion f", ["fish"]),
        ("config use-context t", ["test"]),
        ("get nosuchkind x", []),
        ("exec web-1 -- l", []),
    ],
)
def test_what_may_come_next(programs: Programs, space: str, line: str, expected: list[str]) -> None:
    assert candidates(programs, line) == expected


def test_every_command_is_offered(programs: Programs) -> None:
    offered = candidates(programs, "")
    assert {"get", "why", "trace", "completion"} <= set(offered)
    assert "__complete" not in offered


def test_without_a_server_nothing_is_offered_and_nothing_said(programs: Programs) -> None:
    done = programs.kctl("__complete", "get", "cm", "", KUBECONFIG="/nowhere")
    assert (done.out, done.err, done.code) == ("", "", 0)


def test_bash_completes_with_it(programs: Programs, space: str, tmp_path: Path) -> None:
    (tmp_path / "kctl").write_text(f'#!/bin/sh\nexec {KCTL[0]} -m kctl "$@"\n')
    (tmp_path / "kctl").chmod(0o755)
    script = """
    source <(kctl completion bash)
    ask() { COMP_LINE="$1"; COMP_POINT=${#1}; _kctl 2>/dev/null; echo "${COMPREPLY[*]}"; }
    ask 'kctl -n completing get cm b'
    ask 'kctl -n completing delete cm/r'
    ask 'kctl get pods --namespace=compl'
    """
    environment = programs.environment | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["black blue", "cm/red", "completing"]


@pytest.mark.parametrize("shell", ["zsh", "fish", "bash"])
def test_the_scripts_are_valid(programs: Programs, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    done = programs.kctl("completion", shell)
    checked = subprocess.run([shell, "-n"], input=done.out, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
