"""Who somebody is: reviews of tokens and identities."""

from sampan.api.base import Int64, KubeObject, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta


class BoundObjectReference(Object):
    """The object with which a token ends."""

    api_version: str | None = field(doc="Group and version of the object.")
    kind: str | None = field(doc="Pod, Secret or Node.")
    name: str | None = field(doc="The object's name.")
    uid: str | None = field(doc="The object's UID.")


class UserInfo(Object):
    """Who somebody is."""

    extra: dict[str, list[str]] = field(doc="More that authentication knows of them.", default_factory=dict)
    groups: list[str] = field(doc="Their groups.", default_factory=list, list_type="atomic")
    uid: str | None = field(doc="An identifier that no other user ever had.")
    username: str | None = field(doc="Their name.")


class SelfSubjectReviewStatus(Object):
    """Who asked."""

    user_info: UserInfo | None = field(doc="The one who asked.")


class SelfSubjectReview(KubeObject):
    """Who am I."""

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
    """What token is wanted."""

    attestations: dict[str, list[str]] = field(doc="Claims that the server is to vouch for.", default_factory=dict)
    audiences: list[str] = field(
        doc="Whom the token is for. Default: the API server.", default_factory=list, list_type="atomic"
    )
    bound_object_ref: BoundObjectReference | None = field(doc="The object with which the token ends.")
    expiration_seconds: Int64 | None = field(doc="Seconds it is valid; the server may decide otherwise. Default: 3600.")


class TokenRequestStatus(Object):
    """The token."""

    expiration_timestamp: Time | None = field(doc="When it ends.")
    token: str | None = field(doc="The token.")


class TokenRequest(KubeObject):
    """A request for a token of a service account."""

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
    """The token in question."""

    audiences: list[str] = field(
        doc="Who asks; the token must be for one of them. Default: the API server.",
        default_factory=list,
        list_type="atomic",
    )
    token: str = field("", doc="The token.", required=True)


class TokenReviewStatus(Object):
    """Whose the token is."""

    audiences: list[str] = field(
        doc="Those of the asked audiences that it is for.", default_factory=list, list_type="atomic"
    )
    authenticated: bool | None = field(doc="Whether it is good.")
    error: str | None = field(doc="Why it could not be checked.")
    user: UserInfo | None = field(doc="Whose it is.")


class TokenReview(KubeObject):
    """A question whose a token is."""

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
