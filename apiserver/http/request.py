"""What a request asks for, read from its method and URL (API concepts, "Resource URIs")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
TRUE = ("1", "t", "T", "true", "TRUE", "True")


def truth(text: str) -> bool:
    """A boolean query parameter as Go's ParseBool takes it; anything else is false."""
    return text in TRUE


@dataclass(slots=True)
class Asked:
    """A request, understood. `plural` is empty for paths that are no resource."""

    verb: str
    path: str
    query: Mapping[str, str]
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @property
    def long_running(self) -> bool:
        """Watches and streams: no timeout, not counted as in flight."""
        return self.verb == "watch" or (
            self.subresource in ("exec", "attach", "portforward", "log", "proxy")
            and self.plural in ("pods", "nodes", "services")
        )


def understand(method: str, target: str) -> Asked:
    """Read a request line. Never fails: what is no resource has no plural."""
    raw, _, query_text = target.partition("?")
    query = dict(parse_qsl(query_text, keep_blank_values=True)) if query_text else {}
    parts = raw.split("/")[1:]
    if "%" in raw:
        parts = [unquote(part) for part in parts]
    asked = Asked(method.lower(), raw, query)
    proxied = parts.index("proxy") + 1 if "proxy" in parts else len(parts) - 1
    if "" in parts[:proxied]:
        return asked
    if parts[:1] == ["api"] and len(parts) >= 3:
        version, parts = parts[1], parts[2:]
        group = ""
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return asked
    if parts and parts[-1] == "":
        parts = parts[:-1]
    if not parts:
        return asked
    watch = False
    if parts[0] == "watch" and len(parts) > 1:
        watch, parts = True, parts[1:]
    asked.group, asked.version = group, version
    if parts[0] == "namespaces" and len(parts) >= 3 and not (len(parts) == 3 and parts[2] in ("status", "finalize")):
        asked.namespace = parts[1]
        parts = parts[2:]
    asked.plural = parts[0]
    if len(parts) > 1:
        asked.name = parts[1]
    if len(parts) > 2:
        asked.subresource = parts[2]
    if len(parts) > 3:
        asked.rest = "/".join(parts[3:])
    asked.verb = VERBS.get(method, "get" if asked.subresource == "proxy" else method.lower())
    if method == "GET" and not asked.name:
        asked.verb = "watch" if watch or truth(query.get("watch", "")) else "list"
    elif method == "GET" and watch:
        asked.verb = "watch"
    elif method == "DELETE" and not asked.name:
        asked.verb = "deletecollection"
    return asked
