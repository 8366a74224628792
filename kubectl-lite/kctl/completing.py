"""What may come next on a command line: commands, verbs, flags, their values, kinds, and the names that are there.

`kctl __complete WORD... CURRENT` prints one candidate a line, each with a tab and what it is where that helps. It never
fails and never asks a server for longer than a moment: a shell waits for it.
"""

from __future__ import annotations

from kctl.__main__ import COMMANDS, module_of
from kctl.errors import UsageError
from kctl.flags import Flags
from sampan.api_error import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kctl.session import Session

KINDS_FIRST = (
    "annotate", "delete", "describe", "edit", "expose", "get", "label", "patch", "scale", "taint", "wait", "why",
)  # fmt: skip
"""Commands of `TYPE NAME ...`."""
PODS = ("attach", "cp", "debug", "exec", "logs", "port-forward", "trace")
"""Commands of `POD` or `TYPE/NAME`."""
NODES = ("cordon", "drain", "uncordon")
ROLLOUTS = ("deployments", "daemonsets")
OUTPUTS = ("wide", "yaml", "json", "name", "jsonpath=", "custom-columns=")
KINDS = {
    "logs": ("deployments", "daemonsets", "jobs", "replicasets"),
    "port-forward": ("services", "deployments"),
    "trace": (),
}
PATIENCE_SECONDS = 2.0
FILES = "\x1b"
"""The one candidate that stands for: files."""


def complete(words: Sequence[str]) -> int:
    """Print the candidates for the last word. Always 0."""
    before, current = list(words[:-1]), words[-1] if words else ""
    try:
        found = candidates(before, current)
    except (SampanError, OSError, ValueError, KeyError):
        found = []
    print("".join(f"{one}\n" for one in found if one.startswith(current) or one == FILES), end="")
    return 0


def candidates(before: list[str], current: str) -> list[str]:
    """What may stand where the last word is being typed. Raises what asking the server raises."""
    commands = [at for at, word in enumerate(before) if word in COMMANDS]
    if not commands:
        return _with_text(COMMANDS) + _plugins()
    name, rest = before[commands[0]], [*before[: commands[0]], *before[commands[0] + 1 :]]
    module = module_of(name)
    verbs: dict[str, str] | None = getattr(module, "VERBS", None)
    if hasattr(module, "PASS_ON"):
        return []
    verb = next((word for word in rest if verbs and word in verbs), "")
    optional = getattr(module, "VERBS_OPTIONAL", False) and rest
    if verbs and not verb and not optional and not current.startswith("-"):
        return _with_text(verbs)
    flags = Flags(name)
    if verbs is None:
        module.configure(flags)
    else:
        module.configure(flags, verb)
    flags.global_ones()
    if "--" in rest:
        return []
    if rest and (flag := flags.named(rest[-1])) is not None and flag.bare is None:
        return _flag_values(flag.name, rest, flags)
    if current.startswith("--") and "=" in current:
        head = current.partition("=")[0]
        return [f"{head}={one}" for one in _flag_values(head[2:], rest, flags)]
    if current.startswith("-"):
        return [f"--{flag.name}\t{flag.text}" for flag in flags.all()]
    return _arguments(name, verb, _plain(rest, flags, verb), current, rest, flags)


def _plain(rest: list[str], flags: Flags, verb: str) -> list[str]:
    """The words that are no flags, nor flags' values, nor the verb."""
    found, skip = [], False
    for word in rest:
        if skip:
            skip = False
        elif word.startswith("-") and word != "-":
            flag = flags.named(word.partition("=")[0])
            skip = flag is not None and flag.bare is None and "=" not in word
        elif word != verb:
            found.append(word)
    return found


