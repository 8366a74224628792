"""The variables of a container: values, references, whole maps, services, and $(VAR) in all of them. Pure.

A ConfigMap or Secret that is missing raises ConfigError (CreateContainerConfigError in status), unless optional.
Source: the API reference, "EnvVar"; the Kubernetes documentation, "Accessing Services: Environment variables".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nodeagent.downward import FieldError, Here, field_value, resource_value
from nodeagent.restart import Member
from sampan.api import core_v1
from sampan.errors import SampanError
from sampan.names import env_name

SYNTAX = re.compile(r"\$(?:(\$)|\(([^()]*)\))")
MASTER_SERVICE = ("default", "kubernetes")


class ConfigError(SampanError):
    """What a container's configuration refers to is not there, or is not usable."""


class Objects(Protocol):
    """The ConfigMaps and Secrets that a pod refers to, as they are now."""

    def config_map(self, namespace: str, name: str) -> core_v1.ConfigMap | None:
        """One of them, None when it does not exist."""

    def secret(self, namespace: str, name: str) -> core_v1.Secret | None:
        """One of them, None when it does not exist."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables, in order, and what to tell the user about them."""

    variables: Mapping[str, str]
    skipped: Sequence[str] = field(default_factory=tuple)
    """Messages about keys that are no names of variables (InvalidEnvironmentVariableNames)."""


def environment(
    pod: core_v1.Pod,
    member: Member,
    objects: Objects,
    services: Iterable[core_v1.Service],
    here: Here,
) -> Environment:
    """All variables of a container. Raises ConfigError."""
    namespace = pod.metadata.namespace or ""
    links = pod.spec.enable_service_links is not False
    service_values = service_variables(services, namespace, links=links)
    result: dict[str, str] = {}
    skipped: list[str] = []
    for source in member.spec.env_from:
        values, origin = _whole(source, namespace, objects)
        prefix = source.prefix or ""
        bad = [key for key in sorted(values) if env_name(prefix + key)]
        for key, value in values.items():
            if key not in bad:
                result[prefix + key] = value
        if bad:
            skipped.append(
                f"Keys [{', '.join(bad)}] from the EnvFrom {origin} were skipped since they are considered "
                "invalid environment variable names."
            )
    scope: dict[str, str] = dict(service_values)
    for one in member.spec.env:
        text: str | None
        if one.value_from is not None:
            text = _referenced(pod, member, one.value_from, objects, here)
            if text is None:
                continue
        else:
            text = expand(one.value or "", lambda name: result.get(name, scope.get(name)))
        result[one.name] = text
        scope[one.name] = text
    for name, value in service_values.items():
        result.setdefault(name, value)
    return Environment(result, skipped)


def expand(text: str, lookup: Callable[[str], str | None]) -> str:
    """Replace $(NAME) by its value and $$ by $; what is not known stays as written."""

    def value(match: re.Match[str]) -> str:
        if match.group(1):
            return "$"
        found = lookup(match.group(2))
        return match.group(0) if found is None else found

    return SYNTAX.sub(value, text)


def expanded(texts: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    """The same for a command line."""
    return [expand(text, variables.get) for text in texts]


def _whole(source: core_v1.EnvFromSource, namespace: str, objects: Objects) -> tuple[dict[str, str], str]:
    if (config := source.config_map_ref) is not None:
        name = config.name or ""
        found = objects.config_map(namespace, name)
        if found is None and not config.optional:
            raise ConfigError(f'configmap "{name}" not found')
        return dict(found.data) if found else {}, f"configMap {namespace}/{name}"
    if (secret := source.secret_ref) is not None:
        name = secret.name or ""
        kept = objects.secret(namespace, name)
        if kept is None and not secret.optional:
            raise ConfigError(f'secret "{name}" not found')
        values = {key: _text(secret_bytes(kept, key)) for key in kept.data} if kept else {}
        return values, f"secret {namespace}/{name}"
    return {}, ""


def secret_bytes(secret: core_v1.Secret, key: str) -> bytes:
    """The value of a key of a Secret. Raises ConfigError when it is no base64."""
    try:
        return base64.b64decode(secret.data[key], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f'secret "{secret.metadata.name}": key {key} is not base64: {error}') from None


def _text(value: bytes) -> str:
    """Bytes as a variable holds them: any but NUL, kept exactly."""
    return value.decode("utf-8", "surrogateescape")


def _referenced(
    pod: core_v1.Pod, member: Member, source: core_v1.EnvVarSource, objects: Objects, here: Here
) -> str | None:
    namespace = pod.metadata.namespace or ""
    try:
        if source.field_ref is not None:
            return field_value(pod, source.field_ref.field_path, here)
        if source.resource_field_ref is not None:
            return resource_value(pod, source.resource_field_ref, here, member.name)
    except FieldError as error:
        raise ConfigError(str(error)) from None
    if (config := source.config_map_key_ref) is not None:
        name = config.name or ""
        found = objects.config_map(namespace, name)
        if found is None:
            if config.optional:
                return None
            raise ConfigError(f'configmap "{name}" not found')
        if config.key not in found.data:
            if config.optional:
                return None
            raise ConfigError(f"couldn't find key {config.key} in ConfigMap {namespace}/{name}")
        return found.data[config.key]
    if (secret := source.secret_key_ref) is not None:
        name = secret.name or ""
        kept = objects.secret(namespace, name)
        if kept is None:
            if secret.optional:
                return None
            raise ConfigError(f'secret "{name}" not found')
        if secret.key not in kept.data:
            if secret.optional:
                return None
            raise ConfigError(f"couldn't find key {secret.key} in Secret {namespace}/{name}")
        return _text(secret_bytes(kept, secret.key))
    raise ConfigError("env valueFrom: fileKeyRef is not supported by this node")


def service_variables(services: Iterable[core_v1.Service], namespace: str, *, links: bool) -> dict[str, str]:
    """Docker-links style variables of the pod's namespace's Services; of `kubernetes` in any case."""
    chosen: dict[str, core_v1.Service] = {}
    for service in services:
        key = (service.metadata.namespace or "", service.metadata.name or "")
        if service.spec.cluster_ip in (None, "", "None"):
            continue
        if key == MASTER_SERVICE:
            chosen.setdefault(key[1], service)
        elif links and key[0] == namespace:
            chosen[key[1]] = service
    result: dict[str, str] = {}
    for name in sorted(chosen):
        result.update(_links(name, chosen[name]))
    return result


def _links(name: str, service: core_v1.Service) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    address = service.spec.cluster_ip or ""
    shown = f"[{address}]" if ":" in address else address
    values = {f"{prefix}_SERVICE_HOST": address}
    ports = service.spec.ports
    if ports:
        values[f"{prefix}_SERVICE_PORT"] = str(ports[0].port)
    for port in ports:
        if port.name:
            values[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    for at, port in enumerate(ports):
        protocol = port.protocol or "TCP"
        url = f"{protocol.lower()}://{shown}:{port.port}"
        if at == 0:
            values[f"{prefix}_PORT"] = url
        each = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
        values |= {
            each: url,
            f"{each}_PROTO": protocol.lower(),
            f"{each}_PORT": str(port.port),
            f"{each}_ADDR": address,
        }
    return values
