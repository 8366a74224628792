"""Show and change the kubeconfig: clusters, users and contexts."""

from __future__ import annotations

import copy
import os
import tempfile
from pathlib import Path
from typing import Any

from kctl import setting
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.printers import check, show_values, to_yaml
from kctl.tables import columns
from sampan import kubeconfig

VERBS = {
    "current-context": "print the current context",
    "get-contexts": "list the contexts",
    "get-clusters": "list the clusters",
    "get-users": "list the users",
    "use-context": "make a context the current one",
    "set-context": "change a context: its --cluster, --user or --namespace",
    "set-cluster": "change a cluster: its --server, --certificate-authority, ...",
    "set-credentials": "change a user: its --token, --client-certificate and --client-key, ...",
    "set": "change one value: PROPERTY VALUE, such as contexts.mine.namespace shop",
    "unset": "remove one value: PROPERTY",
    "use": "the same as use-context",
    "rename-context": "give a context another name",
    "delete-context": "remove a context",
    "delete-cluster": "remove a cluster",
    "delete-user": "remove a user",
    "view": "print the kubeconfig",
}
SECRETS = ("token", "password", "client-key-data", "client-certificate-data")
Document = dict[str, Any]


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    if verb == "get-contexts":
        flags.text("output", "name", short="o")
        flags.switch("no-headers", "leave the headings out")
    elif verb == "view":
        flags.text("output", "yaml or json", short="o", default="yaml")
        flags.switch("minify", "only what the current context needs")
        flags.switch("raw", "certificates and keys too")
        flags.switch("flatten", "certificates and keys inline")
        flags.switch("merge", "all files as one (always so)", default=True)
    elif verb == "set-cluster":
        flags.usage = "NAME [--server=...] [--certificate-authority=... [--embed-certs]]"
        flags.switch("embed-certs", "keep the certificate's content, not its path")
        flags.text("proxy-url", "the proxy of this cluster")
    elif verb == "set-credentials":
        flags.usage = "NAME [--token=...] [--client-certificate=... --client-key=... [--embed-certs]]"
        flags.switch("embed-certs", "keep the content of certificate and key, not their paths")
        for name in ("client-certificate", "client-key", "username", "password"):
            flags.text(name, f"the user's {name.replace('-', ' ')}")
    elif verb == "set":
        flags.switch("set-raw-bytes", "VALUE is no base64 although the property is")
    elif verb == "set-context":
        flags.usage = "(NAME | --current) [--cluster=...] [--user=...] [--namespace=...]"
        flags.switch("current", "the current context")


def run(values: Values) -> int:
    """Do what the verb says. Nothing is written unless all of it can be."""
    verb = {"use": "use-context"}.get(values.verb, values.verb)
    if verb == "view":
        check(values.output)
    files = _documents(values)
    if verb == "current-context":
        return _current_context(files)
    if verb == "get-contexts":
        return _contexts(files, values)
    if verb in ("get-clusters", "get-users"):
        names = [str(one["name"]) for one in _entries(files, verb.removeprefix("get-"))]
        print("\n".join(["NAME", *names]))
        return 0
    if verb == "view":
        return _view(files, values)
    if verb == "set-context":
        return _set_context(files, values)
    wanted = 2 if verb in ("rename-context", "set") else 1
    if len(values.words) != wanted or "" in values.words[:1]:
        listed = f"[{' '.join(values.words)}]"
        raise UsageError(f"Unexpected args: {listed}\nSee 'kctl config {verb} -h' for help and examples")
    if verb in ("set-cluster", "set-credentials", "set", "unset"):
        return _entry(files, verb, values)
    if verb == "use-context":
        return _use(files, values.words[0])
    if verb == "rename-context":
        return _rename(files, *values.words)
    return _remove(files, verb.removeprefix("delete-"), values.words[0])


