"""ServiceAccount: every pod has an account, its token mounted where clients look for it."""

from __future__ import annotations

from functools import cache

from apiserver.admission.refusals import forbidden
from apiserver.kind import Admission, Attempt, Json
from apiserver.metadata import generated
from sampan.api.core_v1 import LocalObjectReference, Pod, ProjectedVolumeSource, Volume, VolumeMount
from sampan.errors import ApiError
from sampan.kinds import PODS, SERVICE_ACCOUNTS

DEFAULT = "default"
PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607
MIRROR = "kubernetes.io/config.mirror"
ATTEMPTS = 10
PAUSE_SECONDS = 0.1
"""The default account follows its namespace a moment later: the first pod may wait for it."""


async def find(attempt: Attempt, name: str) -> Json:
    """The account. Raises ApiError 403 if it is missing."""
    server, namespace = attempt.context.server, attempt.namespace
    found = server.peek(SERVICE_ACCOUNTS, namespace, name)
    for left in reversed(range(ATTEMPTS if name == DEFAULT else 1)):
        if found is not None:
            return found
        try:
            found = await server.read(SERVICE_ACCOUNTS, namespace, name)
        except ApiError as error:
            if not error.is_not_found:
                raise
            if left:
                await server.clock.sleep(PAUSE_SECONDS)
    if found is not None:
        return found
    raise forbidden(attempt, f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found')


async def mutate(attempt: Attempt) -> None:
    """Give the pod its account, its token and the account's pull secrets."""
    pod: Pod = attempt.object
    if MIRROR in pod.metadata.annotations:
        return
    spec = pod.spec
    name = spec.service_account_name or spec.service_account or DEFAULT
    spec.service_account_name = spec.service_account = name
    account = await find(attempt, name)
    wanted = spec.automount_service_account_token
    if wanted is None:
        wanted = account.get("automountServiceAccountToken", True)
    if wanted:
        mount(pod)
    if not spec.image_pull_secrets:
        spec.image_pull_secrets = [
            LocalObjectReference(name=one.get("name")) for one in account.get("imagePullSecrets") or ()
        ]


def mount(pod: Pod) -> None:
    """Mount a token where nothing is mounted yet."""
    spec = pod.spec
    name = next((one.name for one in spec.volumes if one.name.startswith(VOLUME_PREFIX)), "")
    volume = name or generated(VOLUME_PREFIX)
    needed = False
    for container in (*spec.init_containers, *spec.containers):
        if any(one.mount_path == PATH for one in container.volume_mounts):
            continue
        container.volume_mounts = [*container.volume_mounts, VolumeMount(name=volume, mount_path=PATH, read_only=True)]
        needed = True
    if needed and not name:
        spec.volumes = [*spec.volumes, token_volume(volume)]


def token_volume(name: str) -> Volume:
    """The token, the cluster's CA, and the namespace, as files."""
    return Volume(name=name, projected=_token_files())


@cache
def _token_files() -> ProjectedVolumeSource:
    """What is in the volume, shared by all pods: it is complete, so that no default is ever written into it."""
    return ProjectedVolumeSource.from_json(
        {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                        ]
                    }
                },
            ],
        }
    )


async def validate(attempt: Attempt) -> None:
    """A mirror pod has no use for an account. Raises ApiError 403."""
    pod: Pod = attempt.object
    if MIRROR not in pod.metadata.annotations:
        return
    if pod.spec.service_account_name:
        raise forbidden(attempt, "a mirror pod may not reference service accounts")
    if any(volume.secret is not None for volume in pod.spec.volumes):
        raise forbidden(attempt, "a mirror pod may not reference secrets")


SERVICE_ACCOUNT = Admission(
    "ServiceAccount", frozenset({"CREATE"}), resources=(PODS,), mutate=mutate, validate=validate
)
