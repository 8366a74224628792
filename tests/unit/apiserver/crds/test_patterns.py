"""Patterns: RE2's syntax, found in texts in linear time."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.crds.patterns import Pattern, PatternError

atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\b", r"\s", "^", "(?:ab)", "1"])
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=8,
)


@given(patterns, st.text("ab1 \n", max_size=8))
def test_a_pattern_finds_what_pythons_own_finds(pattern: str, text: str) -> None:
    assert Pattern(pattern).found_in(text) == bool(re.search(pattern, text, re.ASCII))


@given(patterns, st.text("ab1", max_size=6))
def test_anchored_patterns_match_whole_texts(pattern: str, text: str) -> None:
    assert Pattern(f"^(?:{pattern})$").found_in(text) == bool(re.fullmatch(pattern, text, re.ASCII))


@given(st.text(max_size=20))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    with contextlib.suppress(PatternError):
        Pattern(text).found_in(text)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)*$", "^(.*.*.*)*x$", "(a?){50}a{50}b"])
def test_no_pattern_is_catastrophic(pattern: str) -> None:
    started = time.perf_counter()
    assert not Pattern(pattern).found_in("a" * 20_000 + "!")
    assert time.perf_counter() - started < 30  # a catastrophe takes years


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        (r"^\d+\z", "12", "12\n"),
        ("^12$", "12", "12\n"),
        ("(?i)abc", "xABCx", "ab"),
        ("^(?P<year>[0-9]{4})-", "2026-", "206-"),
        ("[[:alpha:]]+[[:^digit:]]", "ab", "1"),
        (r"\x41\x{1F600}", "A\U0001f600", "A"),
        ("(?m)^b$", "a\nb\nc", "abc"),
        ("(?s)a.b", "a\nb", "ab"),
        ("a{,2}", "a{,2}", "aa"),
        (r"[\w.-]+@", "a.b-c@", "@"),
    ],
)
def test_re2_syntax(pattern: str, found: str, missed: str) -> None:
    assert Pattern(pattern).found_in(found)
    assert not Pattern(pattern).found_in(missed)


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a**", "[b-a]", r"(a)\1", "(?=a)", "(?<!a)b", "a{1001}", "[", "*", r"\p{L}", "(" * 200, "[[:x:]]"],
)
def test_what_re2_does_not_take_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="error parsing regexp"):
        Pattern(pattern)
