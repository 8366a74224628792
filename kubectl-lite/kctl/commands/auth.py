"""Who am I to the server, and may I do it?"""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags
from kctl.discovery import UnknownKind
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.session import Session
from kctl.tables import columns

VERBS = {"whoami": "print who I am to the server", "can-i": "ask whether I may do something: VERB TYPE[/NAME]"}


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    if verb == "whoami":
        flags.text("output", "yaml or json", short="o")
        return
    flags.usage = "can-i VERB [TYPE | TYPE/NAME | /URL]"
    flags.switch("all-namespaces", "in all namespaces", short="A")
    flags.switch("quiet", "say nothing, only exit", short="q")
    flags.switch("list", "list all that I may do")
    flags.switch("no-headers", "leave the headings out")
    flags.text("subresource", "of this subresource")


def run(values: Values) -> int:
    """Ask the server."""
    if values.verb == "whoami" and values.output:
        from kctl.printers import check

        check(values.output)
    session = flags.session(values)
    if values.verb == "whoami":
        return _who(session, values.output)
    if values.list:
        if values.words:
            raise UsageError("list option must be specified with no arguments")
        return _list(session, values)
    if len(values.words) != 2:
        raise UsageError(
            "you must specify two arguments: verb resource or verb resource/resourceName.\n"
            "See 'kctl auth can-i -h' for help and examples."
        )
    spec = _question(session, values)
    status = _review(session, "selfsubjectaccessreviews", "SelfSubjectAccessReview", spec)["status"]
    if not values.quiet:
        why = f" - {status['reason']}" if status.get("reason") and not status.get("allowed") else ""
        print(("yes" if status.get("allowed") else "no") + why)
    return 0 if status.get("allowed") else 1


def _review(session: Session, plural: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    group = "authentication" if plural == "selfsubjectreviews" else "authorization"
    body = {"apiVersion": f"{group}.k8s.io/v1", "kind": kind} | ({"spec": spec} if spec else {})
    answer: dict[str, Any] = session.call("POST", f"/apis/{group}.k8s.io/v1/{plural}", None, body)
    return answer


def _who(session: Session, output: str) -> int:
    answer = _review(session, "selfsubjectreviews", "SelfSubjectReview", {})
    if output:
        from kctl import printers

        if (answer.get("metadata") or {}).get("creationTimestamp", 0) is None:
            del answer["metadata"]["creationTimestamp"]
        printers.show_values([answer], output, as_list=False, names=["selfsubjectreview.authentication.k8s.io/"])
        return 0
    user = answer.get("status", {}).get("userInfo", {})
    rows = [["ATTRIBUTE", "VALUE"], ["Username", str(user.get("username", ""))]]
    if user.get("uid"):
        rows.append(["UID", user["uid"]])
    if user.get("groups"):
        rows.append(["Groups", f"[{' '.join(user['groups'])}]"])
    rows += [[f"Extra: {key}", f"[{' '.join(value)}]"] for key, value in sorted((user.get("extra") or {}).items())]
    for line in columns(rows):
        print(line)
    return 0


def _question(session: Session, values: Values) -> dict[str, Any]:
    verb, what = values.words
    if what.startswith("/"):
        return {"nonResourceAttributes": {"verb": verb, "path": what}}
    kind, _, name = what.partition("/")
    try:
        if kind == "*":
            return _asked(verb, "*", "*", "", name, "" if values.all_namespaces else session.namespace)
        resource = session.discovery.named(kind)
        group, plural, namespaced = resource.group, resource.plural, resource.namespaced
    except UnknownKind as error:
        print(f"Warning: {error}\n".replace('"', "'"), file=sys.stderr)
        group, plural, namespaced = kind.partition(".")[2], kind.partition(".")[0], True
    else:
        if not namespaced:
            scope = f" in group '{group}'" if group else ""
            print(f"Warning: resource '{plural}' is not namespace scoped{scope}\n", file=sys.stderr)
    where = "" if values.all_namespaces or not namespaced else session.namespace
    return _asked(verb, group, plural, values.subresource, name, where)


def _asked(verb: str, group: str, plural: str, subresource: str, name: str, namespace: str) -> dict[str, Any]:
    return {
        "resourceAttributes": {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "name": name,
            "namespace": namespace,
        }
    }


def _list(session: Session, values: Values) -> int:
    spec = {"namespace": session.namespace}
    status = _review(session, "selfsubjectrulesreviews", "SelfSubjectRulesReview", spec).get("status", {})
    rows = []
    for rule in status.get("resourceRules") or ():
        for group in rule.get("apiGroups") or [""]:
            for plural in rule.get("resources") or ():
                full = f"{plural}.{group}" if group else plural
                names = f"[{' '.join(rule.get('resourceNames') or ())}]"
                rows.append([full, "[]", names, f"[{' '.join(rule.get('verbs') or ())}]"])
    for rule in status.get("nonResourceRules") or ():
        for url in rule.get("nonResourceURLs") or ():
            rows.append(["", f"[{url}]", "[]", f"[{' '.join(rule.get('verbs') or ())}]"])
    rows.sort()
    if not values.no_headers:
        rows.insert(0, ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"])
    for line in columns(rows):
        print(line)
    return 0
