"""A pod's and a container's securityContext, merged, in CRI's terms. Pure.

What cannot be honoured raises SecurityError (CreateContainerConfigError in status), never passes in silence.
Source: the API reference, "SecurityContext" and "PodSecurityContext": a container's field wins over its pod's.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.restart import Member
from sampan.api import core_v1
from sampan.cri import api_pb2 as cri
from sampan.errors import SampanError

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What a container must not see or change of the machine: the kubelet's default lists (procMount Default)."""


class SecurityError(SampanError):
    """A security setting that can't be honoured."""


@dataclass(frozen=True, slots=True)
class ImageUser:
    """Who an image says it runs as."""

    uid: int | None
    name: str = ""


def namespaces(pod: core_v1.Pod, users: cri.UserNamespace | None = None, target_id: str = "") -> cri.NamespaceOption:
    """Which namespaces a pod shares with its node, and its containers with one another."""
    spec = pod.spec
    pid = cri.NamespaceMode.CONTAINER
    if spec.host_pid:
        pid = cri.NamespaceMode.NODE
    elif spec.share_process_namespace:
        pid = cri.NamespaceMode.POD
    elif target_id:
        pid = cri.NamespaceMode.TARGET
    option = cri.NamespaceOption(
        network=cri.NamespaceMode.NODE if spec.host_network else cri.NamespaceMode.POD,
        ipc=cri.NamespaceMode.NODE if spec.host_ipc else cri.NamespaceMode.POD,
        pid=pid,
        target_id=target_id if pid == cri.NamespaceMode.TARGET else "",
        userns_options=users,
    )
    return option


def seccomp(profile: core_v1.SeccompProfile | None, privileged: bool) -> cri.SecurityProfile:
    """A seccomp profile; unconfined where none is asked for, as upstream without seccompDefault."""
    if privileged or profile is None or profile.type == "Unconfined":
        return cri.SecurityProfile(profile_type=cri.SecurityProfile.ProfileType.Unconfined)
    if profile.type == "RuntimeDefault":
        return cri.SecurityProfile(profile_type=cri.SecurityProfile.ProfileType.RuntimeDefault)
    if profile.type == "Localhost" and profile.localhost_profile:
        return cri.SecurityProfile(
            profile_type=cri.SecurityProfile.ProfileType.Localhost, localhost_ref=profile.localhost_profile
        )
    raise SecurityError(f"unknown seccomp profile type {profile.type!r}")


def sandbox_security(pod: core_v1.Pod, users: cri.UserNamespace | None = None) -> cri.LinuxSandboxSecurityContext:
    """The security context of a pod's sandbox."""
    context = pod.spec.security_context or core_v1.PodSecurityContext()
    privileged = any(
        spec.security_context is not None and bool(spec.security_context.privileged)
        for spec in (*pod.spec.init_containers, *pod.spec.containers)
    )
    made = cri.LinuxSandboxSecurityContext(
        namespace_options=namespaces(pod, users),
        privileged=privileged,
        seccomp=seccomp(core_v1.SeccompProfile(type="RuntimeDefault"), privileged),
        supplemental_groups=groups(pod),
    )
    if context.run_as_user is not None:
        made.run_as_user.value = context.run_as_user
        if context.run_as_group is not None:
            made.run_as_group.value = context.run_as_group
    return made


def groups(pod: core_v1.Pod) -> list[int]:
    """supplementalGroups and fsGroup."""
    context = pod.spec.security_context
    if context is None:
        return []
    asked = list(context.supplemental_groups)
    if context.fs_group is not None and context.fs_group not in asked:
        asked.append(context.fs_group)
    return asked


def container_security(
    pod: core_v1.Pod, member: Member, image: ImageUser, target_id: str = "", users: cri.UserNamespace | None = None
) -> cri.LinuxContainerSecurityContext:
    """The security context of a container. Raises SecurityError."""
    whole = pod.spec.security_context or core_v1.PodSecurityContext()
    own = member.spec.security_context or core_v1.SecurityContext()
    privileged = bool(own.privileged)
    for name, value in (
        ("appArmorProfile", own.app_armor_profile or whole.app_armor_profile),
        ("seLinuxOptions", own.se_linux_options or whole.se_linux_options),
    ):
        unconfined = isinstance(value, core_v1.AppArmorProfile) and value.type in ("Unconfined", "RuntimeDefault")
        if value is not None and not unconfined:
            raise SecurityError(f"{name} is not supported by this node")
    run_as = _must_not_be_root(pod, member, image)
    made = cri.LinuxContainerSecurityContext(
        privileged=privileged,
        namespace_options=namespaces(pod, users, target_id),
        readonly_rootfs=bool(own.read_only_root_filesystem),
        supplemental_groups=groups(pod),
        no_new_privs=own.allow_privilege_escalation is False,
        seccomp=seccomp(own.seccomp_profile or whole.seccomp_profile, privileged),
    )
    if whole.supplemental_groups_policy == "Strict":
        made.supplemental_groups_policy = cri.SupplementalGroupsPolicy.Strict
    if own.capabilities is not None:
        made.capabilities.add_capabilities.extend(_capability(one) for one in own.capabilities.add)
        made.capabilities.drop_capabilities.extend(_capability(one) for one in own.capabilities.drop)
    group = own.run_as_group if own.run_as_group is not None else whole.run_as_group
    if run_as is not None:
        made.run_as_user.value = run_as
    elif group is not None:  # CRI takes no group without a user
        if image.uid is None and image.name:
            made.run_as_username = image.name
        else:
            made.run_as_user.value = image.uid or 0
    # Otherwise the runtime takes the image's own USER, whose group would be lost in CRI's run_as_user.
    if group is not None:
        made.run_as_group.value = group
    if not privileged and own.proc_mount != "Unmasked":
        made.masked_paths.extend(MASKED_PATHS)
        made.readonly_paths.extend(READ_ONLY_PATHS)
    return made


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _must_not_be_root(pod: core_v1.Pod, member: Member, image: ImageUser) -> int | None:
    """The uid that the spec asks for. Raises SecurityError when runAsNonRoot is broken, or can't be checked."""
    whole = pod.spec.security_context or core_v1.PodSecurityContext()
    own = member.spec.security_context or core_v1.SecurityContext()
    uid = own.run_as_user if own.run_as_user is not None else whole.run_as_user
    strict = own.run_as_non_root if own.run_as_non_root is not None else whole.run_as_non_root
    if not strict:
        return uid
    named = f'pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {member.name}'
    if uid is not None:
        if uid == 0:
            raise SecurityError(f"container's runAsUser breaks non-root policy ({named})")
        return uid
    if image.uid == 0:
        raise SecurityError(f"container has runAsNonRoot and image will run as root ({named})")
    if image.uid is None and image.name:
        raise SecurityError(
            f"container has runAsNonRoot and image has non-numeric user ({image.name}),"
            f" cannot verify user is non-root ({named})"
        )
    if image.uid is None:
        raise SecurityError(f"container has runAsNonRoot and image will run as root ({named})")
    return None
