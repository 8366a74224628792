"""What names, label keys and values, and other short texts may look like.

Each rule is a function from a text to upstream's complaints about it, none if it is fine.
Sources: RFC 1123, RFC 1035, "Object Names and IDs", "Labels and Selectors".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from sampan.errors import FieldError

Rule = Callable[[str], list[str]]

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
ANNOTATIONS_SIZE = 256 * 1024
"""Most bytes of all keys and values of an object's annotations together."""

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = LABEL + "(\\." + LABEL + ")*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED})?"
CONFIG_KEY = "[-._a-zA-Z0-9]+"
HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
HTTP_HEADER = "[-A-Za-z0-9]+"
WILDCARD_SUBDOMAIN = "\\*\\." + SUBDOMAIN


def regex_text(message: str, pattern: str, *examples: str) -> str:
    """A complaint with examples and the pattern, spaced as upstream spaces it."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


LABEL_TEXT = regex_text(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character",
    LABEL,
    "my-name",
    "123-abc",
)
SUBDOMAIN_TEXT = regex_text(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    SUBDOMAIN,
    "example.com",
)
LABEL_1035_TEXT = regex_text(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character",
    LABEL_1035,
    "my-name",
    "abc-123",
)
QUALIFIED_TEXT = regex_text(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
LABEL_VALUE_TEXT = regex_text(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
CONFIG_KEY_TEXT = regex_text(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
HTTP_HEADER_TEXT = regex_text(
    "a valid HTTP header must consist of alphanumeric characters or '-'", HTTP_HEADER, "X-Header-Name"
)
ENV_NAME_TEXT = "a valid environment variable name must consist only of printable ASCII characters other than '='"

LABEL_PATTERN = re.compile(LABEL, re.ASCII)
SUBDOMAIN_PATTERN = re.compile(SUBDOMAIN, re.ASCII)
LABEL_1035_PATTERN = re.compile(LABEL_1035, re.ASCII)
QUALIFIED_PATTERN = re.compile(QUALIFIED, re.ASCII)
LABEL_VALUE_PATTERN = re.compile(LABEL_VALUE, re.ASCII)
CONFIG_KEY_PATTERN = re.compile(CONFIG_KEY, re.ASCII)
HTTP_HEADER_PATTERN = re.compile(HTTP_HEADER, re.ASCII)


def too_long(most: int) -> str:
    """The complaint about a text of more than `most` bytes."""
    return f"must be no more than {most} bytes"


def matching(pattern: re.Pattern[str], complaint: str, longest: int) -> Rule:
    """The rule that a text matches a pattern from end to end and has at most `longest` bytes."""
    matches = pattern.fullmatch

    def rule(text: str) -> list[str]:
        if len(text) <= longest and matches(text):
            return []
        found = [too_long(longest)] if len(text.encode()) > longest else []
        # A hostile text is cut before a regular expression with nested repetition sees it.
        return found if matches(text[: 4 * SUBDOMAIN_LENGTH]) else [*found, complaint]

    return rule


dns_label = matching(LABEL_PATTERN, LABEL_TEXT, LABEL_LENGTH)
"""RFC 1123 label: names of namespaces, containers, volumes."""
dns_subdomain = matching(SUBDOMAIN_PATTERN, SUBDOMAIN_TEXT, SUBDOMAIN_LENGTH)
"""RFC 1123 subdomain: names of most objects."""
dns_1035_label = matching(LABEL_1035_PATTERN, LABEL_1035_TEXT, LABEL_LENGTH)
"""RFC 1035 label: names of Services."""
label_value = matching(LABEL_VALUE_PATTERN, LABEL_VALUE_TEXT, LABEL_LENGTH)
"""The value of a label."""
http_header_name = matching(HTTP_HEADER_PATTERN, HTTP_HEADER_TEXT, 4096)
"""The name of an HTTP header in a probe."""


def qualified_name(text: str) -> list[str]:
    """A label or annotation key: `name` or `prefix.example/name`."""
    prefix, slash, name = text.rpartition("/")
    found: list[str] = []
    if "/" in prefix:
        return [
            f"a qualified name {QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if slash:
        if not prefix:
            found.append("prefix part must be non-empty")
        else:
            found += [f"prefix part {complaint}" for complaint in dns_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > LABEL_LENGTH:
        found.append(f"name part {too_long(LABEL_LENGTH)}")
    if not QUALIFIED_PATTERN.fullmatch(name[: 2 * LABEL_LENGTH]):
        found.append(f"name part {QUALIFIED_TEXT}")
    return found


def port_name(text: str) -> list[str]:
    """RFC 6335 service name: the name of a container's port."""
    found = []
    if len(text) > 15:
        found.append(too_long(15))
    if not re.fullmatch(r"[-a-z0-9]+", text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return found


def env_name(text: str) -> list[str]:
    """The name of an environment variable, by the relaxed rule of Kubernetes 1.34 on."""
    if not text:
        return ["environment variable name must be non-empty"]
    return [] if all(" " <= letter <= "~" and letter != "=" for letter in text) else [ENV_NAME_TEXT]


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret, which becomes a file name."""
    found = [too_long(SUBDOMAIN_LENGTH)] if len(text.encode()) > SUBDOMAIN_LENGTH else []
    if not CONFIG_KEY_PATTERN.fullmatch(text):
        found.append(CONFIG_KEY_TEXT)
    if text == ".":
        found.append("must not be '.'")
    elif text == "..":
        found.append("must not be '..'")
    elif text.startswith(".."):
        found.append("must not start with '..'")
    return found


def path_segment(text: str) -> list[str]:
    """A name that stands in a URL path, as RBAC's do."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in text]


def port_number(number: int) -> list[str]:
    """A TCP, UDP or SCTP port."""
    return [] if 1 <= number <= 65535 else ["must be between 1 and 65535, inclusive"]


def ip_address(text: str) -> list[str]:
    """An IPv4 or IPv6 address without a zone, in decimal without leading zeros."""
    try:
        if "%" not in text:
            ipaddress.ip_address(text)
            return []
    except ValueError:
        pass
    return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]


