"""Say the one cause that something isn't running, reachable, finished or gone, and the one next step."""

from __future__ import annotations

import json
import sys

from kctl import flags, references
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.urls import quote
from sampan.api_error import ApiError, SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kctl.discovery import ApiResource
    from kctl.session import Session
    from kctl.why.situation import Diagnosis


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(TYPE NAME | TYPE/NAME ... | TYPE) [flags]"
    flags.text("output", "json", short="o")
    flags.switch("all-namespaces", "in all namespaces", short="A")
    flags.text("selector", "label selector", short="l")


def run(values: Values) -> int:
    """Gather, diagnose, print. A kind without a name: all of them that are not as they should be."""
    from kctl.why.gather import gather
    from kctl.why.table import explain

    if values.output not in ("", "json"):
        raise UsageError(f"-o {values.output}: kctl why knows json only")
    if not values.words:
        raise UsageError("say what: kctl why pod/NAME, kctl why deployment NAME, kctl why pods")
    words = values.words
    session = flags.session(values)
    if len(words) == 1 and "/" not in words[0] and session.discovery.known(words[0]) is None:
        words = [f"pod/{words[0]}"]  # `kctl why web-1` means the pod, as kctl logs does
    usual = "" if values.namespace or values.all_namespaces else session.namespace
    told: list[tuple[str, Diagnosis]] = []
    failures: list[SampanError] = []
    named = True
    for one in references.references(session, words):
        named = named and bool(one.name)
        try:
            objects = _objects(session, one.resource, one.name, values)
        except ApiError as error:
            failures.append(error)
            continue
        for value in objects:
            found = explain(gather(session, one.resource, value, usual), value)
            if one.name or not found.healthy:
                told.append((str(value["metadata"].get("namespace") or ""), found))
    if values.output == "json":
        items = [found.to_json(namespace) for namespace, found in told]
        alone = named and len(items) == 1 and not failures
        shown: Any = items[0] if alone else {"kind": "List", "apiVersion": "v1", "items": items}
        if items or not failures:
            print(json.dumps(shown, indent=4, ensure_ascii=False))
    else:
        print("\n\n".join(_text(namespace, found, values) for namespace, found in told), end="\n" if told else "")
        if not told and not failures:
            print("nothing is wrong with any of them")
    sys.stdout.flush()
    for failure in failures:
        print(wording(failure), file=sys.stderr)
    return 1 if failures else 0


def _objects(session: Session, resource: ApiResource, name: str, values: Values) -> list[dict[str, Any]]:
    typed = {"apiVersion": resource.api_version, "kind": resource.kind}
    namespace = "" if values.all_namespaces else session.namespace
    if name:
        return [typed | session.read(resource, name, session.namespace)]
    query = {"labelSelector": values.selector} if values.selector else {}
    found = session.get(resource.path(quote(namespace)), query).get("items") or ()
    return [typed | one for one in found]


def _text(namespace: str, found: Diagnosis, values: Values) -> str:
    """The chain, the cause with its evidence, the next step."""
    where = f"{namespace}: " if values.all_namespaces and namespace else ""
    lines = [where + " -> ".join(found.chain), f"  cause: {found.cause}"]
    lines += [f"         {line}" for line in found.lines]
    return "\n".join([*lines, f"  next:  {found.next}"])
