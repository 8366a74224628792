"""Show a pod's start step by step: admitted, stored, scheduled, bound, seen, sandbox, image, started, first ready."""

from __future__ import annotations

import json
import sys

from kctl import flags
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.pods import pod_of, split_name
from kctl.urls import quote
from sampan.api_error import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kctl.session import Session


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(POD | TYPE/NAME) [flags]"
    flags.text("output", "json", short="o")


def run(values: Values) -> int:
    """Ask the API server and the node what they noted, and print it in order."""
    from kctl import waterfall

    if values.output not in ("", "json"):
        raise UsageError(f"-o {values.output}: kctl trace knows json only")
    if len(values.words) != 1:
        raise UsageError("say which pod: kctl trace pod/NAME")
    session = flags.session(values)
    pod = pod_of(session, *split_name(values.words[0]))
    steps = waterfall.steps_of(pod, _noted(session, pod))
    if values.output == "json":
        print(json.dumps(waterfall.to_json(pod, steps), indent=4))
        return 0
    told = waterfall.to_json(pod, steps)
    end = f"first ready after {told['milliseconds']:.1f} ms" if told["ready"] else "not ready yet"
    node = f" on {told['node']}" if told["node"] else ", on no node yet"
    print(f"pod/{told['pod']}{node}: {end}")
    for line in waterfall.lines(steps):
        print(line)
    if not all(one.exact for one in steps):
        sys.stdout.flush()
        print("~ is exact to the second: who noted it more exactly has been restarted since", file=sys.stderr)
    return 0


def _noted(session: Session, pod: dict[str, Any]) -> list[dict[str, Any]]:
    """What the API server and the node's agent remember. Whoever can't be asked is passed over."""
    uid = quote(pod["metadata"]["uid"])
    asked = [("/sampan/trace", {"uid": uid})]
    if node := (pod.get("spec") or {}).get("nodeName"):
        asked.append((f"/api/v1/nodes/{quote(node)}/proxy/debug/pods/{uid}/trace", {}))
    found: list[dict[str, Any]] = []
    for path, query in asked:
        try:
            found += session.get(path, query).get("steps") or ()
        except SampanError:
            continue
    return found