def special_ip(text: str) -> list[str]:
    """What forbids an address behind a service: it means whoever uses it (RFC 1122, RFC 3927, RFC 4291).

    Nothing is said of what is no address at all: that is `ip_address`'s to complain of.
    """
    if ip_address(text):
        return []
    address = ipaddress.ip_address(text)
    group = "224.0.0.0/24" if address.version == 4 else "ff02::/16"
    forbidden = {
        f"may not be unspecified ({text})": address.is_unspecified,
        "may not be in the loopback range (127.0.0.0/8, ::1/128)": address.is_loopback,
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)": address.is_link_local,
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)": address
        in ipaddress.ip_network(group),
    }
    return [complaint for complaint, applies in forbidden.items() if applies]


def cidr(text: str) -> list[str]:
    """An address block such as 10.9.8.0/24."""
    try:
        if "/" in text and "%" not in text:
            ipaddress.ip_interface(text)
            return []
    except ValueError:
        pass
    return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def prefix_of(rule: Rule) -> Rule:
    """The rule for a `generateName`: what it may be, given that more letters follow."""

    def checked(text: str) -> list[str]:
        return rule(text[:-1] + "a" if text.endswith("-") else text)

    return checked


def label_errors(labels: Mapping[str, str], path: str) -> list[FieldError]:
    """All broken rules of a map of labels."""
    found = [FieldError.invalid(path, key, text) for key in labels for text in qualified_name(key)]
    return found + [FieldError.invalid(path, one, text) for one in labels.values() for text in label_value(one)]


def annotation_errors(annotations: Mapping[str, str], path: str) -> list[FieldError]:
    """All broken rules of a map of annotations; their keys may have capitals in the prefix."""
    found = [FieldError.invalid(path, key, text) for key in annotations for text in qualified_name(key.lower())]
    size = sum(len(key.encode()) + len(one.encode()) for key, one in annotations.items())
    return [*found, FieldError.too_long(path, ANNOTATIONS_SIZE)] if size > ANNOTATIONS_SIZE else found
