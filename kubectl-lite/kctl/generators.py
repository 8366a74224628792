"""Objects made from flags: what `kctl create KIND NAME ...` and `kctl run` and `kctl expose` describe.

Pure but for reading the files that the flags name. Empty fields stand where kubectl prints them.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from typing import Any

from kctl.errors import UsageError
from kctl.flags import Values

Object = dict[str, Any]
KEY_MARKS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


def made(api_version: str, kind: str, name: str, /, **fields: Any) -> Object:
    """An object with a name; fields that are None are left out."""
    rest = {key: value for key, value in fields.items() if value is not None}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def namespace(name: str, values: Values) -> Object:
    """A namespace."""
    return made("v1", "Namespace", name, spec={}, status={})


def service_account(name: str, values: Values) -> Object:
    """A service account."""
    return made("v1", "ServiceAccount", name)


def config_map(name: str, values: Values) -> Object:
    """A config map; what is no UTF-8 goes to binaryData."""
    texts, binary = {}, {}
    for key, value in entries("ConfigMap", name, values).items():
        try:
            texts[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(value).decode()
    return made("v1", "ConfigMap", name, data=texts or None, binaryData=binary or None)


def generic_secret(name: str, values: Values) -> Object:
    """A secret of entries."""
    return made("v1", "Secret", name, data=encoded(entries("Secret", name, values)) or None, type=values.type or None)


def tls_secret(name: str, values: Values) -> Object:
    """A certificate and its key."""
    if not values.cert or not values.key:
        raise UsageError("key and cert must be specified")
    pair = {name: _pem(path) for name, path in (("tls.crt", values.cert), ("tls.key", values.key))}
    if b"-----BEGIN" not in pair["tls.crt"] or b"PRIVATE KEY-----" not in pair["tls.key"]:
        raise UsageError("tls: failed to find any PEM data in certificate or key input")
    return made("v1", "Secret", name, data=encoded(pair), type="kubernetes.io/tls")


def _pem(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"Cannot read file {path}, open {path}: {said}") from error


def registry_secret(name: str, values: Values) -> Object:
    """What is needed to pull from a registry."""
    if values.from_file:
        data = {".dockerconfigjson": next(iter(entries("Secret", name, values).values()))}
    else:
        user, password = values.docker_username, values.docker_password
        if not user or not password:
            raise UsageError(
                "either --from-file or the combination of --docker-username, --docker-password and --docker-server"
                " is required"
            )
        login = {"username": user, "password": password, "email": values.docker_email}
        login["auth"] = base64.b64encode(f"{user}:{password}".encode()).decode()
        auths = {values.docker_server: {key: value for key, value in login.items() if value}}
        data = {".dockerconfigjson": json.dumps({"auths": auths}, separators=(",", ":")).encode()}
    return made("v1", "Secret", name, data=encoded(data), type="kubernetes.io/dockerconfigjson")


def deployment(name: str, values: Values) -> Object:
    """A deployment of one container an image."""
    labels = {"app": name}
    if len(values.image) > 1 and values.after_dash:
        raise UsageError("cannot specify multiple --image options and command")
    containers = [container(image_name(image), image, values.after_dash) for image in values.image]
    if values.port >= 0:
        containers[0]["ports"] = [{"containerPort": values.port}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": values.replicas, "selector": {"matchLabels": labels}, "strategy": {}, "template": template}
    value = made("apps/v1", "Deployment", name, spec=spec, status={})
    value["metadata"]["labels"] = labels
    return value


def job(name: str, values: Values) -> Object:
    """A job of one container."""
    if bool(values.image) == bool(values.__dict__["from"]):
        raise UsageError("either --image or --from must be specified")
    if values.__dict__["from"]:
        raise UsageError("--from is not supported: there are no CronJobs yet")
    pod = {"containers": [container(name, values.image, values.after_dash)], "restartPolicy": "Never"}
    return made("batch/v1", "Job", name, spec={"template": {"metadata": {}, "spec": pod}}, status={})


def priority_class(name: str, values: Values) -> Object:
    """A priority class."""
    return made(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        name,
        value=values.value,
        globalDefault=values.global_default or None,
        description=values.description or None,
        preemptionPolicy=values.preemption_policy,
    )


def service(name: str, values: Values, kind: str) -> Object:
    """A service of one of the four types."""
    labels = {"app": name}
    spec: dict[str, Any] = {"selector": labels, "type": kind}
    if kind == "ExternalName":
        if not values.external_name:
            raise UsageError('required flag(s) "external-name" not set')
        spec["externalName"] = values.external_name
    headless = kind == "ClusterIP" and values.clusterip == "None"
    if kind == "ClusterIP" and values.clusterip:
        spec["clusterIP"] = values.clusterip
    ports = [service_port(word) for word in values.tcp]
    if not ports and not headless and kind != "ExternalName":
        raise UsageError("at least one tcp port specifier must be provided")
    if ports:
        spec["ports"] = ports
        if kind == "NodePort" and values.node_port:
            ports[0]["nodePort"] = values.node_port
    value = made("v1", "Service", name, spec=spec, status={"loadBalancer": {}})
    value["metadata"]["labels"] = labels
    return value


def made_port(text: str) -> int:
    """A port of create's --tcp, as kubectl's parser says what is wrong. Raises UsageError."""
    if not text.isascii() or not text.isdigit():
        raise UsageError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if len(text.lstrip("0")) > 5 or int(text) >= 1 << 16:
        raise UsageError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def service_port(word: str) -> dict[str, Any]:
    """`80`, `80:8080` or `80:http`. Raises UsageError."""
    port, colon, target = word.partition(":")
    number = made_port(port)
    aim: int | str = number
    if colon:
        aim = port_number(target) if target.isdigit() else target
    return {"name": word.replace(":", "-"), "port": number, "protocol": "TCP", "targetPort": aim}


def port_number(text: str) -> int:
    """1 to 65535. Raises UsageError."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 0 < int(text) < 1 << 16:
        raise UsageError(f"invalid port {text!r}: must be between 1 and 65535, inclusive")
    return int(text)


