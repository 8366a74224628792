"""The atomic models are upstream's."""

from __future__ import annotations

import json
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types

from apiserver.openapi.atomic import ATOMIC


def test_atomic_definitions_are_those_of_kubernetes() -> None:
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.37.0-local"
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    upstream = {name for name, one in definitions.items() if one.get("x-kubernetes-map-type") == "atomic"}
    assert {name for name in upstream if ".v1." in name} == ATOMIC
