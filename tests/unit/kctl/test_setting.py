"""Changes of a kubeconfig's entries: what is set is read back, what can't be is refused and nothing is changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kctl.errors import UsageError
from kctl.setting import assign, changed


def config() -> dict[str, Any]:
    return {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c.local", "cluster": {"server": "https://one"}}],
    }


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("current-context", "b", ("current-context",), "b"),
        ("contexts.a.namespace", "shop", ("contexts", 0, "context", "namespace"), "shop"),
        ("clusters.c.local.server", "https://two", ("clusters", 0, "cluster", "server"), "https://two"),
        ("clusters.new.server", "https://two", ("clusters", 1, "cluster", "server"), "https://two"),
        ("clusters.c.local.insecure-skip-tls-verify", "true", ("clusters", 0, "cluster", "insecure-skip-tls-verify"),
         True),
        ("users.u.client-key-data", "a2V5", ("users", 0, "user", "client-key-data"), "a2V5"),
    ],
)  # fmt: skip
def test_one_value_is_set(name: str, value: str, path: tuple[Any, ...], expected: Any) -> None:
    document: Any = config()
    assert assign([("file", document)], name, value, raw=False) == ("file", "set")
    for step in path:
        document = document[step]
    assert document == expected


def test_a_value_and_an_entry_are_removed() -> None:
    document = config()
    assert assign([("file", document)], "contexts.a.user", None) == ("file", "unset")
    assert document["contexts"][0]["context"] == {"cluster": "c"}
    assert assign([("file", document)], "contexts.a", None) == ("file", "unset")
    assert document["contexts"] == []


@given(st.text(max_size=30) | st.sampled_from(["contexts", "contexts.a", "clusters..x", "users.u.nosuch", "a.b.c", ""]))
def test_what_is_no_property_changes_nothing(name: str) -> None:
    document = config()
    before = copy.deepcopy(document)
    if name == "current-context":
        return
    with pytest.raises(UsageError, match="unable to"):
        assign([("file", document)], name, "x")
    assert document == before


def test_wrong_values_are_refused() -> None:
    for name, value in (("users.u.client-key-data", "!"), ("clusters.c.local.insecure-skip-tls-verify", "maybe")):
        with pytest.raises(UsageError):
            assign([("file", config())], name, value, raw=False)


def test_files_are_named_or_embedded(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("PEM")
    named = changed({"server": "s"}, {"certificate-authority": str(path)}, embed=False)
    assert named == {"server": "s", "certificate-authority": str(path)}
    assert changed(named, {"certificate-authority": str(path)}, embed=True) == {
        "server": "s",
        "certificate-authority-data": "UEVN",
    }
    with pytest.raises(UsageError, match="no such file"):
        changed({}, {"certificate-authority": str(tmp_path / "nope")}, embed=True)
    with pytest.raises(UsageError, match="more than one authentication method"):
        changed({}, {"token": "t", "username": "u"}, embed=False)
