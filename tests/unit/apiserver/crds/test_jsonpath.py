"""JSONPaths of columns."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.crds.jsonpath import PathError, find, keys_of, parse

VALUE = {
    "metadata": {"annotations": {"a.b/c": "x"}},
    "spec": {"items": [{"name": "a", "n": 1}, {"name": "b", "n": 5}], "on": True},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.on", [True]),
        ("{.spec.on}", [True]),
        (".metadata.annotations['a.b/c']", ["x"]),
        (r".metadata.annotations.a\.b/c", ["x"]),
        (".spec.items[0].name", ["a"]),
        (".spec.items[-1].name", ["b"]),
        (".spec.items[5].name", []),
        (".spec.items[*].name", ["a", "b"]),
        (".spec.items[0:1].name", ["a"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type == 'Other')].status", ["False"]),
        (".spec.items[?(@.n>2)].name", ["b"]),
        (".spec.items[?(@.none)].name", []),
        (".nothing.here", []),
    ],
)
def test_a_path_finds(path: str, found: list[Any]) -> None:
    assert list(find(parse(path), VALUE)) == found


@pytest.mark.parametrize("path", ["", "spec", ".a[", ".a..b", ".a[?(@.b=~'x')]", ".a['b", "{.a}{.b}"])
def test_what_is_no_simple_path_is_refused(path: str) -> None:
    with pytest.raises(PathError, match="JSONPath"):
        parse(path)


def test_paths_of_keys_only() -> None:
    assert keys_of(parse(".spec.replicas")) == ("spec", "replicas")
    assert keys_of(parse(".spec.items[0]")) is None
