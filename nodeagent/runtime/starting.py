"""What the fork server is asked when a container starts: its operations, its namespaces, its 0, 1 and 2."""

import os
from typing import TYPE_CHECKING

from nodeagent.runtime import plan
from nodeagent.runtime.devices import all_devices, look_at_device
from nodeagent.runtime.errors import Invalid
from nodeagent.runtime.state import Container, Sandbox
from sampan.cri import api_pb2 as cri

if TYPE_CHECKING:
    from nodeagent.runtime.runtime import Runtime


def start_request(runtime: "Runtime", container: Container, sandbox: Sandbox) -> dict[str, object]:
    """What the fork server is asked, but for the descriptors. Raises Invalid, CgroupError, OSError."""
    config, state = container.config, container.state
    _, nodes = plan.device_rules(config, look_at_device)
    if config.linux.security_context.privileged:
        nodes = [*all_devices(), *nodes]
    setup = plan.setup_of(
        config,
        runtime.paths_of(sandbox),
        plan.Root(
            tuple(state.layers),
            str(container.directory / "upper"),
            str(container.directory / "work"),
            str(container.directory / "root"),
        ),
        procs_files=runtime.cgroups.procs_files(state.cgroup),
        nodes=nodes,
        cgroup_version=runtime.cgroups.version,
        cgroup_mounts=runtime.cgroups.container_mounts(),
        image_layers={},
    )
    request: dict[str, object] = {
        "id": container.id,
        "setup": setup,
        "process": state.process,
        "cgroup": state.cgroup,
        "oom_file": runtime.cgroups.oom_file(state.cgroup),
        "procs_files": runtime.cgroups.procs_files(state.cgroup),
    }
    if "user" in sandbox.state.namespaces:
        request["user"] = sandbox.state.namespaces["user"]
        request["usher"] = plan.entering(
            config, runtime.paths_of(sandbox), procs_files=runtime.cgroups.procs_files(state.cgroup)
        )
    options = config.linux.security_context.namespace_options
    match options.pid:
        case cri.NamespaceMode.POD if "pid" in sandbox.state.namespaces:
            request["pid"] = sandbox.state.namespaces["pid"]
        case cri.NamespaceMode.NODE:
            request["pid"] = "node"
        case cri.NamespaceMode.TARGET:
            target = runtime.container(options.target_id)
            if target.state.sandbox_id != sandbox.id:
                raise Invalid(f"target container {target.id} is in another sandbox")
            request |= {"pid": "node", "target": target.id}
        case _:
            request["pid"] = "new"
    return request


def stdio_of(container: Container) -> list[int]:
    """What becomes the container's 0, 1 and 2. It holds its FIFOs open both ways: no reader, no SIGPIPE."""
    if container.config.tty:
        return []
    fds: list[int] = []
    try:
        stdin = container.directory / "stdin"
        writers = []
        if container.config.stdin and not container.config.stdin_once:
            fds.append(os.open(stdin, os.O_RDWR | os.O_CLOEXEC))  # it has no end, whoever writes to it comes and goes
        elif container.config.stdin:
            writers = [os.open(stdin, os.O_RDWR | os.O_CLOEXEC)]  # without it the next open would wait for one
            fds.append(os.open(stdin, os.O_RDONLY | os.O_CLOEXEC))
        else:
            fds.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        fds += [os.open(container.directory / name, os.O_RDWR | os.O_CLOEXEC) for name in ("stdout", "stderr")]
        fds += writers  # the fork server holds it until it is told to close it
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return fds
