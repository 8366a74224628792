"""What must hold between the fields of volumes, of their mounts, and of both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from apiserver.kinds.pod_defaults import SOURCES, AnyContainer
from sampan import names, quantity
from sampan.api.base import wire_name
from sampan.api.core_v1 import (
    DownwardAPIVolumeFile,
    KeyToPath,
    ObjectFieldSelector,
    ResourceFieldSelector,
    Volume,
    VolumeProjection,
)
from sampan.errors import FieldError

WIRE = {name: Volume.model_fields[name].alias or wire_name(name) for name in SOURCES}
PROJECTIONS = tuple(VolumeProjection.model_fields)
RESOURCE_FIELDS = tuple(
    f"{part}.{name}" for part in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
CPU_DIVISORS = ("1m", "1")
SIZE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
DOWNWARD_FIELDS = frozenset(
    {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
)


def check_volumes(volumes: Sequence[Volume], path: str) -> Iterator[FieldError]:
    """Names are told apart, and each volume has one source that makes sense."""
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        if volume.name in seen:
            yield FieldError.duplicate(f"{at}.name", volume.name)
        seen.add(volume.name)
        given = [name for name in SOURCES if getattr(volume, name) is not None]
        if not given:
            yield FieldError.required(at, "must specify a volume type")
        for name in given[1:]:
            yield FieldError.forbidden(f"{at}.{WIRE[name]}", "may not specify more than 1 volume type")
        yield from check_source(volume, at)


def check_source(volume: Volume, path: str) -> Iterator[FieldError]:
    """The details of the sources that have rules between their fields."""
    if volume.config_map is not None:
        if not volume.config_map.name:
            yield FieldError.required(f"{path}.configMap.name")
        yield from check_items(volume.config_map.items, f"{path}.configMap.items")
    if volume.secret is not None:
        if not volume.secret.secret_name:
            yield FieldError.required(f"{path}.secret.secretName")
        yield from check_items(volume.secret.items, f"{path}.secret.items")
    if volume.downward_api is not None:
        yield from check_downward(volume.downward_api.items, f"{path}.downwardAPI")
    if volume.host_path is not None and ".." in volume.host_path.path.split("/"):
        yield FieldError.invalid(f"{path}.hostPath.path", volume.host_path.path, "must not contain '..'")
    if volume.projected is not None:
        taken: set[str] = set()
        for index, source in enumerate(volume.projected.sources):
            yield from check_projection(source, f"{path}.projected.sources[{index}]", taken)


def check_projection(source: VolumeProjection, path: str, taken: set[str]) -> Iterator[FieldError]:
    """One source of a projected volume; `taken` are the paths that earlier ones write."""
    given = [name for name in PROJECTIONS if getattr(source, name) is not None]
    if not given:
        yield FieldError.required(path, "must specify a volume source")
    for name in given[1:]:
        alias = VolumeProjection.model_fields[name].alias
        yield FieldError.forbidden(f"{path}.{alias}", "may not specify more than 1 volume type")
    files: list[str] = []
    for member, one in (("configMap", source.config_map), ("secret", source.secret)):
        if one is not None:
            if not one.name:
                yield FieldError.required(f"{path}.{member}.name")
            yield from check_items(one.items, f"{path}.{member}.items")
            files += [item.path for item in one.items]
    if source.downward_api is not None:
        yield from check_downward(source.downward_api.items, f"{path}.downwardAPI")
        files += [item.path for item in source.downward_api.items]
    if source.service_account_token is not None:
        at = f"{path}.serviceAccountToken.path"
        yield from relative(source.service_account_token.path, at)
        files.append(source.service_account_token.path)
    for file in files:
        if file in taken:
            yield FieldError.invalid(path, file, "conflicting duplicate paths")
        taken.add(file)


def check_items(items: Sequence[KeyToPath], path: str) -> Iterator[FieldError]:
    """Keys and the files they become."""
    for index, item in enumerate(items):
        yield from relative(item.path, f"{path}[{index}].path")


def check_downward(items: Sequence[DownwardAPIVolumeFile], path: str) -> Iterator[FieldError]:
    """Files made of the pod's own fields."""
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        yield from relative(item.path, f"{at}.path")
        if item.field_ref is not None:
            yield from check_field(item.field_ref, f"{at}.fieldRef", DOWNWARD_FIELDS)
            if item.resource_field_ref is not None:
                yield FieldError.invalid(
                    at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
                )
        elif item.resource_field_ref is None:
            yield FieldError.required(at, "one of fieldRef and resourceFieldRef is required")
        elif not item.resource_field_ref.container_name:
            yield FieldError.required(f"{at}.resourceFieldRef.containerName")
        else:
            yield from check_resource_field(item.resource_field_ref, f"{at}.resourceFieldRef")


KNOWN_FIELDS = DOWNWARD_FIELDS | {
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.phase", "status.podIP", "status.podIPs",
}  # fmt: skip
SUBSCRIPTED = re.compile(r"(.*)\['(.*)'\]", re.DOTALL)


