"""Create, list and delete the bootstrap tokens with which machines join.

A token is a Secret kube-system/bootstrap-token-ID; output and flags are those of kubeadm.
Source: "Authenticating with Bootstrap Tokens", kubeadm token. Ours: --node, which binds a token to one node.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import string
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from kctl import flags
from kctl.ages import human, moment
from kctl.errors import UsageError
from kctl.flags import Flags, Values, seconds
from kctl.session import Session
from kctl.tables import columns
from sampan.api_error import ApiError

VERBS = {
    "create": "make a token, and print it",
    "list": "list the tokens",
    "delete": "revoke tokens",
}
PATH = "/api/v1/namespaces/kube-system/secrets"
PREFIX = "bootstrap-token-"
TYPE = "bootstrap.kubernetes.io/token"
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})", re.ASCII)
IDENTITY = re.compile(r"[a-z0-9]{6}", re.ASCII)
GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", re.ASCII)
NODE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
USAGES = ("authentication", "signing")
LETTERS = string.ascii_lowercase + string.digits
USAGE_PREFIX = "usage-bootstrap-"


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    if verb == "create":
        flags.usage = "[TOKEN]"
        flags.text("ttl", "how long it may be used, such as 1h; 0 for ever", default="24h")
        flags.text("description", "what it is for")
        flags.texts("usages", "what it may be used for: authentication, signing", split=True)
        flags.texts("groups", "more groups, all below system:bootstrappers:", split=True)
        flags.text("node", "the only node that it may be used to join as")
        flags.switch("print-join-command", "print the command to run on the machine that joins")
    elif verb == "list":
        flags.text("output", "json", short="o")
        flags.switch("no-headers", "leave the headings out")
    else:
        flags.usage = "ID ..."


def run(values: Values) -> int:
    """Do what the verb says."""
    session = flags.session(values)
    if values.verb == "create":
        return _create(session, values)
    if values.verb == "list":
        return _list(session, values)
    return _delete(session, values.words)


def _create(session: Session, values: Values) -> int:
    if len(values.words) > 1:
        raise UsageError(f"accepts at most 1 arg(s), received {len(values.words)}")
    token = values.words[0] if values.words else f"{random_text(6)}.{random_text(16)}"
    parts = TOKEN.fullmatch(token)
    if parts is None:
        raise UsageError('the token is not of the form "[a-z0-9]{6}.[a-z0-9]{16}"')
    identity = parts[1]
    data = {"token-id": identity, "token-secret": parts[2], **described(values)}
    session.call(
        "POST",
        PATH,
        body={
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": PREFIX + identity, "namespace": "kube-system"},
            "type": TYPE,
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
        },
    )
    print(join_command(session, token) if values.print_join_command else token)
    return 0


def random_text(length: int) -> str:
    """Letters and digits that nobody can guess."""
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def described(values: Values) -> dict[str, str]:
    """What the flags say, as the Secret's keys. Raises UsageError."""
    lasts = seconds(values.ttl)
    if lasts < 0:
        raise UsageError(f"--ttl {values.ttl} is negative; 0 makes a token that lasts for ever")
    usages = values.usages or list(USAGES)
    if unknown := [one for one in usages if one not in USAGES]:
        raise UsageError(f"--usages {unknown[0]}: not known; there are {', '.join(USAGES)}")
    if bad := [one for one in values.groups if not GROUP.fullmatch(one)]:
        raise UsageError(f"--groups {bad[0]}: a group below system:bootstrappers: is wanted")
    if values.node and not NODE.fullmatch(values.node):
        raise UsageError(f"--node {values.node}: is no name of a node: lower-case letters, digits, '-' and '.'")
    made = {USAGE_PREFIX + one: "true" for one in usages}
    if lasts:
        try:
            ends = datetime.now(UTC) + timedelta(seconds=lasts)
        except OverflowError:
            raise UsageError(
                f"--ttl {values.ttl} is beyond the calendar; 0 makes a token that lasts for ever"
            ) from None
        made["expiration"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    for key, text in (
        ("description", values.description),
        ("auth-extra-groups", ",".join(values.groups)),
        ("node-name", values.node),
    ):
        if text:
            made[key] = text
    return made


def join_command(session: Session, token: str) -> str:
    """What to type on a machine that joins. Raises ApiError; UsageError when the cluster does not say where it is."""
    from cryptography import x509  # late: it loads OpenSSL's bindings
    from cryptography.hazmat.primitives.serialization import Encoding

    from deploy.machine.trust import fingerprint

    server, authority = cluster_info(session)
    der = x509.load_pem_x509_certificate(authority).public_bytes(Encoding.DER)
    return f"sampan join {server} --token {token} --ca-hash {fingerprint(der)}"


def cluster_info(session: Session) -> tuple[str, bytes]:
    """The API server's address for machines that join, and the CA's certificate, as the cluster publishes them."""
    try:
        found = session.get("/api/v1/namespaces/kube-public/configmaps/cluster-info")
        cluster = json.loads(found["data"]["kubeconfig"])["clusters"][0]["cluster"]
        return str(cluster["server"]), base64.b64decode(cluster["certificate-authority-data"])
    except ApiError as error:
        if error.code != 404:
            raise
        why = "there is no ConfigMap kube-public/cluster-info; are the controllers running?"
    except (ValueError, KeyError, IndexError, TypeError) as error:
        why = f"ConfigMap kube-public/cluster-info can't be used: {error!r}"
    if session.target.ca is None:
        raise UsageError(f"the token is made, but where machines should join is not known: {why}")
    return session.target.server, session.target.ca


def values_of(secret: dict[str, Any]) -> dict[str, str]:
    """A token Secret's data as texts."""
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in (secret.get("data") or {}).items()}


