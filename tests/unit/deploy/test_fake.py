"""The description of fake nodes as it changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import data, integers, just, lists, sampled_from

from deploy import fake, spec
from deploy.spec import FakeNodes
from sampan.errors import ClusterError


def test_a_number_stands_for_the_count() -> None:
    cluster = spec.parse("{apiVersion: sampan.dev/v1alpha1, kind: Cluster, spec: {fakeNodes: 3}}", "x")
    assert cluster.spec.fake_nodes.names == ["fake-1", "fake-2", "fake-3"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-1", "-1 fake nodes"),
        ("5001", "5001 fake nodes"),
        ("{count: 1, capacity: {gpus: 1}}", "'gpus' is none of"),
        ("{count: 1, capacity: {cpu: much}}", "quantities must match"),
        ("{count: 1, zone: 3}", "zone"),
    ],
)
def test_an_impossible_description_is_refused(text: str, what: str) -> None:
    with pytest.raises(ClusterError, match=what):
        spec.parse(f"{{apiVersion: sampan.dev/v1alpha1, kind: Cluster, spec: {{fakeNodes: {text}}}}}", "x")


def test_a_node_may_not_be_called_as_a_fake_one() -> None:
    text = "{apiVersion: sampan.dev/v1alpha1, kind: Cluster, spec: {fakeNodes: 2, nodes: [{name: fake-2}]}}"
    with pytest.raises(ClusterError, match="fake-2 is a node and a fake node"):
        spec.parse(text, "x")


@given(data())
def test_the_description_says_what_was_asked(draw: Any) -> None:
    described, there, stopped = FakeNodes(), set[str](), set[str]()
    for kind in draw.draw(lists(sampled_from(["add", "remove", "stop", "start"]), max_size=12)):
        if kind == "add":
            before = set(described.names)
            count = draw.draw(integers(1, 5))
            described = fake.changed(described, {"add": count})
            added = set(described.names) - before
            assert len(added) == count
            there |= added
        else:
            names = draw.draw(lists(sampled_from(sorted(there)), unique=True)) if there else draw.draw(just([]))
            described = fake.changed(described, {kind: names})
            there -= set(names) if kind == "remove" else set()
            stopped = stopped - set(names) if kind in ("remove", "start") else stopped | set(names)
        assert set(described.names) == there
        assert set(described.stopped) == stopped
    if not there:
        assert described.count == 0
