"""kubectl's JSONPath: the cases of its reference page, and what a bad template says."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kctl import jsonpath

LIST: dict[str, Any] = {
    "kind": "List",
    "items": [
        {"kind": "None", "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "127.0.0.1"}}, "n": 1},
        {"kind": "None", "metadata": {"name": "127.0.0.2"}, "status": {"addresses": [{"type": "Hostname"}]}, "n": 2},
    ],
    "users": [{"name": "myself", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("kind is {.kind}", "kind is List"),
        ("{['kind']}", "List"),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.users[0].name}", "myself"),
        ("{.users[-1].name}", "e2e"),
        ("{.items[0:1].n}", "1"),
        ("{.items[*]['metadata.name','kind']}", "127.0.0.1 127.0.0.2 None None"),
        ('{.users[?(@.name=="e2e")].user.password}', "secret"),
        ("{.items[?(@.n>1)].metadata.name}", "127.0.0.2"),
        ("{.items[?(@.status)].n}", "2"),
        ("{range .items[*]}[{.metadata.name}, {.n}] {end}", "[127.0.0.1, 1] [127.0.0.2, 2] "),
        ("{.items[*].metadata.labels.kubernetes\\.io/hostname}", None),
        ("{.items[0].metadata.labels.kubernetes\\.io/hostname}", "127.0.0.1"),
        ("{.items[0].metadata.labels}", '{"kubernetes.io/hostname":"127.0.0.1"}'),
        ("{\"\\n\"}{.kind}{'\\t'}", "\nList\t"),
        ("{$.kind}", "List"),
        ("{@.kind}", "List"),
        ("{.items[0,1].n}", "1 2"),
        ("{.missing}", None),
        ("{.items[7]}", None),
        ("{.kind", None),
        ("{range .items[*]}", None),
        ("{end}", None),
        ("{.items[}", None),
        ("{.items[?(@.n)", None),
        ("{.items[0:2:0]}", None),
        ("{|}", None),
    ],
)
def test_a_template_gives_its_text_or_says_what_is_wrong(template: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(jsonpath.PathError):
            jsonpath.render(template, LIST)
    else:
        assert jsonpath.render(template, LIST) == expected


@given(st.text(alphabet="{}[].*?(@)'\"=<>$ abn0:-,\\", max_size=24))
def test_any_template_ends_in_a_text_or_a_path_error(template: str) -> None:
    with contextlib.suppress(jsonpath.PathError):
        assert isinstance(jsonpath.render(template, LIST), str)


def test_a_missing_field_may_be_allowed() -> None:
    assert list(jsonpath.find("{.nothing.here}", LIST, missing_ok=True)) == []
