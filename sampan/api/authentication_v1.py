"""Who somebody is: reviews of tokens and identities."""

from sampan.api.base import Int64, KubeObject, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta


class BoundObjectReference(Object):
    """"""

    api_version: str | None = field()
    kind: str | None = field()
    name: str | None = field()
    uid: str | None = field()


class UserInfo(Object):
    """"""

    extra: dict[str, list[str]] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list, list_type="atomic")
    uid: str | None = field()
    username: str | None = field()


class SelfSubjectReviewStatus(Object):
    """"""

    user_info: UserInfo | None = field()


class SelfSubjectReview(KubeObject):
    """"""

    API_VERSION = "authentication.k8s.io/v1"
    KIND = "SelfSubjectReview"
    api_version: str = field("authentication.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("SelfSubjectReview", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    status: SelfSubjectReviewStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: SelfSubjectReviewStatus()
    )


class TokenRequestSpec(Object):
    """"""

    attestations: dict[str, list[str]] = field(default_factory=dict)
    audiences: list[str] = field(default_factory=list, list_type="atomic")
    bound_object_ref: BoundObjectReference | None = field()
    expiration_seconds: Int64 | None = field()


class TokenRequestStatus(Object):
    """"""

    expiration_timestamp: Time | None = field()
    token: str | None = field()


class TokenRequest(KubeObject):
    """"""

    API_VERSION = "authentication.k8s.io/v1"
    KIND = "TokenRequest"
    api_version: str = field("authentication.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("TokenRequest", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: TokenRequestSpec = field(doc="What is wanted.", default_factory=lambda: TokenRequestSpec())
    status: TokenRequestStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: TokenRequestStatus()
    )


class TokenReviewSpec(Object):
    """"""

    audiences: list[str] = field(default_factory=list, list_type="atomic")
    token: str = field("", required=True)


class TokenReviewStatus(Object):
    """"""

    audiences: list[str] = field(default_factory=list, list_type="atomic")
    authenticated: bool | None = field()
    error: str | None = field()
    user: UserInfo | None = field()


class TokenReview(KubeObject):
    """"""

    API_VERSION = "authentication.k8s.io/v1"
    KIND = "TokenReview"
    api_version: str = field("authentication.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("TokenReview", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: TokenReviewSpec = field(doc="What is wanted.", default_factory=lambda: TokenReviewSpec(), required=True)
    status: TokenReviewStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: TokenReviewStatus()
    )
