"""`kctl cluster doctor`: what is wrong with this machine or a cluster, and what remains of clusters that are gone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kctl.commands.cluster.printing import most, table
from kctl.errors import UsageError
from kctl.flags import Flags, Values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.checks import Check
    from deploy.doctor.leftovers import Leftover

VERBS = {"doctor": "say what is wrong with this machine or a cluster, and what to do"}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    flags.usage = "[NAME] [flags]\n\nWithout a name, the machine and all its clusters are looked at."
    flags.switch("leftovers", "only what remains of clusters, and the commands that remove it")
    flags.text("output", "json", short="o")


def run(values: Values) -> int:
    """0 when nothing is wrong, or nothing remains; else 1."""
    most(values, 1)
    if values.output not in ("", "json"):
        raise UsageError("kctl cluster doctor prints a table, or json by -o json")
    name = values.words[0] if values.words else ""
    return _leftovers(values, name) if values.leftovers else _checks(values, name)


def _checks(values: Values, name: str) -> int:
    from deploy.checks import State, passed
    from deploy.doctor import examination

    found = examination.examine(name)
    fine = passed(found)
    if values.output == "json":
        return _json({"ok": fine, "checks": [_check(one) for one in found]}, fine)
    shown = [one for one in found if one.state is not State.OK] if values.quiet else found
    if shown:
        _print_checks(shown)
    if not values.quiet:
        wrong = sum(one.state is State.FAILED for one in found)
        warnings = sum(one.state is State.WARNING for one in found)
        print(f"\n{len(found)} checks, {wrong} failed, {warnings} warning{'' if warnings == 1 else 's'}")
    return 0 if fine else 1


def _check(one: Check) -> dict[str, str]:
    return {"name": one.name, "state": one.state, "result": one.result, "remedy": one.remedy}


def _print_checks(found: Sequence[Check]) -> None:
    table(
        ("CHECK", "STATE", "RESULT", "WHAT TO DO"),
        [(one.name, one.state, one.result, one.remedy) for one in found],
    )


def _leftovers(values: Values, name: str) -> int:
    from deploy.doctor.sighting import remains

    found = remains(name)
    if values.output == "json":
        return _json({"ok": not found, "leftovers": [_leftover(one) for one in found]}, not found)
    if found:
        table(("KIND", "WHAT", "REMOVED BY"), [(one.kind, one.what, one.remedy) for one in found])
    elif not values.quiet:
        print(f"Nothing remains of {f'cluster {name}' if name else 'any cluster'}.")
    return 1 if found else 0


def _leftover(one: Leftover) -> dict[str, str]:
    return {"kind": one.kind, "what": one.what, "remedy": one.remedy, "cluster": one.key}


def _json(value: object, fine: bool) -> int:
    import json

    json.dump(value, sys.stdout, indent=2)
    print()
    return 0 if fine else 1
