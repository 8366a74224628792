"""apply --prune, and plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

from kctl_programs import Programs

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{app: {app}}}}}\n"


@pytest.fixture(scope="module")
def space(programs: Programs) -> str:
    programs.namespace("pruning")
    return "pruning"


def manifests(**apps: str) -> str:
    return "---\n".join(MANIFEST.format(name=name, app=app) for name, app in apps.items())


def test_prune_deletes_what_was_applied_and_is_in_the_files_no_longer(programs: Programs, space: str) -> None:
    apply = ("apply", "-n", space, "-f", "-")
    programs.kctl(*apply, stdin=manifests(a="one", b="one", c="two"))
    programs.kctl("create", "cm", "by-hand", "-n", space)
    programs.kctl("label", "cm", "by-hand", "app=one", "-n", space)
    pretended = programs.kctl(*apply, "--prune", "-l", "app=one", "--dry-run=server", stdin=manifests(a="one"))
    assert pretended.out == "configmap/a unchanged (server dry run)\nconfigmap/b pruned (server dry run)\n"
    done = programs.kctl(*apply, "--prune", "-l", "app=one", stdin=manifests(a="one"))
    assert (done.out, done.code) == ("configmap/a unchanged\nconfigmap/b pruned\n", 0)
    left = programs.kctl("get", "cm", "-n", space, "-o", "name").out.split()
    assert left == ["configmap/a", "configmap/by-hand", "configmap/c"]
    everything = programs.kctl(*apply, "--prune", "--all", stdin=manifests(a="one"))
    assert everything.out == "configmap/a unchanged\nconfigmap/c pruned\n"


def test_prune_asks_to_be_told_of_what(programs: Programs, space: str) -> None:
    apply = ("apply", "-n", space, "-f", "-", "--prune")
    assert "without explicitly passing --all" in programs.kctl(*apply, stdin=manifests(a="one")).err
    both = programs.kctl(*apply, "--all", "-l", "app=one", stdin=manifests(a="one"))
    assert both.err == "error: cannot set --all and --selector at the same time\n"
    kinds = programs.kctl(*apply, "--all", "--prune-allowlist=core/v1/Secret", stdin=manifests(a="one"))
    assert kinds.out == "configmap/a unchanged\n"
    wrong = programs.kctl(*apply, "--all", "--prune-allowlist=Secret", stdin=manifests(a="one"))
    assert "invalid GroupVersionKind format: Secret" in wrong.err


def test_half_applied_files_prune_nothing(programs: Programs, space: str) -> None:
    programs.kctl("apply", "-n", space, "-f", "-", stdin=manifests(kept="three"))
    broken = manifests(a="one") + "---\napiVersion: v1\nkind: Nothing\nmetadata: {name: x}\n"
    done = programs.kctl("apply", "-n", space, "-f", "-", "--prune", "-l", "app=three", stdin=broken)
    assert done.code == 1
    assert "configmap/kept" in programs.kctl("get", "cm", "-n", space, "-o", "name").out


def test_a_program_on_the_path_is_a_command(programs: Programs, tmp_path: Path) -> None:
    def program(name: str, mode: int = 0o755) -> None:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "{name}: $*"\nexit 7\n')
        path.chmod(mode)

    for name in ("kctl-hello", "kctl-hello-there", "kctl-get", "kctl-two_words"):
        program(name)
    program("kctl-asleep", 0o644)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = programs.kctl("hello", "there", "you", "--flag", **path)
    assert (done.out, done.code) == ("kctl-hello-there: you --flag\n", 7)
    assert programs.kctl("hello", "you", **path).out == "kctl-hello: you\n"
    assert programs.kctl("two-words", **path).out == "kctl-two_words: \n"
    assert programs.kctl("get", "ns", "default", "-o", "name", **path).out == "namespace/default\n"
    assert 'unknown command "nothing"' in programs.kctl("nothing", **path).err
    listed = programs.kctl("plugin", "list", **path)
    assert f"{tmp_path}/kctl-hello\n" in listed.out
    assert 'kctl-get overwrites existing command: "kctl get"' in listed.err
    assert "not executable" in listed.err
    assert listed.code == 1
