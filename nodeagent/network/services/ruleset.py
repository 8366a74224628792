"""A table of nftables as a value, the difference of two such tables, and its text.

Always: `difference` is ordered so that nothing is referred to before it is there or after it is gone; additions
come before removals. The kernel applies a transaction whole, so no packet meets a half-changed table.
Elsewhere: what is in the table (plan.py), handing it to the kernel (nftables.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

ELEMENTS_A_COMMAND = 500


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. `hook` is what a base chain hangs on; it never changes for a name."""

    rules: tuple[str, ...]
    hook: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A set or map. `elements` are key to value ("" in a set); None: the kernel's rules fill it, not we.

    `declaration` never changes for a name.
    """

    kind: Literal["set", "map"]
    declaration: str
    elements: Mapping[str, str] | None = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All of our table."""

    chains: Mapping[str, Chain] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AddTable:
    """A new, empty set or map."""

    name: str
    table: Table


@dataclass(frozen=True, slots=True)
class AddChain:
    """A new, empty chain."""

    name: str
    hook: str


@dataclass(frozen=True, slots=True)
class SetRules:
    """Put `rules` in place of whatever the chain has."""

    chain: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddElements:
    """New elements."""

    table: str
    elements: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DeleteElements:
    """Elements that go, with the values they had."""

    table: str
    elements: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DeleteChain:
    """A chain that goes; its rules went before."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteTable:
    """A set or map that goes."""

    name: str
    kind: Literal["set", "map"]


Change = AddTable | AddChain | SetRules | AddElements | DeleteElements | DeleteChain | DeleteTable


def difference(old: Ruleset, new: Ruleset) -> list[Change]:
    """What makes `new` of `old`, in order; empty if they are alike."""
    changes: list[Change] = []
    removals: list[Change] = []
    changes += [AddTable(name, table) for name, table in new.tables.items() if name not in old.tables]
    changes += [AddChain(name, chain.hook) for name, chain in new.chains.items() if name not in old.chains]
    for name, chain in new.chains.items():
        held = old.chains.get(name)
        if (held.rules if held else ()) != chain.rules:
            changes.append(SetRules(name, chain.rules))
    for name, table in new.tables.items():
        if table.elements is None:
            continue
        before = (old.tables[name].elements if name in old.tables else None) or {}
        added = tuple((key, value) for key, value in table.elements.items() if before.get(key) != value)
        gone = tuple((key, value) for key, value in before.items() if key not in table.elements)
        replaced = tuple((key, before[key]) for key, _ in added if key in before)
        if replaced:
            changes.append(DeleteElements(name, replaced))
        if added:
            changes.append(AddElements(name, added))
        if gone:
            removals.append(DeleteElements(name, gone))
    dying = [name for name in old.chains if name not in new.chains]
    removals += [SetRules(name, ()) for name in dying if old.chains[name].rules]
    for name, table in old.tables.items():
        if name not in new.tables and table.elements:
            removals.append(DeleteElements(name, tuple(table.elements.items())))
    removals += [DeleteChain(name) for name in dying]
    removals += [DeleteTable(name, t.kind) for name, t in old.tables.items() if name not in new.tables]
    return changes + removals


def commands(table: str, changes: Iterable[Change]) -> str:
    """nftables' text (nft(8)) of the changes, for one transaction."""
    lines: list[str] = []
    for change in changes:
        match change:
            case AddTable(name, value):
                lines.append(f"add {value.kind} ip {table} {name} {{ {value.declaration} }}")
            case AddChain(name, hook):
                lines.append(f"add chain ip {table} {name}" + (f" {{ {hook} }}" if hook else ""))
            case SetRules(chain, rules):
                lines.append(f"flush chain ip {table} {chain}")
                lines += [f"add rule ip {table} {chain} {rule}" for rule in rules]
            case AddElements(name, elements):
                lines += _elements("add", table, name, (f"{k} : {v}" if v else k for k, v in elements))
            case DeleteElements(name, elements):
                lines += _elements("delete", table, name, (k for k, _ in elements))
            case DeleteChain(name):
                lines.append(f"delete chain ip {table} {name}")
            case DeleteTable(name, kind):
                lines.append(f"delete {kind} ip {table} {name}")
    return "".join(f"{line}\n" for line in lines)


def _elements(verb: str, table: str, name: str, elements: Iterable[str]) -> Iterable[str]:
    rest = iter(elements)
    while part := list(islice(rest, ELEMENTS_A_COMMAND)):
        yield f"{verb} element ip {table} {name} {{ {', '.join(part)} }}"


def resync(table: str, new: Ruleset, chains: Collection[str], tables: Mapping[str, Literal["set", "map"]]) -> str:
    """Make `new` of a table of which only the names of its chains, sets and maps are known, in one transaction.

    What the kernel's rules filled (session affinity) stays.
    """
    lines = [f"add table ip {table}", f"flush table ip {table}"]
    for name, kind in tables.items():
        if name not in new.tables or new.tables[name].elements is not None:
            lines.append(f"flush {kind} ip {table} {name}")
    known = Ruleset(
        chains={name: Chain(()) for name in chains},
        tables={
            name: new.tables[name] if name in new.tables and new.tables[name].elements is None else Table(kind, "")
            for name, kind in tables.items()
        },
    )
    return "".join(f"{line}\n" for line in lines) + commands(table, difference(known, new))


def replace(table: str, new: Ruleset) -> str:
    """Make `new` of whatever is there, in one transaction; nothing old stays."""
    head = f"add table ip {table}\ndelete table ip {table}\nadd table ip {table}\n"
    return head + commands(table, difference(Ruleset(), new))