def container(name: str, image: str, command: list[str] | None, *, as_arguments: bool = False) -> dict[str, Any]:
    """One container."""
    found: dict[str, Any] = {"image": image, "name": name, "resources": {}}
    if command:
        found["args" if as_arguments else "command"] = command
    return found


def image_name(image: str) -> str:
    """What a container is called after its image: the last part without tag and digest."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def encoded(data: dict[str, bytes]) -> dict[str, str]:
    """Secret data."""
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def entries(kind: str, name: str, values: Values) -> dict[str, bytes]:
    """What --from-literal, --from-file and --from-env-file give. Raises UsageError."""
    found: dict[str, bytes] = {}

    def add(key: str, value: bytes) -> None:
        if (
            not key
            or key in (".", "..")
            or any(not (mark.isalnum() and mark.isascii()) and mark not in "-._" for mark in key)
        ):
            raise UsageError(
                f'"{key}" is not a valid key name for a {kind}: a valid config key must consist of alphanumeric'
                " characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name',"
                " regex used for validation is '[-._a-zA-Z0-9]+')"
            )
        if key in found:
            raise UsageError(
                f'cannot add key "{key}", another key by that name already exists in Data for {kind} "{name}"'
            )
        found[key] = value

    for word in getattr(values, "from_literal", ()):
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(f"invalid literal source {word}, expected key=value")
        add(key, text.encode())
    if getattr(values, "from_env_file", ()) and (values.from_literal or values.from_file):
        raise UsageError("from-env-file cannot be combined with from-file or from-literal")
    for word in values.from_file:
        key, equals, path = word.partition("=")
        if "=" in path:
            raise UsageError("key names or file paths cannot contain '='")
        if equals and not key:
            raise UsageError(f"key name for file path {path} missing")
        if equals and not path:
            raise UsageError(f"file path for key name {key} missing")
        for label, source in _files(key if equals else "", path if equals else word):
            add(label, read(source))
    for path in getattr(values, "from_env_file", ()):
        for key, text in env_file(read(path)):
            add(key, text.encode())
    return found


def _files(key: str, path: str) -> Iterable[tuple[str, str]]:
    if not os.path.isdir(path):
        return [(key or os.path.basename(path), path)]
    if key:
        raise UsageError(f"cannot give a key name for a directory path: {path}")
    names = sorted(os.listdir(path))
    return [(name, os.path.join(path, name)) for name in names if os.path.isfile(os.path.join(path, name))]


def env_file(text: bytes) -> Iterable[tuple[str, str]]:
    """KEY=VALUE lines; comments and empty lines are skipped; a key alone takes its value from our environment."""
    for number, raw in enumerate(text.decode(errors="replace").splitlines(), 1):
        line = raw.lstrip("\ufeff \t")
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not key or any(mark.isspace() for mark in key):
            raise UsageError(f"line {number}: {key!r} is not a valid key name")
        yield key, value if equals else os.environ.get(key, "")


def read(path: str) -> bytes:
    """A file's content. Raises UsageError."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        raise UsageError(f"error reading {path}: {(getattr(error, 'strerror', None) or str(error)).lower()}") from error


def pairs(words: Iterable[str], wrong: str = "unexpected value '{}': KEY=VALUE is wanted") -> dict[str, str]:
    """KEY=VALUE words as a map. Raises UsageError."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(wrong.format(word))
        found[key] = value
    return found
