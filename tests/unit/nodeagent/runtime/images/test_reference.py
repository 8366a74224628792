"""Names as people write them, and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.images.errors import InvalidReference
from nodeagent.runtime.images.reference import image_id, parse, spellings

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("app", "docker.io/library/app:latest"),
        ("app:v1", "docker.io/library/app:v1"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/app", "docker.io/library/app:latest"),
        ("index.docker.io/library/app:v1", "docker.io/library/app:v1"),
        ("localhost/app:v1", "localhost/app:v1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("[::1]:5000/a/b__c/d.e-f", "[::1]:5000/a/b__c/d.e-f:latest"),
        ("registry.example/a/b:1.0_x-Y", "registry.example/a/b:1.0_x-Y"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}"),
        (f"app:v1@{DIGEST}", f"docker.io/library/app:v1@{DIGEST}"),
    ],
)
def test_a_reference_has_one_normal_form(text: str, normal: str) -> None:
    assert str(parse(text)) == normal


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("App", "upper-case"),
        ("a//b", "is not lower-case letters"),
        ("a/../b", "is not lower-case letters"),
        ("app:", "tag ''"),
        ("app:-x", "tag '-x'"),
        ("app:" + "t" * 129, "tag"),
        ("app@sha256:12", "digest"),
        ("a" * 64, "image ID"),
        ("host:port/app", "registry 'host:port'"),
        ("exa_mple.com/app", "registry"),
        ("app\n", "is not lower-case letters"),
        ("x" * 600, "at most 512"),
        ("é", "is not lower-case letters"),
    ],
)
def test_a_wrong_reference_is_told_why(text: str, why: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse(text)
    assert why in str(caught.value)


@given(st.text(max_size=80))
def test_whatever_parses_is_stable_and_safe(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidReference:
        return
    assert parse(str(reference)).repository == reference.repository
    assert ".." not in reference.repository.split("/")
    assert not reference.repository.startswith("/")


def test_local_names_answer_with_and_without_localhost() -> None:
    assert "localhost/app:v1" in {s.name for s in spellings(parse("app:v1"))}
    assert "docker.io/library/app:v1" in {s.name for s in spellings(parse("localhost/app:v1"))}
    assert len(spellings(parse("registry.example/app"))) == 1


def test_image_ids_are_told_from_names() -> None:
    assert image_id("a" * 64) == DIGEST == image_id(DIGEST)
    assert image_id("app") is None
