"""What a CRI request means in operations: pure functions from configs to what the fork server is asked.

Always: every path of the container is looked up after the pivot; sources are opened before it.
Elsewhere: performing the operations (operations.py), defaults as data (defaults.py), cgroups (cgroups/).
"""

import base64
import posixpath
import signal
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nodeagent.runtime import defaults
from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.cgroups.resources import DeviceRule, Limits
from nodeagent.runtime.errors import Invalid, Unsupported
from nodeagent.runtime.idmaps import IdMaps, mapped_mount, maps_of
from nodeagent.runtime.seccomp.bpf import ProfileError
from nodeagent.runtime.seccomp.profiles import default_program, localhost_program
from sampan.cri import api_pb2 as cri

Operation = list[Any]


class ImageSettings(Protocol):
    """What an image says about running it."""

    @property
    def env(self) -> Sequence[str]: ...
    @property
    def entrypoint(self) -> Sequence[str]: ...
    @property
    def cmd(self) -> Sequence[str]: ...
    @property
    def working_dir(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def stop_signal(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Root:
    """Where a container's root is made of: layers topmost first, and three directories of its own."""

    layers: tuple[str, ...]
    upper: str
    work: str
    target: str


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """What a sandbox holds on disk for its containers; namespaces by kind, only those that it has."""

    namespaces: Mapping[str, str]
    shm: str
    resolv_conf: str
    hostname_file: str
    hostname: str
    maps: IdMaps | None = None
    """Of its user namespace, if it has one."""


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device of the machine: kind "c" or "b"."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int
    uid: int = 0
    gid: int = 0


# Processes


def command_of(config: cri.ContainerConfig, image: ImageSettings) -> list[str]:
    """The command line: Kubernetes' command replaces the image's entrypoint and with it the image's cmd."""
    of_image = [*image.entrypoint, *(config.args or image.cmd)]
    argv = [*config.command, *config.args] if config.command else of_image
    if not argv:
        raise Invalid("no command is given: neither the container nor its image names one")
    if any("\0" in word for word in argv):
        raise Invalid(f"command {argv!r} has a NUL in it")
    return argv


def environment_of(config: cri.ContainerConfig, image: ImageSettings, hostname: str) -> list[str]:
    """NAME=value, each name once: the container's over the image's over what every container has."""
    found: dict[str, str] = {"PATH": defaults.DEFAULT_PATH}
    if hostname:
        found["HOSTNAME"] = hostname
    if config.tty:
        found["TERM"] = "xterm"
    for entry in image.env:
        name, _, value = entry.partition("=")
        found[name] = value
    for pair in config.envs:
        found[pair.key] = pair.value
    for name, value in found.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise Invalid(f"environment variable {name!r}: a name is not empty and has no '=', and nothing has a NUL")
    return [f"{name}={value}" for name, value in found.items()]


def identity_of(security: cri.LinuxContainerSecurityContext, image: ImageSettings) -> dict[str, Any]:
    """The wish that identity.resolve takes."""
    wish: dict[str, Any] = {"groups": list(security.supplemental_groups)}
    wish["merge"] = security.supplemental_groups_policy == cri.SupplementalGroupsPolicy.Merge
    if security.HasField("run_as_user"):
        wish["uid"] = _id("run_as_user", security.run_as_user.value)
    elif security.run_as_username:
        wish["user"] = security.run_as_username
    else:
        wish["user"] = image.user
    if security.HasField("run_as_group"):
        if not security.HasField("run_as_user") and not security.run_as_username:
            raise Invalid("run_as_group is given without run_as_user or run_as_username")
        wish["gid"] = _id("run_as_group", security.run_as_group.value)
    for group in wish["groups"]:
        _id("supplemental_groups", group)
    return wish


def _id(field: str, value: int) -> int:
    if not 0 <= value < 2**32 - 1:
        raise Invalid(f"{field}: {value} is not a user or group number")
    return value


def _capability_names(field: str, names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
        if full == "CAP_ALL":
            found |= defaults.CAPABILITIES.keys()
        elif full not in defaults.CAPABILITIES:
            raise Invalid(f"{field}: there is no capability {name!r}")
        else:
            found.add(full)
    return found


def capabilities_of(security: cri.LinuxContainerSecurityContext) -> tuple[frozenset[str], frozenset[str]]:
    """(all that the container may have, those that a process keeps without being root)."""
    if security.privileged:
        return frozenset(defaults.CAPABILITIES), frozenset()
    wish = security.capabilities
    ambient = _capability_names("add_ambient_capabilities", wish.add_ambient_capabilities)
    added = _capability_names("add_capabilities", wish.add_capabilities) | ambient
    dropped = _capability_names("drop_capabilities", wish.drop_capabilities)
    everything_dropped = any(name.upper() in ("ALL", "CAP_ALL") for name in wish.drop_capabilities)
    everything_added = any(name.upper() in ("ALL", "CAP_ALL") for name in wish.add_capabilities)
    if everything_dropped:
        held = frozenset(added)
    elif everything_added:
        held = frozenset(added - dropped)
    else:
        held = (defaults.DEFAULT_CAPABILITIES | added) - dropped
    return frozenset(held), frozenset(ambient & held)


def seccomp_of(security: cri.LinuxContainerSecurityContext, capabilities: frozenset[str]) -> bytes:
    """The filter program, empty for unconfined (which is also what no wish at all means in CRI)."""
    if security.privileged:
        return b""
    kinds = cri.SecurityProfile.ProfileType
    try:
        if security.HasField("seccomp"):
            if security.seccomp.profile_type == kinds.RuntimeDefault:
                return default_program(capabilities)
            if security.seccomp.profile_type == kinds.Localhost:
                return localhost_program(security.seccomp.localhost_ref)
            return b""
        old = security.seccomp_profile_path
        if old in ("runtime/default", "docker/default"):
            return default_program(capabilities)
        if old.startswith("localhost/"):
            return localhost_program(old.removeprefix("localhost/"))
        if old not in ("", "unconfined"):
            raise Invalid(f"seccomp_profile_path {old!r} is none of runtime/default, unconfined, localhost/PATH")
        return b""
    except ProfileError as error:
        raise Invalid(str(error)) from error


def process_of(
    config: cri.ContainerConfig, image: ImageSettings, hostname: str, seccomp: bytes | None = None
) -> dict[str, Any]:
    """The container's process, as process.become takes it."""
    security = config.linux.security_context
    held, ambient = capabilities_of(security)
    program = seccomp_of(security, held) if seccomp is None else seccomp
    mask = defaults.capability_mask(held)
    return {
        "argv": command_of(config, image),
        "env": environment_of(config, image, hostname),
        "cwd": config.working_dir or image.working_dir or "/",
        "identity": identity_of(security, image),
        "capabilities": {"bounding": mask, "effective": mask, "ambient": defaults.capability_mask(ambient)},
        "no_new_privileges": security.no_new_privs,
        "seccomp": encoded(program),
        "terminal": config.tty,
        "mapped": maps_of(security.namespace_options) is not None,
    }


def encoded(program: bytes) -> str:
    """A filter program as process.become takes it."""
    return base64.b64encode(program).decode() if program else ""


# Resources


def limits_of(resources: cri.LinuxContainerResources) -> Limits:
    """CRI's resources as limits."""
    return Limits(
        cpu_shares=resources.cpu_shares,
        cpu_quota=resources.cpu_quota,
        cpu_period=resources.cpu_period,
        memory_bytes=resources.memory_limit_in_bytes,
        memory_swap_bytes=resources.memory_swap_limit_in_bytes,
        cpuset_cpus=resources.cpuset_cpus,
        cpuset_mems=resources.cpuset_mems,
        hugepages={limit.page_size: limit.limit for limit in resources.hugepage_limits},
        unified=dict(resources.unified),
    )


def device_rules(
    config: cri.ContainerConfig, look: Callable[[str], DeviceNode]
) -> tuple[tuple[DeviceRule, ...] | None, list[DeviceNode]]:
    """(the cgroup's list, or None for every device; the nodes to make besides the usual ones)."""
    rules = list(defaults.DEVICE_RULES)
    nodes = []
    for device in config.devices:
        there = look(device.host_path)
        access = device.permissions or "rwm"
        if set(access) - set("rwm"):
            raise Invalid(f"device {device.host_path}: permissions {access!r} are not of r, w and m")
        path = device.container_path or device.host_path
        nodes.append(DeviceNode(path, there.kind, there.major, there.minor, there.mode, there.uid, there.gid))
        rules.append(DeviceRule(True, there.kind, there.major, there.minor, access))
    if config.linux.security_context.privileged:
        return None, nodes
    return tuple(rules), nodes


# The root and what is mounted in it


def _absolute(field: str, path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"{field}: {path!r} is not an absolute path")
    return posixpath.normpath(path)


_KINDS = {"net": sc.CLONE_NEWNET, "ipc": sc.CLONE_NEWIPC, "uts": sc.CLONE_NEWUTS}
_PROPAGATIONS = {
    cri.MountPropagation.PROPAGATION_PRIVATE: "private",
    cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER: "slave",
    cri.MountPropagation.PROPAGATION_BIDIRECTIONAL: "shared",
}


def setup_of(
    config: cri.ContainerConfig,
    sandbox: SandboxPaths,
    root: Root,
    *,
    procs_files: Sequence[str],
    nodes: Sequence[DeviceNode],
    cgroup_version: str,
    cgroup_mounts: Sequence[str],
    image_layers: Mapping[str, tuple[str, ...]],
) -> list[Operation]:
    """All operations from a fresh clone to a finished root. image_layers: of the images that mounts name."""
    security = config.linux.security_context
    mounts = _mounts(config, sandbox, security.readonly_rootfs)
    mapped = sandbox.maps is not None
    setup = [*entering(config, sandbox, procs_files=procs_files), ["new_namespaces", sc.CLONE_NEWCGROUP]]
    if mapped:
        setup.append(["open_user_namespace", sandbox.namespaces["user"]])
    for index, mount in enumerate(mounts):
        if mount.HasField("image"):
            continue
        setup.append(["open_tree", f"m{index}", _absolute("host_path", mount.host_path), True])
    if "ipc" not in sandbox.namespaces:
        setup.append(["open_tree", "shm", "/dev/shm", False])
    elif sandbox.shm:
        setup.append(["open_tree", "shm", sandbox.shm, False])
    setup.append(["leave_host"])
    if sandbox.maps is not None:
        setup.append(["act_as", *sandbox.maps.root])
    setup.append(make_root(root, mapped=mapped))
    setup.append(["pivot", root.target])
    setup += kernel_mounts(
        privileged=security.privileged,
        cgroup_version=cgroup_version,
        cgroup_mounts=cgroup_mounts,
        tty_group=defaults.TTY_GROUP if sandbox.maps is None else sandbox.maps.host_gid(defaults.TTY_GROUP),
    )
    if "ipc" not in sandbox.namespaces or sandbox.shm:
        setup.append(["attach", "/dev/shm", "shm", sc.MOUNT_ATTR_NOSUID | sc.MOUNT_ATTR_NODEV | sc.MOUNT_ATTR_NOEXEC])
    else:
        setup.append(
            ["mount", "/dev/shm", "tmpfs", ["nosuid", "nodev", "noexec"], f"mode=1777,size={defaults.SHM_BYTES}"]
        )
    setup += [["node", n.path, n.kind, n.major, n.minor, n.mode, n.uid, n.gid] for n in nodes]
    for index, mount in enumerate(mounts):
        if mount.HasField("image"):
            raise Unsupported(f"mount {mount.container_path}: image volumes are not supported by this runtime yet")
        if mount.recursive_read_only and (not mount.readonly or mount.propagation):
            raise Invalid(f"mount {mount.container_path}: recursive_read_only needs readonly and private propagation")
        attributes = sc.MOUNT_ATTR_RDONLY if mount.readonly else 0
        where = _absolute("container_path", mount.container_path)
        propagation = _PROPAGATIONS[mount.propagation]
        through_map = mapped_mount(mount, security.namespace_options)
        setup.append(["attach", where, f"m{index}", attributes, mount.recursive_read_only, propagation, through_map])
    if not security.privileged:
        setup += [["read_only", path] for path in security.readonly_paths]
        setup += [["mask", path] for path in security.masked_paths]
    if security.readonly_rootfs:
        setup.append(["read_only_root"])
    return setup


def entering(config: cri.ContainerConfig, sandbox: SandboxPaths, *, procs_files: Sequence[str]) -> list[Operation]:
    """The first operations of all: into what is there already."""
    return [
        ["join_cgroups", list(procs_files)],
        ["oom_score_adj", config.linux.resources.oom_score_adj],
        [
            "join_namespaces",
            [[sandbox.namespaces[kind], flag] for kind, flag in _KINDS.items() if kind in sandbox.namespaces],
        ],
    ]


def _mounts(config: cri.ContainerConfig, sandbox: SandboxPaths, read_only: bool) -> list[cri.Mount]:
    """The container's mounts and the sandbox's files, parents before what lies in them."""
    mounts = list(config.mounts)
    users = config.linux.security_context.namespace_options.userns_options
    taken = {posixpath.normpath(mount.container_path) for mount in mounts}
    for path, source in (("/etc/resolv.conf", sandbox.resolv_conf), ("/etc/hostname", sandbox.hostname_file)):
        if source and path not in taken:
            own = cri.Mount(container_path=path, host_path=source, readonly=read_only)
            if sandbox.maps is not None:
                own.uidMappings.extend(users.uids)
                own.gidMappings.extend(users.gids)
            mounts.append(own)
    return sorted(mounts, key=lambda mount: posixpath.normpath(mount.container_path).count("/"))


def make_root(root: Root, *, mapped: bool = False) -> Operation:
    """The mount that the pivot goes into."""
    if root.layers:
        return ["overlay", root.target, list(root.layers), root.upper, root.work, mapped]
    return ["bind_root", root.target, root.upper, mapped]


def kernel_mounts(
    *, privileged: bool, cgroup_version: str, cgroup_mounts: Sequence[str], tty_group: int = defaults.TTY_GROUP
) -> list[Operation]:
    """proc, sysfs, /dev and the container's own view of its cgroups."""
    plain = ["nosuid", "nodev", "noexec"]
    view = plain if privileged else ["ro", *plain]
    operations: list[Operation] = [
        ["mount", "/proc", "proc", plain],
        ["mount", "/dev", "tmpfs", ["nosuid", "strictatime"], "mode=755,size=65536k"],
        ["make_directory", "/dev/pts"],
        ["mount", "/dev/pts", "devpts", ["nosuid", "noexec"], f"newinstance,ptmxmode=0666,mode=0620,gid={tty_group}"],
        ["make_directory", "/dev/mqueue"],
        ["try_mount", "/dev/mqueue", "mqueue", plain],
        ["try_mount", "/sys", "sysfs", view],
    ]
    if cgroup_version == "v2":
        operations.append(["try_mount", "/sys/fs/cgroup", "cgroup2", view])
    elif cgroup_mounts:
        operations.append(["try_mount", "/sys/fs/cgroup", "tmpfs", plain, "mode=755,size=64k"])
        for controllers in cgroup_mounts:
            operations.append(["try_mount", f"/sys/fs/cgroup/{controllers}", "cgroup", view, controllers])
        if not privileged:
            operations.append(["read_only", "/sys/fs/cgroup"])
    operations += [["node", path, "c", major, minor, 0o666] for path, major, minor in defaults.DEVICE_NODES]
    operations += [["symlink", path, target] for path, target in defaults.DEVICE_LINKS]
    return operations


# Sandboxes


def sandbox_namespaces(options: cri.NamespaceOption) -> tuple[str, ...]:
    """Which namespaces a sandbox has of its own. Raises Invalid for a user namespace that can't be."""
    found = ["user"] if maps_of(options) is not None else []
    if options.network != cri.NamespaceMode.NODE:
        found += ["net", "uts"]
    if options.ipc != cri.NamespaceMode.NODE:
        found.append("ipc")
    if options.pid == cri.NamespaceMode.POD:
        found.append("pid")
    return tuple(found)


def resolv_conf(dns: cri.DNSConfig) -> str:
    """resolv.conf(5) for a sandbox's DNS settings."""
    for word in (*dns.servers, *dns.searches, *dns.options):
        if not word or any(letter.isspace() for letter in word):
            raise Invalid(f"dns_config: {word!r} is empty or has white space in it")
    lines = []
    if dns.searches:
        lines.append("search " + " ".join(dns.searches))
    lines += [f"nameserver {server}" for server in dns.servers]
    if dns.options:
        lines.append("options " + " ".join(dns.options))
    return "".join(f"{line}\n" for line in lines)


def stop_signal_of(config: cri.ContainerConfig, image: ImageSettings) -> int:
    """The signal that asks the container to end: its own, its image's ("SIGQUIT", "QUIT", "3"), or SIGTERM."""
    if config.stop_signal != cri.Signal.RUNTIME_DEFAULT:
        return signal_number(cri.Signal.Name(config.stop_signal))
    try:
        return signal_number(image.stop_signal) if image.stop_signal else signal.SIGTERM
    except ValueError as error:
        raise Invalid(f"the image's stop signal: {error}") from error


def signal_number(name: str) -> int:
    """A signal by name or number. Raises ValueError."""
    if name.isdigit():
        if not 0 < int(name) < 65:
            raise ValueError(f"there is no signal {name}")
        return int(name)
    full = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    old = {"SIGCLD": "SIGCHLD", "SIGPOLL": "SIGIO", "SIGIOT": "SIGABRT"}
    for base, start, step in (("SIGRTMIN", signal.SIGRTMIN, 1), ("SIGRTMAX", signal.SIGRTMAX, -1)):
        rest = full.removeprefix(base).lstrip("+-").removeprefix("PLUS").removeprefix("MINUS")
        if full.startswith(base) and (not rest or rest.isdigit()):
            return int(start) + step * int(rest or 0)
    try:
        return int(signal.Signals[old.get(full, full)])
    except KeyError:
        raise ValueError(f"there is no signal {name!r}") from None


def device_node(path: str, status: Any) -> DeviceNode:
    """A device of the machine from its os.stat_result. Raises Invalid for what is none."""
    import os

    if stat.S_ISCHR(status.st_mode):
        kind = "c"
    elif stat.S_ISBLK(status.st_mode):
        kind = "b"
    else:
        raise Invalid(f"device {path}: is not a device")
    return DeviceNode(
        path,
        kind,
        os.major(status.st_rdev),
        os.minor(status.st_rdev),
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
    )