class File:
    """One kubeconfig file. It is written back whole, in one rename."""

    def __init__(self, path: Path, value: Document) -> None:
        self.path, self.value = path, value

    def save(self) -> None:
        """Raises UsageError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            target = self.path.resolve()
            descriptor, fresh = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            with os.fdopen(descriptor, "w") as out:
                out.write(to_yaml(self.value))
            os.replace(fresh, target)
        except OSError as error:
            raise UsageError(f"{self.path}: can't be written: {error.strerror}") from error


def _documents(values: Values) -> list[File]:
    paths = kubeconfig.files(values.kubeconfig or None)
    found = [File(path, value) for path, value in kubeconfig.read_all(paths, strict=False)]
    return found or [File(paths[0], {"apiVersion": "v1", "kind": "Config"})]


def _entries(files: list[File], plural: str) -> list[Document]:
    """The entries of all files, the first of each name, sorted by name."""
    found: dict[str, Document] = {}
    for file in files:
        for entry in file.value.get(plural) or ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                found.setdefault(entry["name"], entry)
    return [found[name] for name in sorted(found)]


def _owner(files: list[File], plural: str, name: str) -> tuple[File, Document] | None:
    for file in files:
        for entry in file.value.get(plural) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                return file, entry
    return None


def _current(files: list[File]) -> str:
    return next((str(file.value["current-context"]) for file in files if file.value.get("current-context")), "")


def _current_context(files: list[File]) -> int:
    name = _current(files)
    if not name:
        raise UsageError("current-context is not set")
    print(name)
    return 0


def _contexts(files: list[File], values: Values) -> int:
    entries = _entries(files, "contexts")
    if values.words:
        known = {one["name"] for one in entries}
        if missing := [word for word in values.words if word not in known]:
            raise UsageError(f"context {missing[0]} not found")
        entries = [one for one in entries if one["name"] in values.words]
    if values.output == "name":
        print("".join(f"{one['name']}\n" for one in entries), end="")
        return 0
    if values.output:
        raise UsageError(f"--output {values.output} is not available in kctl config get-contexts; name is")
    rows = [] if values.no_headers else [["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]]
    now = _current(files)
    for one in entries:
        context = one.get("context") or {}
        mark = "*" if one["name"] == now else ""
        rows.append([mark, one["name"], *(str(context.get(key) or "") for key in ("cluster", "user", "namespace"))])
    for line in columns(rows):
        print(line)
    return 0


def _use(files: list[File], name: str) -> int:
    if _owner(files, "contexts", name) is None:
        raise UsageError(f'no context exists with the name: "{name}"')
    file = next((one for one in files if one.value.get("current-context")), files[0])
    file.value["current-context"] = name
    file.save()
    print(f'Switched to context "{name}".')
    return 0


def _set_context(files: list[File], values: Values) -> int:
    if values.current == bool(values.words) or len(values.words) > 1:
        if len(values.words) > 1:
            raise UsageError(f"Unexpected args: [{' '.join(values.words)}]")
        raise UsageError("you must specify a non-empty context name or --current")
    name = values.words[0] if values.words else _current(files)
    if not name:
        raise UsageError("no current context is set")
    owner = _owner(files, "contexts", name)
    file, entry = owner or (files[0], {"name": name, "context": {}})
    if owner is None:
        file.value.setdefault("contexts", []).append(entry)
    context = entry["context"] = entry.get("context") or {}
    for key in ("cluster", "user", "namespace"):
        if key in values.given:
            context[key] = getattr(values, key)
    file.save()
    print(f'Context "{name}" {"modified" if owner else "created"}.')
    return 0


def _entry(files: list[File], verb: str, values: Values) -> int:
    name = values.words[0]
    if verb in ("set", "unset"):
        value = values.words[1] if verb == "set" else None
        file, done = setting.assign(
            [(one, one.value) for one in files], name, value, raw=verb == "unset" or values.set_raw_bytes
        )
        file.save()
        print(f'Property "{name}" {done}.')
        return 0
    plural, key, noun = ("clusters", "cluster", "Cluster") if verb == "set-cluster" else ("users", "user", "User")
    given = {one: getattr(values, one.replace("-", "_")) for one in setting.FLAGS[verb] if one in values.given}
    owner = _owner(files, plural, name)
    file, entry = owner or (files[0], {"name": name, key: {}})
    if owner is None:
        file.value[plural] = [*(file.value.get(plural) or ()), entry]
    entry[key] = setting.changed(entry.get(key) or {}, given, embed=values.embed_certs)
    file.save()
    print(f'{noun} "{name}" set.')
    return 0


def _rename(files: list[File], old: str, new: str) -> int:
    owner = _owner(files, "contexts", old)
    if owner is None:
        raise UsageError(f'cannot rename the context "{old}", it\'s not in {files[0].path}')
    if _owner(files, "contexts", new) is not None:
        raise UsageError(f'cannot rename the context "{old}", the context "{new}" already exists in {files[0].path}')
    owner[1]["name"] = new
    owner[0].save()
    for file in files:
        if file.value.get("current-context") == old:
            file.value["current-context"] = new
            file.save()
    print(f'Context "{old}" renamed to "{new}".')
    return 0


def _remove(files: list[File], what: str, name: str) -> int:
    plural = f"{what}s"
    owner = _owner(files, plural, name)
    if owner is None:
        raise UsageError(f"cannot delete {what} {name}, not in {files[0].path}")
    file, entry = owner
    file.value[plural] = [one for one in file.value[plural] if one is not entry]
    file.save()
    current = what == "context" and _current(files) == name
    if current:
        print('warning: this removed your active context, use "kctl config use-context" to select a different one')
    print(f"deleted {what} {name} from {file.path}")
    return 0


def _view(files: list[File], values: Values) -> int:
    merged: Document = {"apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": _current(files)}
    for plural in ("clusters", "contexts", "users"):
        merged[plural] = copy.deepcopy(_entries(files, plural)) or None
    if values.context:
        merged["current-context"] = values.context
    if values.minify:
        _minify(merged)
    if not values.raw and not values.flatten:
        _redact(merged)
    del merged["preferences"]
    show_values([merged], values.output, as_list=False)
    return 0


def _minify(merged: Document) -> None:
    """Keep what the current context needs. Raises UsageError."""
    name = merged["current-context"]
    context = next((one for one in merged["contexts"] or () if one["name"] == name), None)
    if context is None:
        raise UsageError("cannot locate context " + (name or "(none is current)"))
    merged["contexts"] = [context]
    for plural, key in (("clusters", "cluster"), ("users", "user")):
        wanted = (context.get("context") or {}).get(key)
        merged[plural] = [one for one in merged[plural] or () if one["name"] == wanted]


def _redact(merged: Document) -> None:
    """Secrets and blobs are named, not shown."""
    for one in merged["clusters"] or ():
        cluster = one.get("cluster") or {}
        if "certificate-authority-data" in cluster:
            cluster["certificate-authority-data"] = "DATA+OMITTED"
    for one in merged["users"] or ():
        user = one.get("user") or {}
        for key in SECRETS:
            if user.get(key):
                user[key] = "DATA+OMITTED" if key.endswith("-data") else "REDACTED"
