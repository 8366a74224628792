"""Go templates: the cases of text/template's documentation, what a bad one says, and that none breaks or runs away."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kctl.gotemplate import TemplateError, render
from kctl.gotext import go_text

POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"b": "2", "a": "1"}},
    "spec": {"containers": [{"name": "main", "ports": [80, 443]}, {"name": "side"}], "replicas": 3, "on": True},
    "data": {"text": "aGk="},
    "none": None,
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.metadata.name}}", "web"),
        ("{{.metadata.labels}}", "map[a:1 b:2]"),
        ("{{.nosuch}}{{.nosuch.deeper}}", "<no value><no value>"),
        ("{{.none}}", "<no value>"),
        ("{{range .spec.containers}}{{.name}} {{end}}", "main side "),
        ("{{range $i, $c := .spec.containers}}{{if $i}},{{end}}{{$c.name}}{{end}}", "main,side"),
        ("{{range $k, $v := .metadata.labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;"),
        ("{{range .nosuch}}x{{else}}none{{end}}", "none"),
        ("{{range .spec.containers}}{{.name}}{{break}}{{end}}", "main"),
        ("{{range .spec.containers}}{{if eq .name `main`}}{{continue}}{{end}}{{.name}}{{end}}", "side"),
        ("{{with .metadata}}{{.name}} of {{$.kind}}{{end}}", "web of Pod"),
        ("{{if .nosuch}}a{{else if .spec.on}}b{{else}}c{{end}}", "b"),
        ("{{if and .spec.on (gt .spec.replicas 2)}}many{{end}}", "many"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ('a  {{- "b" -}}  c', "abc"),
        ("{{/* said */}}x", "x"),
        ("{{index .spec.containers 1 | printf `%v`}}", "map[name:side]"),
        ("{{(index .spec.containers 0).ports}}", "[80 443]"),
        ("{{len .spec.containers}}{{len .kind}}", "23"),
        ('{{printf "%-5s|%3d|%q|%t" .kind 7 "x" true}}', 'Pod  |  7|"x"|true'),
        ("{{not .spec.on}} {{or .nosuch `x`}} {{and 1 0}}", "false x 0"),
        ('{{define "t"}}<{{.}}>{{end}}{{template "t" .kind}}', "<Pod>"),
        ("{{.data.text | base64decode}}", "hi"),
        ('{{exists . "spec" "on"}}{{exists . "nosuch"}}', "truefalse"),
        ('{{html "<a>"}} {{urlquery "a b&c"}}', "&lt;a&gt; a+b%26c"),
        ("{{slice .kind 1 3}}{{'a'}}", "od97"),
        ("{{", None),
        ("{{end}}", None),
        ("{{if .x}}", None),
        ("{{nosuch .x}}", None),
        ("{{.kind.x}}", None),
        ("{{index .spec.containers 9}}", None),
        ("{{$nobody}}", None),
        ('{{template "nobody"}}', None),
        ('{{define "t"}}{{template "t"}}{{end}}{{template "t"}}', None),
        ("{{eq .kind 1}}", None),
        ("{{break}}", None),
        ("{{range .kind}}{{end}}", None),
        ('{{printf "%99999999d" 1}}', None),
    ],
)
def test_a_template_gives_its_text_or_says_what_is_wrong(template: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(TemplateError):
            render(template, POD)
    else:
        assert render(template, POD) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.5, "1.5"), (1e6, "1e+06"), (123456.0, "123456"), (1234567.5, "1.2345675e+06"), (1e-5, "1e-05"), (0.0, "0"),
     (-2.0, "-2"), (None, "<nil>"), (True, "true"), ([1, {"a": None}], "[1 map[a:<nil>]]")],
)  # fmt: skip
def test_values_look_as_in_go(value: Any, expected: str) -> None:
    assert go_text(value) == expected


WORDS = """{{ }} {{- -}} .a .b $x := = | ( ) if range else end with define template block break "t" `t` 'c' 1 -2 1e9
. $ index printf len eq not and or /* */ \\ , \0 é"""
PIECES = st.sampled_from(WORDS.split())


@given(st.lists(PIECES, max_size=20).map(" ".join))
def test_whatever_is_given_is_filled_in_or_refused(template: str) -> None:
    with contextlib.suppress(TemplateError):
        render(template, {"a": [1, "x", {"b": None}], "b": {"t": 1.5}})


@pytest.mark.parametrize("template", ["{{if 1}}" * 5000, "{{(" + "(" * 5000, "{{.a" + ".a" * 50_000 + "}}"])
def test_depth_is_an_error_and_no_crash(template: str) -> None:
    with contextlib.suppress(TemplateError):
        assert render(template, {}) == "<no value>"
