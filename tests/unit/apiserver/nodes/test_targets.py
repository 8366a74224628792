"""Which port of which pod a proxy's name means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.nodes.targets import Place, Target, behind, of_pod, of_service, parse, relinked, relocated
from sampan.errors import ApiError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", Target("http", "a", "")),
        ("a:80", Target("http", "a", "80")),
        ("https:a", Target("https", "a", "")),
        ("https:a:web", Target("https", "a", "web")),
        (":a:80", Target("http", "a", "80")),
        ("http:a:", Target("http", "a", "")),
    ],
)
def test_names_are_taken_apart(text: str, expected: Target) -> None:
    assert parse(text) == expected


@given(st.text(alphabet="a:ftps0", max_size=12))
def test_a_name_is_understood_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except ApiError:
        assert ":" in text
    else:
        assert found.scheme in ("http", "https")
        assert ":" not in found.name + found.port


def pod(*ports: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"nodeName": "n1", "containers": [{"ports": list(ports)}]}, "status": {"podIP": "10.0.0.1"}}


def test_a_pod_answers_at_its_first_port_unless_told_otherwise() -> None:
    web = {"name": "web", "containerPort": 8080}
    assert of_pod(pod(web), Target("http", "p", "")) == Place("http", 8080, pod="p", node="n1")
    assert of_pod(pod(web), Target("http", "p", "web")).port == 8080
    assert of_pod(pod(web), Target("http", "p", "99")).port == 99
    assert of_pod(pod(), Target("https", "p", "")).port == 443
    with pytest.raises(ApiError) as refused:
        of_pod(pod(), Target("http", "p", "web"))
    assert refused.value.code == 400


def service(*ports: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"ports": list(ports)}}


SLICE = {
    "ports": [{"name": "web", "port": 8080}, {"name": "admin", "port": 9090}],
    "endpoints": [
        {"addresses": ["10.0.0.1"], "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "a"}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": "b"}},
    ],
}


@pytest.mark.parametrize(("port", "expected"), [("web", 8080), ("80", 8080), ("81", 9090), ("admin", 9090)])
def test_a_service_means_one_of_its_ready_endpoints(port: str, expected: int) -> None:
    ports = ({"name": "web", "port": 80}, {"name": "admin", "port": 81})
    found = of_service(service(*ports), [SLICE], Target("http", "s", port))
    assert found == Place("http", expected, pod="a", node="n1", address="10.0.0.1")


@pytest.mark.parametrize("port", ["", "none", "8080"])
def test_a_port_that_a_service_has_not_is_503(port: str) -> None:
    with pytest.raises(ApiError) as refused:
        of_service(service({"name": "web", "port": 80}, {"name": "b", "port": 1}), [SLICE], Target("http", "s", port))
    assert refused.value.code == 503


def test_a_service_without_endpoints_is_503() -> None:
    with pytest.raises(ApiError) as refused:
        of_service(service({"port": 80}), [], Target("http", "s", ""))
    assert (refused.value.code, refused.value.message) == (503, 'no endpoints available for service "s"')


def test_an_address_written_by_hand_may_be_a_pods() -> None:
    place = Place("http", 80, address="10.0.0.1")
    known = {"metadata": {"name": "a"}, **pod()}
    assert behind(place, [known]) == Place("http", 80, pod="a", node="n1", address="10.0.0.1")
    assert behind(Place("http", 80, address="10.0.0.2"), [known]).pod == ""


def test_no_proxy_leads_to_the_servers_own_loopback() -> None:
    own = SLICE | {"endpoints": [{"addresses": ["127.0.0.1"]}]}
    with pytest.raises(ApiError) as refused:
        of_service(service({"name": "web", "port": 80}), [own], Target("http", "s", "web"))
    assert refused.value.code == 503


def test_links_and_redirects_lead_through_the_proxy() -> None:
    assert relocated("/x?y", "/p/proxy") == "/p/proxy/x?y"
    assert relocated("/p/proxy/x", "/p/proxy") == "/p/proxy/x"
    assert relocated("//host/x", "/p/proxy") == "//host/x"
    assert relocated("https://host/x", "/p/proxy") == "https://host/x"
    document = b"<a href=\"/a\">t</a><img SRC='/b'><a href='//c'><a href='d'> href is /e"
    assert relinked(document, "/p") == b"<a href=\"/p/a\">t</a><img SRC='/p/b'><a href='//c'><a href='d'> href is /e"
