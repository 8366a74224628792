"""Requests for certificates that the cluster's authority signs."""

from sampan.api.base import Base64, Int32, KubeObject, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import AtLeast, Each, Given, OneOf

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
"""What a key may be asked to be good for, in the order in which a refusal names them."""
SHORTEST_SECONDS = 600


class CertificateSigningRequestSpec(Object):
    """What is asked for, and by whom. It never changes."""

    expiration_seconds: Int32 | None = field(
        doc="How long the certificate should be valid. The signer may choose less.",
        rules=(AtLeast(SHORTEST_SECONDS, "may not specify a duration less than 600 seconds (10 minutes)"),),
    )
    extra: dict[str, list[str]] = field(
        doc="More that authentication knows of whoever created the request. The server writes it.",
        default_factory=dict,
    )
    groups: list[str] = field(
        doc="The groups of whoever created the request. The server writes it.",
        default_factory=list,
        list_type="atomic",
    )
    request: Base64 = field("", doc="A PKCS #10 request as PEM.", required=True)
    signer_name: str = field("", doc="Who should sign, such as kubernetes.io/kubelet-serving.", required=True)
    uid: str | None = field(doc="The UID of whoever created the request. The server writes it.")
    usages: list[str] = field(
        doc="What the certificate's key is to be good for.",
        default_factory=list,
        list_type="atomic",
        rules=(Given(), Each(OneOf(*USAGES))),
    )
    username: str | None = field(doc="The name of whoever created the request. The server writes it.")


class CertificateSigningRequestCondition(Object):
    """One decision about a request."""

    last_transition_time: Time | None = field(doc="When the status last changed. The server fills it in.")
    last_update_time: Time | None = field(doc="When the condition was last written. The server fills it in.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown. Approved, Denied and Failed are True.", required=True)
    type: str = field("", doc="Approved, Denied, Failed, or a word of the signer's own.", required=True)


class CertificateSigningRequestStatus(Object):
    """What became of it."""

    certificate: Base64 | None = field(doc="The certificate and those that vouch for it, as PEM.")
    conditions: list[CertificateSigningRequestCondition] = field(
        doc="What was decided.", default_factory=list, list_type="map", list_map_keys=("type",)
    )


class CertificateSigningRequest(KubeObject):
    """A request for a certificate: somebody asks, somebody approves or denies, a signer signs what was approved."""

    API_VERSION = "certificates.k8s.io/v1"
    KIND = "CertificateSigningRequest"
    api_version: str = field("certificates.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("CertificateSigningRequest", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: CertificateSigningRequestSpec = field(
        doc="What is asked for.", required=True, default_factory=lambda: CertificateSigningRequestSpec()
    )
    status: CertificateSigningRequestStatus = field(
        doc="What became of it.", default_factory=lambda: CertificateSigningRequestStatus()
    )
