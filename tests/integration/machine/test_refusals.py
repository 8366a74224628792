"""Each way in which a join is refused says why, and leaves nothing on the machine."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from deploy import control
from machines import Joinable, Machine

WRONG_HASH = "sha256:" + "0" * 64
MAKE_ONE = "make one with: kctl token create --print-join-command"
IMPORTS = "from deploy.machine.join import join, JoinRequest\nfrom deploy.machine.places import MachinePlaces\n"


@pytest.fixture(scope="module")
def outsider(joinable: Joinable) -> Iterator[Machine]:
    """A machine that does not get in."""
    with joinable.machine("m2", "172.30.0.202") as made:
        yield made


@pytest.fixture
def refused(joinable: Joinable, outsider: Machine) -> Iterator[Callable[..., str]]:
    """Join with changed arguments; what is said. Afterwards the machine is as it was."""
    before = outsider.traces()

    def refused_join(*more: str, token: str = "", ca_hash: str = "", server: str = "") -> str:
        line = ["join", server or joinable.server, "--token", token or joinable.token(), *more]
        said = outsider.sampan(*line, "--ca-hash", ca_hash or joinable.ca_hash, check=False)
        return said.splitlines()[-1]

    yield refused_join
    assert outsider.traces() == before


def test_a_wrong_token_is_refused(joinable: Joinable, refused: Callable[..., str]) -> None:
    token = joinable.token()
    wrong = token[:-4] + ("aaaa" if not token.endswith("aaaa") else "bbbb")
    assert refused(token=wrong) == f"sampan join: {joinable.server}: the token is refused: Unauthorized; {MAKE_ONE}"


def test_a_token_that_nobody_made_is_refused(joinable: Joinable, refused: Callable[..., str]) -> None:
    said = refused(token="abcdef.0123456789abcdef")
    assert said == f"sampan join: {joinable.server}: the token is refused: Unauthorized; {MAKE_ONE}"


def test_a_text_that_is_no_token_is_refused_before_anything_is_asked(refused: Callable[..., str]) -> None:
    assert refused(token="abcdef", server="https://192.0.2.1") == (
        "sampan join: bootstrap token: is not six characters, a dot and sixteen characters of a-z and 0-9; " + MAKE_ONE
    )


def test_an_expired_token_is_refused(joinable: Joinable, refused: Callable[..., str]) -> None:
    token, ended = joinable.expired_token()
    assert refused(token=token) == (
        f"sampan join: {joinable.server}: the token is refused: the bootstrap token {token.partition('.')[0]} "
        f"expired at {ended}; make a new one with: kctl token create --print-join-command"
    )


def test_a_revoked_token_is_refused(joinable: Joinable, refused: Callable[..., str]) -> None:
    token = joinable.token()
    joinable.cluster.kctl("token", "delete", token.partition(".")[0])
    assert "the token is refused: Unauthorized" in refused(token=token)


def test_another_ca_is_refused_before_anything_is_sent(joinable: Joinable, refused: Callable[..., str]) -> None:
    assert refused(ca_hash=WRONG_HASH) == (
        f"sampan join: {joinable.server}: this is not the cluster that was meant: its CA's hash is {joinable.ca_hash}, "
        f"and {WRONG_HASH} was asked for; nothing was sent to it; compare with the hash that kctl token create "
        "--print-join-command prints"
    )


def test_a_taken_name_is_refused(joinable: Joinable, refused: Callable[..., str]) -> None:
    assert refused("--node-name", "n1") == (
        f"sampan join: {joinable.server}, certificate for node n1: is refused: the cluster has a node n1 already; "
        "choose another --node-name, or if that node is gone for good run: kctl delete node n1"
    )


def test_a_token_for_another_node_is_refused(joinable: Joinable, refused: Callable[..., str]) -> None:
    token = joinable.token("--node", "other")
    user = f"system:bootstrap:{token.partition('.')[0]}"
    assert refused(token=token) == (
        f"sampan join: {joinable.server}, certificate for node m2: is refused: the token of {user} is for node other "
        "only and cannot be used to join as m2; join with --node-name other, or use another token"
    )


def test_an_address_that_is_not_the_machines_is_refused(refused: Callable[..., str]) -> None:
    assert refused("--node-ip", "172.30.0.99") == (
        "sampan join: node address 172.30.0.99: no interface of this machine has it; give another by --node-ip"
    )


def test_an_address_where_nobody_listens_is_refused(refused: Callable[..., str]) -> None:
    assert refused(server="https://172.30.0.1:6444") == (
        "sampan join: https://172.30.0.1:6444: no connection: Connection refused; "
        "check the address, and that the server runs and no firewall is between"
    )


@pytest.mark.parametrize(("minutes", "how"), [(5, "ahead of"), (-5, "behind")])
def test_a_clock_five_minutes_off_is_refused(joinable: Joinable, outsider: Machine, minutes: int, how: str) -> None:
    before = outsider.traces()
    said = outsider.python(
        IMPORTS
        + "from datetime import timedelta\nfrom sampan.clock import Clock\nfrom sampan.errors import ClusterError\n"
        f"request = JoinRequest({joinable.server!r}, {joinable.token()!r}, {joinable.ca_hash!r})\n"
        f"try: join(request, MachinePlaces.here(), print, Clock(timedelta(minutes={minutes})))\n"
        "except ClusterError as error: print(error)"
    ).splitlines()[-1]
    seconds = int(said.split(" clock: is ")[1].split(" ")[0])
    assert 295 <= seconds <= 305
    assert said.startswith(f"this machine's clock: is {seconds} seconds {how} the server's (")
    assert said.endswith("so certificates can't be judged; set it, for instance by: timedatectl set-ntp true")
    assert outsider.traces() == before


STEPS = ("pinned_ca", "_check_clock", "_facts", "device_of", "_certificate", "_write", "os.rename")
FAILING = """
import dataclasses, json, os, sys
from pathlib import Path
from deploy.machine import join as module
from deploy.machine.places import MachinePlaces
request = module.JoinRequest(sys.argv[1], sys.argv[2], sys.argv[3])
found = {}
for number, name in enumerate(sys.argv[4:]):
    owner, _, attribute = name.rpartition(".")
    holder = getattr(module, owner) if owner else module
    real = getattr(holder, attribute)
    class Broken(Exception): pass
    def fails(*arguments, **more):
        if name != "os.rename":
            real(*arguments, **more)
        raise Broken
    setattr(holder, attribute, fails)
    one = dataclasses.replace(request, node_name=f"failing-{number}")
    try:
        module.join(one, MachinePlaces.here(), lambda text: None)
    except Broken:
        home = Path(os.environ["SAMPAN_HOME"])
        found[name] = [str(path) for path in home.parent.rglob("*")]
    finally:
        setattr(holder, attribute, real)
