"""Create an object from a file, or one of the common kinds from flags."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags, generators, manifests
from kctl.commands.apply import namespace_of
from kctl.discovery import ApiResource
from kctl.errors import UsageError, wording
from kctl.failures import told
from kctl.flags import Flags, Values
from kctl.last_applied import annotated
from kctl.manifests import Manifest
from kctl.session import Session
from kctl.urls import quote
from kctl.writes import Write, declare, declare_validation, validation
from sampan.api_error import ApiError, SampanError

ALIASES = {"ns": "namespace", "cm": "configmap", "sa": "serviceaccount", "deploy": "deployment", "svc": "service",
           "pc": "priorityclass"}  # fmt: skip
KINDS = {
    "configmap": "a config map from literals and files",
    "deployment": "a deployment of images",
    "job": "a job of an image",
    "namespace": "a namespace",
    "priorityclass": "a priority class",
    "secret": "a secret: generic, tls or docker-registry NAME",
    "service": "a service: clusterip, nodeport, loadbalancer or externalname NAME",
    "serviceaccount": "a service account",
    "token": "a token of a service account; it is printed",
}
REFUSED = (
    "clusterrole", "clusterrolebinding", "cronjob", "cj", "ingress", "ing", "pdb", "poddisruptionbudget", "quota",
    "resourcequota", "role", "rolebinding",
)  # fmt: skip
"""Kinds that kubectl makes from flags and kctl does not."""
VERBS = (
    dict.fromkeys(REFUSED, "not from flags: give a manifest with -f")
    | KINDS
    | {alias: f"the same as {name}" for alias, name in ALIASES.items()}
)
VERBS_OPTIONAL = True
SERVICE_TYPES = {"clusterip": "ClusterIP", "nodeport": "NodePort", "loadbalancer": "LoadBalancer",
                 "externalname": "ExternalName"}  # fmt: skip
SECRETS = {
    "generic": generators.generic_secret,
    "tls": generators.tls_secret,
    "docker-registry": generators.registry_secret,
}
MAKERS = {
    "configmap": generators.config_map,
    "deployment": generators.deployment,
    "job": generators.job,
    "namespace": generators.namespace,
    "priorityclass": generators.priority_class,
    "serviceaccount": generators.service_account,
}
PLURALS = {"priorityclass": "priorityclasses"}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    kind = ALIASES.get(verb, verb)
    if verb in REFUSED:
        raise UsageError(f"create {verb}: not supported from flags; write a manifest and give it with -f")
    flags.command = f"create {kind}".strip()
    flags.usage = f"{verb} NAME [flags]" if verb else "-f FILENAME | KIND NAME [flags]"
    if not kind:
        flags.texts("filename", "file, folder or - for standard input", short="f")
        flags.switch("recursive", "folders with all that is below them", short="R")
    if kind == "token":
        flags.duration("duration", "how long the token is to be valid")
        flags.texts("audience", "who the token is for")
        flags.text("output", "yaml or json", short="o")
        return
    declare(flags)
    declare_validation(flags)
    flags.switch("save-config", "record the object in its annotation, as apply does")
    if kind in ("configmap", "secret"):
        flags.texts("from-literal", "an entry, KEY=VALUE")
        flags.texts("from-file", "an entry that is a file's content, [KEY=]PATH")
        flags.texts("from-env-file", "a file of KEY=VALUE lines")
    if kind == "secret":
        flags.text("type", "the secret's type")
        flags.text("cert", "tls: the certificate's file")
        flags.text("key", "tls: the key's file")
        flags.text("docker-server", "the registry", default="https://index.docker.io/v1/")
        for name in ("username", "password", "email"):
            flags.text(f"docker-{name}", f"the registry's {name}")
    if kind == "deployment":
        flags.texts("image", "an image", split=True)
        flags.number("replicas", "how many pods", short="r", default=1)
        flags.number("port", "the port that the container listens on", default=-1)
        flags.require("image")
    if kind == "job":
        flags.text("image", "the image")
        flags.text("from", "a cron job to take it from (not supported)")
    if kind == "service":
        flags.texts("tcp", "PORT or PORT:TARGET", split=True)
        flags.text("clusterip", "the cluster IP, or None")
        flags.number("node-port", "the node port")
        flags.text("external-name", "the name of an ExternalName service")
    if kind == "priorityclass":
        flags.number("value", "the priority", bits=32)
        flags.switch("global-default", "for pods that name no class")
        flags.text("description", "what it is for")
        flags.text("preemption-policy", "PreemptLowerPriority or Never", default="PreemptLowerPriority")


def run(values: Values) -> int:
    """Create it."""
    kind = ALIASES.get(values.verb, values.verb)
    if not kind:
        if values.filename and not values.words:
            return _from_files(values)
        if values.words:
            listed = " ".join(values.words)
            raise UsageError(f"Unexpected args: [{listed}]\nSee 'kctl create -h' for help and examples")
        raise UsageError("must specify one of -f and -k")
    if kind == "token":
        return _token(values)
    value = generated(kind, values)
    write = Write(values, "kubectl-create")
    query = write.query | {"fieldValidation": validation(values)}
    session = flags.session(values)
    resource = session.discovery.named(PLURALS.get(kind, f"{kind}s"))
    return create(session, resource, value, values, write, query)


def create(
    session: Session,
    resource: ApiResource,
    value: dict[str, Any],
    values: Values,
    write: Write,
    query: dict[str, str],
    done: str = "created",
) -> int:
    """Send one new object and print what became of it."""
    if resource.namespaced and values.namespace:
        value["metadata"]["namespace"] = values.namespace
    if getattr(values, "save_config", False):
        value = annotated(value)
    if not write.pretends:
        try:
            value = session.call("POST", resource.path(quote(session.namespace)), query, value)
        except ApiError as error:
            said = wording(error)
            if said.startswith("Error from server") and values.invoked_as == "create" and resource.kind != "Namespace":
                said = f"error: failed to create {resource.singular}: {error.message}"
            print(said, file=sys.stderr)
            return 1
    write.report(resource, value, done)
    return 0


def _token(values: Values) -> int:
    if len(values.words) != 1:
        raise UsageError(
            f"exactly one NAME is required, got {len(values.words)}\nSee 'kctl create token -h' for help and examples"
        )
    if values.output:
        from kctl.printers import check

        check(values.output)
    session = flags.session(values)
    spec: dict[str, Any] = {"audiences": values.audience} if values.audience else {}
    if values.duration:
        spec["expirationSeconds"] = round(flags.seconds(values.duration))
    path = session.discovery.named("serviceaccounts").path(quote(session.namespace), quote(values.words[0]), "token")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    try:
        answer = session.call("POST", path, None, body)
    except ApiError as error:
        raise UsageError(f"failed to create token: {error.message}") from error
    if values.output:
        from kctl import printers

        printers.show_values([answer], values.output, as_list=False)
    else:
        print(answer["status"]["token"])
    return 0


def _from_files(values: Values) -> int:
    write = Write(values, "kubectl-create")
    query = write.query | {"fieldValidation": validation(values)}
    session = flags.session(values)
    failures: list[tuple[Manifest, SampanError]] = []
    some = False
    for manifest in manifests.load(values.filename, recursive=values.recursive):
        some, manifest.doing = True, "creating"
        try:
            resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
            namespace = namespace_of(session, resource, manifest, values)
            value = annotated(manifest.value) if values.save_config else manifest.value
            if write.pretends and resource.namespaced:
                value["metadata"]["namespace"] = namespace
            if not write.pretends:
                value = session.call("POST", resource.path(quote(namespace)), query, value)
        except SampanError as error:
            failures.append((manifest, error))
        else:
            write.report(resource, value, "created")
    if not some:
        raise UsageError("no objects passed to create")
    sys.stdout.flush()
    for text in told(failures):
        print(text, file=sys.stderr)
    return 1 if failures else 0


def wrapped(error: ApiError, doing: str) -> str:
    """What the server says, and what was being done."""
    head, colon, rest = wording(error).partition(": ")
    return f"{head}: {doing}: {rest}" if head.startswith("Error from server") and colon else wording(error)


def generated(kind: str, values: Values) -> dict[str, Any]:
    """The object that the flags describe. Raises UsageError."""
    words = list(values.words)
    sort = ""
    if kind in ("service", "secret"):
        known = SERVICE_TYPES if kind == "service" else SECRETS
        if not words or words[0] not in known:
            if words:
                raise UsageError(
                    f"unknown command \"{' '.join(words)}\"\nSee 'kctl create {kind} -h' for help and examples"
                )
            raise UsageError(f"create {kind} needs one of {', '.join(sorted(known))}, then a name")
        sort = words.pop(0)
    if words == [""]:
        raise UsageError("name must be specified")
    if len(words) != 1:
        raise UsageError(
            f"exactly one NAME is required, got {len(words)}\n"
            f"See 'kctl create {f'{kind} {sort}'.strip()} -h' for help and examples"
        )
    if kind == "service":
        return generators.service(words[0], values, SERVICE_TYPES[sort])
    return (SECRETS[sort] if sort else MAKERS[kind])(words[0], values)
