"""What all objects share: metadata, lists, selectors, options, statuses, discovery."""

from typing import Annotated

from sampan.api.base import JSON, Int32, Int64, KubeObject, Named, Object, Time, field
from sampan.api.rules import Annotations, Each, Elsewhere, Labels, MayBeEmpty, Requirement


class GroupVersionForDiscovery(Object):
    """A version of a group."""

    group_version: str = field("", doc="Group and version as apiVersion has them.", required=True)
    version: str = field("", doc="The version alone.", required=True)


class ServerAddressByClientCIDR(Object):
    """Where clients of an address range reach the server."""

    client_cidr: str = field("", doc="The clients' range.", required=True)
    server_address: str = field("", doc="The server's host and port.", required=True)


class APIGroup(KubeObject):
    """A group that the server serves."""

    API_VERSION = "v1"
    KIND = "APIGroup"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("APIGroup", doc="The kind of the object.")
    name: str = field("", doc="The group's name.", required=True)
    preferred_version: GroupVersionForDiscovery | None = field(doc="The version clients should use.")
    server_address_by_client_cidrs: list[ServerAddressByClientCIDR] = field(
        doc="Where to reach the server, by the client's address.", default_factory=list, list_type="atomic"
    )
    versions: list[GroupVersionForDiscovery] = field(
        doc="The versions served.", default_factory=list, required=True, list_type="atomic"
    )


class APIGroupList(KubeObject):
    """All groups but the core."""

    API_VERSION = "v1"
    KIND = "APIGroupList"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("APIGroupList", doc="The kind of the object.")
    groups: list[APIGroup] = field(doc="The groups.", default_factory=list, required=True, list_type="atomic")


class APIResource(Object):
    """A resource or subresource that the server serves."""

    categories: list[str] = field(
        doc="Groups of resources it belongs to, such as all.", default_factory=list, list_type="atomic"
    )
    group: str | None = field(doc="The group of its objects, if not the list's.")
    kind: str = field("", doc="The kind of its objects.", required=True)
    name: str = field("", doc="Its plural name, as in URLs.", required=True)
    namespaced: bool = field(False, doc="Whether its objects live in namespaces.", required=True)
    short_names: list[str] = field(doc="Abbreviations of its name.", default_factory=list, list_type="atomic")
    singular_name: str = field("", doc="Its singular name.", required=True)
    storage_version_hash: str | None = field(doc="Changes when the stored form does.")
    verbs: list[str] = field(doc="What can be done with it.", default_factory=list, required=True)
    version: str | None = field(doc="The version of its objects, if not the list's.")


class APIResourceList(KubeObject):
    """The resources of one group and version."""

    API_VERSION = "v1"
    KIND = "APIResourceList"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("APIResourceList", doc="The kind of the object.")
    group_version: str = field("", doc="Group and version.", required=True)
    resources: list[APIResource] = field(doc="The resources.", default_factory=list, required=True, list_type="atomic")


class APIVersions(KubeObject):
    """The versions of the core group."""

    API_VERSION = "v1"
    KIND = "APIVersions"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("APIVersions", doc="The kind of the object.")
    server_address_by_client_cidrs: list[ServerAddressByClientCIDR] = field(
        doc="Where to reach the server, by the client's address.",
        default_factory=list,
        required=True,
        list_type="atomic",
    )
    versions: list[str] = field(doc="The versions served.", default_factory=list, required=True, list_type="atomic")


class Condition(Object):
    """One aspect of an object's state."""

    last_transition_time: Time | None = field(doc="When the status last changed.", required=True)
    message: str = field("", doc="Details for people.", required=True)
    observed_generation: Int64 | None = field(doc="The metadata.generation that the condition was set for.")
    reason: str = field("", doc="Why the condition last changed, as one CamelCase word.", required=True)
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class Preconditions(Object):
    """What must hold, or the request fails with a conflict."""

    resource_version: str | None = field(doc="The object must be at this version.")
    uid: str | None = field(doc="The object must have this UID.")


class DeleteOptions(KubeObject):
    """How to delete an object."""

    API_VERSION = "v1"
    KIND = "DeleteOptions"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("DeleteOptions", doc="The kind of the object.")
    dry_run: list[str] = field(
        doc="All: check and answer, but delete nothing.", default_factory=list, list_type="atomic"
    )
    grace_period_seconds: Int64 | None = field(
        doc="Seconds the object may take to end; 0 ends it at once. Default: the object's own."
    )
    ignore_store_read_error_with_cluster_breaking_potential: bool | None = field(
        doc="Delete even an object that cannot be read from storage; skips finalizers. Unsafe."
    )
    orphan_dependents: bool | None = field(doc="Deprecated, use propagationPolicy. True leaves the dependents.")
    preconditions: Preconditions | None = field(doc="What must hold for the object to be deleted.")
    propagation_policy: str | None = field(doc="What becomes of the dependents: Orphan, Background or Foreground.")


class FieldSelectorRequirement(Object):
    """One condition of a field selector."""

    key: str = field("", doc="The field's path.", required=True)
    operator: str = field("", doc="In, NotIn, Exists or DoesNotExist.", required=True)
    values: list[str] = field(doc="The values for In and NotIn.", default_factory=list, list_type="atomic")


class LabelSelectorRequirement(Object):
    """One condition of a label selector."""

    key: str = field("", doc="The label's key.", required=True, rules=(MayBeEmpty(),))
    operator: str = field("", doc="In, NotIn, Exists or DoesNotExist.", required=True, rules=(MayBeEmpty(),))
    values: list[str] = field(
        doc="The values for In and NotIn; empty for the others.", default_factory=list, list_type="atomic"
    )