def check_field(field: ObjectFieldSelector, path: str, supported: frozenset[str]) -> Iterator[FieldError]:
    """A field of the pod that a file or variable may show. `metadata.labels['x']` names one key."""
    text, at = field.field_path, f"{path}.fieldPath"
    if not text:
        return
    if field.api_version != "v1":
        why = f"unsupported pod version: {field.api_version}"
        yield FieldError.invalid(at, text, f"error converting fieldPath: {why}")
    elif parts := SUBSCRIPTED.fullmatch(text):
        name, key = parts.groups()
        if name == "metadata.annotations":
            yield from (FieldError.invalid(path, key.lower(), one) for one in names.qualified_name(key.lower()))
        elif name == "metadata.labels":
            yield from (FieldError.invalid(path, key, one) for one in names.qualified_name(key))
        else:
            why = f"field label does not support subscript: {text}"
            yield FieldError.invalid(at, text, f"error converting fieldPath: {why}")
    elif text not in KNOWN_FIELDS:
        yield FieldError.invalid(at, text, f"error converting fieldPath: field label not supported: {text}")
    elif text not in supported:
        yield FieldError.not_supported(at, text, sorted(supported))


def check_resource_field(field: ResourceFieldSelector, path: str) -> Iterator[FieldError]:
    """An amount that a container may have or asks for, and the unit in which it is shown."""
    name = field.resource
    huge = ".hugepages-" in name
    if name and name not in RESOURCE_FIELDS and not huge:
        yield FieldError.not_supported(f"{path}.resource", name, RESOURCE_FIELDS)
    if not field.divisor:
        return
    try:
        divisor = quantity.canonical(field.divisor)
    except quantity.QuantityError as error:
        yield FieldError.invalid(f"{path}.divisor", field.divisor, str(error))
        return
    of_cpu = name.endswith(".cpu")
    if divisor != "0" and divisor not in (CPU_DIVISORS if of_cpu else SIZE_DIVISORS):
        kind = name.partition(".")[2]
        what = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind, "hugepages")
        listed = "1m and 1" if of_cpu else ", ".join(SIZE_DIVISORS)
        yield FieldError.invalid(
            f"{path}.divisor", name, f"only divisor's values {listed} are supported with the {what} resource"
        )


def relative(text: str, path: str) -> Iterator[FieldError]:
    """A path below the volume's root."""
    if text.startswith("/"):
        yield FieldError.invalid(path, text, "must be a relative path")
    parts = text.split("/")
    if ".." in parts:
        yield FieldError.invalid(path, text, "must not contain '..'")
    elif parts[0].startswith(".."):
        yield FieldError.invalid(path, text, "must not start with '..'")


def check_mounts(container: AnyContainer, volumes: Sequence[Volume], path: str) -> Iterator[FieldError]:
    """Mounts lead from volumes that exist to places of their own."""
    known = {volume.name: volume for volume in volumes}
    places: set[str] = set()
    devices = {device.device_path: device.name for device in container.volume_devices}
    everywhere = f"{path}.volumeMounts"  # some of upstream's paths leave the index out
    for index, mount in enumerate(container.volume_mounts):
        at = f"{path}.volumeMounts[{index}]"
        if mount.name and mount.name not in known:
            yield FieldError.not_found(f"{at}.name", mount.name)
        if mount.mount_path and mount.mount_path in places:
            yield FieldError.invalid(f"{at}.mountPath", mount.mount_path, "must be unique")
        places.add(mount.mount_path)
        if mount.name in devices.values():
            yield FieldError.invalid(f"{at}.name", mount.name, "must not already exist in volumeDevices")
        if mount.mount_path in devices:
            why = "must not already exist as a path in volumeDevices"
            yield FieldError.invalid(f"{at}.mountPath", mount.mount_path, why)
        if mount.name in known and known[mount.name].image is not None:
            for wire, value in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
                if value:
                    yield FieldError.invalid(f"{at}.{wire}", value, "not allowed in image volume sources")
        if mount.sub_path:
            yield from local(mount.sub_path, f"{everywhere}.subPath")
        if mount.sub_path_expr:
            if mount.sub_path:
                yield FieldError.invalid(
                    f"{at}.subPathExpr", mount.sub_path_expr, "subPathExpr and subPath are mutually exclusive"
                )
            yield from local(mount.sub_path_expr, f"{everywhere}.subPathExpr")
        privileged = container.security_context is not None and container.security_context.privileged
        if mount.mount_propagation == "Bidirectional" and not privileged:
            yield FieldError.forbidden(
                f"{everywhere}.mountPropagation",
                "Bidirectional mount propagation is available only to privileged containers",
            )
        if mount.recursive_read_only not in (None, "Disabled"):
            if not mount.read_only:
                why = "may only be specified when readOnly is true"
                yield FieldError.forbidden(f"{everywhere}.recursiveReadOnly", why)
            if mount.mount_propagation not in (None, "None"):
                yield FieldError.forbidden(
                    f"{everywhere}.recursiveReadOnly",
                    "may only be specified when mountPropagation is None or not specified",
                )
    for index, device in enumerate(container.volume_devices):
        at = f"{path}.volumeDevices[{index}]"
        if device.name and device.name not in known:
            yield FieldError.not_found(f"{at}.name", device.name)
        if device.device_path in places:
            yield FieldError.invalid(
                f"{at}.devicePath", device.device_path, "must not already exist as a path in volumeMounts"
            )


def local(text: str, path: str) -> Iterator[FieldError]:
    """A path inside a volume."""
    if text.startswith("/"):
        yield FieldError.invalid(path, text, "must be a relative path")
    if ".." in text.split("/"):
        yield FieldError.invalid(path, text, "must not contain '..'")
