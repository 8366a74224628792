"""Several clients, two API servers, one etcd, all of which are killed now and then: every answer fits one history."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from history import Answer, Change, Did, History, Operation, Watched, violations
from traffic import Traffic

from tests.servers import Servers

ENOUGH, MOST_SECONDS = 300, 60
"""Acknowledged operations that make a run, and how long a slow machine may take over them."""
CLIENTS, WATCHERS = 6, 4
NAMESPACE = "default"


class Seeds(Protocol):
    """See conftest.py."""

    def __call__(self, few: int, many: int) -> list[int]: ...


def what_happened(servers: Servers, last: int) -> History:
    """etcd's own history of the namespace's config maps, up to a revision."""
    prefix = f"/registry/core/configmaps/{NAMESPACE}/"
    command = [
        "timeout",
        "20",
        "etcdctl",
        "--endpoints",
        servers.etcd.endpoint,
        "watch",
        "--rev=1",
        "--prefix",
        prefix,
        "-w",
        "json",
    ]
    changes = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None

        def end() -> None:  # Debian's etcdctl runs a second process of its own
            os.killpg(process.pid, signal.SIGKILL)

        patience = threading.Timer(20, end)
        patience.start()
        for line in process.stdout:
            for event in json.loads(line).get("Events") or ():
                pair = event["kv"]
                name = base64.b64decode(pair["key"]).decode().removeprefix(prefix)
                data = {} if event.get("type") else json.loads(base64.b64decode(pair["value"])).get("data", {})
                changes.append(Change(int(pair["mod_revision"]), name, data.get("token", "")))
            if changes and changes[-1].revision >= last:
                break
        patience.cancel()
        end()
    assert changes, "etcd has no history"
    assert changes[-1].revision == last
    return History([one for one in changes if not one.name.startswith("kube-")])


async def faults(servers: Servers, dice: random.Random, until: asyncio.Event) -> None:
    """Kill one thing after the other and start it again."""
    while not until.is_set():
        await asyncio.sleep(0.5 + dice.random() * 1.5)
        victim = dice.choice(("etcd", "server", "server"))
        if victim == "etcd":
            servers.etcd.kill()
            await asyncio.sleep(dice.random())
            servers.etcd.start()
            continue
        server = dice.choice(servers.servers)
        server.kill()
        servers.servers.remove(server)
        servers.start_server(server.port)


async def test_every_answer_fits_one_history(seeds: Seeds, tmp_path: Path) -> None:
    for seed in seeds(2, 20):
        print(f"SAMPAN_SEED={seed}", flush=True)
        directory = tmp_path / str(seed)
        directory.mkdir()
        await one_run(seed, directory)


async def one_run(seed: int, directory: Path) -> None:
    """Traffic and faults for a while; then every answer is checked."""
    dice = random.Random(seed)
    with Servers(directory) as servers:
        servers.start_server().wait(servers.tls())
        ports = [one.port for one in servers.servers]
        traffic = Traffic(
            lambda: [f"https://127.0.0.1:{port}" for port in ports], servers.tls("kubernetes-admin"), NAMESPACE, seed
        )
        until = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(traffic.client(number, ENOUGH // CLIENTS, until))
            for number in range(WATCHERS):
                tasks.create_task(traffic.watcher(number, until))
            breaking = tasks.create_task(faults(servers, dice, until))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), MOST_SECONDS)
            until.set()
            await breaking
        for server in servers.servers:
            server.wait(servers.tls())
        end = json.loads(servers.kubectl("create", "configmap", "end", "--from-literal=token=end", "-o", "json"))
        history = what_happened(servers, int(end["metadata"]["resourceVersion"]))
    history = History([one for one in history.changes if one.name != "end"])
    done, changes = sum(one.answer is Answer.OK for one in traffic.operations), len(history.changes)
    print(f"{len(traffic.operations)} operations, {done} acknowledged, {changes} changes")
    assert changes > 30, "the faults left no room for work"
    assert sum(len(one.events) for one in traffic.watches) > 30
    assert violations(history, traffic.operations, traffic.watches) == []


# -- that the check can fail: one history, and what would be wrong with it

HISTORY = History([Change(2, "a", "x"), Change(3, "b", "y"), Change(4, "a", "z"), Change(5, "b", "")])
CREATE = Operation(Did.CREATE, "a", 0.0, 1.0, Answer.OK, "x", 2)
OTHER = Operation(Did.CREATE, "b", 0.0, 1.0, Answer.OK, "y", 3)
SWAP = Operation(Did.UPDATE, "a", 2.0, 3.0, Answer.OK, "z", 4, expected=2)
DELETE = Operation(Did.DELETE, "b", 4.0, 5.0, Answer.OK, deleted=3)
WHOLE = [CREATE, OTHER, SWAP, DELETE]
EVENTS = tuple(HISTORY.changes)


def test_what_happened_fits() -> None:
    early = Operation(Did.GET, "a", 2.5, 2.6, Answer.OK, "x", 2)
    late = Operation(Did.GET, "b", 4.5, 6.0, Answer.ABSENT)
    listed = Operation(Did.LIST, "", 1.5, 6.0, Answer.OK, version=3, items={"a": ("x", 2), "b": ("y", 3)})
    watch = Watched(2, (*EVENTS[1:3], Change(4, "", ""), EVENTS[3]))
    assert violations(HISTORY, [*WHOLE, early, late, listed], [watch]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        Operation(Did.GET, "a", 3.5, 3.6, Answer.OK, "x", 2),  # stale: the swap had been acknowledged
        Operation(Did.GET, "a", 3.5, 3.6, Answer.ABSENT),
        Operation(Did.GET, "b", 5.5, 5.6, Answer.OK, "y", 3),
        Operation(Did.LIST, "", 1.5, 6.0, Answer.OK, version=4, items={"a": ("z", 4)}),  # b is missing
        Operation(Did.LIST, "", 5.5, 6.0, Answer.OK, version=4, items={"a": ("z", 4), "b": ("y", 3)}),
        Operation(Did.PATCH, "a", 6.0, 7.0, Answer.OK, "lost", 9),
        Operation(Did.UPDATE, "a", 6.0, 7.0, Answer.REFUSED, "q", expected=4),  # nothing had changed
        Operation(Did.DELETE, "b", 6.0, 7.0, Answer.OK, deleted=3),  # deleted twice
    ],
)
def test_a_wrong_answer_is_found(wrong: Operation) -> None:
    assert violations(HISTORY, [*WHOLE, wrong], []) != []


def test_a_write_that_did_not_swap_what_it_said_is_found() -> None:
    assert violations(HISTORY, [CREATE, OTHER, replace(SWAP, expected=1), DELETE], []) != []


@pytest.mark.parametrize(
    "events",
    [
        EVENTS[1:],  # lost
        (EVENTS[0], EVENTS[0]),  # doubled
        (EVENTS[1], EVENTS[0]),  # reordered
        (EVENTS[0], Change(3, "", "")),  # a bookmark that skips one
        (replace(EVENTS[0], token="q"),),
    ],
)
def test_a_wrong_watch_is_found(events: tuple[Change, ...]) -> None:
    assert violations(HISTORY, WHOLE, [Watched(1, events)]) != []