def _arguments(name: str, verb: str, words: list[str], current: str, rest: list[str], flags: Flags) -> list[str]:
    if name in KINDS_FIRST or name == "rollout":
        session = _session(rest, flags)
        if "/" in current:
            return _slashed(session, current)
        if words and "/" not in words[0]:
            return _names(session, words[0].split(",")[0])
        if words:
            return []
        kinds = list(dict.fromkeys(one.plural for one in session.discovery.everything_known()))
        return [one for one in kinds if name != "rollout" or one in ROLLOUTS]
    if name in PODS:
        session = _session(rest, flags)
        if "/" in current:
            return _slashed(session, current)
        if words:
            return [FILES] if name == "cp" else []
        pods = [f"{one}:" if name == "cp" else one for one in _names(session, "pods")]
        known = {one.plural: one.singular for one in session.discovery.everything_known()}
        return pods + [f"{known[one]}/" for one in KINDS.get(name, ()) if one in known]
    if name in NODES:
        return _names(_session(rest, flags), "nodes")
    if name in ("api-resources", "apply", "replace", "diff", "create"):
        return []
    if name == "explain" and not words:
        return [one.plural for one in _session(rest, flags).discovery.everything_known()]
    if name == "config" and verb in ("use-context", "delete-context", "rename-context", "set-context"):
        return _contexts()
    if name == "completion" and not words:
        return ["bash", "zsh", "fish"]
    return []


def _flag_values(name: str, rest: list[str], flags: Flags) -> list[str]:
    if name == "namespace":
        return _names(_session(rest, flags), "namespaces")
    if name == "output":
        return list(OUTPUTS)
    if name in ("context", "cluster", "user"):
        return _contexts()
    if name in ("filename", "kubeconfig", "from-file"):
        return [FILES]
    if name == "container":
        return _containers(_session(rest, flags), _plain(rest, flags, ""))
    if name == "dry-run":
        return ["none", "client", "server"]
    return []


def _containers(session: Session, words: list[str]) -> list[str]:
    from kctl.pods import split_name
    from kctl.urls import quote

    if not words:
        return []
    kind, name = split_name(words[0].partition(":")[0])
    if kind not in ("pod", "pods", "po"):
        return []
    pods = session.discovery.named("pods")
    spec = session.get(pods.path(quote(session.namespace), quote(name)))["spec"]
    return [one["name"] for key in ("containers", "initContainers") for one in spec.get(key) or ()]


def _slashed(session: Session, current: str) -> list[str]:
    kind = current.partition("/")[0]
    return [f"{kind}/{one}" for one in _names(session, kind)]


def _names(session: Session, kind: str) -> list[str]:
    """The names of all objects of a kind in the session's namespace, without their bodies."""
    from kctl.urls import quote

    resource = session.discovery.known(kind)
    if resource is None:
        return []
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
    path = resource.path(quote(session.namespace))
    found = session.get(path, {"resourceVersion": "0", "limit": "500"}, accept=accept)
    return [one["metadata"]["name"] for one in found.get("items") or ()]


def _session(rest: Sequence[str], flags: Flags) -> Session:
    """The session that the words so far describe, impatient. Raises UsageError, KubeconfigError."""
    from kctl import flags as reading

    fresh = Flags(flags.command)
    fresh.global_ones()
    words: list[str] = []
    wanted = iter(rest)
    for word in wanted:
        flag = fresh.named(word.partition("=")[0]) if word.startswith("-") else None
        if flag is not None:
            words.append(word)
            if "=" not in word and flag.bare is None and (value := next(wanted, None)) is not None:
                words.append(value)
    try:
        values = fresh.parse(words)
    except UsageError:
        values = fresh.parse([])
    values.request_timeout = f"{PATIENCE_SECONDS}s"
    return reading.session(values)


def _contexts() -> list[str]:
    from sampan import kubeconfig

    found = kubeconfig.read_all(kubeconfig.files(), strict=False)
    return sorted({str(one.get("name")) for _, value in found for one in value.get("contexts") or ()})


def _plugins() -> list[str]:
    from kctl import plugins

    return [f"{plugins.command_of(path).split()[0]}\ta plugin: {path}" for path in plugins.programs()]


def _with_text(entries: dict[str, str] | Iterable[tuple[str, str]]) -> list[str]:
    pairs = entries.items() if isinstance(entries, dict) else entries
    return [f"{name}\t{text}" for name, text in sorted(pairs)]
