import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan import names


@pytest.mark.parametrize(
    ("rule", "text", "complaints"),
    [
        (names.dns_label, "web-1", []),
        (names.dns_label, "a" * 64, ["must be no more than 63 bytes"]),
        (names.dns_label, "web\n", [names.LABEL_TEXT]),
        (names.dns_label, "Web", [
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        ]),
        (names.dns_subdomain, "a.b-c.d", []),
        (names.dns_subdomain, "a..b", [
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ]),
        (names.dns_1035_label, "1web", [names.LABEL_1035_TEXT]),
        (names.qualified_name, "app.kubernetes.io/name", []),
        (names.qualified_name, "/name", ["prefix part must be non-empty"]),
        (names.qualified_name, "a/", ["name part must be non-empty", f"name part {names.QUALIFIED_TEXT}"]),
        (names.qualified_name, "UP/x", [f"prefix part {names.SUBDOMAIN_TEXT}"]),
        (names.qualified_name, "a/b/c", [
            f"a qualified name {names.QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]),
        (names.label_value, "", []),
        (names.label_value, "-x", [names.LABEL_VALUE_TEXT]),
        (names.label_value, "é", [names.LABEL_VALUE_TEXT]),
        (names.port_name, "http", []),
        (names.port_name, "8080", ["must contain at least one letter (a-z)"]),
        (names.port_name, "a--b", ["must not contain consecutive hyphens"]),
        (names.port_name, "a-name-of-sixteen", ["must be no more than 15 bytes"]),
        (names.env_name, "A B", []),
        (names.env_name, "A=B", [names.ENV_NAME_TEXT]),
        (names.config_key, "..data", ["must not start with '..'"]),
        (names.config_key, "a/b", [names.CONFIG_KEY_TEXT]),
        (names.ip_address, "10.0.0.1", []),
        (names.ip_address, "10.0.0.01", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        (names.cidr, "10.0.0.0/8", []),
        (names.cidr, "10.0.0.0", ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]),
        (names.prefix_of(names.dns_subdomain), "web-", []),
    ],
)  # fmt: skip
def test_complaints_are_worded_as_upstreams(rule: names.Rule, text: str, complaints: list[str]) -> None:
    assert rule(text) == complaints


@given(st.text(max_size=80))
def test_a_label_is_a_subdomain_and_a_label_value(text: str) -> None:
    if not names.dns_label(text):
        assert not names.dns_subdomain(text)
        assert not names.label_value(text)
        assert not names.qualified_name(text)


def test_hostile_lengths_take_no_time() -> None:
    assert names.dns_subdomain("a." * 500_000 + "!")
    assert names.qualified_name("-" * 1_000_000)


def test_annotations_have_a_size_limit_together() -> None:
    assert names.annotation_errors({"a": "x" * (256 * 1024 - 1)}, "metadata.annotations") == []
    (error,) = names.annotation_errors({"a": "x" * (256 * 1024)}, "metadata.annotations")
    assert str(error) == "metadata.annotations: Too long: may not be more than 262144 bytes"


def test_labels_are_reported_by_key_and_value() -> None:
    errors = names.label_errors({"a/b/c": "!", "ok": "ok"}, "metadata.labels")
    assert [error.path for error in errors] == ["metadata.labels"] * 2
    assert errors[1].text == f'Invalid value: "!": {names.LABEL_VALUE_TEXT}'
