"""The flags that every command takes, before or after its name, and the session that they describe."""

from __future__ import annotations

import argparse

from kctl.session import Session

GLOBAL = (
    ("--kubeconfig", None, "path to the kubeconfig file"),
    ("--context", None, "the kubeconfig context to use"),
    ("--cluster", None, "the kubeconfig cluster to use"),
    ("--user", None, "the kubeconfig user to use"),
    ("--namespace", "-n", "the namespace of this call"),
    ("--server", "-s", "the API server's address"),
    ("--token", None, "bearer token"),
    ("--certificate-authority", None, "path to the CA's certificate"),
    ("--request-timeout", None, "how long to wait for one request, such as 5s; 0 for ever"),
)


def add_global(parser: argparse.ArgumentParser) -> None:
    """Declare the global flags."""
    group = parser.add_argument_group("global flags")
    for long, short, text in GLOBAL:
        group.add_argument(*([short] if short else []), long, help=text, default=None)
    group.add_argument("--insecure-skip-tls-verify", action="store_true", help="do not check the server's certificate")
    group.add_argument("-v", "--v", dest="verbosity", type=int, default=0, help="how much to tell")


def session(arguments: argparse.Namespace) -> Session:
    """Open the session that the flags describe. Raises KubeconfigError."""
    from kctl.target import resolve

    overrides: dict[str, str | None] = {long.lstrip("-").replace("-", "_"): None for long, _, _ in GLOBAL}
    overrides |= {key: getattr(arguments, key, None) for key in overrides}
    overrides["insecure_skip_tls_verify"] = "true" if arguments.insecure_skip_tls_verify else None
    limit = arguments.request_timeout
    timeout = seconds(limit) if limit else 0.0
    return Session(resolve(overrides), timeout or None)


UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A Go duration such as `1m30s`, in seconds; a bare number counts seconds. Raises UsageError."""
    import re

    from kctl.__main__ import UsageError

    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.lstrip("-"):
        raise UsageError(f'invalid duration "{text}": use a number and a unit, such as 30s or 5m')
    total = sum(float(number) * UNITS[unit] for number, unit in parts)
    return -total if text.startswith("-") else total
