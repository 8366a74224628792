"""Which pod has which address: the node's pod range, kept in one file.

Always: an address has one owner at most; the file is the old or the new state, never a part of one; an address
that was freed is handed out to another pod only when every address that rested longer is in use (a peer may still
hold the old pod's connections); a pod that gets a new sandbox, after a reboot say, gets its old address back unless
that has happened.
Elsewhere: devices (pod.py). Nothing is fsynced: a power cut can cost pods their old addresses, never give one to two.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodeagent.network.errors import AddressesExhausted, NetworkError

FIRST_POD = 2  # .0 names the network (and the VXLAN device), .1 is the bridge


@dataclass(frozen=True, slots=True)
class Leases:
    """A pod range's state as a value.

    `owners` are the sandboxes that have an address; `pods` says which pod an address is or was last for, by UID;
    `freed` is oldest first.
    """

    cidr: str
    owners: Mapping[str, str] = field(default_factory=dict)
    freed: tuple[str, ...] = ()
    pods: Mapping[str, str] = field(default_factory=dict)

    def of(self, owner: str) -> str | None:
        """The address that `owner` has, if any."""
        return next((address for address, name in self.owners.items() if name == owner), None)

    def take(self, owner: str, pod: str = "") -> tuple[Leases, str]:
        """An address for `owner`: the one it has, its pod's last one, or a fresh one. Raises AddressesExhausted."""
        if (held := self.of(owner)) is not None:
            return self, held
        if pod and (last := next((one for one in self.freed if self.pods.get(one) == pod), None)) is not None:
            return self._given(last, owner, pod), last
        network = ipaddress.IPv4Network(self.cidr)
        resting = set(self.freed)
        first = int(network.network_address) + FIRST_POD
        for number in range(first, int(network.broadcast_address)):
            address = str(ipaddress.IPv4Address(number))
            if address not in self.owners and address not in resting:
                return self._given(address, owner, pod), address
        if not self.freed:
            raise AddressesExhausted(
                where=f"pod range {self.cidr}",
                what=f"all {len(self.owners)} addresses are in use",
                remedy="give nodes a larger range or let fewer pods on this one (maxPods)",
            )
        return self._given(self.freed[0], owner, pod), self.freed[0]

    def _given(self, address: str, owner: str, pod: str) -> Leases:
        return replace(
            self,
            owners={**self.owners, address: owner},
            freed=tuple(one for one in self.freed if one != address),
            pods={**self.pods, address: pod},
        )

    def release(self, owner: str) -> Leases:
        """The state without `owner`; unchanged if it has nothing."""
        held = self.of(owner)
        if held is None:
            return self
        owners = {address: name for address, name in self.owners.items() if name != owner}
        return replace(self, owners=owners, freed=(*self.freed, held))


class LeaseFile:
    """Leases on disk, safe against other processes of the node (a CNI plugin is one process a call)."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "pod-addresses.json"
        self._lock = directory / "pod-addresses.lock"

    def take(self, owner: str, cidr: str, pod: str = "") -> str:
        """Give `owner`, a sandbox of `pod`, an address of `cidr`.

        Raises NetworkError (AddressesExhausted, or a range in use).
        """
        with self._locked():
            leases, address = self._read(cidr).take(owner, pod)
            self._write(leases)
        return address

    def release(self, owner: str) -> None:
        """Take back what `owner` has; nothing happens if that is nothing."""
        with self._locked():
            leases = self._read("")
            if (after := leases.release(owner)) is not leases:
                self._write(after)

    def owners(self) -> dict[str, str]:
        """Address of every owner."""
        with self._locked():
            return {owner: address for address, owner in self._read("").owners.items()}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _read(self, cidr: str) -> Leases:
        """The leases; with a `cidr` other than the file's, fresh ones of it if the old range is not in use."""
        try:
            value = json.loads(self._path.read_bytes())
            leases = Leases(
                cidr=str(value["cidr"]),
                owners={str(a): str(o) for a, o in value["owners"].items()},
                freed=tuple(str(a) for a in value["freed"]),
                pods={str(a): str(p) for a, p in value.get("pods", {}).items()},
            )
        except FileNotFoundError:
            return Leases(cidr)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NetworkError(
                where=str(self._path),
                what=f"is no record of pod addresses: {error!r}",
                remedy="stop the node's pods, remove the file and start the node again",
            ) from error
        if not cidr or leases.cidr == cidr:
            return leases
        if leases.owners:
            raise NetworkError(
                where=f"pod range {cidr}",
                what=f"{len(leases.owners)} pods still have addresses of the node's former range {leases.cidr}",
                remedy="drain the node, then start it again",
            )
        return Leases(cidr)

    def _write(self, leases: Leases) -> None:
        value = {
            "cidr": leases.cidr,
            "owners": dict(leases.owners),
            "freed": list(leases.freed),
            "pods": dict(leases.pods),
        }
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(value, indent=0))
        draft.replace(self._path)
