"""Whether a user may: placeholder until the rules stand."""

from __future__ import annotations

from apiserver.core import Core
from apiserver.http.request import Asked
from apiserver.kind import User


class Authorize:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, user: User, asked: Asked) -> None:
        return None
