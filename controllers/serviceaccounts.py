"""What every namespace gets by itself: the service account `default` and the cluster's CA certificate.

Also: long-lived token secrets whose service account is gone are deleted.
Sources: "Configure Service Accounts for Pods", KEP-1205 (kube-root-ca.crt).
"""

from __future__ import annotations

from collections.abc import Iterator

from sampan.actions import Action, Create, Delete, Patch
from sampan.api.core_v1 import ConfigMap, Namespace, Secret, ServiceAccount
from sampan.api.meta_v1 import ObjectMeta
from sampan.informer import Change
from sampan.kinds import CONFIG_MAPS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS
from sampan.loop import Controller, Watch
from sampan.objects import Key
from sampan.world import World

DEFAULT = "default"
ROOT_CA = "kube-root-ca.crt"
CA_KEY = "ca.crt"
DESCRIPTION = "kubernetes.io/description"
ROOT_CA_SAYS = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
TOKEN_TYPE = "kubernetes.io/service-account-token"
TOKEN_FOR, TOKEN_FOR_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


def _alive(namespace: Namespace) -> bool:
    return namespace.metadata.deletion_timestamp is None and namespace.status.phase != "Terminating"


def _namespace_of(name: str) -> object:
    def keys(change: Change[ServiceAccount | ConfigMap], _: World) -> Iterator[Key]:
        if change.object.metadata.name == name:
            yield Key("", change.object.metadata.namespace or "")

    return keys


def default_account(namespace: Namespace, world: World) -> Iterator[Action]:
    """The namespace has a service account `default`."""
    name = namespace.metadata.name or ""
    if _alive(namespace) and world.get(SERVICE_ACCOUNTS, name, DEFAULT) is None:
        account = ServiceAccount(metadata=ObjectMeta(name=DEFAULT, namespace=name))
        yield Create(SERVICE_ACCOUNTS, account, exists=lambda _: ())


def root_ca(certificate: str) -> Controller[Namespace]:
    """Publishes the CA's certificate (PEM) in every namespace."""

    def reconcile(namespace: Namespace, world: World) -> Iterator[Action]:
        if not _alive(namespace):
            return
        name = namespace.metadata.name or ""
        there = world.get(CONFIG_MAPS, name, ROOT_CA)
        wanted = ConfigMap(
            metadata=ObjectMeta(name=ROOT_CA, namespace=name, annotations={DESCRIPTION: ROOT_CA_SAYS}),
            data={CA_KEY: certificate},
        )
        if there is None:
            yield Create(CONFIG_MAPS, wanted, exists=lambda _: ())
        elif there.data != wanted.data:
            yield Patch(CONFIG_MAPS, there, {"data": wanted.data | dict.fromkeys(there.data.keys() - {CA_KEY})})

    return Controller(
        name="root-ca-certificate-publisher",
        of=NAMESPACES,
        reconcile=reconcile,
        watches=(Watch(CONFIG_MAPS, _namespace_of(ROOT_CA)),),  # type: ignore[arg-type]  # keys of one model
        field_selectors={CONFIG_MAPS: f"metadata.name={ROOT_CA}"},
        workers=2,
    )


def _account_of(secret: Secret) -> Key:
    return Key(secret.metadata.namespace or "", secret.metadata.annotations.get(TOKEN_FOR, ""))


def _by_account(secret: Secret) -> Iterator[str]:
    if secret.type == TOKEN_TYPE:
        yield str(_account_of(secret))


def stale_tokens(account: ServiceAccount, world: World) -> Iterator[Action]:
    """Tokens of an earlier account of the same name go."""
    key = Key(account.metadata.namespace or "", account.metadata.name or "")
    for secret in world.by(SECRETS, "account", str(key)):
        uid = secret.metadata.annotations.get(TOKEN_FOR_UID)
        if uid and uid != account.metadata.uid:
            yield Delete(SECRETS, secret)


def orphaned_tokens(key: Key, world: World) -> Iterator[Action]:
    """Tokens of an account that is no more go; one that never named a UID may have come before its account."""
    for secret in world.by(SECRETS, "account", str(key)):
        if secret.metadata.annotations.get(TOKEN_FOR_UID):
            yield Delete(SECRETS, secret)


DEFAULT_ACCOUNT = Controller(
    name="service-account-controller",
    of=NAMESPACES,
    reconcile=default_account,
    watches=(Watch(SERVICE_ACCOUNTS, _namespace_of(DEFAULT)),),  # type: ignore[arg-type]  # keys of one model
    workers=2,
)

TOKEN_CLEANER = Controller(
    name="tokens-controller",
    of=SERVICE_ACCOUNTS,
    reconcile=stale_tokens,
    gone=orphaned_tokens,
    watches=(Watch(SECRETS, lambda change, _: (_account_of(change.object),)),),
    indexes={SECRETS: {"account": _by_account}},
    field_selectors={SECRETS: f"type={TOKEN_TYPE}"},
    workers=1,
)
