"""Who may do what: access reviews."""

from sampan.api.base import KubeObject, Object, field
from sampan.api.meta_v1 import FieldSelectorRequirement, LabelSelectorRequirement, ObjectMeta


class FieldSelectorAttributes(Object):
    """A field selector of a request. One of the fields is set."""

    raw_selector: str | None = field(doc="As text.")
    requirements: list[FieldSelectorRequirement] = field(doc="As conditions.", default_factory=list, list_type="atomic")


class LabelSelectorAttributes(Object):
    """A label selector of a request. One of the fields is set."""

    raw_selector: str | None = field(doc="As text.")
    requirements: list[LabelSelectorRequirement] = field(doc="As conditions.", default_factory=list, list_type="atomic")


class NonResourceAttributes(Object):
    """A request for a path that is no resource."""

    path: str | None = field(doc="The path.")
    verb: str | None = field(doc="The HTTP method in small letters.")


class ResourceAttributes(Object):
    """A request for a resource."""

    field_selector: FieldSelectorAttributes | None = field(doc="Its field selector.")
    group: str | None = field(doc="The API group; * for all.")
    label_selector: LabelSelectorAttributes | None = field(doc="Its label selector.")
    name: str | None = field(doc="The object's name; empty for all.")
    namespace: str | None = field(doc="The namespace; empty for all, or for resources without.")
    resource: str | None = field(doc="The resource; * for all.")
    subresource: str | None = field(doc="The subresource.")
    verb: str | None = field(doc="get, list, watch, create, update, patch, delete ...; * for all.")
    version: str | None = field(doc="The API version; * for all.")


class SubjectAccessReviewSpec(Object):
    """Who, and what. One of nonResourceAttributes and resourceAttributes is set."""

    extra: dict[str, list[str]] = field(doc="More that authentication knows of them.", default_factory=dict)
    groups: list[str] = field(doc="Their groups.", default_factory=list, list_type="atomic")
    non_resource_attributes: NonResourceAttributes | None = field(doc="A path that is no resource.")
    resource_attributes: ResourceAttributes | None = field(doc="A resource.")
    uid: str | None = field(doc="Their identifier.")
    user: str | None = field(doc="Their name.")


class SubjectAccessReviewStatus(Object):
    """The answer."""

    allowed: bool = field(False, doc="Whether they may.", required=True)
    denied: bool | None = field(doc="Whether somebody said no; else nobody said yes.")
    evaluation_error: str | None = field(doc="What went wrong while finding out; the answer may still hold.")
    reason: str | None = field(doc="Why.")


class LocalSubjectAccessReview(KubeObject):
    """The same question within one namespace."""

    API_VERSION = "authorization.k8s.io/v1"
    KIND = "LocalSubjectAccessReview"
    api_version: str = field("authorization.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("LocalSubjectAccessReview", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: SubjectAccessReviewSpec = field(
        doc="What is wanted.", default_factory=lambda: SubjectAccessReviewSpec(), required=True
    )
    status: SubjectAccessReviewStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: SubjectAccessReviewStatus()
    )


class NonResourceRule(Object):
    """What may be done with paths."""

    non_resource_urls: list[str] = field(
        doc="The paths; * at the end stands for anything.", default_factory=list, list_type="atomic"
    )
    verbs: list[str] = field(
        doc="The HTTP methods in small letters; * for all.", default_factory=list, required=True, list_type="atomic"
    )


class ResourceRule(Object):
    """What may be done with resources."""

    api_groups: list[str] = field(doc="The groups; * for all.", default_factory=list, list_type="atomic")
    resource_names: list[str] = field(
        doc="The objects' names; empty for all.", default_factory=list, list_type="atomic"
    )
    resources: list[str] = field(doc="The resources; * for all.", default_factory=list, list_type="atomic")
    verbs: list[str] = field(doc="The verbs; * for all.", default_factory=list, required=True, list_type="atomic")


class SelfSubjectAccessReviewSpec(Object):
    """What. One of the fields is set."""

    non_resource_attributes: NonResourceAttributes | None = field(doc="A path that is no resource.")
    resource_attributes: ResourceAttributes | None = field(doc="A resource.")


class SelfSubjectAccessReview(KubeObject):
    """A question whether I may do something."""

    API_VERSION = "authorization.k8s.io/v1"
    KIND = "SelfSubjectAccessReview"
    api_version: str = field("authorization.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("SelfSubjectAccessReview", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: SelfSubjectAccessReviewSpec = field(
        doc="What is wanted.", default_factory=lambda: SelfSubjectAccessReviewSpec(), required=True
    )
    status: SubjectAccessReviewStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: SubjectAccessReviewStatus()
    )


class SelfSubjectRulesReviewSpec(Object):
    """Where."""

    namespace: str | None = field(doc="The namespace.")


class SubjectRulesReviewStatus(Object):
    """What somebody may do."""

    evaluation_error: str | None = field(doc="What went wrong while finding out.")
    incomplete: bool = field(False, doc="Whether there may be more.", required=True)
    non_resource_rules: list[NonResourceRule] = field(
        doc="Paths that are no resource.", default_factory=list, required=True, list_type="atomic"
    )
    resource_rules: list[ResourceRule] = field(
        doc="Resources.", default_factory=list, required=True, list_type="atomic"
    )


class SelfSubjectRulesReview(KubeObject):
    """A question what I may do in a namespace."""

    API_VERSION = "authorization.k8s.io/v1"
    KIND = "SelfSubjectRulesReview"
    api_version: str = field("authorization.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("SelfSubjectRulesReview", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: SelfSubjectRulesReviewSpec = field(
        doc="What is wanted.", default_factory=lambda: SelfSubjectRulesReviewSpec(), required=True
    )
    status: SubjectRulesReviewStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: SubjectRulesReviewStatus()
    )


class SubjectAccessReview(KubeObject):
    """A question whether somebody may do something."""

    API_VERSION = "authorization.k8s.io/v1"
    KIND = "SubjectAccessReview"
    api_version: str = field("authorization.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("SubjectAccessReview", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: SubjectAccessReviewSpec = field(
        doc="What is wanted.", default_factory=lambda: SubjectAccessReviewSpec(), required=True
    )
    status: SubjectAccessReviewStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: SubjectAccessReviewStatus()
    )
