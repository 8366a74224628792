"""A stage's image config as instructions change it: pure functions over the JSON object of the OCI image config.

Source: OCI image-spec v1.1 config.md; Dockerfile reference for what each instruction means.
"""

from __future__ import annotations

import re
import signal
from typing import Any

from nodeagent.runtime.images.build.dockerfile import Instruction, json_array
from nodeagent.runtime.images.build.expand import words

Config = dict[str, Any]

_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?\Z")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)")
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
DEFAULT_SHELL = ("/bin/sh", "-c")


def environment(config: Config) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in config.get("Env") or [])


def set_environment(config: Config, values: dict[str, str]) -> None:
    merged = {**environment(config), **values}
    config["Env"] = [f"{name}={value}" for name, value in merged.items()]


def pairs(instruction: Instruction, variables: dict[str, str], escape: str) -> dict[str, str]:
    """The `key=value ...` of ENV and LABEL, or the old `key value` form of one."""
    raw = words(instruction.rest, variables, escape, raw=True)
    if "=" not in raw[0]:
        name, _, value = instruction.rest.partition(" ")
        if not value.strip():
            raise instruction.wrong(f"{name!r} has no value", f"write {name}=VALUE")
        return {name: " ".join(words(value.strip(), variables, escape))}
    found = {}
    for word in words(instruction.rest, variables, escape):
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise instruction.wrong(f"{word!r} is not NAME=VALUE", "put values with blanks in quotes")
        found[name] = value
    return found


def command(instruction: Instruction, config: Config) -> list[str]:
    """The argument vector of CMD, ENTRYPOINT or RUN: its list, or its text for the stage's shell."""
    if instruction.items is not None:
        if not instruction.items and instruction.name != "CMD" and instruction.name != "ENTRYPOINT":
            raise instruction.wrong("the list is empty")
        return list(instruction.items)
    return [*(config.get("Shell") or DEFAULT_SHELL), instruction.rest]


def expose(instruction: Instruction, ports: list[str], config: Config) -> None:
    exposed = dict(config.get("ExposedPorts") or {})
    for text in ports:
        match = _PORT.match(text)
        first = int(match.group(1)) if match else 0
        last = int(match.group(2) or first) if match else 0
        if not match or not 0 < first <= last <= 65535:
            raise instruction.wrong(f"{text!r} is not PORT[-PORT][/tcp|udp|sctp]")
        for port in range(first, last + 1):
            exposed[f"{port}/{match.group(3) or 'tcp'}"] = {}
    config["ExposedPorts"] = exposed


def stop_signal(instruction: Instruction, text: str) -> str:
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    real_time = re.match(r"SIGRTM(IN|AX)([+-][0-9]+)?\Z", name)
    if text.isdigit():
        if not 1 <= int(text) <= 64:
            raise instruction.wrong(f"{text} is not a signal number (1 to 64)")
    elif not real_time and name not in signal.Signals.__members__:
        raise instruction.wrong(f"{text!r} is not a signal")
    return text


def health_check(instruction: Instruction, config: Config) -> None:
    kind, _, rest = instruction.rest.partition(" ")
    if kind.upper() == "NONE":
        config["Healthcheck"] = {"Test": ["NONE"]}
        return
    if kind.upper() != "CMD" or not rest.strip():
        raise instruction.wrong("is neither CMD and a command nor NONE")
    items = json_array(rest.strip())
    check: dict[str, Any] = {"Test": ["CMD", *items] if items else ["CMD-SHELL", rest.strip()]}
    keys = {
        "interval": "Interval",
        "timeout": "Timeout",
        "start-period": "StartPeriod",
        "start-interval": "StartInterval",
    }
    for flag, value in instruction.flags:
        if flag == "retries":
            if not value.isdigit():
                raise instruction.wrong(f"--retries={value} is not a count")
            check["Retries"] = int(value)
        else:
            check[keys[flag]] = _duration(instruction, value)
    config["Healthcheck"] = check


def _duration(instruction: Instruction, text: str) -> int:
    found = _DURATION.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise instruction.wrong(f"{text!r} is not a duration such as 30s or 1m30s")
    return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in found))
