"""The user's kubeconfig: one cluster's entries come and go, all else stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import kubeconfig
from sampan.errors import ClusterError


def entry(name: str, server: str = "https://127.0.0.1:1") -> dict[str, Any]:
    context = kubeconfig.context_name(name)
    return {
        "clusters": [{"name": context, "cluster": {"server": server}}],
        "users": [{"name": context, "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }


def test_a_context_is_added_and_removed_and_others_are_untouched(tmp_path: Path) -> None:
    path = tmp_path / "config"
    theirs = {"apiVersion": "v1", "kind": "Config", "preferences": {"colors": True}} | {
        "clusters": [{"name": "work", "cluster": {"server": "https://example"}}],
        "users": [{"name": "work", "user": {"token": "t"}}],
        "contexts": [{"name": "work", "context": {"cluster": "work", "user": "work"}}],
        "current-context": "work",
    }
    path.write_text(yaml.safe_dump(theirs))
    path.chmod(0o640)
    kubeconfig.merge(entry("dev"), path)
    merged = yaml.safe_load(path.read_text())
    assert [one["name"] for one in merged["contexts"]] == ["work", "sampan-dev"]
    assert merged["current-context"] == "sampan-dev"
    assert path.stat().st_mode & 0o777 == 0o640
    kubeconfig.remove("dev", path)
    assert yaml.safe_load(path.read_text()) == theirs | {"current-context": ""}


def test_merging_again_replaces_the_old_entry(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    kubeconfig.merge(entry("dev", "https://127.0.0.1:1"), path)
    kubeconfig.merge(entry("dev", "https://127.0.0.1:2"), path)
    clusters = yaml.safe_load(path.read_text())["clusters"]
    assert [one["cluster"]["server"] for one in clusters] == ["https://127.0.0.1:2"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_link_to_a_kubeconfig_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    kubeconfig.merge(entry("dev"), link)
    assert link.is_symlink()
    assert real.exists()


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just words"])
def test_a_file_that_is_no_kubeconfig_is_kept_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterError, match="not a kubeconfig"):
        kubeconfig.merge(entry("dev"), path)
    assert path.read_text() == text
