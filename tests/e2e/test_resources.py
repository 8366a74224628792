"""Limits and requests on a node that is a namespace: this machine's cgroups, of whichever version."""

from __future__ import annotations

import pytest

from clusters import LocalCluster
from resource_rules import *  # noqa: F403  one text for every kind of node
from resource_rules import Place


@pytest.fixture(scope="module")
def place(cluster: LocalCluster, shared: str) -> Place:
    """One node of the cluster that all tests share."""
    return Place(cluster, "n2", shared)