class LabelSelector(Object):
    """Which objects are meant, by their labels. All conditions must hold; an empty selector takes everything."""

    match_expressions: list[LabelSelectorRequirement] = field(
        doc="Conditions on labels.", default_factory=list, list_type="atomic", rules=(Each(Requirement()),)
    )
    match_labels: dict[str, str] = field(
        doc="Labels that must have exactly these values.", default_factory=dict, rules=(Labels(),)
    )


class ShardInfo(Object):
    """Which part of a collection a list shows."""

    selector: str = field("", doc="The shard selector of the request.", required=True)


class ListMeta(Object):
    """What a list says about itself."""

    continue_: str | None = field(doc="Token for the next part of the list; empty at its end.")
    remaining_item_count: Int64 | None = field(doc="How many items follow this part; absent when unknown.")
    resource_version: str | None = field(doc="The version of the collection, to start a watch from.")
    self_link: str | None = field(doc="Deprecated and never set.")
    shard_info: ShardInfo | None = field(doc="Set when the list shows one shard only.")


class ManagedFieldsEntry(Object):
    """Which fields one manager set last."""

    api_version: str | None = field(doc="The version in which the fields are named.")
    fields_type: str | None = field(doc="The format of fieldsV1; always FieldsV1.")
    fields_v1: Annotated[JSON, Named("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1")] = field(
        doc="The set of fields, as a tree of their names."
    )
    manager: str | None = field(doc="Who manages the fields.")
    operation: str | None = field(doc="Apply or Update.")
    subresource: str | None = field(doc="The subresource through which they were set; empty for the object itself.")
    time: Time | None = field(doc="When the entry was last changed.")


class OwnerReference(Object):
    """An object that owns this one: when the last owner is gone, so is this."""

    api_version: str = field("", doc="Group and version of the owner.", required=True)
    block_owner_deletion: bool | None = field(doc="Whether a foreground deletion of the owner waits for this object.")
    controller: bool | None = field(doc="Whether the owner is the controller in charge; at most one owner is.")
    kind: str = field("", doc="The owner's kind.", required=True)
    name: str = field("", doc="The owner's name; it is in the same namespace or in none.", required=True)
    uid: str = field("", doc="The owner's UID.", required=True)


class ObjectMeta(Object):
    """What every object has: its name, its labels, its history."""

    annotations: dict[str, str] = field(
        doc="Notes for tools, as keys and values; they cannot be selected by.",
        default_factory=dict,
        rules=(Annotations(),),
    )
    creation_timestamp: Time | None = field(doc="When the object was created. Set by the server.")
    deletion_grace_period_seconds: Int64 | None = field(
        doc="Seconds the object was given to end. Set when it is deleted."
    )
    deletion_timestamp: Time | None = field(
        doc="When the object will be, or should have been, gone. Set when it is deleted."
    )
    finalizers: list[str] = field(
        doc="What must happen before the object goes; it stays until the list is empty.",
        default_factory=list,
        patch="merge",
        list_type="set",
    )
    generate_name: str | None = field(doc="Prefix for a name that the server makes up when name is empty.")
    generation: Int64 | None = field(doc="Grows with every change of what is wanted.")
    labels: dict[str, str] = field(
        doc="Keys and values by which objects are grouped and selected.", default_factory=dict, rules=(Labels(),)
    )
    managed_fields: list[ManagedFieldsEntry] = field(
        doc="Who set which fields.", default_factory=list, list_type="atomic", rules=(Elsewhere(),)
    )
    name: str | None = field(doc="The object's name, unique in its namespace for its kind. Never changes.")
    namespace: str | None = field(doc="The namespace it lives in; empty for kinds of the whole cluster.")
    owner_references: list[OwnerReference] = field(
        doc="The objects that own this one.",
        default_factory=list,
        merge_key="uid",
        patch="merge",
        list_type="map",
        list_map_keys=("uid",),
        rules=(Elsewhere(),),
    )
    resource_version: str | None = field(doc="Opaque version of the stored object, for watches and safe updates.")
    self_link: str | None = field(doc="Deprecated and never set.")
    uid: str | None = field(doc="Identifier unique in space and time. Set by the server.")


class StatusCause(Object):
    """One of several reasons for a failure."""

    field_: str | None = field(doc="The field that is to blame, as a path.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="What is wrong, for programs.")


class StatusDetails(Object):
    """More about a failure."""

    causes: list[StatusCause] = field(
        doc="The single reasons, one a field for invalid objects.", default_factory=list, list_type="atomic"
    )
    group: str | None = field(doc="The API group of the resource concerned.")
    kind: str | None = field(doc="The kind or resource concerned.")
    name: str | None = field(doc="The name of the object concerned.")
    retry_after_seconds: Int32 | None = field(doc="Seconds to wait before another try.")
    uid: str | None = field(doc="The UID of the object concerned.")


class Status(KubeObject):
    """The answer to a request that returns no object, failures above all."""

    API_VERSION = "v1"
    KIND = "Status"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Status", doc="The kind of the object.")
    metadata: ListMeta = field(
        doc="The version of the collection, where there is one.", default_factory=lambda: ListMeta()
    )
    status: str | None = field(doc="Success or Failure.")
    code: Int32 | None = field(doc="The HTTP status code.")
    details: StatusDetails | None = field(doc="More for programs, depending on the reason.")
    message: str | None = field(doc="What happened, for people.")
    reason: str | None = field(doc="Why it failed, as one CamelCase word.")


class WatchEvent(Object):
    """One change, as a watch reports it."""

    object: JSON = field(
        doc="The object after the change; for DELETED as it last was, for ERROR a Status.", required=True
    )
    type: str = field("", doc="ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.", required=True)
