"""What the server knows of a kind beyond its Resource: columns, rules, subresources.

A kind is a value; the verbs are general.

A write goes: body -> plain JSON, nulls dropped -> unknown and duplicate fields reported -> pydantic model (strict)
-> admission mutates -> `prepare_*` (mutates the private instance) -> rules on fields (sampan.api.rules.check), general
metadata rules, `validate*` -> admission validates -> `before_*` hooks (allocations) -> one compare-and-swap in etcd
-> `after_*`.
A read never parses a model: columns and selectable fields work on the plain JSON value.

Before `prepare_*` runs, the verbs have done what is the same for all kinds: uid, creationTimestamp, generateName,
generation (`tracks_generation`), `status` dropped on create (`keeps_status_on_create`), kept as it was on
updates of the main resource, and everything but `status` (and labels and annotations) kept as it was on updates of the
status subresource.
Elsewhere: the verbs (verbs.py), which kinds exist (registry.py, kinds/), who may (authz/), admission
plugins (admission/).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from apiserver.traces import Traces
from sampan.api.base import Object
from sampan.api.meta_v1 import DeleteOptions
from sampan.clock import Clock
from sampan.errors import FieldError
from sampan.resource import Resource

if TYPE_CHECKING:
    from aiohttp import web

M = TypeVar("M", bound=Object)
Json = dict[str, Any]


@dataclass(frozen=True)
class Since:
    """A cell that shows the time since an RFC 3339 timestamp, as `5m` or `3d2h`; `<unknown>` when there is none."""

    timestamp: str | None
    text: str = "{}"
    """What stands around it, for `format`: `1 ({} ago)`."""


Cell = str | int | float | bool | None | Since


@dataclass(frozen=True)
class Column:
    """One column of the table view. `priority` 0 is always shown, 1 with `-o wide`; `type`, `format` are OpenAPI's."""

    name: str
    value: Callable[[Mapping[str, Any]], Cell]
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


NAME = Column("Name", lambda o: o["metadata"].get("name", ""), format="name", description="Name of the object.")
AGE = Column("Age", lambda o: Since(o["metadata"].get("creationTimestamp")), description="Time since its creation.")


@dataclass(frozen=True)
class User:
    """Who asks, as authentication found out."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Settings(Protocol):
    """What kinds may ask of the server's configuration."""

    @property
    def service_cidr(self) -> IPv4Network | IPv6Network:
        """Where cluster IPs come from."""

    @property
    def node_port_range(self) -> range:
        """Where node ports come from."""

    @property
    def cluster_domain(self) -> str:
        """`cluster.local`."""


class Server(Protocol):
    """What strategies, hooks, admission and subresources may do to the rest of the cluster's state.

    Values are plain JSON with metadata.resourceVersion; nothing here asks who the caller is.
    """

    @property
    def clock(self) -> Clock:
        """The one source of time."""

    @property
    def settings(self) -> Settings:
        """The server's configuration."""

    @property
    def traces(self) -> Traces:
        """What is remembered of objects' starts."""

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Json | None:
        """The object as the watch cache has it now; never mutate it."""

    def peek_all(self, resource: Resource[Any], namespace: str = "") -> Iterable[Json]:
        """All objects (of a namespace) as the watch cache has them now; never mutate them."""

    async def read(self, resource: Resource[Any], namespace: str, name: str) -> Json:
        """The newest state, from etcd. Raises ApiError 404."""

    async def create(self, resource: Resource[Any], value: Json, *, user: User | None = None) -> Json:
        """Create through the whole write path (admission, strategy). Raises ApiError."""

    async def modify(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        *,
        subresource: str = "",
        user: User | None = None,
    ) -> Json:
        """Read, change, write, again on a conflict, by the whole write path. Raises ApiError and what change does.

        With a subresource other than `status` the strategy's prepare_update and validate_update are left out: the
        subresource (binding, finalize, ephemeralcontainers) answers for what it changes.
        """

    async def delete(
        self, resource: Resource[Any], namespace: str, name: str, options: DeleteOptions, *, user: User | None = None
    ) -> Json:
        """Delete as the verb does, grace and finalizers included. Returns the answer's body. Raises ApiError."""

    async def claim(self, pool: str, value: str, owner: str) -> bool:
        """Take `value` (an address, a port) of `pool` for `owner`, for good, cluster-wide. False if another has it."""

    async def release(self, pool: str, value: str, owner: str) -> None:
        """Give back what `owner` claimed; nothing happens if it is not its own."""

    def claims(self, pool: str) -> Mapping[str, str]:
        """Value -> owner as the watch cache has them now: where to look for a free one first."""


