"""ConfigMaps, Secrets, the downward API and tokens as files. Pure: objects and tokens are given.

What is missing raises VolumeError (FailedMount), unless optional.
Source: the API reference, "Volume"; the Kubernetes documentation, "Projected Volumes".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nodeagent.downward import FieldError, Here, field_value, resource_value
from nodeagent.environment import ConfigError, Objects, secret_bytes
from nodeagent.volumes.errors import VolumeError
from nodeagent.volumes.writer import File, check_path
from sampan.api import core_v1

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A service account token that a volume shows: for whom, and for how long."""

    audience: str
    seconds: int


def token_requests(pod: core_v1.Pod) -> frozenset[TokenRequest]:
    """All tokens that a pod's volumes need."""
    return frozenset(
        token_of(source.service_account_token)
        for volume in pod.spec.volumes
        for source in (volume.projected.sources if volume.projected is not None else ())
        if source.service_account_token is not None
    )


def token_of(source: core_v1.ServiceAccountTokenProjection) -> TokenRequest:
    """What a projection asks for."""
    return TokenRequest(source.audience or "", source.expiration_seconds or 3600)


def is_projected(volume: core_v1.Volume) -> bool:
    """Whether a volume is made of files that follow objects."""
    return any(one is not None for one in (volume.config_map, volume.secret, volume.downward_api, volume.projected))


def files_of(
    pod: core_v1.Pod, volume: core_v1.Volume, objects: Objects, tokens: Mapping[TokenRequest, str], here: Here
) -> dict[str, File]:
    """All files of a projected volume, by path. Raises VolumeError."""
    try:
        found = dict(_files(pod, volume, objects, tokens, here))
    except (ConfigError, FieldError) as error:
        raise VolumeError(str(error)) from None
    for path in found:
        check_path(path)
        parts = path.split("/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in found:
                raise VolumeError(f"path {path!r} needs {'/'.join(parts[:end])!r} to be a directory, it is a file")
    group = pod.spec.security_context.fs_group if pod.spec.security_context is not None else None
    if group is not None:
        found = {path: File(one.data, one.mode | 0o440, one.user) for path, one in found.items()}
    return found


def _files(
    pod: core_v1.Pod, volume: core_v1.Volume, objects: Objects, tokens: Mapping[TokenRequest, str], here: Here
) -> Iterator[tuple[str, File]]:
    namespace = pod.metadata.namespace or ""
    if (config := volume.config_map) is not None:
        mode = DEFAULT_MODE if config.default_mode is None else config.default_mode
        values = _config_map(objects, namespace, config.name or "", bool(config.optional))
        yield from _chosen(
            values, config.items, mode, config.default_user, bool(config.optional), f"configmap {config.name}"
        )
    elif (secret := volume.secret) is not None:
        mode = DEFAULT_MODE if secret.default_mode is None else secret.default_mode
        values = _secret(objects, namespace, secret.secret_name or "", bool(secret.optional))
        yield from _chosen(
            values, secret.items, mode, secret.default_user, bool(secret.optional), f"secret {secret.secret_name}"
        )
    elif (downward := volume.downward_api) is not None:
        mode = DEFAULT_MODE if downward.default_mode is None else downward.default_mode
        yield from _downward(pod, downward.items, mode, downward.default_user, here)
    elif (projected := volume.projected) is not None:
        mode = DEFAULT_MODE if projected.default_mode is None else projected.default_mode
        for source in projected.sources:
            yield from _source(pod, source, mode, projected.default_user, objects, tokens, here)


def _source(
    pod: core_v1.Pod,
    source: core_v1.VolumeProjection,
    mode: int,
    user: int | None,
    objects: Objects,
    tokens: Mapping[TokenRequest, str],
    here: Here,
) -> Iterator[tuple[str, File]]:
    namespace = pod.metadata.namespace or ""
    if (config := source.config_map) is not None:
        values = _config_map(objects, namespace, config.name or "", bool(config.optional))
        yield from _chosen(values, config.items, mode, user, bool(config.optional), f"configmap {config.name}")
    elif (secret := source.secret) is not None:
        values = _secret(objects, namespace, secret.name or "", bool(secret.optional))
        yield from _chosen(values, secret.items, mode, user, bool(secret.optional), f"secret {secret.name}")
    elif source.downward_api is not None:
        yield from _downward(pod, source.downward_api.items, mode, user, here)
    elif (token := source.service_account_token) is not None:
        text = tokens.get(token_of(token))
        if text is None:
            raise VolumeError("the service account token is not there yet")
        owner, token_mode = _token_owner(pod, mode)
        yield token.path, File(text.encode(), token_mode, token.user if token.user is not None else owner)
    elif source.cluster_trust_bundle is not None:
        raise VolumeError("clusterTrustBundle projections are not supported by this node")
    elif source.pod_certificate is not None:
        raise VolumeError("podCertificate projections are not supported by this node")


def _token_owner(pod: core_v1.Pod, mode: int) -> tuple[int | None, int]:
    """A token is for the pod's user alone where there is just one: (owner, mode)."""
    context = pod.spec.security_context or core_v1.PodSecurityContext()
    if context.fs_group is not None:
        return None, 0o600
    users = {
        spec.security_context.run_as_user
        if spec.security_context is not None and spec.security_context.run_as_user is not None
        else context.run_as_user
        for spec in (*pod.spec.init_containers, *pod.spec.containers)
    }
    if len(users) == 1 and (user := users.pop()) is not None:
        return user, 0o600
    return None, mode


def _config_map(objects: Objects, namespace: str, name: str, optional: bool) -> dict[str, bytes]:
    found = objects.config_map(namespace, name)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    values = {key: text.encode() for key, text in found.data.items()}
    for key, text in found.binary_data.items():
        try:
            values[key] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise VolumeError(f'configmap "{name}": binaryData {key} is not base64: {error}') from None
    return values


def _secret(objects: Objects, namespace: str, name: str, optional: bool) -> dict[str, bytes]:
    found = objects.secret(namespace, name)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'secret "{name}" not found')
    return {key: secret_bytes(found, key) for key in found.data}


def _chosen(
    values: Mapping[str, bytes],
    items: Iterable[core_v1.KeyToPath],
    mode: int,
    user: int | None,
    optional: bool,
    origin: str,
) -> Iterator[tuple[str, File]]:
    chosen = list(items)
    if not chosen:
        for key, data in values.items():
            yield key, File(data, mode, user)
        return
    for item in chosen:
        if item.key not in values:
            if optional:
                continue
            raise VolumeError(f"references non-existent {origin} key: {item.key}")
        yield (
            item.path,
            File(
                values[item.key],
                mode if item.mode is None else item.mode,
                user if item.user is None else item.user,
            ),
        )


def _downward(
    pod: core_v1.Pod, items: Iterable[core_v1.DownwardAPIVolumeFile], mode: int, user: int | None, here: Here
) -> Iterator[tuple[str, File]]:
    for item in items:
        if item.field_ref is not None:
            text = field_value(pod, item.field_ref.field_path, here)
        elif item.resource_field_ref is not None:
            text = resource_value(pod, item.resource_field_ref, here)
        else:
            continue
        yield (
            item.path,
            File(text.encode(), mode if item.mode is None else item.mode, user if item.user is None else item.user),
        )
