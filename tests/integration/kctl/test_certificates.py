"""kctl certificate and kctl token: as kubectl and kubeadm say it."""

from __future__ import annotations

import base64
import json
import re
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from deploy.machine.trust import fingerprint
from kctl_programs import Outcome, Programs, plain
from sampan.signing_requests import node_request, signing_request

TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}\n")


def ask(programs: Programs, name: str) -> None:
    request = signing_request("somebody", ("team",)).request
    head = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}}
    spec = {
        "request": base64.b64encode(request).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth", "digital signature"],
        "expirationSeconds": 86400,
    }
    programs.create(head | {"spec": spec})


def both(programs: Programs, *words: str) -> tuple[Outcome, Outcome]:
    """The same words for kubectl and kctl, each with requests of its own: NAME stands for one."""
    found = []
    for program in ("kubectl", "kctl"):
        mine = [word.replace("NAME", f"of-{program:x<7}") for word in words]
        done = programs.run(program, *mine)
        found.append(
            plain(
                Outcome(
                    done.out.replace(f"{program:x<7}", "NAME"), done.err.replace(f"{program:x<7}", "NAME"), done.code
                )
            )
        )
    return found[0], found[1]


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_deciding_is_worded_as_kubectl_words_it(programs: Programs, verb: str) -> None:
    for program in ("kubectl", "kctl"):
        programs.run("kubectl", "delete", "csr", f"of-{program:x<7}", "--ignore-not-found")
        ask(programs, f"of-{program:x<7}")
    other = {"approve": "deny", "deny": "approve"}[verb]
    for words in (
        ("get", "csr", "NAME", "--no-headers"),
        ("certificate", verb, "NAME"),
        ("certificate", verb, "NAME"),
        ("certificate", verb, "NAME", "--force", "-o", "name"),
        ("certificate", verb, "nosuch"),
        ("certificate", verb),
        ("certificate", other, "NAME"),
        ("get", "csr", "NAME", "-o", "jsonpath={.status.conditions[*].type} {.status.conditions[*].status}"),
        ("get", "csr", "NAME"),
    ):
        theirs, ours = both(programs, *words)
        assert (words, ours.out, ours.code) == (words, theirs.out, theirs.code)
        assert (words, ours.err) == (words, theirs.err)


def test_a_request_shows_who_asks_whom_and_what_was_decided(programs: Programs) -> None:
    ask(programs, "shown")
    shown = programs.kctl("get", "csr", "shown").out.splitlines()
    assert shown[0].split() == ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"]
    cells = shown[1].split()
    assert cells[2:] == ["kubernetes.io/kube-apiserver-client", "kubernetes-admin", "24h", "Pending"]
    programs.kctl("certificate", "approve", "shown")
    assert programs.kctl("get", "csr", "shown", "--no-headers").out.split()[-1] == "Approved"


def create(programs: Programs, name: str, request: bytes, signer: str, *usages: str) -> None:
    spec = {"request": base64.b64encode(request).decode(), "signerName": signer, "usages": list(usages)}
    head = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}}
    programs.create(head | {"spec": spec})


def test_a_request_is_described_as_kubectl_does_and_a_refusal_tells_why(programs: Programs) -> None:
    ask(programs, "plain")
    hosts = ("n1", "n1.example", "10.0.0.1", "fd00::1")
    serving = node_request("n1", hosts).request
    create(programs, "serving", serving, "kubernetes.io/kubelet-serving", "digital signature", "server auth")
    for name in ("plain", "serving"):
        theirs, ours = (plain(programs.run(program, "describe", "csr", name)) for program in ("kubectl", "kctl"))
        assert ours == theirs
    programs.kctl("certificate", "deny", "serving")
    shown = programs.kctl("describe", "csr", "serving").out
    assert re.search(r"^Status: +Denied$", shown, re.M)
    assert re.search(r"^Denied: +KubectlDeny: This CSR was denied by kubectl certificate deny\.$", shown, re.M)


def test_a_token_is_made_listed_and_revoked(programs: Programs) -> None:
    made = programs.kctl("token", "create", "--ttl", "2h", "--description", "for the lab", "--node", "n7")
    assert TOKEN.fullmatch(made.out), made
    token = made.out.strip()
    head, *rows = programs.kctl("token", "list").out.splitlines()
    assert re.split(r" {2,}", head) == ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS", "NODE"]
    mine = next(re.split(r" {2,}", row) for row in rows if row.startswith(token))
    assert mine[1] == "119m"
    assert mine[3:] == ["authentication,signing", "for the lab", "<none>", "n7"]
    assert abs(datetime.fromisoformat(mine[2]) - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    listed = programs.kctl("token", "list", "-o", "json")
    assert json.loads(listed.out)["token"] == token
    revoked = programs.kctl("token", "delete", token[:6])
    assert (revoked.out, revoked.code) == (f'bootstrap token "{token[:6]}" deleted\n', 0)
    again = programs.kctl("token", "delete", token)
    assert again.code == 1
    assert (
        f'failed to delete bootstrap token "{token[:6]}": secrets "bootstrap-token-{token[:6]}" not found' in again.err
    )
    assert programs.kctl("token", "list").out == ""


def test_a_token_can_be_chosen_and_last_for_ever(programs: Programs) -> None:
    token = "chosen.0123456789abcdef"
    assert programs.kctl("token", "create", token, "--ttl", "0", "--usages", "signing").out == token + "\n"
    row = programs.kctl("token", "list", "--no-headers").out
    assert re.split(r" {2,}", row.strip())[1:4] == ["<forever>", "<never>", "signing"]
    again = programs.kctl("token", "create", token)
    assert 'secrets "bootstrap-token-chosen" already exists' in again.err
    programs.kctl("token", "delete", token)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["create", "short"], 'the token is not of the form "[a-z0-9]{6}.[a-z0-9]{16}"'),
        (["create", "--ttl", "soon"], 'invalid duration "soon"'),
        (["create", "--ttl", "-1h"], "--ttl -1h is negative"),
        (["create", "--ttl", "99999999999999h"], "beyond the calendar"),
        (["create", "--usages", "signing,flying"], "--usages flying: not known; there are authentication, signing"),
        (["create", "--groups", "system:masters"], "--groups system:masters: a group below system:bootstrappers:"),
        (["create", "--node", "N 7"], "--node N 7: is no name of a node"),
        (["delete"], "missing argument"),
        (["delete", "Nope"], "given token ID 'Nope' is neither"),
        (["list", "-o", "toml"], "toml"),
    ],
)
def test_what_cannot_be_a_token_is_refused(programs: Programs, words: list[str], says: str) -> None:
    done = programs.kctl("token", *words)
    assert done.code == 1
    assert says in done.err
    assert programs.kctl("token", "list").out == ""


def test_the_join_command_has_the_fingerprint_of_the_ca(programs: Programs) -> None:
    made = programs.kctl("token", "create", "--print-join-command").out.split()
    certificate = ssl.PEM_cert_to_DER_cert(programs.servers.ca.read_text())
    assert made[:3] == ["sampan", "join", programs.servers.url]
    assert made[3] == "--token"
    assert made[5:] == ["--ca-hash", fingerprint(certificate)]
    programs.kctl("token", "delete", made[4])


def test_an_administrators_approval_does_not_depend_on_policy(programs: Programs) -> None:
    request = node_request("anybody").request
    signer = "kubernetes.io/kube-apiserver-client-kubelet"
    create(programs, "by-hand", request, signer, "client auth", "digital signature")
    assert programs.kctl("certificate", "approve", "by-hand").code == 0
