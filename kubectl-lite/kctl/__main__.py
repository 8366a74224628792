"""The command line: finds the command's module, parses its flags, runs it, and turns errors into exit codes.

Importing is what costs, so a command's module is imported when it is named and no other one is.
A module has `configure(flags)` and `run(values) -> int`; one with verbs has VERBS and `configure(flags, verb)`;
one with PASS_ON takes all words as they are: `run_words(words) -> int`.
"""

from __future__ import annotations

import os
import sys

from kctl.errors import Exit, UsageError, wording
from kctl.flags import Flags, leading_word
from sampan.api_error import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS = {
    "annotate": "change the annotations of objects",
    "api-resources": "list the kinds that the server has",
    "api-versions": "list the groups and versions that the server has",
    "apply": "create or change objects as files describe them",
    "attach": "connect to a running container's standard streams",
    "auth": "who am I, and may I do it",
    "certificate": "approve or deny certificate signing requests",
    "cluster": "start, stop and look at local clusters",
    "cluster-info": "print the addresses of the control plane",
    "completion": "print the completion script of a shell: bash, zsh or fish",
    "config": "show and change the kubeconfig",
    "cordon": "let no new pods come to a node",
    "cp": "copy files to and from containers",
    "create": "create an object from a file or from flags",
    "debug": "look into a pod with a container of one's own, a copy of it, or a node",
    "delete": "delete objects",
    "describe": "show all about an object, its events too",
    "diff": "show what apply would change",
    "drain": "empty a node, for maintenance",
    "edit": "change an object in an editor",
    "events": "list events, the newest last",
    "exec": "run a command in a container",
    "explain": "say what the fields of a kind mean",
    "expose": "make a service for a workload",
    "get": "show objects",
    "image": "build, load, pull, push, tag, save, list and remove images",
    "label": "change the labels of objects",
    "logs": "print a container's logs",
    "node": "change one node of a local cluster, or add fake ones: short for cluster node",
    "patch": "change fields of an object",
    "plugin": "list the plugins on PATH: programs named kctl-NAME",
    "port-forward": "forward local ports to a pod",
    "proxy": "serve the API on a local port, with the kubeconfig's credentials",
    "replace": "put objects of files in place of those that are there",
    "rollout": "status, history, undo, restart, pause and resume of a rollout",
    "run": "run an image in a pod",
    "scale": "set the number of replicas",
    "set": "change one part of an object, such as an image",
    "taint": "change the taints of nodes",
    "token": "make, list and revoke the tokens with which machines join",
    "top": "show how much CPU and memory nodes and pods use",
    "trace": "show a pod's start step by step, and what each step took",
    "uncordon": "let new pods come to a node again",
    "version": "print the client's and the server's version",
    "wait": "wait until objects are as one says",
    "why": "say the one cause that something isn't as it should be, and the next step",
}
"""Command -> one line of help. The module is kctl.commands.NAME with dashes as underscores."""

MODULES = {
    "uncordon": "cordon",
    "annotate": "label",
    "exec": "execute",
    "diff": "difference",
    "port-forward": "forward",
}
"""Commands whose module has another name: it serves two commands, or its name would be Python's."""

COMPLETE = "__complete"
"""What the shells' completion scripts ask; no command of the user's."""

