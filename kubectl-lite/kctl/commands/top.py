"""Show how much CPU and memory nodes or pods use, as the metrics API tells."""

from __future__ import annotations

import sys

from kctl import flags
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.tables import columns
from kctl.urls import quote
from sampan import quantity
from sampan.api_error import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kctl.session import Session

VERBS = {"node": "nodes", "nodes": "nodes", "no": "nodes", "pod": "pods", "pods": "pods", "po": "pods"}
ROOT = "/apis/metrics.k8s.io/v1beta1"
MEBI = 1 << 20
SORTS = ("", "cpu", "memory")


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    flags.usage = "[NAME | -l LABEL] [flags]"
    flags.text("selector", "label selector", short="l")
    flags.text("sort-by", "cpu or memory, the most first")
    flags.switch("no-headers", "leave the headings out")
    if VERBS.get(verb) == "pods":
        flags.switch("all-namespaces", "in all namespaces", short="A")
        flags.switch("containers", "of each container")
        flags.switch("sum", "their sum as a last line")
        flags.text("field-selector", "field selector")


def run(values: Values) -> int:
    """Ask and print."""
    if values.sort_by not in SORTS:
        raise UsageError("--sort-by accepts only cpu or memory")
    if len(values.words) > 1:
        kind = "node" if VERBS[values.verb] == "nodes" else "pod"
        raise UsageError(f"{kind} [NAME | -l label]\nSee 'kctl top {kind} -h' for help and examples")
    if values.words and values.selector:
        raise UsageError("only one of NAME or selector can be provided")
    session = flags.session(values)
    nodes = VERBS[values.verb] == "nodes"
    rows = _nodes(session, values) if nodes else _pods(session, values)
    if len(rows) == (0 if values.no_headers else 1):
        sys.stdout.flush()
        where = "" if nodes or values.all_namespaces else f" in {session.namespace} namespace"
        print("No resources found" + where + ("." if where else ""), file=sys.stderr)
        return 0
    for line in columns(rows):
        print(line)
    return 0


def _measured(session: Session, path: str, values: Values) -> list[dict[str, Any]]:
    query = {"labelSelector": values.selector} if values.selector else {}
    try:
        if values.words:
            return [session.get(f"{path}/{quote(values.words[0])}")]
        found: list[dict[str, Any]] = session.get(path, query).get("items") or []
    except ApiError as error:
        if error.code == 404 and not values.words:
            raise UsageError("Metrics API not available") from error
        raise
    return found


def _nodes(session: Session, values: Values) -> list[list[str]]:
    known = {one["metadata"]["name"]: one for one in session.get("/api/v1/nodes")["items"]}
    measured = [(one["metadata"]["name"], *_use(one["usage"])) for one in _measured(session, f"{ROOT}/nodes", values)]
    rows = [] if values.no_headers else [["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]]
    for name, cpu, memory in _sorted(measured, values):
        has = known.get(name, {}).get("status", {}).get("allocatable") or {}
        shares = [
            f"{100 * used // total}%" if total else "<unknown>"
            for used, total in (
                (cpu, quantity.milli(has.get("cpu", "0"))),
                (memory, quantity.value(has.get("memory", "0"))),
            )
        ]
        rows.append([name, f"{cpu}m", shares[0], f"{memory // MEBI}Mi", shares[1]])
    missing = sorted(known.keys() - {one[0] for one in measured}) if not values.words and not values.selector else []
    return rows + [[name, *["<unknown>"] * 4] for name in missing]


def _pods(session: Session, values: Values) -> list[list[str]]:
    namespace = "" if values.all_namespaces else f"/namespaces/{quote(session.namespace)}"
    found = _measured(session, f"{ROOT}{namespace}/pods", values)
    if values.field_selector:
        query = {"fieldSelector": values.field_selector}
        listed = session.get(f"/api/v1{namespace}/pods", query).get("items") or ()
        chosen = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in listed}
        found = [one for one in found if (one["metadata"]["namespace"], one["metadata"]["name"]) in chosen]
    measured: list[tuple[Any, int, int]] = []
    for pod in found:
        place = [pod["metadata"]["namespace"]] if values.all_namespaces else []
        uses = [(one["name"], *_use(one["usage"])) for one in pod.get("containers") or ()]
        if values.containers:
            measured += [((*place, pod["metadata"]["name"], name), cpu, memory) for name, cpu, memory in uses]
        else:
            key = (*place, pod["metadata"]["name"])
            measured.append((key, sum(one[1] for one in uses), sum(one[2] for one in uses)))
    names = ["POD", "NAME"] if values.containers else ["NAME"]
    head = [*(["NAMESPACE"] if values.all_namespaces else []), *names, "CPU(cores)", "MEMORY(bytes)"]
    rows = [] if values.no_headers else [head]
    rows += [[*key, f"{cpu}m", f"{memory // MEBI}Mi"] for key, cpu, memory in _sorted(measured, values)]
    if values.sum and measured:
        cpu, memory = sum(one[1] for one in measured), sum(one[2] for one in measured)
        blank = [""] * (len(head) - 2)
        rows += [[*blank, "________", "________"], [*blank, f"{cpu}m", f"{memory // MEBI}Mi"]]
    return rows


def _use(usage: dict[str, str]) -> tuple[int, int]:
    """(thousandths of a core, bytes). What is not zero is at least one thousandth."""
    return quantity.milli(usage.get("cpu", "0")), quantity.value(usage.get("memory", "0"))


def _sorted(measured: list[tuple[Any, int, int]], values: Values) -> list[tuple[Any, int, int]]:
    if not values.sort_by:
        return sorted(measured, key=lambda one: one[0])
    return sorted(measured, key=lambda one: (-one[1 if values.sort_by == "cpu" else 2], one[0]))
