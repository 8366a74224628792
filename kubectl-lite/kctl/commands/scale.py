"""Set the number of replicas."""

from __future__ import annotations

import argparse
import sys
from urllib.parse import quote

from kctl import flags, objects
from kctl.__main__ import UsageError, wording
from kctl.session import MERGE_PATCH
from sampan.errors import ApiError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("words", nargs="*", metavar="TYPE[/NAME] [NAME ...]")
    parser.add_argument("--replicas", type=int, required=True, help="how many there shall be")
    parser.add_argument("--current-replicas", type=int, default=-1, help="only if there are so many now")
    parser.add_argument("--resource-version", default="", help="only if the object is still at this version")
    parser.add_argument("-l", "--selector", default="", help="all objects with these labels")
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scale each."""
    if arguments.replicas < 0:
        raise UsageError("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    session = flags.session(arguments)
    failed = False
    for resource, name in objects.chosen(session, arguments):
        path = resource.path(session.namespace, quote(name, safe=""), "scale")
        metadata = {"resourceVersion": arguments.resource_version} if arguments.resource_version else {}
        try:
            if arguments.current_replicas >= 0:
                now = session.get(path)["spec"].get("replicas", 0)
                if now != arguments.current_replicas:
                    raise UsageError(f"Expected replicas to be {arguments.current_replicas}, was {now}")
            body = {"metadata": metadata, "spec": {"replicas": arguments.replicas}}
            session.call("PATCH", path, None, body, content_type=MERGE_PATCH)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        print(f"{resource.label(name)} scaled")
    return 1 if failed else 0