def _list(session: Session, values: Values) -> int:
    if values.output not in ("", "text", "json"):
        raise UsageError(f"unable to match a printer suitable for the output format {values.output!r}: text or json")
    found = session.get(PATH, {"fieldSelector": f"type={TYPE}"}).get("items") or ()
    tokens = sorted((values_of(one) for one in found), key=lambda one: one.get("token-id", ""))
    if values.output == "json":
        for one in tokens:
            print(json.dumps(as_json(one), indent=4))
        return 0
    head = ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS", "NODE"]
    rows = [*([] if values.no_headers or not tokens else [head]), *map(row, tokens)]
    if rows:
        print("\n".join(columns(rows)))
    return 0


def usages_of(one: dict[str, str]) -> list[str]:
    """What a token may be used for."""
    return [usage for usage in USAGES if one.get(USAGE_PREFIX + usage) == "true"]


def row(one: dict[str, str]) -> list[str]:
    """A token as a line of the list."""
    ends = moment(one.get("expiration"))
    left, until = "<forever>", "<never>"
    if ends is not None:
        left = human(max((ends - datetime.now(UTC)).total_seconds(), -2))
        until = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    groups = one.get("auth-extra-groups") or "<none>"
    usages = ",".join(usages_of(one)) or "<none>"
    return [
        text_of(one),
        left,
        until,
        usages,
        one.get("description") or "<none>",
        groups,
        one.get("node-name", "<any>"),
    ]


def text_of(one: dict[str, str]) -> str:
    """`ID.SECRET`."""
    return f"{one.get('token-id', '')}.{one.get('token-secret', '')}"


def as_json(one: dict[str, str]) -> dict[str, Any]:
    """A token as kubeadm's BootstrapToken, without what it has not."""
    made = {
        "token": text_of(one),
        "description": one.get("description"),
        "expires": one.get("expiration"),
        "usages": usages_of(one),
        "groups": [group for group in one.get("auth-extra-groups", "").split(",") if group],
        "node": one.get("node-name"),
    }
    return {key: value for key, value in made.items() if value}


def _delete(session: Session, words: list[str]) -> int:
    if not words:
        raise UsageError("missing argument; the ID of a token, or the token itself: kctl token list shows them")
    identities = [word.partition(".")[0] if TOKEN.fullmatch(word) else word for word in words]
    if bad := next((one for one in identities if not IDENTITY.fullmatch(one)), ""):
        raise UsageError(f"given token ID {bad!r} is neither of the form [a-z0-9]{{6}} nor a whole token")
    failed = False
    for identity in identities:
        try:
            session.call("DELETE", f"{PATH}/{PREFIX}{identity}")
        except ApiError as error:
            print(f'error: failed to delete bootstrap token "{identity}": {error.message}', file=sys.stderr)
            failed = True
        else:
            print(f'bootstrap token "{identity}" deleted')
    return 1 if failed else 0
