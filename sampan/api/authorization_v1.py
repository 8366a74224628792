"""Who may do what: access reviews."""

from sampan.api.base import KubeObject, Object, field
from sampan.api.meta_v1 import FieldSelectorRequirement, LabelSelectorRequirement, ObjectMeta


class FieldSelectorAttributes(Object):
    """"""

    raw_selector: str | None = field()
    requirements: list[FieldSelectorRequirement] = field(default_factory=list, list_type="atomic")


class LabelSelectorAttributes(Object):
    """"""

    raw_selector: str | None = field()
    requirements: list[LabelSelectorRequirement] = field(default_factory=list, list_type="atomic")


class NonResourceAttributes(Object):
    """"""

    path: str | None = field()
    verb: str | None = field()


class ResourceAttributes(Object):
    """"""

    field_selector: FieldSelectorAttributes | None = field()
    group: str | None = field()
    label_selector: LabelSelectorAttributes | None = field()
    name: str | None = field()
    namespace: str | None = field()
    resource: str | None = field()
    subresource: str | None = field()
    verb: str | None = field()
    version: str | None = field()


class SubjectAccessReviewSpec(Object):
    """"""

    extra: dict[str, list[str]] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list, list_type="atomic")
    non_resource_attributes: NonResourceAttributes | None = field()
    resource_attributes: ResourceAttributes | None = field()
    uid: str | None = field()
    user: str | None = field()


class SubjectAccessReviewStatus(Object):
    """"""

    allowed: bool = field(False, required=True)
    denied: bool | None = field()
    evaluation_error: str | None = field()
    reason: str | None = field()


class LocalSubjectAccessReview(KubeObject):
    """"""

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
    """"""

    non_resource_urls: list[str] = field(default_factory=list, list_type="atomic")
    verbs: list[str] = field(default_factory=list, required=True, list_type="atomic")


class ResourceRule(Object):
    """"""

    api_groups: list[str] = field(default_factory=list, list_type="atomic")
    resource_names: list[str] = field(default_factory=list, list_type="atomic")
    resources: list[str] = field(default_factory=list, list_type="atomic")
    verbs: list[str] = field(default_factory=list, required=True, list_type="atomic")


class SelfSubjectAccessReviewSpec(Object):
    """"""

    non_resource_attributes: NonResourceAttributes | None = field()
    resource_attributes: ResourceAttributes | None = field()


class SelfSubjectAccessReview(KubeObject):
    """"""

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
    """"""

    namespace: str | None = field()


class SubjectRulesReviewStatus(Object):
    """"""

    evaluation_error: str | None = field()
    incomplete: bool = field(False, required=True)
    non_resource_rules: list[NonResourceRule] = field(default_factory=list, required=True, list_type="atomic")
    resource_rules: list[ResourceRule] = field(default_factory=list, required=True, list_type="atomic")


class SelfSubjectRulesReview(KubeObject):
    """"""

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
    """"""

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
