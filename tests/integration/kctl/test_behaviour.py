"""What kctl does by itself: watching, editing, comparing, keeping the kubeconfig, and standing hostile input."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kctl.__main__ import COMMANDS, main
from kctl_programs import KCTL, Programs


@pytest.fixture(scope="module")
def space(programs: Programs) -> str:
    programs.namespace("behaviour")
    return "behaviour"


def test_a_watch_shows_each_change(programs: Programs, space: str) -> None:
    words = [*KCTL, "get", "configmaps", "-n", space, "-w", "--output-watch-events", "-l", "watched=yes"]
    watch = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=programs.environment)
    assert watch.stdout is not None
    try:
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen", "labels": {"watched": "yes"}}}
        programs.create(made, "-n", space)
        assert watch.stdout.readline().split() == ["EVENT", "NAME", "DATA", "AGE"]
        assert watch.stdout.readline().split()[:3] == ["ADDED", "seen", "0"]
        programs.kctl("patch", "cm", "seen", "-n", space, "-p", '{"data":{"a":"b"}}')
        assert watch.stdout.readline().split()[:3] == ["MODIFIED", "seen", "1"]
        programs.kctl("delete", "cm", "seen", "-n", space)
        assert watch.stdout.readline().split()[:3] == ["DELETED", "seen", "1"]
    finally:
        watch.kill()
        watch.wait()


def editor(directory: Path, script: str) -> str:
    """An editor that is a shell script; the file is $1."""
    path = directory / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_an_edit_sends_what_was_changed(programs: Programs, space: str, tmp_path: Path) -> None:
    programs.kctl("create", "cm", "edited", "-n", space, "--from-literal=a=1", "--from-literal=b=2")
    edit = editor(tmp_path, "sed -i -e 's/a: .*/a: changed/' -e '/^  b:/d' \"$1\"")
    done = programs.kctl("edit", "cm", "edited", "-n", space, EDITOR=edit)
    assert (done.out, done.err, done.code) == ("configmap/edited edited\n", "", 0)
    data = programs.kctl("get", "cm", "edited", "-n", space, "-o", "jsonpath={.data}").out
    assert json.loads(data) == {"a": "changed"}
    untouched = programs.kctl("edit", "cm", "edited", "-n", space, EDITOR=editor(tmp_path, "true"))
    assert (untouched.out, untouched.code) == ("Edit cancelled, no changes made.\n", 0)


def test_an_edit_that_the_server_refuses_is_shown_again_and_kept(
    programs: Programs, space: str, tmp_path: Path
) -> None:
    programs.kctl("create", "cm", "wrong", "-n", space)
    keep = 'cp "$1" "$0.$(ls "$0".* 2>/dev/null | wc -l)"'
    spoil = """grep -q nosuch "$1" || echo 'data: nosuch' >>"$1\""""
    edit = editor(tmp_path, f"{keep}; {spoil}")
    done = programs.kctl("edit", "cm", "wrong", "-n", space, EDITOR=edit)
    assert done.code == 1
    assert "Edit cancelled, no valid changes were saved." in done.err
    shown_again = (tmp_path / "editor.1").read_text()
    assert "data: nosuch" in shown_again
    assert "# " in shown_again
    kept = Path(done.err.split('stored to "')[1].split('"')[0])
    assert "data: nosuch" in kept.read_text()
    kept.unlink()


def test_diff_tells_what_apply_would_do(programs: Programs, space: str) -> None:
    if shutil.which("diff") is None:
        pytest.skip("diffutils is not there")
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "compared", "namespace": space}}
    manifest = json.dumps(value | {"data": {"a": "1"}})
    assert programs.kctl("diff", "-f", "-", stdin=manifest).code == 1
    assert programs.kctl("apply", "-f", "-", stdin=manifest).code == 0
    same = programs.kctl("diff", "-f", "-", stdin=manifest)
    assert (same.out, same.code) == ("", 0)
    other = programs.kctl("diff", "-f", "-", stdin=json.dumps(value | {"data": {"a": "2"}}))
    assert other.code == 1
    assert '-  a: "1"' in other.out
    assert '+  a: "2"' in other.out


def test_apply_removes_what_the_file_no_longer_has_and_keeps_what_others_set(programs: Programs, space: str) -> None:
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "merged", "namespace": space}}
    programs.kctl("apply", "-f", "-", stdin=json.dumps(value | {"data": {"a": "1", "b": "2"}}))
    programs.run("kubectl", "patch", "cm", "merged", "-n", space, "-p", '{"data":{"other":"3"}}')
    done = programs.kctl("apply", "-f", "-", stdin=json.dumps(value | {"data": {"a": "1"}}))
    assert done.out == "configmap/merged configured\n"
    data = programs.kctl("get", "cm", "merged", "-n", space, "-o", "jsonpath={.data}").out
    assert json.loads(data) == {"a": "1", "other": "3"}


def test_a_namespace_and_what_is_in_it_may_stand_in_one_file(programs: Programs) -> None:
    manifest = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: both}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: inside, namespace: both}\n"
    )
    done = programs.kctl("apply", "-f", "-", stdin=manifest)
    assert (done.out, done.err) == ("namespace/both created\nconfigmap/inside created\n", "")


