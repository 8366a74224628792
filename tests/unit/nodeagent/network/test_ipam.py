"""Addresses of pods: each to one pod, and the freshly freed last."""

from __future__ import annotations

import ipaddress
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nodeagent.network.errors import AddressesExhausted, NetworkError
from nodeagent.network.ipam import LeaseFile, Leases

LIGHT = settings(max_examples=60, deadline=None)

CIDR = "10.244.1.0/29"  # room for five pods
OWNERS = st.sampled_from([f"pod{n}" for n in range(8)])


class Addresses(RuleBasedStateMachine):
    """Any order of taking and releasing."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases(CIDR)
        self.held: dict[str, str] = {}
        self.freed: list[str] = []
        self.used: set[str] = set()

    @rule(owner=OWNERS)
    def take(self, owner: str) -> None:
        try:
            self.leases, address = self.leases.take(owner)
        except AddressesExhausted:
            assert len(self.held) == 5
            return
        if owner in self.held:
            assert address == self.held[owner]
            return
        assert address not in self.held.values()
        if address in self.used:
            assert len(self.used) == 5, "a used address, while others were never used"
            assert address == self.freed[0], "not the one that rested longest"
            self.freed.pop(0)
        self.used.add(address)
        self.held[owner] = address

    @rule(owner=OWNERS)
    def release(self, owner: str) -> None:
        self.leases = self.leases.release(owner)
        if owner in self.held:
            self.freed.append(self.held.pop(owner))

    @invariant()
    def addresses_are_pods(self) -> None:
        network = ipaddress.ip_network(CIDR)
        for address in self.held.values():
            number = int(ipaddress.ip_address(address)) - int(network.network_address)
            assert 2 <= number <= 6


TestAddresses = Addresses.TestCase
TestAddresses.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@LIGHT
@given(st.lists(OWNERS, max_size=20))
def test_the_file_gives_the_same_as_the_value(tmp_path_factory: pytest.TempPathFactory, owners: list[str]) -> None:
    file = LeaseFile(tmp_path_factory.mktemp("state"))
    leases = Leases(CIDR)
    for place, owner in enumerate(owners):
        if place % 3 == 2:
            file.release(owner)
            leases = leases.release(owner)
            continue
        try:
            leases, address = leases.take(owner)
        except AddressesExhausted:
            with pytest.raises(AddressesExhausted, match="all 5 addresses"):
                file.take(owner, CIDR)
        else:
            assert file.take(owner, CIDR) == address
    assert file.owners() == {owner: address for address, owner in leases.owners.items()}


def test_a_pod_gets_its_address_back_in_a_new_sandbox(tmp_path: Path) -> None:
    file = LeaseFile(tmp_path)
    first = [file.take(f"sandbox{n}", CIDR, f"pod{n}") for n in range(3)]
    for n in range(3):
        file.release(f"sandbox{n}")
    assert [file.take(f"again{n}", CIDR, f"pod{n}") for n in (2, 0, 1)] == [first[2], first[0], first[1]]


def test_a_pod_whose_address_others_needed_gets_another(tmp_path: Path) -> None:
    file = LeaseFile(tmp_path)
    lost = file.take("sandbox", CIDR, "pod")
    file.release("sandbox")
    others = [file.take(f"other{n}", CIDR, f"other{n}") for n in range(5)]
    assert lost in others
    file.release("other4")
    file.release("other0")
    assert file.take("again", CIDR, "pod") not in others[1:4]


def test_threads_never_share_an_address(tmp_path: Path) -> None:
    files = [LeaseFile(tmp_path) for _ in range(8)]
    threads = [
        threading.Thread(target=lambda f=f, n=n: [f.take(f"pod{n}-{m}", "10.244.1.0/24") for m in range(10)])
        for n, f in enumerate(files)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owners = files[0].owners()
    assert len(owners) == len(set(owners.values())) == 80


def test_a_new_range_waits_for_the_pods_of_the_old(tmp_path: Path) -> None:
    file = LeaseFile(tmp_path)
    file.take("pod", "10.244.1.0/24")
    with pytest.raises(NetworkError, match="drain the node"):
        file.take("other", "10.244.2.0/24")
    file.release("pod")
    assert file.take("other", "10.244.2.0/24") == "10.244.2.2"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cidr": 1}', json.dumps({"cidr": "x", "owners": [], "freed": []})])
def test_a_damaged_record_is_told_and_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pod-addresses.json"
    path.write_text(text)
    with pytest.raises(NetworkError, match="is no record of pod addresses"):
        LeaseFile(tmp_path).take("pod", CIDR)
    assert path.read_text() == text