@dataclass(frozen=True)
class Context:
    """What a strategy's function is told besides the object."""

    server: Server
    user: User
    namespace: str
    now: datetime
    dry_run: bool = False
    warn: Callable[[str], None] = lambda text: None
    """Adds a `Warning: 299` header to the answer."""
    manager: str = ""
    """fieldManager, if the request names one."""
    agent: str = ""
    """The request's User-Agent."""


class NameRule(StrEnum):
    """What metadata.name may look like (object names and IDs)."""

    SUBDOMAIN = "dns-1123-subdomain"
    LABEL = "dns-1123-label"
    LABEL_1035 = "dns-1035-label"
    PATH_SEGMENT = "path-segment"


def _nothing(*_: Any) -> None:
    return None


def _no_errors(*_: Any) -> Iterable[FieldError]:
    return ()


async def no_action(*_: Any) -> None:
    """The hook of a kind that has none."""


@dataclass(frozen=True)
class Strategy(Generic[M]):
    """What is particular about writing one kind. Functions mutate the private instance they are given, or only look."""

    prepare_create: Callable[[M, Context], None] = _nothing
    prepare_update: Callable[[M, M, Context], None] = _nothing
    """(new, old): `old` is never changed."""
    prepare_status: Callable[[M, M, Context], None] = _nothing
    validate: Callable[[M], Iterable[FieldError]] = _no_errors
    """Runs on create and on update of the main resource, besides the rules declared on fields."""
    validate_update: Callable[[M, M], Iterable[FieldError]] = _no_errors
    """(new, old)."""
    validate_status: Callable[[M, M], Iterable[FieldError]] = _no_errors
    """(new, old)."""
    selectable: Mapping[str, Callable[[Mapping[str, Any]], str]] = field(default_factory=dict)
    """Field selectors beyond metadata.name and metadata.namespace: label -> value of a plain object."""
    names: NameRule = NameRule.SUBDOMAIN
    tracks_generation: bool = False
    """metadata.generation is 1 at first and grows when anything but metadata and status changes."""
    keeps_status_on_create: bool = False
    unconditional_update: bool = True
    """Whether PUT without resourceVersion overwrites; otherwise it is 422."""
    create_on_update: bool = False
    """Whether PUT of a missing object creates it (leases, nodes' objects)."""
    traced: bool = False
    """Whether the server remembers when one was received, admitted and stored (traces.py)."""
    delete_returns_object: bool = False
    """DELETE answers the object instead of a Status, even when it is gone at once."""
    grace: Callable[[M, DeleteOptions], int | None] = _nothing
    """Seconds that a deleted object stays to end in order. None: the kind has no graceful deletion. 0: at once."""
    prepare_delete: Callable[[M, Context], None] = _nothing
    """Runs once, when deletionTimestamp is set on an object that stays a while (a namespace becomes Terminating)."""
    held: Callable[[M], bool] = lambda _: False
    """Whether something besides metadata.finalizers keeps a deleted object (a namespace's spec.finalizers)."""
    ttl_seconds: Callable[[Server], int] | None = None
    """When objects expire by an etcd lease (events)."""
    before_create: Callable[[M, Context], Awaitable[None]] = no_action
    """After validation: allocate (may mutate). Not run in a dry run. after_delete undoes it if the write fails."""
    before_update: Callable[[M, M, Context], Awaitable[None]] = no_action
    """(new, old): likewise. If the write fails, after_update(old, new) undoes it."""
    after_update: Callable[[M, M, Server], Awaitable[None]] = no_action
    """(new, old): release what old had and new has not."""
    after_delete: Callable[[M, Server], Awaitable[None]] = no_action
    """The object is gone from etcd: release. Runs once, in the server that deleted it; may be lost in a crash."""