REFUSED = {
    "autoscale": "there is no HorizontalPodAutoscaler yet; use kctl scale",
    "kustomize": "not supported; build the manifests with kustomize and apply them with -f",
    "kuberc": "not supported",
}
"""kubectl's commands that kctl does not have, and why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Without `argv` this is the program `kctl`, which ends here.

    It then ends without taking the interpreter down piece by piece: by then that is of no use to anyone.
    """
    if argv is not None:
        return call(list(argv))
    code = call(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    os._exit(code)


def call(words: list[str]) -> int:
    """Run one command; errors become messages and an exit code."""
    try:
        code = dispatch(words)
        sys.stdout.flush()
        return code
    except Exit as error:
        return error.code
    except SampanError as error:
        flush_quietly()
        print(wording(error), file=sys.stderr)
        return 1
    except BrokenPipeError:
        flush_quietly()
        return 1
    except KeyboardInterrupt:
        flush_quietly()
        return 130
    except OSError as error:
        flush_quietly()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if os.environ.get("KCTL_TRACEBACK"):
            raise
        flush_quietly()
        said = f"{type(error).__name__}: {error}"
        print(f"error: kctl itself is at fault ({said}); set KCTL_TRACEBACK=1 to see where", file=sys.stderr)
        return 1


def flush_quietly() -> None:
    """What was printed comes before what goes wrong. A reader that has gone is none of our business."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def module_of(command: str) -> ModuleType:
    """Import a command's module."""
    name = MODULES.get(command, command).replace("-", "_")
    return __import__(f"kctl.commands.{name}", fromlist=["run"])


def dispatch(words: list[str]) -> int:
    """Find the command and run it. Raises SampanError."""
    at = leading_word(words)
    if at < 0 or words[at] == "help":
        if at >= 0 and len(words) > at + 1 and words[at + 1] in COMMANDS:
            return dispatch([*words[at + 1 :], "--help"])
        if at < 0:
            unknown = next((word for word in words if word not in ("-h", "--help")), None)
            if unknown is not None:
                flags = Flags("")
                flags.global_ones()
                flags.parse(words)
        print(overview())
        return 0
    name = words.pop(at)
    if name == COMPLETE:
        from kctl.completing import complete

        return complete(words)
    if name in REFUSED:
        raise UsageError(f"{name}: {REFUSED[name]}")
    if name not in COMMANDS:
        from kctl.plugins import hand_over
        from kctl.suggest import suggestions

        hand_over([*words[:at], name, *words[at:]])

        raise UsageError(f'unknown command "{name}" for "kctl"{suggestions(name, COMMANDS)}')
    module = module_of(name)
    if hasattr(module, "PASS_ON"):
        code: int = module.run_words(words)
        return code
    return run_command(name, module, words)


def run_command(name: str, module: ModuleType, words: list[str]) -> int:
    """Parse the flags of a command and run it."""
    verbs = getattr(module, "VERBS", None)
    verb = ""
    before_dash = words[: words.index("--")] if "--" in words else words
    wants_help = any(word in ("--help", "-h") for word in before_dash)
    if verbs is not None:
        at = leading_word(words)
        if at >= 0 and words[at] in verbs:
            verb = words.pop(at)
        elif at >= 0 and not getattr(module, "VERBS_OPTIONAL", False):
            raise UsageError(f"unknown command \"{words[at]}\"\nSee 'kctl {name} -h' for help and examples")
        elif at < 0 and (wants_help or not getattr(module, "VERBS_OPTIONAL", False)):
            print(listing(f"{module.__doc__}\nVerbs:", verbs), file=sys.stdout if wants_help else sys.stderr)
            return 0 if wants_help else 1
    flags = Flags(f"{name} {verb}".strip())
    if verbs is None:
        module.configure(flags)
    else:
        module.configure(flags, verb)
    flags.global_ones()
    if wants_help:
        print(flags.help(verbs[verb] if verb and verbs else str(module.__doc__)))
        return 0
    values = flags.parse(words)
    values.verb = verb
    values.invoked_as = name
    code: int = module.run(values)
    return code


def overview() -> str:
    """What `kctl` alone prints."""
    return listing("kctl controls Sampan and any other Kubernetes cluster.\n\nCommands:", COMMANDS)


def listing(heading: str, entries: dict[str, str]) -> str:
    """Names and what they do, aligned."""
    width = max(map(len, entries))
    return "\n".join([heading, *(f"  {name:<{width}}  {text}" for name, text in sorted(entries.items()))])


if __name__ == "__main__":
    main()