def test_a_field_that_another_manages_is_a_conflict_unless_it_is_forced(programs: Programs) -> None:
    space = programs.namespace("managed")
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": space}}
    apply = ("apply", "--server-side", "-f", "-", "--field-manager")
    assert programs.kctl(*apply, "one", stdin=json.dumps(value | {"data": {"a": "1"}})).code == 0
    done = programs.kctl(*apply, "two", stdin=json.dumps(value | {"data": {"a": "2"}}))
    assert done.code == 1
    assert 'Apply failed with 1 conflict: conflict with "one": .data.a' in done.err
    assert programs.kctl(*apply, "two", "--force-conflicts", stdin=json.dumps(value | {"data": {"a": "2"}})).code == 0


def test_unsupported_flags_are_refused_by_name(programs: Programs, tmp_path: Path) -> None:
    done = programs.kctl("apply", "-f", str(tmp_path), "-k=.")
    assert done.code == 1
    assert "not supported yet" in done.err
    assert "error: " in programs.kctl("autoscale").err


def test_contexts_are_kept_in_the_kubeconfig(programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(programs.servers.kubeconfig.read_bytes())

    def config(*words: str) -> str:
        done = programs.kctl("config", *words, KUBECONFIG=str(path))
        assert done.code == 0, done.err
        return done.out

    assert config("set-context", "--current", "--namespace=behaviour") == 'Context "test" modified.\n'
    assert programs.kctl("get", "pods", KUBECONFIG=str(path)).err == "No resources found in behaviour namespace.\n"
    assert config("set-context", "second", "--cluster=test", "--user=kubernetes-admin") == 'Context "second" created.\n'
    assert config("use-context", "second") == 'Switched to context "second".\n'
    assert config("current-context") == "second\n"
    assert config("rename-context", "second", "third") == 'Context "second" renamed to "third".\n'
    assert "third" in config("get-contexts", "-o", "name")
    assert config("delete-context", "third").endswith(f"deleted context third from {path}\n")
    assert config("get-contexts", "-o", "name") == "test\n"


@pytest.fixture
def at_home(programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """kctl in this process, in an empty folder, with a namespace that does not matter."""
    for name in ("KUBECONFIG", "HOME"):
        monkeypatch.setenv(name, programs.environment[name])
    monkeypatch.setenv("EDITOR", "false")
    monkeypatch.setenv("KCTL_TRACEBACK", "1")
    monkeypatch.chdir(tmp_path)


ENDLESS_OR_HARMFUL = {"proxy", "image", "cluster", "attach", "exec", "logs", "port-forward", "wait", "delete", "edit"}
WRITERS = ("apply", "create", "replace")
HARMLESS = sorted(set(COMMANDS) - ENDLESS_OR_HARMFUL)
WORDS = st.one_of(
    st.sampled_from(["pods", "pod/x", "deploy", "nosuch", "-o", "yaml", "json", "-l", "a=b", "-A", "--all", "-n"]),
    st.sampled_from(["x/../y", "--", "x-", "-f", "-", "status", "[]", "--type=json", "-p", "--replicas=1", ""]),
    st.sampled_from(["--dry-run=client", "--dry-run", "--sort-by=.a"]),
    st.text(max_size=10),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(HARMLESS), st.lists(WORDS, max_size=6))
def test_any_command_line_ends_with_a_message_or_does_its_work(
    at_home: None, capsys: pytest.CaptureFixture[str], command: str, words: list[str]
) -> None:
    if any("w" in word and word.startswith("-") for word in words):
        return  # a watch would not end
    with pytest.MonkeyPatch.context() as patch, open(os.devnull) as nothing:
        patch.setattr("sys.stdin", nothing)
        code = main([command, *words, *(["--dry-run=client"] if command in WRITERS else [])])
    said = capsys.readouterr()
    assert code in (0, 1, 2)
    assert "Traceback" not in said.err
    assert code == 0 or said.err or said.out


PIECES = st.sampled_from(
    """apiVersion: v1
kind: ConfigMap
kind: Pod
metadata: {name: a}
metadata: {name: [1]}
data: {a: 1}
spec: {containers: x}
---
metadata: {name: 'x/../../y'}
a: [
items: [1]
kind: List
é: ü
\t
\0
apiVersion: nosuch/v1
metadata: {labels: [a]}
metadata: {annotations: text, name: b}
metadata: null""".splitlines(keepends=True)
)
READERS_OF_FILES = ("apply", "create", "replace", "get", "describe", "scale")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=6).map("".join), st.sampled_from(READERS_OF_FILES))
def test_any_manifest_is_taken_or_refused(
    at_home: None, capsys: pytest.CaptureFixture[str], text: str, command: str
) -> None:
    Path("one.yaml").write_text(text)
    more = {"scale": ["--replicas=1"], "get": [], "describe": []}.get(command, ["--dry-run=server"])
    code = main([command, "-f", "one.yaml", *more])
    said = capsys.readouterr()
    assert code in (0, 1)
    assert "Traceback" not in said.err
    assert code == 0 or said.err
