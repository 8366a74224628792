"""Why a pod went where it went, or nowhere: the verdict of every filter and score for every node, as data.

The latest verdict of each pod is kept, for as many pods as fit a bound. Pods of one batch share one verdict, as it
was when the batch began; `turn` says how many of the batch were placed before this one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from scheduler.place import Failure, Outcome, Placement, Verdict
from scheduler.scores import SCORES, total

MOST_PODS, MOST_VERDICTS = 4096, 256


class Explanations:
    """The latest outcome of each pod, the oldest forgotten first."""

    def __init__(self, most_pods: int = MOST_PODS, most_verdicts: int = MOST_VERDICTS) -> None:
        self._most_pods, self._most_verdicts = most_pods, most_verdicts
        self._kept: OrderedDict[tuple[str, str], tuple[Outcome, str]] = OrderedDict()
        self._uses: OrderedDict[Verdict, set[tuple[str, str]]] = OrderedDict()

    def keep(self, outcome: Outcome, message: str = "") -> None:
        """Remember an outcome; `message` is what the pod's event says."""
        key = (outcome.pod.namespace, outcome.pod.name)
        self._drop(key)
        self._kept[key] = (outcome, message)
        self._uses.setdefault(outcome.verdict, set()).add(key)
        while len(self._kept) > self._most_pods:
            self._drop(next(iter(self._kept)))
        while len(self._uses) > self._most_verdicts:
            for old in tuple(self._uses[next(iter(self._uses))]):
                self._drop(old)

    def of(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The explanation of a pod as JSON data, None if there is none (any more)."""
        found = self._kept.get((namespace, name))
        return None if found is None else explain(*found)

    def _drop(self, key: tuple[str, str]) -> None:
        found = self._kept.pop(key, None)
        if found is None:
            return
        verdict = found[0].verdict
        self._uses[verdict].discard(key)
        if not self._uses[verdict]:
            del self._uses[verdict]


def explain(outcome: Outcome, message: str = "") -> dict[str, Any]:
    """An outcome as JSON data."""
    verdict = outcome.verdict
    filtered = verdict.filtered
    refused: dict[int, dict[str, Any]] = {}
    for name, refusal in filtered.refusals:
        for row in np.flatnonzero(refusal.nodes).tolist():
            entry = refused.setdefault(row, {"filter": name, "reasons": []})
            entry["reasons"].append(refusal.reason)
    summed = total(verdict.scores).tolist() if verdict.scores else []
    nodes: list[dict[str, Any]] = []
    for row, name in enumerate(verdict.names):
        if row in refused:
            nodes.append({"node": name, "feasible": False, **refused[row]})
        elif row < len(filtered.feasible) and filtered.feasible[row]:
            values = {one.name: int(verdict.scores[one.name][row]) for one in SCORES}
            nodes.append({"node": name, "feasible": True, "scores": values, "total": int(summed[row])})
    nodes.sort(key=lambda one: (not one["feasible"], -one.get("total", 0), one["node"]))
    found: dict[str, Any] = {
        "namespace": outcome.pod.namespace,
        "pod": outcome.pod.name,
        "weights": {one.name: one.weight for one in SCORES},
        "nodes": nodes,
    }
    if isinstance(outcome, Placement):
        return found | {"placed": outcome.node, "turn": outcome.turn}
    assert isinstance(outcome, Failure)
    return found | {"placed": None, "message": message}
