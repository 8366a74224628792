"""libnftables by ctypes: hand text to the kernel as one transaction, read names back as JSON.

Source: libnftables(3). Text, not JSON, goes in, since libnftables up to 1.0.6 (Debian 12) has no JSON for rules that
fill maps; both parse to the same transaction. The library is loaded at the first use.
"""

from __future__ import annotations

import ctypes
import json
import socket
import struct
from typing import Any, Literal

from nodeagent.network.errors import NetworkError
from nodeagent.network.services import ruleset
from nodeagent.network.services.ruleset import Ruleset
from sampan.netlink.messages import NetlinkSocket, attributes

LIBRARY = "libnftables.so.1"
OUTPUT_JSON = 1 << 4
NETLINK_NETFILTER = 12
NFT_MSG_GETGEN = 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES; linux/netfilter/nf_tables.h
NFTA_GEN_ID = 1


class Nftables:
    """A libnftables context in the network namespace in which it was made. One thread at a time."""

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise NetworkError(
                where="services", what=f"{LIBRARY} can't be loaded: {error}", remedy="apt-get install libnftables1"
            ) from error
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
        library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
            getattr(library, name).argtypes = (ctypes.c_void_p,)
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).argtypes = (ctypes.c_void_p,)
            getattr(library, name).restype = ctypes.c_char_p
        library.nft_ctx_output_set_flags.argtypes = (ctypes.c_void_p, ctypes.c_uint)
        self._library = library
        self._context = library.nft_ctx_new(0)
        if not self._context:
            raise NetworkError(where="services", what="libnftables gave no context")
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        """Free the context."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, text: str) -> None:
        """Apply commands as one transaction, all or nothing. Raises NetworkError with what the library said."""
        self._run(text)

    def names(self, table: str) -> tuple[list[str], dict[str, Literal["set", "map"]]] | None:
        """The chains, and the sets and maps, of the table; None if there is no such table."""
        if not any(one["name"] == table for one in self._list("tables", "table")):
            return None
        chains = [one["name"] for one in self._list("chains ip", "chain") if one["table"] == table]
        kinds: dict[str, Literal["set", "map"]] = {}
        for one in self._list("sets ip", "set"):
            if one["table"] == table:
                kinds[one["name"]] = "set"
        for one in self._list("maps ip", "map"):
            if one["table"] == table:
                kinds[one["name"]] = "map"
        return chains, kinds

    def _list(self, what: str, kind: str) -> list[dict[str, Any]]:
        self._library.nft_ctx_output_set_flags(self._context, OUTPUT_JSON)
        try:
            answer = json.loads(self._run(f"list {what}"))
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)
        found = [entry[kind] for entry in answer["nftables"] if kind in entry]
        return [one for one in found if one.get("family") == "ip"]

    def _run(self, text: str) -> bytes:
        failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        out = self._library.nft_ctx_get_output_buffer(self._context) or b""
        error = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise NetworkError(
                where="nftables", what=error.decode(errors="replace").strip()[:2000] or "the transaction failed"
            )
        return bytes(out)


def generation() -> int:
    """A number that grows by one with every transaction in this network namespace, whoever makes it."""
    with NetlinkSocket(NETLINK_NETFILTER) as kernel:
        head = struct.pack(">BBH", socket.AF_UNSPEC, 0, 0)
        answer = kernel.ask(NFT_MSG_GETGEN, head, "ask for the rules' generation")
    if answer is None:
        raise NetworkError(where="nftables", what="the kernel has no generation", remedy="load the module nf_tables")
    return int.from_bytes(dict(attributes(answer[4:]))[NFTA_GEN_ID], "big")


class ServiceTable:
    """Keeps one nftables table as planned. Blocks for some milliseconds; one thread at a time."""

    def __init__(self, name: str, nftables: Nftables) -> None:
        self._name = name
        self._nftables = nftables
        self._held: Ruleset | None = None
        self._generation = -1  # after our last transaction, if nobody else made one meanwhile

    def apply(self, wanted: Ruleset) -> bool:
        """Bring the kernel from what was applied last to `wanted`; whether anything changed.

        Raises NetworkError if not even the whole table can be put in place.
        """
        if self._held is None:
            self.resync(wanted)
            return True
        changes = ruleset.difference(self._held, wanted)
        if not changes:
            return False
        try:
            self._run(ruleset.commands(self._name, changes))
        except NetworkError:  # someone else changed our table: look at it afresh
            self.resync(wanted)
        self._held = wanted
        return True

    def check(self) -> bool:
        """Whether the chains, sets and maps that were applied are still there; if not, the next `apply` makes all."""
        if self._held is None:
            return False
        if generation() == self._generation:
            return True  # one message, where listing a thousand Services takes a third of a second
        names = self._nftables.names(self._name)
        if names is None or set(names[0]) != set(self._held.chains) or set(names[1]) != set(self._held.tables):
            self._held = None
            return False
        self._generation = generation()
        return True

    def resync(self, wanted: Ruleset) -> None:
        """Make the table as wanted, whatever it is now. Clients keep their endpoints if that is possible."""
        self._held = None
        names = self._nftables.names(self._name)
        try:
            chains, tables = names or ((), {})
            self._run(ruleset.resync(self._name, wanted, chains, tables))
        except NetworkError:  # a set of another version of us, say
            self._run(ruleset.replace(self._name, wanted))
        self._held = wanted

    def _run(self, text: str) -> None:
        before = generation()
        self._generation = -1
        self._nftables.run(text)
        if (after := generation()) == before + 1:
            self._generation = after

    def remove_all(self) -> None:
        """Delete the table, if there is one."""
        self._held = None
        self._nftables.run(f"add table ip {self._name}\ndelete table ip {self._name}\n")
