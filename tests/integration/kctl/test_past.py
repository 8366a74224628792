"""kctl get --at and kctl diff --since: the past out of etcd's history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from kctl_programs import Outcome, Programs


@pytest.fixture(scope="module")
def then(programs: Programs) -> str:
    """A time at which there were two ConfigMaps, one of which is changed and one gone now; a third is new."""
    programs.namespace("past")
    for name in ("changed", "gone"):
        programs.kctl("create", "cm", name, "-n", "past", "--from-literal=color=blue")
    time.sleep(2.1)  # the record of times is exact to a second: this is what is tested, not a wait for something
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    programs.kctl("patch", "cm", "changed", "-n", "past", "-p", '{"data":{"color":"red"}}')
    programs.kctl("delete", "cm", "gone", "-n", "past")
    programs.kctl("create", "cm", "new", "-n", "past")
    return when


@pytest.fixture
def ask(programs: Programs) -> Callable[..., Outcome]:
    return lambda *words: programs.kctl(*words, "-n", "past")


def test_a_list_shows_what_was_then(ask: Callable[..., Outcome], then: str) -> None:
    assert ask("get", "cm", "-o", "name").out.split() == ["configmap/changed", "configmap/new"]
    assert ask("get", "cm", "-o", "name", "--at", then).out.split() == ["configmap/changed", "configmap/gone"]
    lines = ask("get", "cm", "--at", then).out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "changed", "gone"]


def test_one_object_is_shown_as_it_was(ask: Callable[..., Outcome], then: str) -> None:
    found = json.loads(ask("get", "cm", "changed", "-o", "json", "--at", then).out)
    assert found["data"] == {"color": "blue"}
    missing = ask("get", "cm", "new", "--at", then)
    assert (missing.code, missing.err) == (
        1,
        'Error from server (NotFound): configmaps "new" not found at that time\n',
    )


def test_a_diff_tells_what_has_changed_since(ask: Callable[..., Outcome], then: str) -> None:
    done = ask("diff", "--since", then)
    assert done.code == 1, done.err
    changes = [line for line in done.out.splitlines() if line[:1] in "+-" and "color" in line]
    assert changes == ["-  color: blue", "+  color: red", "-  color: blue"]
    assert "+  name: new" in done.out
    quiet = ask("diff", "--since", "0s", "cm")
    assert (quiet.out, quiet.code) == ("", 0)
    one = ask("diff", "--since", then, "cm/new")
    assert "+  name: new" in one.out
    assert "color" not in one.out


def test_what_is_not_kept_any_more_is_said(ask: Callable[..., Outcome], then: str) -> None:
    done = ask("get", "cm", "--at", "-20h")
    assert done.code == 1
    assert "Error from server (Expired): history goes back to 20" in done.err
    assert ask("get", "cm", "--at", "yesterday").err == (
        'error: "yesterday" is no time: give -5m, 90s, or an RFC 3339 time\n'
    )
    assert "the past does not change" in ask("get", "cm", "--at", "-1s", "-w").err


def test_a_restarted_server_remembers(ask: Callable[..., Outcome], programs: Programs, then: str) -> None:
    servers = programs.servers
    port = servers.server.port
    servers.server.stop()
    servers.start_server(port).wait(servers.tls())
    oldest = json.loads(ask("get", "--raw", "/sampan/history").out)["oldest"]["time"]
    assert oldest < then
