"""The description of a cluster: one `Cluster` object, written by a user or made of flags, printed by `get -o yaml`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, ValidationError, field_validator, model_validator

from sampan import fake, quantity
from sampan.api.base import Object, Quantity, field
from sampan.errors import ClusterError

API_VERSION = "sampan.dev/v1alpha1"
NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
MOST_NODES = 200
MOST_FAKE_NODES = 5000
FAKE_AMOUNTS = ("cpu", "memory", "ephemeral-storage", "pods")
SHORT_SIZE = re.compile(r"([0-9]+)([kmgt])b?", re.IGNORECASE)
"""As other tools' command lines have sizes: 1g is 1Gi."""
SMALLEST = 256 << 20
MOST_CPUS = 64
MACHINE_FIELDS = ("cpus", "memory", "disk")
YEAR_SECONDS = 365 * 24 * 3600
SHORTEST_CERTIFICATE_SECONDS = 10
FIRST_NODE_HOST = 11
"""The control plane is host 1 of the node network; nodes count from 11."""


class _Described(Object):
    model_config = ConfigDict(extra="forbid")


class Mount(_Described):
    """A directory of this machine that a node sees."""

    host: str = field("", doc="The directory on this machine.")
    guest: str = field("", doc="Where the node has it.")
    read_only: bool = field(False, doc="Whether the node may only read it.")

    @field_validator("host", "guest")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/") or ".." in value.split("/"):
            raise ValueError(f"{value!r} is not an absolute path without '..'")
        return value


