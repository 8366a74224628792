"""Users, privileges and profiles of pods and containers."""

from sampan.api.base import Int64, Object, field
from sampan.api.rules import USER_ID, Each, MayBeEmpty, OneOf


class AppArmorProfile(Object):
    """An AppArmor profile."""

    localhost_profile: str | None = field(doc="Its name on the node, for type Localhost.")
    type: str = field(
        "",
        doc="RuntimeDefault, Unconfined or Localhost.",
        required=True,
        rules=(OneOf("Localhost", "RuntimeDefault", "Unconfined"),),
    )


class Capabilities(Object):
    """Linux capabilities to add to or take from the default ones."""

    add: list[str] = field(
        doc="Those to add, such as NET_ADMIN; ALL for all.", default_factory=list, list_type="atomic"
    )
    drop: list[str] = field(doc="Those to take away; ALL for all.", default_factory=list, list_type="atomic")


class SELinuxOptions(Object):
    """An SELinux label."""

    level: str | None = field(doc="Its level.")
    role: str | None = field(doc="Its role.")
    type: str | None = field(doc="Its type.")
    user: str | None = field(doc="Its user.")


class SeccompProfile(Object):
    """A filter of system calls."""

    localhost_profile: str | None = field(doc="Its file on the node, for type Localhost.")
    type: str = field(
        "",
        doc="RuntimeDefault, Unconfined or Localhost.",
        required=True,
        rules=(OneOf("Localhost", "RuntimeDefault", "Unconfined"),),
    )


class WindowsSecurityContextOptions(Object):
    """Settings of Windows containers."""

    gmsa_credential_spec: str | None = field(doc="The credential spec itself.")
    gmsa_credential_spec_name: str | None = field(doc="The credential spec's name.")
    host_process: bool | None = field(doc="Whether it runs as a host process.")
    run_as_user_name: str | None = field(doc="The user.")


class SecurityContext(Object):
    """User, privileges and profiles of a container. They win over the pod's."""

    allow_privilege_escalation: bool | None = field(
        doc="Whether a process can gain more privileges than its parent. Default: true."
    )
    app_armor_profile: AppArmorProfile | None = field(doc="The AppArmor profile.")
    capabilities: Capabilities | None = field(doc="Capabilities to add and drop.")
    privileged: bool | None = field(doc="Whether it has the node's root privileges and devices. Default: false.")
    proc_mount: str | None = field(
        doc="Default, which masks parts of /proc, or Unmasked.", rules=(OneOf("Default", "Unmasked"),)
    )
    read_only_root_filesystem: bool | None = field(doc="Whether its root is for reading only. Default: false.")
    run_as_group: Int64 | None = field(doc="Primary group of its processes, as a number.", rules=(USER_ID,))
    run_as_non_root: bool | None = field(doc="Refuse to start it as root.")
    run_as_user: Int64 | None = field(doc="User of its processes, as a number. Default: the image's.", rules=(USER_ID,))
    se_linux_options: SELinuxOptions | None = field(doc="The SELinux label.")
    seccomp_profile: SeccompProfile | None = field(doc="The filter of system calls.")
    windows_options: WindowsSecurityContextOptions | None = field(doc="For Windows containers.")


class Sysctl(Object):
    """A kernel parameter of the pod's namespaces."""

    name: str = field("", doc="The parameter.", required=True)
    value: str = field("", doc="Its value.", required=True, rules=(MayBeEmpty(),))


class PodSecurityContext(Object):
    """Users and profiles for all containers of a pod."""

    app_armor_profile: AppArmorProfile | None = field(doc="The AppArmor profile.")
    fs_group: Int64 | None = field(
        doc="A further group of all processes; volumes that allow it belong to it.", rules=(USER_ID,)
    )
    fs_group_change_policy: str | None = field(
        doc="OnRootMismatch or Always: when a volume's files are given to fsGroup. Default: Always.",
        rules=(OneOf("Always", "OnRootMismatch"),),
    )
    run_as_group: Int64 | None = field(doc="Primary group of all processes, as a number.", rules=(USER_ID,))
    run_as_non_root: bool | None = field(doc="Refuse to start containers as root.")
    run_as_user: Int64 | None = field(doc="User of all processes, as a number. Default: the image's.", rules=(USER_ID,))
    se_linux_change_policy: str | None = field(
        doc="MountOption or Recursive: how volumes get the SELinux label.", rules=(OneOf("MountOption", "Recursive"),)
    )
    se_linux_options: SELinuxOptions | None = field(doc="The SELinux label.")
    seccomp_profile: SeccompProfile | None = field(doc="The filter of system calls.")
    supplemental_groups: list[Int64] = field(
        doc="Further groups of all processes.", default_factory=list, list_type="atomic", rules=(Each(USER_ID),)
    )
    supplemental_groups_policy: str | None = field(
        doc="Merge: with the groups the image gives the user; Strict: only these. Default: Merge.",
        rules=(OneOf("Merge", "Strict"),),
    )
    sysctls: list[Sysctl] = field(doc="Kernel parameters.", default_factory=list, list_type="atomic")
    windows_options: WindowsSecurityContextOptions | None = field(doc="For Windows containers.")