@dataclass
class Call:
    """A request to a named subresource or to a kind that is not stored, already authenticated and authorized."""

    server: Server
    kind: Kind[Any]
    verb: str
    """get, create, update, patch, delete (connect verbs: get or create)."""
    namespace: str
    name: str
    subresource: str
    rest: str
    """The path after the subresource (proxy), without its first slash."""
    query: Mapping[str, str]
    user: User
    body: Json | None
    """The decoded body of a write, nulls dropped; None when there is none, or for connect subresources."""
    context: Context
    request: web.BaseRequest
    """For connect subresources: read its headers, upgrade it."""


@dataclass(frozen=True)
class Answer:
    """An object to send. `code` 201 for something created."""

    value: Json
    code: int = 200


@dataclass(frozen=True)
class Subresource:
    """A named path below an object: binding, eviction, log, exec, token ...

    `handler` returns an Answer, or a response it has already sent. `connect` ones get the request's body unread.
    `group`, `version`, `body_kind` are what discovery says of the body; empty group and version mean the parent's.
    """

    name: str
    verbs: tuple[str, ...]
    handler: Callable[[Call], Awaitable[Answer | web.StreamResponse]]
    body_kind: str = ""
    group: str = ""
    version: str = ""
    model: type[Object] | None = None
    """Checks the body's fields and types before `handler` sees it."""
    connect: bool = False


@dataclass(frozen=True)
class Scale:
    """Where autoscaling/v1 Scale finds its numbers: paths of keys in the plain object."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: Callable[[Mapping[str, Any]], str] | None = None
    """status.selector as text, from the plain object. None: spec.selector (a LabelSelector) is printed."""
    selector_path: tuple[str, ...] = ()
    """Where the selector stands as text (custom resources)."""


STORED_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind(Generic[M]):
    """One kind in one version, as served."""

    resource: Resource[M]
    columns: tuple[Column, ...] = (NAME, AGE)
    strategy: Strategy[M] = field(default_factory=Strategy)
    status: bool = False
    """Has a status subresource."""
    scale: Scale | None = None
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = STORED_VERBS
    create: Callable[[Call], Awaitable[Answer]] | None = None
    """For kinds that are asked, not stored (TokenReview, SubjectAccessReview, Binding): what a POST does."""
    look: Callable[[Call], Awaitable[Answer]] | None = None
    """For kinds that are measured, not stored (NodeMetrics): what a GET of one, or of all, does."""
    stored_as: Resource[Any] | None = None
    """The resource whose keys hold the objects, when it is another (events.k8s.io/v1 over v1)."""
    from_stored: Callable[[Json], Json] | None = None
    """Stored form -> this version (a new value; the argument is shared). None: only apiVersion differs."""
    to_stored: Callable[[Json], Json] | None = None
    parse: Callable[[Json, str], tuple[Json, list[str]]] | None = None
    """Custom resources: (object, fieldValidation) -> (pruned and defaulted object, problems such as
    `unknown field "x"`). With it, `model` only reads metadata and what is kept is this JSON."""
    schema: Mapping[str, Any] | None = None
    """Custom resources: the OpenAPI v3 schema to publish."""

    @property
    def storage(self) -> Resource[Any]:
        """The resource whose keys hold the objects."""
        return self.stored_as or self.resource

    @property
    def stored(self) -> bool:
        """Whether its objects live in etcd."""
        return self.create is None and self.look is None


@dataclass
class Attempt:
    """A write as admission sees it. Mutating plugins change `object`; a refusal raises ApiError."""

    operation: str
    """CREATE, UPDATE, DELETE or CONNECT."""
    kind: Kind[Any]
    subresource: str
    namespace: str
    name: str
    object: Any
    """The typed object to be written (for a subresource with a body of its own, that body); None on DELETE."""
    old: Any
    """The stored object, typed, on UPDATE and DELETE."""
    context: Context


@dataclass(frozen=True)
class Admission:
    """An admission plugin. All of `apiserver.admission.plugins.ALL` run in order: each mutate, then each validate."""

    name: str
    operations: frozenset[str]
    resources: tuple[Resource[Any], ...] = ()
    """Empty: every resource."""
    subresources: tuple[str, ...] = ("",)
    mutate: Callable[[Attempt], Awaitable[None]] | None = None
    validate: Callable[[Attempt], Awaitable[None]] | None = None


AnyKind = Kind[Any]
