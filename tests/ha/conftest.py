"""Not part of `make test`: these take minutes. `make test-ha` runs them, `make test-ha-vm` on virtual machines."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "ha" in item.path.parts:
            item.add_marker(pytest.mark.root)
            if not os.environ.get("SAMPAN_TEST_HA"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: make test-ha"))
