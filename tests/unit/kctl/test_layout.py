"""How things are laid out and counted: tables, descriptions, ages, sorting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kctl.ages import human
from kctl.describe.generic import words
from kctl.describe.text import aligned, notes
from kctl.drain_plan import Pod, Rules, plan
from kctl.errors import UsageError
from kctl.sorting import sorted_by
from kctl.suggest import distance, suggestions
from kctl.tables import Columns, cell


def test_cells_of_neighbouring_lines_are_as_wide_as_the_widest() -> None:
    assert aligned(["Name:\tx", "Long name:\ty", "", "Other:\tz"]) == [
        "Name:       x",
        "Long name:  y",
        "",
        "Other:  z",
    ]
    assert aligned(["a\tb\tc", "aaa\tb", "a\tbbb\tc"]) == ["a    b  c", "aaa  b", "a    bbb  c"]


@given(st.lists(st.lists(st.text("ab", max_size=5), min_size=1, max_size=4), max_size=8))
def test_aligning_changes_nothing_but_blanks(rows: list[list[str]]) -> None:
    made = aligned("\t".join(row) for row in rows)
    assert [line.replace(" ", "") for line in made] == ["".join(row) for row in rows]


def test_a_watch_keeps_its_widths() -> None:
    table = Columns()
    assert table.lines([["NAME", "AGE"], ["a-long-name", "1s"]]) == ["NAME          AGE", "a-long-name   1s"]
    assert table.lines([["b", "2s"]]) == ["b             2s"]


def test_a_cell_is_one_line_and_moves_no_cursor() -> None:
    assert cell("one\ntwo") == "one..."
    assert cell("\x1b[2J") == "^[[2J"
    assert (cell(None), cell(True), cell(3)) == ("<none>", "true", "3")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (600, "10m"), (3 * 3600, "3h"), (10799, "179m"),
        (3 * 3600 + 120, "3h2m"), (9 * 3600, "9h"), (49 * 3600, "2d1h"), (8 * 86400, "8d"), (729 * 86400, "729d"),
        (730 * 86400, "2y"), (800 * 86400, "2y70d"), (3000 * 86400, "8y"), (-1, "0s"), (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    assert human(seconds) == text


def test_long_annotations_stand_on_lines_of_their_own() -> None:
    made = aligned(notes({"a": "b", "long": "x" * 200, "lines": "1\n2"}))
    assert made[0] == "Annotations:  a: b"
    assert made[1:4] == ["              lines:", "                1", "                2"]
    assert made[-1].endswith("x...")
    assert list(notes({})) == ["Annotations:\t<none>"]


def test_field_names_become_words() -> None:
    named = {
        "leaseDurationSeconds": "Lease Duration Seconds",
        "apiVersion": "API Version",
        "uid": "UID",
        "a.b/c": "a.b/c",
    }
    assert {key: words(key) for key in named} == named


def test_objects_are_sorted_by_numbers_quantities_and_texts_with_figures() -> None:
    def by(*values: object) -> list[object]:
        return [one["x"] for one in sorted_by([{"x": value} for value in values], ".x", lambda one: one)]

    assert by(10, 9) == [9, 10]
    assert by("1Gi", "200Mi") == ["200Mi", "1Gi"]
    assert by("pod-10", "pod-9") == ["pod-9", "pod-10"]
    with pytest.raises(UsageError):
        sorted_by([{"a": 1}], "{.nosuch}", lambda one: one)


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_distance_of_words_is_a_metric(left: str, right: str) -> None:
    assert distance(left, right) == distance(right, left)
    assert (distance(left, right) == 0) == (left == right)
    assert distance(left, right) <= max(len(left), len(right))


def test_a_mistyped_command_has_suggestions() -> None:
    assert suggestions("gett", ["get", "set", "apply"]) == "\n\nDid you mean this?\n\tget\n\tset"
    assert suggestions("frobnicate", ["get"]) == ""


def pod(name: str, *, owner: str = "ReplicaSet", **spec: object) -> Pod:
    owners = [{"kind": owner, "name": "o", "apiVersion": "apps/v1", "controller": True}] if owner else []
    return {"metadata": {"name": name, "namespace": "x", "ownerReferences": owners}, "spec": spec, "status": {}}


def test_a_drain_moves_only_what_will_come_back() -> None:
    pods = [
        pod("kept"),
        pod("bare", owner=""),
        pod("daemon", owner="DaemonSet"),
        pod("scratch", volumes=[{"name": "v", "emptyDir": {}}]),
    ]
    strict = plan(pods, Rules(), lambda _: True)
    assert strict.obstacles == [
        "cannot delete Pods that declare no controller (use --force to override): x/bare",
        "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): x/daemon",
        "cannot delete Pods with local storage (use --delete-emptydir-data to override): x/scratch",
    ]
    allowed = Rules(force=True, ignore_daemon_sets=True, delete_local_data=True)
    lax = plan(pods, allowed, lambda _: True)
    assert not lax.obstacles
    assert [one["metadata"]["name"] for one in lax.leaving] == ["kept", "bare", "scratch"]
    assert lax.warnings[0] == "deleting Pods that declare no controller: x/bare"


def test_mirror_pods_stay_and_finished_ones_always_go() -> None:
    mirror = pod("mirror", owner="")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    done = pod("done", owner="") | {"status": {"phase": "Succeeded"}}
    assert [one["metadata"]["name"] for one in plan([mirror, done], Rules(), lambda _: False).leaving] == ["done"]
