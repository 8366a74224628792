"""Create an object from a file, or one of the common kinds from flags."""

from __future__ import annotations

import argparse
import base64
import sys
from pathlib import Path
from typing import Any

from kctl import flags, objects, printers
from kctl.__main__ import UsageError, wording
from kctl.commands.apply import annotated, namespace_of
from kctl.commands.run import create, pairs
from sampan.errors import ApiError

GENERATORS = (
    "namespace",
    "ns",
    "configmap",
    "cm",
    "secret",
    "serviceaccount",
    "sa",
    "deployment",
    "deploy",
    "job",
    "token",
)
PLURALS = {"ns": "namespace", "cm": "configmap", "sa": "serviceaccount", "deploy": "deployment"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("words", nargs="*", metavar="KIND NAME [-- COMMAND]")
    parser.add_argument("-f", "--filename", action="append", default=[], help="file, folder or - for standard input")
    parser.add_argument("-R", "--recursive", action="store_true", help="folders with all that is below them")
    parser.add_argument("--dry-run", nargs="?", const="unchanged", default="none", help="none, client or server")
    parser.add_argument("-o", "--output", default="", help="name|yaml|json|...")
    parser.add_argument("--save-config", action="store_true", help="record the object in its annotation, as apply does")
    parser.add_argument("--validate", nargs="?", const="strict", default="strict", help="strict, warn or ignore")
    parser.add_argument(
        "--from-literal", action="append", default=[], metavar="KEY=VALUE", help="a configmap's or secret's entry"
    )
    parser.add_argument(
        "--from-file", action="append", default=[], metavar="[KEY=]PATH", help="an entry that is a file's content"
    )
    parser.add_argument("--type", default="", help="a secret's type")
    parser.add_argument("--image", action="append", default=[], help="a deployment's or job's image")
    parser.add_argument("-r", "--replicas", type=int, default=1, help="a deployment's replicas")
    parser.add_argument("--port", type=int, default=0, help="a deployment's container port")
    parser.add_argument("--duration", default="", help="how long a token is to be valid")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    if arguments.filename:
        return _from_files(arguments)
    if len(arguments.words) < 2:
        raise UsageError("must specify one of -f and -k, or a kind and a name")
    kind, *rest = arguments.words
    kind = PLURALS.get(kind, kind)
    if kind not in GENERATORS:
        raise UsageError(f"create {kind} is not supported; the kinds are {', '.join(GENERATORS)}, or use -f")
    session = flags.session(arguments)
    if kind == "token":
        spec = {"expirationSeconds": round(flags.seconds(arguments.duration))} if arguments.duration else {}
        path = session.discovery.named("serviceaccounts").path(session.namespace, rest[0], "token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        print(session.call("POST", path, None, body)["status"]["token"])
        return 0
    return create(session, generated(kind, rest, arguments), f"{kind}s", arguments)


def _from_files(arguments: argparse.Namespace) -> int:
    session = flags.session(arguments)
    failed = False
    for manifest in objects.load(arguments.filename, recursive=arguments.recursive):
        resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
        namespace = namespace_of(session, resource, manifest, arguments)
        value = annotated(manifest.value) if arguments.save_config else manifest.value
        query = {"fieldManager": "kubectl-create", "fieldValidation": arguments.validate.capitalize()}
        if arguments.validate in ("true", "false"):
            query["fieldValidation"] = "Strict" if arguments.validate == "true" else "Ignore"
        if arguments.dry_run == "server":
            query["dryRun"] = "All"
        try:
            if arguments.dry_run != "client":
                value = session.call("POST", resource.path(namespace), query, value)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        name = value["metadata"].get("name", "")
        if arguments.output:
            printers.show_values([value], arguments.output, as_list=False, names=[resource.label(name)])
        else:
            suffix = {"none": "", "client": " (dry run)", "server": " (server dry run)"}[arguments.dry_run]
            print(f"{resource.label(name)} created{suffix}")
    return 1 if failed else 0


def generated(kind: str, rest: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """The object that the flags describe. Raises UsageError."""
    name = rest[0]
    metadata = {"name": name}
    if kind == "namespace":
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    if kind == "serviceaccount":
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    if kind == "configmap":
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata} | _config(_entries(arguments))
    if kind == "secret":
        if name != "generic" or len(rest) < 2:
            raise UsageError("create secret generic NAME; other types: give a manifest with -f")
        data = {key: base64.b64encode(value).decode() for key, value in _entries(arguments).items()}
        typed = {"type": arguments.type} if arguments.type else {}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": rest[1]}, "data": data} | typed
    if not arguments.image:
        raise UsageError('required flag(s) "image" not set')
    command = {"command": rest[1:]} if len(rest) > 1 else {}
    containers: list[dict[str, Any]] = [
        {"name": image.rpartition("/")[2].partition(":")[0].partition("@")[0], "image": image} | command
        for image in arguments.image
    ]
    if kind == "job":
        pod = {"containers": containers, "restartPolicy": "Never"}
        containers[0]["name"] = name
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
    if arguments.port:
        containers[0]["ports"] = [{"containerPort": arguments.port}]
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata | {"labels": labels},
        "spec": {
            "replicas": arguments.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def _entries(arguments: argparse.Namespace) -> dict[str, bytes]:
    found = {key: value.encode() for key, value in pairs(arguments.from_literal).items()}
    for word in arguments.from_file:
        key, equals, path = word.partition("=")
        source = Path(path if equals else word)
        files = sorted(one for one in source.iterdir() if one.is_file()) if source.is_dir() else [source]
        for one in files:
            try:
                found[key if equals else one.name] = one.read_bytes()
            except OSError as error:
                raise UsageError(f"error reading {one}: {error.strerror}") from error
    return found


def _config(entries: dict[str, bytes]) -> dict[str, Any]:
    texts, binary = {}, {}
    for key, value in entries.items():
        try:
            texts[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(value).decode()
    return ({"data": texts} if texts else {}) | ({"binaryData": binary} if binary else {})
