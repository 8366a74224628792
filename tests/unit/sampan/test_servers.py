"""Which server is called: one until it fails, and never one that nobody knows any more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sampan.servers import Servers

URLS = st.sampled_from("abcde")


def test_the_next_one_follows_the_one_that_failed() -> None:
    servers = Servers(["a", "b", "c"])
    assert [servers.current, servers.failed("a"), servers.current] == ["a", True, "b"]
    assert servers.failed("a"), "told twice of one failure"
    assert servers.current == "b"
    servers.failed("b")
    servers.failed("c")
    assert servers.current == "a"


def test_a_single_server_has_no_other() -> None:
    servers = Servers(["a", "a"])
    assert not servers.failed("a")
    assert servers.current == "a"


def test_what_is_configured_stays_although_it_does_not_live() -> None:
    servers = Servers(["name"])
    assert servers.learn(["x", "y"])
    assert servers.urls == ("name", "x", "y")
    assert not servers.learn(["x", "y"])
    servers.failed("name")
    servers.learn(["y"])
    assert servers.current == "name", "x was current, and nobody knows it any more"
    assert servers.urls == ("name", "y")


@given(
    st.lists(URLS, min_size=1),
    st.lists(st.one_of(st.builds(lambda url: ("failed", url), URLS), st.tuples(st.just("learn"), st.lists(URLS)))),
)
def test_the_current_one_is_always_known(configured: list[str], steps: list[tuple[str, str | list[str]]]) -> None:
    servers = Servers(configured)
    for what, value in steps:
        if what == "learn":
            servers.learn(value)
        else:
            servers.failed(str(value))
        assert servers.current in servers.urls
        assert set(configured) <= set(servers.urls)