class NodeSpec(_Described):
    """One node. `cpus`, `memory` and `disk` are for virtual machines alone."""

    name: str = field("", doc="The node's name, unique in the cluster.")
    labels: dict[str, str] = field(default_factory=dict, doc="Labels that the node registers with.")
    address: str | None = field(doc="Its address on the node network; given by `start` and kept.")
    driver: Literal["namespace", "vm"] = field("namespace", doc="Namespaces of this machine, or a virtual machine.")
    cpus: int | None = field(doc="A virtual machine's processors; 1 unless told.")
    memory: str | None = field(doc="A virtual machine's memory, as a quantity; 1Gi unless told.")
    disk: str | None = field(doc="The size of a virtual machine's disk, as a quantity; 8Gi unless told.")
    mounts: list[Mount] = field(default_factory=list, doc="Directories of this machine that the node sees.")

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not NODE_NAME.fullmatch(value):
            raise ValueError(f"{value!r} is not 1 to 30 lower-case letters, digits and dashes")
        return value

    @field_validator("cpus")
    @classmethod
    def _some_cpus(cls, value: int | None) -> int | None:
        if value is not None and not 1 <= value <= MOST_CPUS:
            raise ValueError(f"{value} is not between 1 and {MOST_CPUS}")
        return value

    @field_validator("memory", "disk")
    @classmethod
    def _is_a_size(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if short := SHORT_SIZE.fullmatch(value):
            value = f"{short[1]}{short[2].upper()}i"
        if quantity.parse(value).value < SMALLEST:
            raise ValueError(f"{value} is less than {SMALLEST >> 20}Mi")
        return value

    @property
    def machine_cpus(self) -> int:
        """A virtual machine's processors."""
        return self.cpus or 1

    @property
    def machine_memory(self) -> int:
        """A virtual machine's memory in bytes."""
        return quantity.parse(self.memory or "1Gi").value

    @property
    def machine_disk(self) -> int:
        """The size of a virtual machine's disk in bytes, a whole number of MiB."""
        return quantity.parse(self.disk or "8Gi").value >> 20 << 20

    @model_validator(mode="after")
    def _only_a_machine_has_a_size(self) -> NodeSpec:
        if self.driver == "namespace" and (sized := [one for one in MACHINE_FIELDS if getattr(self, one)]):
            raise ValueError(f"{', '.join(sized)}: only a node with driver vm has that")
        return self


class FakeNodes(_Described):
    """Nodes without a machine, fake-1 to fake-`count`. A bare number stands for `count`."""

    count: int = field(0, doc="The highest number of a fake node.")
    capacity: dict[str, Quantity] = field(
        default_factory=dict, doc="What each offers; 32 processors, 256Gi and 110 pods unless told."
    )
    labels: dict[str, str] = field(default_factory=dict, doc="Labels that they register with.")
    zones: int = field(0, doc="So many values of topology.kubernetes.io/zone, in turn; 0 is no such label.")
    taint: bool = field(False, doc="Whether they have the taint sampan.dev/fake=true:NoSchedule.")
    without: list[str] = field(default_factory=list, doc="Those of the numbers that were removed, by name.")
    stopped: list[str] = field(default_factory=list, doc="Those that do not report, by name.")

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _possible(self) -> FakeNodes:
        if not 0 <= self.count <= MOST_FAKE_NODES:
            raise ValueError(f"{self.count} fake nodes; a cluster has 0 to {MOST_FAKE_NODES}")
        if self.zones < 0:
            raise ValueError(f"zones: {self.zones} is less than 0")
        for name, amount in self.capacity.items():
            if name not in FAKE_AMOUNTS and "/" not in name:
                raise ValueError(f"capacity: {name!r} is none of {', '.join(FAKE_AMOUNTS)}, nor a name with a domain")
            quantity.parse(amount)
        return self

    @property
    def names(self) -> list[str]:
        """Those that there are."""
        gone = set(self.without)
        return [name for number in range(1, self.count + 1) if (name := f"{fake.PREFIX}{number}") not in gone]


class Network(_Described):
    """Address ranges. All of them exist only inside the cluster's own network namespace."""

    node_cidr: str = field("172.30.0.0/24", doc="The link that joins the nodes and the control plane.")
    pod_cidr: str = field("10.244.0.0/16", doc="Pods; every node gets a /24 of it.")
    service_cidr: str = field("10.96.0.0/16", doc="Cluster addresses of services.")
    domain: str = field("cluster.local", doc="The cluster's DNS domain.")
    mode: Literal["vxlan", "direct"] = field("vxlan", doc="How packets travel between pods of two nodes.")

    @field_validator("node_cidr", "pod_cidr", "service_cidr")
    @classmethod
    def _is_a_network(cls, value: str) -> str:
        return str(ipaddress.IPv4Network(value))

    @model_validator(mode="after")
    def _apart(self) -> Network:
        ranges = {
            name: ipaddress.IPv4Network(getattr(self, name)) for name in ("node_cidr", "pod_cidr", "service_cidr")
        }
        names = list(ranges)
        for index, one in enumerate(names):
            for other in names[index + 1 :]:
                if ranges[one].overlaps(ranges[other]):
                    raise ValueError(f"{ranges[one]} ({one}) and {ranges[other]} ({other}) overlap")
        return self

    @property
    def control_address(self) -> str:
        """The control plane's address on the node network."""
        return str(ipaddress.IPv4Network(self.node_cidr)[1])

    @property
    def dns_address(self) -> str:
        """The service address that every node answers DNS on: host 10, as kubeadm has it."""
        return str(ipaddress.IPv4Network(self.service_cidr)[10])

    @property
    def first_service_address(self) -> str:
        """The address of the `kubernetes` service."""
        return str(ipaddress.IPv4Network(self.service_cidr)[1])

    @property
    def prefix_length(self) -> int:
        """Of the node network."""
        return ipaddress.IPv4Network(self.node_cidr).prefixlen

    def free_node_address(self, taken: Collection[str]) -> str:
        """The first address for a node that none has. Raises ClusterError."""
        hosts = ipaddress.IPv4Network(self.node_cidr)
        for index in range(FIRST_NODE_HOST, hosts.num_addresses - 1):
            if (address := str(hosts[index])) not in taken:
                return address
        raise ClusterError(where=f"node network {hosts}", what="no address is free", remedy="use a larger nodeCIDR")


class Timing(_Described):
    """How soon a lost node is noticed. The defaults are Kubernetes'."""

    node_lease_seconds: int = field(40, doc="How long a node's lease is valid; renewed every quarter of it.")
    node_monitor_grace_seconds: int = field(40, doc="Without a renewal for so long, a node is NotReady.")

    @field_validator("node_lease_seconds", "node_monitor_grace_seconds")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value < 1:
            raise ValueError("must be at least 1")
        return value


class Certificates(_Described):
    """The certificates of the control plane and the nodes. They are renewed in time, without a restart."""

    duration_seconds: int = field(YEAR_SECONDS, doc="How long one is valid; renewed when 30 % of that is left.")

    @field_validator("duration_seconds")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        if value < SHORTEST_CERTIFICATE_SECONDS:
            raise ValueError(f"must be at least {SHORTEST_CERTIFICATE_SECONDS}")
        return value


class ClusterSpec(_Described):
    """What a cluster is to be."""

    nodes: list[NodeSpec] = field(default_factory=list, doc="The nodes, in the order of their addresses.")
    fake_nodes: FakeNodes = field(
        default_factory=lambda: FakeNodes(), doc="Nodes without a machine, for trials of scale."
    )
    api_port: int = field(0, doc="The API's port on the machine's loopback; 0 takes a free one and keeps it.")
    network: Network = field(default_factory=lambda: Network(), doc="Address ranges.")
    timing: Timing = field(default_factory=lambda: Timing(), doc="Failure detection.")
    certificates: Certificates = field(default_factory=lambda: Certificates(), doc="How long certificates are valid.")
    pod_pids_limit: int = field(-1, doc="The most processes and threads that a pod may have; -1 is no limit.")
    log_level: Literal["debug", "info", "warning", "error"] = field("info", doc="How much components log.")

    @model_validator(mode="after")
    def _distinct(self) -> ClusterSpec:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("two nodes have the same name")
        if len(names) > MOST_NODES:
            raise ValueError(f"{len(names)} nodes; a local cluster has at most {MOST_NODES}")
        if both := set(names) & set(self.fake_nodes.names):
            raise ValueError(f"{sorted(both)[0]} is a node and a fake node: give the node another name")
        if self.pod_pids_limit < 1 and self.pod_pids_limit != -1:
            raise ValueError(f"podPidsLimit {self.pod_pids_limit} is neither -1 nor at least 1")
        if not 0 <= self.api_port <= 65535:
            raise ValueError(f"apiPort {self.api_port} is not a port")
        return self


class ClusterMeta(_Described):
    """A cluster's name."""

    name: str = field("", doc="The name of the cluster, of its directory and of its kubeconfig context's suffix.")


class Cluster(_Described):
    """A local cluster."""

    api_version: Literal["sampan.dev/v1alpha1"] = field(API_VERSION, doc="Always sampan.dev/v1alpha1.")
    kind: Literal["Cluster"] = field("Cluster", doc="Always Cluster.")
    metadata: ClusterMeta = field(default_factory=lambda: ClusterMeta(), doc="Its name.")
    spec: ClusterSpec = field(default_factory=lambda: ClusterSpec(), doc="What it is to be.")

    def to_yaml(self) -> str:
        """The object as YAML, every default written out."""
        return yaml.safe_dump(self.to_json(), sort_keys=False)

    def node(self, name: str) -> NodeSpec | None:
        """The node of that name."""
        return next((node for node in self.spec.nodes if node.name == name), None)

    def with_nodes(self, nodes: Sequence[NodeSpec]) -> Cluster:
        """The same cluster with other nodes; every node has an address, and those that had one keep it."""
        placed: list[NodeSpec] = []
        taken = {node.address for node in nodes if node.address}
        for node in nodes:
            address = node.address or self.spec.network.free_node_address(taken)
            taken.add(address)
            placed.append(node.model_copy(update={"address": address}))
        spec = ClusterSpec.from_json(self.spec.to_json() | {"nodes": [node.to_json() for node in placed]})
        return self.model_copy(update={"spec": spec})


def node_of(name: str, shape: Mapping[str, Any]) -> NodeSpec:
    """A node of that name with more fields. Raises ClusterError that names the field."""
    try:
        return NodeSpec.from_json({"name": name} | dict(shape))
    except ValidationError as error:
        raise ClusterError(where=f"node {name}", what=_problems(error)) from error


def compose(name: str, nodes: int, shape: Mapping[str, Any] | None = None) -> Cluster:
    """A cluster of so many nodes, called n1, n2 ..., all with the same more fields."""
    if not 1 <= nodes <= MOST_NODES:
        raise ClusterError(where="--nodes", what=f"{nodes} is not between 1 and {MOST_NODES}")
    return Cluster(
        metadata=ClusterMeta(name=name),
        spec=ClusterSpec(nodes=[node_of(f"n{number + 1}", shape or {}) for number in range(nodes)]),
    )


def parse(text: str, where: str) -> Cluster:
    """Read a Cluster object. Raises ClusterError that names the field."""
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ClusterError(where=where, what=f"not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ClusterError(where=where, what="not one Cluster object")
    try:
        return Cluster.from_json(value)
    except ValidationError as error:
        raise ClusterError(where=where, what=_problems(error), remedy="see docs/clusters.md for the fields") from error


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc']) or 'cluster'}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors()
    )


def load(path: Path) -> Cluster:
    """Read a Cluster file. Raises ClusterError."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(where=str(path), what=str(error)) from error
