"""One API server for all tests here, and the two programs that are compared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kctl_programs import Programs
from servers import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("servers")) as made:
        yield made


@pytest.fixture(scope="session")
def programs(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(servers, tmp_path_factory.mktemp("home"))
