"""A pod's volumes on the node's disk: made, kept up to date, mounted into its containers, and taken away.

    <state>/pods/<uid>/volumes/<kind>/<name>      what containers see
    <state>/pods/<uid>/subpaths/<container>/<n>   one path of a volume each
    <state>/pods/<uid>/containers/<name>/<n>      termination messages
    <state>/pods/<uid>/etc-hosts

Everything can be repeated: bringing volumes into place twice changes nothing the second time.
Elsewhere: files of projected volumes (projection.py), their atomic change (writer.py), safe deletion (tree.py).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from nodeagent.downward import Here
from nodeagent.environment import Objects, expand
from nodeagent.resources import amount, pod_limit
from nodeagent.restart import Member
from nodeagent.volumes import mounts as kernel
from nodeagent.volumes.errors import VolumeError
from nodeagent.volumes.hostpath import host_path
from nodeagent.volumes.projection import TokenRequest, files_of, is_projected
from nodeagent.volumes.subpath import bind_sub_path
from nodeagent.volumes.tree import give_to_group, remove_tree
from nodeagent.volumes.writer import write_atomically
from sampan.api import core_v1
from sampan.cri import api_pb2 as cri

PROPAGATION = {
    "None": cri.MountPropagation.PROPAGATION_PRIVATE,
    "HostToContainer": cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
    "Bidirectional": cri.MountPropagation.PROPAGATION_BIDIRECTIONAL,
}
KINDS = {"config_map": "configmap", "secret": "secret", "downward_api": "downward-api", "projected": "projected"}


class PodVolumes:
    """The volumes of all pods of this node. Every call is about one pod."""

    def __init__(self, state_dir: Path, objects: Objects) -> None:
        self._pods = state_dir / "pods"
        self._objects = objects

    def directory(self, uid: str) -> Path:
        """What belongs to one pod. Raises VolumeError for what is no uid."""
        if not uid or not all(c.isalnum() or c in "-_" for c in uid):
            raise VolumeError(f"pod uid {uid!r} is no file name")
        return self._pods / uid

    def present(self, uid: str) -> bool:
        """Whether anything of the pod is on disk."""
        return os.path.lexists(self.directory(uid))

    def uids(self) -> list[str]:
        """Every pod that has something on disk."""
        return [entry.name for entry in os.scandir(self._pods)] if self._pods.is_dir() else []

    async def prepare(self, pod: core_v1.Pod, tokens: Mapping[TokenRequest, str], here: Here) -> None:
        """Bring every volume into place. Raises VolumeError naming the volume."""
        self._pods.mkdir(parents=True, exist_ok=True, mode=0o750)
        home = self.directory(pod.metadata.uid or "")
        home.mkdir(exist_ok=True, mode=0o750)
        for volume in pod.spec.volumes:
            try:
                if is_projected(volume):
                    self._project(pod, volume, tokens, here)
                elif volume.empty_dir is not None:
                    await asyncio.to_thread(self._empty_dir, pod, volume.name, volume.empty_dir)
                elif volume.host_path is not None:
                    host_path(volume.host_path)
                else:
                    raise VolumeError(f"{_kind_of(volume)} volumes are not supported by this node")
            except (VolumeError, OSError) as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from None

    def refresh(self, pod: core_v1.Pod, tokens: Mapping[TokenRequest, str], here: Here) -> bool:
        """Write projected files anew where their objects changed. Returns whether any did. Raises VolumeError."""
        changed = False
        for volume in pod.spec.volumes:
            if is_projected(volume):
                try:
                    changed |= self._project(pod, volume, tokens, here)
                except (VolumeError, OSError) as error:
                    raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from None
        return changed

    def mounts(self, pod: core_v1.Pod, member: Member, variables: Mapping[str, str]) -> list[cri.Mount]:
        """What a container mounts; paths of volumes (subPath) are bound on the way. Raises VolumeError."""
        volumes = {volume.name: volume for volume in pod.spec.volumes}
        home = self.directory(pod.metadata.uid or "")
        made: list[cri.Mount] = []
        for at, mount in enumerate(member.spec.volume_mounts):
            volume = volumes.get(mount.name)
            if volume is None:
                raise VolumeError(f"volumeMount {mount.name!r}: the pod has no such volume")
            source = self._place(pod, volume)
            sub_path = mount.sub_path or ""
            if mount.sub_path_expr:
                sub_path = expand(mount.sub_path_expr, variables.get)
                if "$(" in sub_path:
                    raise VolumeError(f"subPathExpr {mount.sub_path_expr!r}: a variable in it is not set")
            if sub_path:
                source = bind_sub_path(source, sub_path, home / "subpaths" / member.name / str(at))
            read_only = bool(mount.read_only)
            if mount.recursive_read_only == "Enabled":
                raise VolumeError(f"volumeMount {mount.name!r}: recursiveReadOnly is not supported by this node")
            inside = mount.mount_path if mount.mount_path.startswith("/") else "/" + mount.mount_path
            made.append(
                cri.Mount(
                    container_path=inside,
                    host_path=str(source),
                    readonly=read_only or is_projected(volume),
                    propagation=PROPAGATION.get(mount.mount_propagation or "None", PROPAGATION["None"]),
                )
            )
        return made

    def on_disk(self, pod: core_v1.Pod) -> list[tuple[str, Path]]:
        """The volumes that take room on the node's disk, by name."""
        return [
            (volume.name, self._place(pod, volume))
            for volume in pod.spec.volumes
            if is_projected(volume) or (volume.empty_dir is not None and volume.empty_dir.medium != "Memory")
        ]

    def hosts_mount(self, pod: core_v1.Pod, member: Member, text: str) -> list[cri.Mount]:
        """/etc/hosts, unless the container mounts its own."""
        if any(mount.mount_path.rstrip("/") == "/etc/hosts" for mount in member.spec.volume_mounts):
            return []
        home = self.directory(pod.metadata.uid or "")
        home.mkdir(parents=True, exist_ok=True, mode=0o750)
        path = home / "etc-hosts"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o644)
        return [cri.Mount(container_path="/etc/hosts", host_path=str(path))]

    def message_file(self, uid: str, container: str, restart_count: int) -> Path:
        """A new, empty file for a container's termination message, which any user may write."""
        path = self.directory(uid) / "containers" / container / str(restart_count)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.unlink(missing_ok=True)
        path.touch()
        path.chmod(0o666)
        return path

    async def remove(self, uid: str) -> None:
        """Take away all of a pod's files, never through a mount or a symlink. Raises VolumeError, OSError."""
        await asyncio.to_thread(remove_tree, self.directory(uid))

    def _place(self, pod: core_v1.Pod, volume: core_v1.Volume) -> Path:
        if volume.host_path is not None:
            return Path(volume.host_path.path)
        home = self.directory(pod.metadata.uid or "") / "volumes"
        if volume.empty_dir is not None:
            return home / "empty-dir" / volume.name
        for attribute, kind in KINDS.items():
            if getattr(volume, attribute) is not None:
                return home / kind / volume.name
        raise VolumeError(f"volume {volume.name!r}: {_kind_of(volume)} volumes are not supported by this node")

    def _project(
        self, pod: core_v1.Pod, volume: core_v1.Volume, tokens: Mapping[TokenRequest, str], here: Here
    ) -> bool:
        files = files_of(pod, volume, self._objects, tokens, here)
        return write_atomically(self._place(pod, volume), files, group=_fs_group(pod))

    def _empty_dir(self, pod: core_v1.Pod, name: str, source: core_v1.EmptyDirVolumeSource) -> None:
        path = self.directory(pod.metadata.uid or "") / "volumes" / "empty-dir" / name
        fresh = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        medium = source.medium or ""
        if medium not in ("", "Memory"):
            raise VolumeError(f"emptyDir medium {medium!r} is not supported by this node")
        if medium == "Memory" and str(path.resolve()) not in kernel.mounts_under(path):
            size = amount(source.size_limit)
            limit = pod_limit(pod, "memory") // 1000
            size = min((one for one in (size, limit) if one > 0), default=0)
            options = f"size={size}" if size else ""
            kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
            fresh = True
        if fresh:
            path.chmod(0o777 if source.mode is None else source.mode)
            if (group := _fs_group(pod)) is not None:
                context = pod.spec.security_context
                policy = context.fs_group_change_policy if context is not None else None
                give_to_group(path, group, only_if_root_differs=policy == "OnRootMismatch")


def _fs_group(pod: core_v1.Pod) -> int | None:
    return pod.spec.security_context.fs_group if pod.spec.security_context is not None else None


def _kind_of(volume: core_v1.Volume) -> str:
    return next((name for name in volume.to_json() if name != "name"), "unknown")
