"""Users, privileges and profiles of pods and containers."""

from sampan.api.base import Int64, Object, field
from sampan.api.rules import USER_ID, Each, MayBeEmpty, OneOf


class AppArmorProfile(Object):
    """"""

    localhost_profile: str | None = field()
    type: str = field("", required=True, rules=(OneOf("Localhost", "RuntimeDefault", "Unconfined"),))


class Capabilities(Object):
    """"""

    add: list[str] = field(default_factory=list, list_type="atomic")
    drop: list[str] = field(default_factory=list, list_type="atomic")


class SELinuxOptions(Object):
    """"""

    level: str | None = field()
    role: str | None = field()
    type: str | None = field()
    user: str | None = field()


class SeccompProfile(Object):
    """"""

    localhost_profile: str | None = field()
    type: str = field("", required=True, rules=(OneOf("Localhost", "RuntimeDefault", "Unconfined"),))


class WindowsSecurityContextOptions(Object):
    """"""

    gmsa_credential_spec: str | None = field()
    gmsa_credential_spec_name: str | None = field()
    host_process: bool | None = field()
    run_as_user_name: str | None = field()


class SecurityContext(Object):
    """"""

    allow_privilege_escalation: bool | None = field()
    app_armor_profile: AppArmorProfile | None = field()
    capabilities: Capabilities | None = field()
    privileged: bool | None = field()
    proc_mount: str | None = field(rules=(OneOf("Default", "Unmasked"),))
    read_only_root_filesystem: bool | None = field()
    run_as_group: Int64 | None = field(rules=(USER_ID,))
    run_as_non_root: bool | None = field()
    run_as_user: Int64 | None = field(rules=(USER_ID,))
    se_linux_options: SELinuxOptions | None = field()
    seccomp_profile: SeccompProfile | None = field()
    windows_options: WindowsSecurityContextOptions | None = field()


class Sysctl(Object):
    """"""

    name: str = field("", required=True)
    value: str = field("", required=True, rules=(MayBeEmpty(),))


class PodSecurityContext(Object):
    """"""

    app_armor_profile: AppArmorProfile | None = field()
    fs_group: Int64 | None = field(rules=(USER_ID,))
    fs_group_change_policy: str | None = field(rules=(OneOf("Always", "OnRootMismatch"),))
    run_as_group: Int64 | None = field(rules=(USER_ID,))
    run_as_non_root: bool | None = field()
    run_as_user: Int64 | None = field(rules=(USER_ID,))
    se_linux_change_policy: str | None = field(rules=(OneOf("MountOption", "Recursive"),))
    se_linux_options: SELinuxOptions | None = field()
    seccomp_profile: SeccompProfile | None = field()
    supplemental_groups: list[Int64] = field(default_factory=list, list_type="atomic", rules=(Each(USER_ID),))
    supplemental_groups_policy: str | None = field(rules=(OneOf("Merge", "Strict"),))
    sysctls: list[Sysctl] = field(default_factory=list, list_type="atomic")
    windows_options: WindowsSecurityContextOptions | None = field()
