"""Dockerfile text, variables and patterns: pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.images.build.dockerfile import parse
from nodeagent.runtime.images.build.expand import ExpansionError, expand, words
from nodeagent.runtime.images.build.patterns import Ignore, compile_pattern
from nodeagent.runtime.images.errors import BuildError


def rows(text: str) -> list[tuple[str, str, int]]:
    return [(i.name, i.rest, i.line) for i in parse(text, "Dockerfile").instructions]


def test_comments_continuations_and_blank_lines() -> None:
    text = "# hello\n\nFROM scratch\nRUN a \\\n  # not this\n\n  && b\\\n  c\r\n  env A=1\n"
    assert rows(text) == [("FROM", "scratch", 3), ("RUN", "a   && b  c", 4), ("ENV", "A=1", 9)]


def test_the_escape_directive() -> None:
    parsed = parse("# escape=`\nFROM scratch\nCOPY a `\n  b\\\n", "D")
    assert parsed.escape == "`"
    assert parsed.instructions[1].rest == "a   b\\"


def test_exec_forms_and_what_only_looks_like_one() -> None:
    first, second, third = parse('CMD ["a", "b c"]\nCMD [a]\nCMD ["a", 1]\n', "D").instructions
    assert first.items == ("a", "b c")
    assert second.items is None
    assert third.items is None


def test_flags() -> None:
    (copy,) = parse("COPY --from=a --chmod=0755 --link x y\n", "D").instructions
    assert (copy.flag("from"), copy.flag("chmod"), copy.flag("link"), copy.rest) == ("a", "0755", "", "x y")


def test_here_documents() -> None:
    run, copy, after = parse(
        'RUN <<EOF\na\n b\nEOF\nCOPY <<-"X" <<Y /d/\n\tone $A\nX\ntwo\nY\nUSER me\n', "D"
    ).instructions
    assert [(h.name, h.text, h.literal) for h in run.heredocs] == [("EOF", "a\n b\n", False)]
    assert [(h.name, h.text, h.literal) for h in copy.heredocs] == [("X", "one $A\n", True), ("Y", "two\n", False)]
    assert (after.name, after.line) == ("USER", 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Dockerfile: has no instruction"),
        ("FROM scratch\nFOO x\n", "Dockerfile:2: unknown instruction 'FOO'"),
        ("FROM scratch\n\n\nRUN\n", "Dockerfile:4: RUN needs an argument"),
        ("FROM scratch\nCOPY --parents a b\n", "Dockerfile:2: COPY: flag --parents is not supported"),
        (
            "FROM scratch\nRUN --mount=type=cache,target=/x a\n",
            "Dockerfile:2: RUN: flag '--mount=type=cache,target=/x'",
        ),
        ("FROM scratch\nRUN <<EOF\nx\n", "Dockerfile:2: here-document 'EOF' has no end"),
        ("# syntax=evil/frontend\nFROM scratch\n", "Dockerfile:1: syntax 'evil/frontend' is not supported"),
        ("# escape=x\nFROM scratch\n", "Dockerfile:1: escape 'x'"),
        ("FROM a\0b", "is not a text file"),
    ],
)
def test_errors_name_file_and_line(text: str, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse(text, "Dockerfile")
    assert message in str(caught.value)


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        parsed = parse(text, "D")
    except BuildError:
        return
    assert all(i.line >= 1 for i in parsed.instructions)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A-${A}x", "1-1x"),
        ("${NO:-d$A}", "d1"),
        ("${EMPTY-d}|${EMPTY:-d}", "|d"),
        ("${A:+y}${NO:+n}", "y"),
        ("\\$A '$A' \"$A\"", "$A $A 1"),
        ("$", "$"),
        ("${NO:-${NO:-${A}}}", "1"),
        ("a\\ b", "a b"),
    ],
)
def test_variables(text: str, result: str) -> None:
    assert expand(text, {"A": "1", "EMPTY": ""}) == result


@pytest.mark.parametrize("text", ["${A", "'x", '"x', "${}", "${A:=x}", "${NO:?must be set}", "${A:-" * 50 + "}" * 50])
def test_broken_variables_are_told(text: str) -> None:
    with pytest.raises(ExpansionError):
        expand(text, {} if "A:-" in text else {"A": "1"})


@given(st.text(max_size=200), st.dictionaries(st.sampled_from("ABC"), st.text(max_size=20)))
def test_expansion_ends_and_says_what_is_wrong(text: str, variables: dict[str, str]) -> None:
    try:
        expanded = expand(text, variables)
    except ExpansionError as error:
        said = str(error)
    else:
        said = "fine" if isinstance(expanded, str) else ""
    assert said


def test_words_are_split_before_variables() -> None:
    assert words("a=$A 'b c'  d\\ e", {"A": "x y"}) == ["a=x y", "b c", "d e"]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.go", "a.go", True),
        ("*.go", "d/a.go", False),
        ("**/*.go", "d/e/a.go", True),
        ("**/*.go", "a.go", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("a.c", "abc", False),
        ("\\*", "*", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert bool(compile_pattern(pattern).match(path)) is matches


def test_the_last_matching_ignore_rule_decides() -> None:
    ignore = Ignore.parse("# no\n*.md\n!README.md\nnode_modules\n/build/\n**/*.tmp\n")
    ignored = {
        p for p in ("a.md", "README.md", "node_modules/x/y", "build/o", "x/y.tmp", "src/a.md") if ignore.ignores(p)
    }
    assert ignored == {"a.md", "node_modules/x/y", "build/o", "x/y.tmp"}
