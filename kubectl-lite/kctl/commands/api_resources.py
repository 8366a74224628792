"""List the kinds that the server has."""

from __future__ import annotations

import argparse

from kctl import flags, printers


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--api-group", default=None, help="only kinds of this group")
    parser.add_argument(
        "--namespaced", nargs="?", const="true", default="", help="only namespaced kinds; false for the others"
    )
    parser.add_argument("--verbs", default="", help="only kinds with all of these verbs")
    parser.add_argument("--no-headers", action="store_true", help="leave the headings out")
    parser.add_argument("-o", "--output", default="", choices=("", "wide", "name"), help="wide or name")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print them, the core group's first."""
    rows = [] if arguments.no_headers else [["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]]
    wide = arguments.output == "wide"
    if wide and rows:
        rows[0] += ["VERBS", "CATEGORIES"]
    verbs = set(arguments.verbs.split(",")) if arguments.verbs else set()
    found = flags.session(arguments).discovery.everything()
    for one in sorted(found, key=lambda one: (one.group, one.plural)):
        if arguments.api_group is not None and one.group != arguments.api_group:
            continue
        if arguments.namespaced and str(one.namespaced).lower() != arguments.namespaced:
            continue
        if not verbs <= set(one.verbs):
            continue
        if arguments.output == "name":
            print(one.qualified)
            continue
        row = [one.plural, ",".join(one.short_names), one.api_version, str(one.namespaced).lower(), one.kind]
        rows.append(row + ([",".join(one.verbs), ",".join(one.categories)] if wide else []))
    if arguments.output != "name":
        for line in printers.columns(rows):
            print(line)
    return 0
