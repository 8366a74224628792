"""Manifests: what files may hold, and what is said of those that do not."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kctl import manifests
from kctl.commands.edit import difference
from kctl.errors import UsageError
from sampan.patches import merge_patch

KEYS = st.text("abc", min_size=1, max_size=2)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def load(tmp_path: Path, text: str) -> list[manifests.Manifest]:
    path = tmp_path / "one.yaml"
    path.write_text(text)
    return list(manifests.load([str(path)]))


def test_documents_and_lists_come_in_order(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n---\n"
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: b}}]\n",
    )
    assert [one.name for one in found] == ["a", "b"]


def test_dates_stay_the_texts_that_they_are(tmp_path: Path) -> None:
    found = load(
        tmp_path, "apiVersion: v1\nkind: X\nmetadata: {name: a}\nday: 2024-01-02\nat: 2024-01-02T03:04:05Z\n1: x\n"
    )
    assert found[0].value["day"] == "2024-01-02"
    assert found[0].value["at"] == "2024-01-02T03:04:05Z"
    assert found[0].value["1"] == "x"


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "just text",
        "- 1",
        "kind: Pod",
        "apiVersion: v1\nkind: 3",
        "apiVersion: v1\nkind: Pod\nmetadata: text",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: 5}",
        "? [a]\n: b",
        "!!python/object/apply:os.system ['true']",
        "a: !!binary aGk=\napiVersion: v1\nkind: X",
        "apiVersion: v1\nkind: X\nn: .inf",
        "apiVersion: v1\nkind: X\nx: " + "[" * 400 + "]" * 400,
        "\0",
        LAUGHS + "apiVersion: v1\nkind: X\n",
    ],
)
def test_garbage_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        assert load(tmp_path, text)[0].name
    assert "one.yaml" in str(raised.value)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        list(manifests.parsed(data))


def test_folders_hold_manifests_by_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.yaml", "a.json", "c.txt", "sub/d.yml"):
        (tmp_path / name).write_text(json.dumps({"apiVersion": "v1", "kind": "X", "metadata": {"name": name}}))
    assert [one.name for one in manifests.load([str(tmp_path)])] == ["a.json", "b.yaml"]
    everything = manifests.load([str(tmp_path)], recursive=True)
    assert sorted(one.name for one in everything) == ["a.json", "b.yaml", "sub/d.yml"]
    with pytest.raises(UsageError, match="does not exist"):
        list(manifests.load([str(tmp_path / "nope")]))


@given(st.dictionaries(KEYS, JSON, max_size=4), st.data())
def test_the_patch_of_an_edit_makes_the_edited_object(before: dict[str, object], data: st.DataObject) -> None:
    after = data.draw(st.dictionaries(KEYS, JSON, max_size=4))
    start, wanted = merge_patch.apply({}, before), merge_patch.apply({}, after)  # an object on the wire has no nulls
    assert merge_patch.apply(start, difference(start, wanted)) == wanted
