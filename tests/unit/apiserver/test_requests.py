"""URLs, Accept headers, ages, rules: small pure things."""

from __future__ import annotations

import pytest

from apiserver.authz.authorize import rules_of
from apiserver.authz.node import references
from apiserver.authz.policy import Attributes, Rule
from apiserver.compaction import FEWEST_REVISIONS, KEEP_SECONDS, MOST_REVISIONS, due
from apiserver.http.request import understand
from apiserver.lists import make_token, read_token
from apiserver.negotiate import Form, negotiate
from apiserver.registry import priority
from apiserver.tables import age
from sampan.errors import ApiError


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/pods?watch=true", ("watch", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/watch/pods", ("watch", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "v1", "namespaces", "", "a", "")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "v1", "namespaces", "", "a", "finalize")),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", ("create", "apps", "v1", "deployments", "a", "", "")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            ("patch", "apps", "v1", "deployments", "a", "b", "scale"),
        ),
        ("DELETE", "/api/v1/namespaces/a/pods", ("deletecollection", "", "v1", "pods", "a", "", "")),
        ("DELETE", "/api/v1/namespaces/a/pods/b%2Fc", ("delete", "", "v1", "pods", "a", "b/c", "")),
        ("GET", "/apis/apps", ("get", "", "", "", "", "", "")),
        ("GET", "/", ("get", "", "", "", "", "", "")),
    ],
)
def test_what_a_url_asks(method: str, target: str, expected: tuple[str, ...]) -> None:
    asked = understand(method, target)
    found = (asked.verb, asked.group, asked.version, asked.plural, asked.namespace, asked.name, asked.subresource)
    assert found == expected


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/vnd.kubernetes.protobuf, application/json", Form()),
        ("application/yaml", Form("application/yaml")),
        ("application/json;q=0.1, application/yaml", Form("application/yaml")),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Form("application/json", "Table", "meta.k8s.io", "v1"),
        ),
    ],
)
def test_the_best_form_is_chosen(accept: str, form: Form) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize("accept", ["application/*", "text/plain", "application/json;as=Other"])
def test_what_is_not_served_is_406(accept: str) -> None:
    with pytest.raises(ApiError) as caught:
        negotiate(accept)
    assert caught.value.code == 406


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (125, "2m5s"), (600, "10m"), (10_700, "178m"), (3 * 3600 + 60, "3h1m"),
        (9 * 3600, "9h"), (50 * 3600, "2d2h"), (9 * 86400, "9d"), (800 * 86400, "2y70d"), (3000 * 86400, "8y"),
    ],
)  # fmt: skip
def test_ages_are_short(seconds: int, text: str) -> None:
    assert age(seconds) == text


def test_versions_are_ordered_as_clients_expect() -> None:
    found = sorted(["v1beta1", "v10", "v1", "foo", "v2alpha1", "v2", "v1beta2"], key=priority, reverse=True)
    assert found == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v2alpha1", "foo"]


def test_a_token_survives_the_way_there_and_back() -> None:
    assert read_token(make_token(7, "ns/ä")) == (7, "ns/ä")
    for bad in ("", "abc", "e30="):
        with pytest.raises(ApiError):
            read_token(bad)


def test_rules_cover_subresources_only_when_they_say_so() -> None:
    rule = Rule(("get",), ("",), ("pods",))
    assert rule.allows(Attributes("get", "", "pods"))
    assert not rule.allows(Attributes("get", "", "pods", "log"))
    assert Rule(("get",), ("",), ("*/log",)).allows(Attributes("get", "", "pods", "log"))
    assert not Rule(("get",), ("",), ("pods",), namespace="a").allows(Attributes("get", "", "pods", namespace="b"))


def test_nobody_gets_rights_from_a_name_that_only_looks_like_one() -> None:
    assert rules_of("system:kube-scheduler2", ()) == ()
    assert rules_of("bob", ("system:nodes",)) == ()


def test_what_a_pod_uses() -> None:
    pod = {
        "spec": {
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"secret": {"secretName": "s1"}},
                {"projected": {"sources": [{"secret": {"name": "s2"}}, {"configMap": {"name": "c1"}}]}},
            ],
            "containers": [
                {
                    "env": [{"valueFrom": {"configMapKeyRef": {"name": "c2"}}}],
                    "envFrom": [{"secretRef": {"name": "s3"}}],
                }
            ],
        }
    }
    assert set(references(pod)) == {
        ("secrets", "pull"), ("secrets", "s1"), ("secrets", "s2"), ("configmaps", "c1"), ("configmaps", "c2"),
        ("secrets", "s3"),
    }  # fmt: skip


def test_history_is_compacted_by_age_and_by_size_but_not_for_a_little() -> None:
    assert due([(0, 10_000)], KEEP_SECONDS - 1, 0) == 0
    assert due([(0, 10_000), (60, 20_000)], KEEP_SECONDS + 1, 0) == 10_000
    assert due([(0, FEWEST_REVISIONS - 1)], KEEP_SECONDS + 1, 0) == 0
    assert due([(0, 100), (60, 1_000), (120, 1_000 + MOST_REVISIONS)], 121, 0) == 1_000
