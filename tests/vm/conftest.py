"""Virtual machines. Not part of `make test`: they take minutes under emulation. `make test-vm` runs them."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "vm" in item.path.parts:
            item.add_marker(pytest.mark.root)
            if not os.environ.get("SAMPAN_TEST_VM"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: make test-vm"))
