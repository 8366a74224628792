"""From CRI configs to operations."""

from dataclasses import dataclass

import pytest

from nodeagent.runtime import defaults, plan
from nodeagent.runtime.errors import Invalid, Unsupported
from sampan.cri import api_pb2 as cri


@dataclass(frozen=True)
class Settings:
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""


SANDBOX = plan.SandboxPaths(
    {"net": "/run/net", "ipc": "/run/ipc", "uts": "/run/uts"}, "/run/shm", "/s/resolv.conf", "", "pod"
)
ROOT = plan.Root(("/layers/top", "/layers/base"), "/c/upper", "/c/work", "/c/root")


def setup(config: cri.ContainerConfig, root: plan.Root = ROOT) -> list[plan.Operation]:
    return plan.setup_of(
        config,
        SANDBOX,
        root,
        procs_files=["/cg/procs"],
        nodes=[],
        cgroup_version="v2",
        cgroup_mounts=[],
        image_layers={},
    )


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ([], [], ["/entry", "image-arg"]),
        ([], ["own"], ["/entry", "own"]),
        (["/cmd"], [], ["/cmd"]),
        (["/cmd"], ["own"], ["/cmd", "own"]),
    ],
)
def test_command_and_args_as_kubernetes_documents_them(command, args, expected) -> None:
    image = Settings(entrypoint=("/entry",), cmd=("image-arg",))
    assert plan.command_of(cri.ContainerConfig(command=command, args=args), image) == expected


def test_no_command_at_all_is_refused() -> None:
    with pytest.raises(Invalid, match="no command"):
        plan.command_of(cri.ContainerConfig(), Settings())


def caps(**wish: list[str]) -> frozenset[str]:
    security = cri.LinuxContainerSecurityContext(capabilities=cri.Capability(**wish))
    return plan.capabilities_of(security)[0]


def test_capabilities_are_added_and_dropped() -> None:
    assert caps() == defaults.DEFAULT_CAPABILITIES
    assert caps(drop_capabilities=["ALL"]) == frozenset()
    assert caps(drop_capabilities=["all"], add_capabilities=["chown"]) == {"CAP_CHOWN"}
    assert caps(add_capabilities=["ALL"]) == frozenset(defaults.CAPABILITIES)
    assert "CAP_MKNOD" not in caps(add_capabilities=["ALL"], drop_capabilities=["MKNOD"])
    with pytest.raises(Invalid, match="no capability 'FLY'"):
        caps(add_capabilities=["FLY"])


def test_default_capabilities_are_the_ones_known_from_docker() -> None:
    assert defaults.capability_mask(defaults.DEFAULT_CAPABILITIES) == 0xA80425FB


def test_every_path_of_the_container_comes_after_the_pivot_and_every_source_before() -> None:
    mounts = [cri.Mount(container_path="/a/b", host_path="/src/b"), cri.Mount(container_path="/a", host_path="/src/a")]
    hidden = cri.LinuxContainerSecurityContext(masked_paths=["/proc/keys"], readonly_paths=["/proc/sys"])
    operations = setup(cri.ContainerConfig(mounts=mounts, linux=cri.LinuxContainerConfig(security_context=hidden)))
    names = [operation[0] for operation in operations]
    pivot = names.index("pivot")
    for early in ("open_tree", "join_cgroups", "join_namespaces", "overlay"):
        assert max(i for i, name in enumerate(names) if name == early) < pivot, early
    for late in ("attach", "mount", "mask", "read_only", "node"):
        assert min(i for i, name in enumerate(names) if name == late) > pivot, late
    attached = [operation[1] for operation in operations if operation[0] == "attach"]
    assert attached.index("/a") < attached.index("/a/b")
    assert "/etc/resolv.conf" in attached


def test_the_agents_own_resolv_conf_wins() -> None:
    mounts = [cri.Mount(container_path="/etc/resolv.conf", host_path="/mine")]
    operations = setup(cri.ContainerConfig(mounts=mounts))
    sources = [operation[2] for operation in operations if operation[0] == "open_tree"]
    assert "/mine" in sources
    assert "/s/resolv.conf" not in sources


def test_an_image_without_layers_has_its_own_directory_as_root() -> None:
    operations = setup(cri.ContainerConfig(), plan.Root((), "/c/upper", "/c/work", "/c/root"))
    assert ["bind_root", "/c/root", "/c/upper", False] in operations


def test_privileged_masks_nothing_and_a_read_only_root_comes_last() -> None:
    privileged = cri.ContainerConfig(
        linux=cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext(privileged=True))
    )
    assert not {"mask", "read_only"} & {operation[0] for operation in setup(privileged)}
    closed = cri.ContainerConfig(
        linux=cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext(readonly_rootfs=True))
    )
    assert setup(closed)[-1] == ["read_only_root"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER), ("net", "uts", "ipc")),
        (cri.NamespaceOption(), ("net", "uts", "ipc", "pid")),
        (cri.NamespaceOption(network=cri.NamespaceMode.NODE, pid=cri.NamespaceMode.NODE), ("ipc",)),
    ],
)
def test_a_sandbox_has_the_namespaces_of_its_modes(options, expected) -> None:
    assert plan.sandbox_namespaces(options) == expected


def test_what_is_not_offered_is_refused() -> None:
    mounts = [cri.Mount(container_path="/image", image=cri.ImageSpec(image="some"))]
    with pytest.raises(Unsupported, match="image volumes"):
        setup(cri.ContainerConfig(mounts=mounts))
    security = cri.LinuxContainerSecurityContext(run_as_group=cri.Int64Value(value=1))
    with pytest.raises(Invalid, match="run_as_group"):
        plan.identity_of(security, Settings())
    with pytest.raises(Invalid, match="white space"):
        plan.resolv_conf(cri.DNSConfig(servers=["1.1.1.1\noptions x"]))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGTERM", 15),
        ("QUIT", 3),
        ("9", 9),
        ("SIGRTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("SIGRTMINPLUS3", 37),
        ("SIGRTMAX-1", 63),
    ],
)
def test_signals_by_name_and_number(name: str, number: int) -> None:
    assert plan.signal_number(name) == number


@pytest.mark.parametrize("name", ["SIGNOPE", "0", "65", "", "SIGRTMINX"])
def test_a_signal_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="there is no signal"):
        plan.signal_number(name)


def test_every_signal_of_the_protocol_has_a_number() -> None:
    for value in cri.Signal.values():
        if value:
            assert 0 < plan.signal_number(cri.Signal.Name(value)) < 65
