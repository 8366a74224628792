"""Which server, as whom: kubeconfigs as people really have them, and what is said about broken ones."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from sampan.certs import Authority
from sampan.kubeconfig import KubeconfigError, files, in_cluster, load

WHOLE = """
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c1
  cluster: {server: "https://127.0.0.1:6443/", certificate-authority: ca.pem, tls-server-name: api}
- name: c2
  cluster: {server: "http://127.0.0.1:8080"}
contexts:
- name: one
  context: {cluster: c1, user: u1, namespace: ns}
- name: two
  context: {cluster: c2, user: u2}
- name: broken
  context: {cluster: nowhere, user: u1}
users:
- name: u1
  user: {token: secret, as: jane, as-groups: [devs]}
- name: u2
  user: {tokenFile: token}
- name: cloud
  user: {exec: {command: aws}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_bytes(Authority.create("test").pair.certificate)
    (tmp_path / "token").write_text("from a file\n")
    path = tmp_path / "config"
    path.write_text(WHOLE)
    return path


def test_the_current_context_with_paths_beside_the_file(config: Path) -> None:
    target = load(config)
    assert (target.server, target.namespace, target.context) == ("https://127.0.0.1:6443", "ns", "one")
    assert target.tls_server_name == "api"
    assert target.ca is not None
    assert target.ca.startswith(b"-----BEGIN CERTIFICATE")
    assert target.headers() == {"Authorization": "Bearer secret", "Impersonate-User": "jane"}
    assert target.impersonate_groups == ("devs",)
    assert target.ssl_context() is not None


def test_another_context_and_a_token_that_is_read_again(config: Path) -> None:
    target = load(config, context="two")
    assert target.ssl_context() is None
    assert target.headers() == {"Authorization": "Bearer from a file"}
    (config.parent / "token").write_text("rotated")
    assert target.headers() == {"Authorization": "Bearer rotated"}


def test_several_files_are_merged_and_the_first_mention_wins(config: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text(
        '{"clusters": [{"name": "c1", "cluster": {"server": "https://first"}}], '
        '"current-context": "one", "users": null}'
    )
    environment = {"KUBECONFIG": f"{first}:{config}:{tmp_path / 'absent'}"}
    target = load(environ=environment)
    assert (target.server, target.token) == ("https://first", "secret")
    assert files(environ={"HOME": "/home/jane"}) == [Path("/home/jane/.kube/config")]


def test_a_client_certificate_never_touches_the_disk(tmp_path: Path) -> None:
    pair = Authority.create("test").issue("jane")
    encoded = {name: base64.b64encode(data).decode() for name, data in (("c", pair.certificate), ("k", pair.key))}
    user = f"{{client-certificate-data: {encoded['c']}, client-key-data: {encoded['k']}}}"
    path = tmp_path / "config"
    path.write_text(
        WHOLE.replace("{token: secret, as: jane, as-groups: [devs]}", user).replace(
            "certificate-authority: ca.pem, ", ""
        )
    )
    before = set(tmp_path.iterdir())
    assert load(path).ssl_context() is not None
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("change", "context", "said"),
    [
        (None, "nobody", r"no context named 'nobody'; see: kubectl config get-contexts"),
        (None, "broken", r"no cluster named 'nowhere'"),
        (("user: u1, namespace", "user: cloud, namespace"), "", r"logs in by 'exec', which is not supported"),
        (("current-context: one", ""), "", r"no current-context"),
        (("https://127.0.0.1:6443/", "ftp://x"), "", r"'ftp://x', which is no http\(s\) URL"),
        (("ca.pem", "no.pem"), "", r"certificate-authority .*no\.pem: No such file"),
        (("certificate-authority: ca.pem", 'certificate-authority-data: "?"'), "", r"is no base64"),
        (("kind: Config", "kind: ["), "", r"is no YAML"),
        ((WHOLE, "- a\n- b"), "", r"a mapping is wanted, not a list"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(
    config: Path, change: tuple[str, str] | None, context: str, said: str
) -> None:
    if change:
        config.write_text(WHOLE.replace(change[0], change[1]))
    with pytest.raises(KubeconfigError, match=said) as caught:
        load(config, context=context)
    assert str(config) in str(caught.value)


def test_none_at_all_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"no kubeconfig found at .*\.kube/config"):
        load(environ={"HOME": str(tmp_path)})
    with pytest.raises(KubeconfigError, match=r"no such kubeconfig"):
        load(tmp_path / "absent")


def test_a_certificate_and_a_key_that_do_not_belong_together_are_told(config: Path, tmp_path: Path) -> None:
    authority = Authority.create("test")
    (tmp_path / "c").write_bytes(authority.issue("a").certificate)
    (tmp_path / "k").write_bytes(authority.issue("b").key)
    config.write_text(WHOLE.replace("token: secret", "client-certificate: c, client-key: k"))
    with pytest.raises(KubeconfigError, match="not a usable pair"):
        load(config).ssl_context()


def test_a_pod_finds_its_server(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("ns")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    target = in_cluster(environment, tmp_path)
    assert (target.server, target.namespace) == ("https://[fd00::1]:443", "ns")
    with pytest.raises(KubeconfigError, match="not inside a pod"):
        in_cluster({}, tmp_path)


def test_importing_it_loads_neither_yaml_nor_ssl() -> None:
    code = (
        "import sampan.kubeconfig, sys; print([m for m in ('yaml', 'ssl', 'aiohttp', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