print(json.dumps(found))
"""


def test_a_join_that_fails_at_any_step_leaves_nothing(joinable: Joinable, outsider: Machine) -> None:
    before = outsider.traces()
    said = outsider.python(FAILING, joinable.server, joinable.token(), joinable.ca_hash, *STEPS)
    assert json.loads(said) == {step: [] for step in STEPS}
    assert outsider.traces() == before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_join_whose_terminal_goes_or_that_is_ended_leaves_nothing(
    joinable: Joinable, outsider: Machine, number: signal.Signals
) -> None:
    before = outsider.traces()
    controllers = control.ask(joinable.cluster.places.control, {"do": "status"})["children"]["controllers"]["pid"]
    words = shlex.join([*outsider.program, *joinable.join(), "--node-name", f"ended-by-{number}"])
    os.kill(controllers, signal.SIGSTOP)  # who would approve it
    try:
        with subprocess.Popen(
            outsider.inside("sh", "-c", f"echo $$; exec {words} 2>&1"),
            stdout=subprocess.PIPE,
            env=outsider.environment,
            text=True,
        ) as joining:
            assert joining.stdout is not None
            pid = joining.stdout.readline().strip()
            while "waiting for its approval" not in (line := joining.stdout.readline()):
                assert line
            outsider.shell(f"kill -{number.value} {pid}")
            assert joining.stdout.read() == "sampan join: interrupted\n"
        assert joining.returncode == 130
    finally:
        os.kill(controllers, signal.SIGCONT)
    assert outsider.traces() == before


def test_a_join_that_fails_after_the_node_ran_is_undone(joinable: Joinable, outsider: Machine) -> None:
    before = outsider.traces()
    outsider.sampan(*joinable.join())
    with outsider.node():
        joinable.ready("m2")
        said = outsider.python(
            "from deploy.machine.join_command import undo; from deploy.machine.places import MachinePlaces\n"
            "undo(MachinePlaces.here(), print)"
        )
    assert said.splitlines()[-1] == "nothing of the join is left on this machine"
    assert outsider.traces() == before
    assert "not found" in joinable.cluster.run("kubectl", "get", "node", "m2", code=1).stderr


def test_a_machine_that_is_a_node_does_not_become_another(joinable: Joinable, outsider: Machine) -> None:
    outsider.sampan(*joinable.join())
    said = outsider.sampan(*joinable.join(), "--node-name", "m3", check=False)
    assert said.splitlines()[-1] == (
        "sampan join: this machine: is node m2 of https://172.30.0.1:6443 already, not node m3 of "
        "https://172.30.0.1:6443; run: sampan leave, and join again"
    )
    outsider.sampan("leave")
