"""Command lines as kubectl's own parser reads them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kctl.errors import UsageError
from kctl.flags import Flags, Values, leading_word, seconds

NINES = "9" * 30
NOT_A_NUMBER = f'strconv.ParseInt: parsing "{NINES}": value out of range'


def parsed(*words: str) -> Values:
    flags = Flags("get")
    flags.text("output", "format", short="o")
    flags.text("dry-run", "none, client or server", default="none", bare="unchanged")
    flags.switch("watch", "watch", short="w")
    flags.switch("tty", "terminal", short="t")
    flags.number("tail", "lines", default=-1)
    flags.texts("label-columns", "labels", short="L", split=True)
    flags.texts("env", "environment")
    flags.global_ones()
    return flags.parse(words)


@pytest.mark.parametrize("words", [("-o", "yaml"), ("-oyaml",), ("-o=yaml",), ("--output", "yaml"), ("--output=yaml",)])
def test_a_value_may_be_given_in_five_ways(words: tuple[str, ...]) -> None:
    assert parsed("pods", *words, "x").output == "yaml"
    assert parsed("pods", *words, "x").words == ["pods", "x"]


def test_switches_run_together_and_take_a_value_only_after_an_equals_sign() -> None:
    values = parsed("-wt", "false", "--watch=false")
    assert (values.watch, values.tty, values.words) == (False, True, ["false"])
    assert parsed("-wo", "name").output == "name"


def test_a_flag_that_may_be_bare_does_not_take_the_next_word() -> None:
    values = parsed("--dry-run", "client")
    assert (values.dry_run, values.words) == ("unchanged", ["client"])
    assert parsed("--dry-run=client").dry_run == "client"
    assert parsed().dry_run == "none"


def test_lists_gather_and_only_some_split_at_commas() -> None:
    values = parsed("-L", "a,b", "--label-columns=c", "--env", "A=1,2", "--env=B=3")
    assert values.label_columns == ["a", "b", "c"]
    assert values.env == ["A=1,2", "B=3"]


def test_two_dashes_end_the_flags() -> None:
    values = parsed("pod", "--", "-o", "--foo")
    assert (values.words, values.after_dash) == (["pod"], ["-o", "--foo"])
    assert parsed("pod").after_dash is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--foo",), "unknown flag: --foo"),
        (("-Z",), "unknown shorthand flag: 'Z' in -Z"),
        (("-wZ",), "unknown shorthand flag: 'Z' in -wZ"),
        (("-o",), "flag needs an argument: 'o' in -o"),
        (("--output",), "flag needs an argument: --output"),
        (("--tail=x",), 'invalid argument "x" for "--tail" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (("--watch=z",), 'invalid argument "z" for "-w, --watch" flag: strconv.ParseBool: parsing "z": invalid syntax'),
        (("--tail=" + NINES,), f'invalid argument "{NINES}" for "--tail" flag: {NOT_A_NUMBER}'),
        (("---x",), "bad flag syntax: ---x"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_as_kubectl_says_it(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parsed(*words)
    assert str(raised.value) == f"{message}\nSee 'kctl get --help' for usage."


def test_a_required_flag_is_missed() -> None:
    flags = Flags("scale")
    flags.number("replicas", "how many")
    flags.require("replicas")
    with pytest.raises(UsageError, match=r'^required flag\(s\) "replicas" not set$'):
        flags.parse(["deploy", "x"])


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("get pods", "get"),
        ("-n x get pods", "get"),
        ("--namespace=x get", "get"),
        ("-nx get", "get"),
        ("--insecure-skip-tls-verify get", "get"),
        ("--kubeconfig /k --context c get", "get"),
        ("-n", None),
        ("-- get", None),
    ],
)
def test_the_command_is_found_behind_flags(line: str, word: str | None) -> None:
    words = line.split()
    at = leading_word(words)
    assert (words[at] if at >= 0 else None) == word


@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        values = parsed(*words)
        assert len(values.words) + len(values.after_dash or ()) <= len(words)


@pytest.mark.parametrize(
    ("text", "value"),
    [("30s", 30), ("1m30s", 90), ("1h", 3600), ("-1s", -1), ("500ms", 0.5), ("0", 0), ("1.5h", 5400), ("10", 10)],
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@given(st.text(max_size=20))
def test_no_text_breaks_the_reading_of_durations(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(seconds(text), float)
