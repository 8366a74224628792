"""Whether a node is one that a pod's nodeSelector and required node affinity allow. Pure.

Source: the Kubernetes documentation, "Assigning Pods to Nodes": terms are alternatives, a term's expressions all hold,
and an empty term matches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from sampan.api.core_v1 import NodeSelectorTerm, PodSpec
from sampan.selectors import SelectorError, checked, of_expression


def allows(spec: PodSpec, name: str, labels: Mapping[str, str]) -> bool:
    """Whether the node with this name and these labels is allowed."""
    if not spec.node_selector.items() <= labels.items():
        return False
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    return required is None or any(_holds(term, name, labels) for term in required.node_selector_terms)


def _holds(term: NodeSelectorTerm, name: str, labels: Mapping[str, str]) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False
    fields = {"metadata.name": name}
    try:
        return all(checked(of_expression(one)).predicate()(labels) for one in term.match_expressions) and all(
            of_expression(one).predicate()(fields) for one in term.match_fields
        )
    except SelectorError:
        return False
