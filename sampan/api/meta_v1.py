""""""

from typing import Annotated

from sampan.api.base import JSON, Int32, Int64, KubeObject, Named, Object, Time, field
from sampan.api.rules import Annotations, Each, Elsewhere, Labels, MayBeEmpty, Requirement


class GroupVersionForDiscovery(Object):
    """"""

    group_version: str = field("", required=True)
    version: str = field("", required=True)


class ServerAddressByClientCIDR(Object):
    """"""

    client_cidr: str = field("", required=True)
    server_address: str = field("", required=True)


class APIGroup(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "APIGroup"
    api_version: str = field("v1")
    kind: str = field("APIGroup")
    name: str = field("", required=True)
    preferred_version: GroupVersionForDiscovery | None = field()
    server_address_by_client_cidrs: list[ServerAddressByClientCIDR] = field(default_factory=list, list_type="atomic")
    versions: list[GroupVersionForDiscovery] = field(default_factory=list, required=True, list_type="atomic")


class APIGroupList(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "APIGroupList"
    api_version: str = field("v1")
    kind: str = field("APIGroupList")
    groups: list[APIGroup] = field(default_factory=list, required=True, list_type="atomic")


class APIResource(Object):
    """"""

    categories: list[str] = field(default_factory=list, list_type="atomic")
    group: str | None = field()
    kind: str = field("", required=True)
    name: str = field("", required=True)
    namespaced: bool = field(False, required=True)
    short_names: list[str] = field(default_factory=list, list_type="atomic")
    singular_name: str = field("", required=True)
    storage_version_hash: str | None = field()
    verbs: list[str] = field(default_factory=list, required=True)
    version: str | None = field()


class APIResourceList(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "APIResourceList"
    api_version: str = field("v1")
    kind: str = field("APIResourceList")
    group_version: str = field("", required=True)
    resources: list[APIResource] = field(default_factory=list, required=True, list_type="atomic")


class APIVersions(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "APIVersions"
    api_version: str = field("v1")
    kind: str = field("APIVersions")
    server_address_by_client_cidrs: list[ServerAddressByClientCIDR] = field(
        default_factory=list, required=True, list_type="atomic"
    )
    versions: list[str] = field(default_factory=list, required=True, list_type="atomic")


class Condition(Object):
    """"""

    last_transition_time: Time | None = field(required=True)
    message: str = field("", required=True)
    observed_generation: Int64 | None = field()
    reason: str = field("", required=True)
    status: str = field("", required=True)
    type: str = field("", required=True)


class Preconditions(Object):
    """"""

    resource_version: str | None = field()
    uid: str | None = field()


class DeleteOptions(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "DeleteOptions"
    api_version: str = field("v1")
    kind: str = field("DeleteOptions")
    dry_run: list[str] = field(default_factory=list, list_type="atomic")
    grace_period_seconds: Int64 | None = field()
    ignore_store_read_error_with_cluster_breaking_potential: bool | None = field()
    orphan_dependents: bool | None = field()
    preconditions: Preconditions | None = field()
    propagation_policy: str | None = field()


class FieldSelectorRequirement(Object):
    """"""

    key: str = field("", required=True)
    operator: str = field("", required=True)
    values: list[str] = field(default_factory=list, list_type="atomic")


class LabelSelectorRequirement(Object):
    """"""

    key: str = field("", required=True, rules=(MayBeEmpty(),))
    operator: str = field("", required=True, rules=(MayBeEmpty(),))
    values: list[str] = field(default_factory=list, list_type="atomic")


class LabelSelector(Object):
    """"""

    match_expressions: list[LabelSelectorRequirement] = field(
        default_factory=list, list_type="atomic", rules=(Each(Requirement()),)
    )
    match_labels: dict[str, str] = field(default_factory=dict, rules=(Labels(),))


class ShardInfo(Object):
    """"""

    selector: str = field("", required=True)


class ListMeta(Object):
    """"""

    continue_: str | None = field()
    remaining_item_count: Int64 | None = field()
    resource_version: str | None = field()
    self_link: str | None = field()
    shard_info: ShardInfo | None = field()


class ManagedFieldsEntry(Object):
    """"""

    api_version: str | None = field()
    fields_type: str | None = field()
    fields_v1: Annotated[JSON, Named("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1")] = field()
    manager: str | None = field()
    operation: str | None = field()
    subresource: str | None = field()
    time: Time | None = field()


class OwnerReference(Object):
    """"""

    api_version: str = field("", required=True)
    block_owner_deletion: bool | None = field()
    controller: bool | None = field()
    kind: str = field("", required=True)
    name: str = field("", required=True)
    uid: str = field("", required=True)


class ObjectMeta(Object):
    """"""

    annotations: dict[str, str] = field(default_factory=dict, rules=(Annotations(),))
    creation_timestamp: Time | None = field()
    deletion_grace_period_seconds: Int64 | None = field()
    deletion_timestamp: Time | None = field()
    finalizers: list[str] = field(default_factory=list, patch="merge", list_type="set")
    generate_name: str | None = field()
    generation: Int64 | None = field()
    labels: dict[str, str] = field(default_factory=dict, rules=(Labels(),))
    managed_fields: list[ManagedFieldsEntry] = field(default_factory=list, list_type="atomic", rules=(Elsewhere(),))
    name: str | None = field()
    namespace: str | None = field()
    owner_references: list[OwnerReference] = field(
        default_factory=list,
        merge_key="uid",
        patch="merge",
        list_type="map",
        list_map_keys=("uid",),
        rules=(Elsewhere(),),
    )
    resource_version: str | None = field()
    self_link: str | None = field()
    uid: str | None = field()


class StatusCause(Object):
    """"""

    field_: str | None = field()
    message: str | None = field()
    reason: str | None = field()


class StatusDetails(Object):
    """"""

    causes: list[StatusCause] = field(default_factory=list, list_type="atomic")
    group: str | None = field()
    kind: str | None = field()
    name: str | None = field()
    retry_after_seconds: Int32 | None = field()
    uid: str | None = field()


class Status(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Status"
    api_version: str = field("v1")
    kind: str = field("Status")
    metadata: ListMeta = field(default_factory=lambda: ListMeta())
    status: str | None = field()
    code: Int32 | None = field()
    details: StatusDetails | None = field()
    message: str | None = field()
    reason: str | None = field()


class WatchEvent(Object):
    """"""

    object: JSON = field(required=True)
    type: str = field("", required=True)
