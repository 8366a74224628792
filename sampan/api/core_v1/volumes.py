"""The volumes of a pod."""

from sampan.api.base import Int32, Int64, Object, Quantity, field
from sampan.api.core_v1.environment import ObjectFieldSelector, ResourceFieldSelector
from sampan.api.core_v1.persistent_volume_claims import PersistentVolumeClaimTemplate
from sampan.api.core_v1.plugin_volumes import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    CSIVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GitRepoVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from sampan.api.meta_v1 import LabelSelector
from sampan.api.rules import DNS_LABEL, FILE_MODE, Amount, AtLeast, OneOf


class ClusterTrustBundleProjection(Object):
    """Certificates of trusted authorities as a file."""

    label_selector: LabelSelector | None = field(doc="Labels of the bundles to join, with signerName.")
    name: str | None = field(doc="One bundle, instead.")
    optional: bool | None = field(doc="Whether there may be none.")
    path: str = field("", doc="The file, below the mount.", required=True)
    signer_name: str | None = field(doc="Only bundles of this signer.")
    user: Int64 | None = field(doc="The file's owner, as a number. Default: the volume's.")


class KeyToPath(Object):
    """A key as a file."""

    key: str = field("", doc="The key.", required=True)
    mode: Int32 | None = field(doc="Permission bits of the file, 0 to 0777. Default: the volume's.", rules=(FILE_MODE,))
    path: str = field("", doc="The file, below the mount; no .. in it.", required=True)
    user: Int64 | None = field(doc="The file's owner, as a number. Default: the volume's.")


class ConfigMapProjection(Object):
    """A config map's keys as files among others."""

    items: list[KeyToPath] = field(
        doc="Which keys, and where to. Default: all, under their own names.", default_factory=list, list_type="atomic"
    )
    name: str | None = field(doc="The config map.")
    optional: bool | None = field(doc="Whether the config map or its keys may be missing.")


class ConfigMapVolumeSource(Object):
    """A config map's keys as files."""

    default_mode: Int32 | None = field(
        420, doc="Permission bits of the files, 0 to 0777. Default: 0644.", rules=(FILE_MODE,)
    )
    default_user: Int64 | None = field(doc="The files' owner, as a number.")
    items: list[KeyToPath] = field(
        doc="Which keys, and where to. Default: all, under their own names.", default_factory=list, list_type="atomic"
    )
    name: str | None = field(doc="The config map.")
    optional: bool | None = field(doc="Whether the config map or its keys may be missing.")


class DownwardAPIVolumeFile(Object):
    """A field of the pod as a file."""

    field_ref: ObjectFieldSelector | None = field(doc="The field: annotations, labels, name, namespace or uid.")
    mode: Int32 | None = field(doc="Permission bits of the file, 0 to 0777. Default: the volume's.", rules=(FILE_MODE,))
    path: str = field("", doc="The file, below the mount; no .. in it.", required=True)
    resource_field_ref: ResourceFieldSelector | None = field(doc="A container's request or limit, instead.")
    user: Int64 | None = field(doc="The file's owner, as a number. Default: the volume's.")


class DownwardAPIProjection(Object):
    """Fields of the pod as files among others."""

    items: list[DownwardAPIVolumeFile] = field(doc="The files.", default_factory=list, list_type="atomic")


class DownwardAPIVolumeSource(Object):
    """Fields of the pod as files."""

    default_mode: Int32 | None = field(
        420, doc="Permission bits of the files, 0 to 0777. Default: 0644.", rules=(FILE_MODE,)
    )
    default_user: Int64 | None = field(doc="The files' owner, as a number.")
    items: list[DownwardAPIVolumeFile] = field(doc="The files.", default_factory=list, list_type="atomic")


class EmptyDirVolumeSource(Object):
    """An empty directory that lives as long as the pod."""

    medium: str | None = field(doc="Memory for a tmpfs; the node's disk if empty.")
    mode: Int32 | None = field(doc="Permission bits of the directory, up to 01777. Default: 0777.")
    size_limit: Quantity | None = field(
        doc="The most it may hold; a pod that exceeds it is evicted.", rules=(Amount(),)
    )


class EphemeralVolumeSource(Object):
    """A claim that is made for the pod and goes with it."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = field(doc="What the claim is made from.")


class HostPathVolumeSource(Object):
    """A file or directory of the node."""

    path: str = field("", doc="Where it is on the node.", required=True)
    type: str | None = field(
        "",
        doc="What must be there, such as Directory, File or DirectoryOrCreate; no check if empty.",
        rules=(
            OneOf("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"),
        ),
    )


class ImageVolumeSource(Object):
    """An image's files, for reading only."""

    pull_policy: str | None = field(
        doc="Always, IfNotPresent or Never. Default: Always for the tag latest, else IfNotPresent.",
        rules=(OneOf("Always", "IfNotPresent", "Never"),),
    )
    reference: str | None = field(doc="The image's name.")


class PersistentVolumeClaimVolumeSource(Object):
    """A claim in the same namespace."""

    claim_name: str = field("", doc="The claim.", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class PodCertificateProjection(Object):
    """A certificate for the pod as a file, renewed in time."""

    certificate_chain_path: str | None = field(doc="File for the certificates.")
    credential_bundle_path: str | None = field(doc="File for key and certificates together.")
    key_path: str | None = field(doc="File for the key.")
    key_type: str = field("", doc="The kind of key, such as RSA3072 or ECDSAP256.", required=True)
    max_expiration_seconds: Int32 | None = field(doc="The most seconds the certificate may be valid. Default: 86400.")
    signer_name: str = field("", doc="Who signs it.", required=True)
    user: Int64 | None = field(doc="The files' owner, as a number. Default: the volume's.")
    user_annotations: dict[str, str] = field(doc="Notes for the signer.", default_factory=dict)


class SecretProjection(Object):
    """A Secret's keys as files among others."""

    items: list[KeyToPath] = field(
        doc="Which keys, and where to. Default: all, under their own names.", default_factory=list, list_type="atomic"
    )
    name: str | None = field(doc="The Secret.")
    optional: bool | None = field(doc="Whether the Secret or its keys may be missing.")


class ServiceAccountTokenProjection(Object):
    """A token of the pod's account as a file, renewed in time."""

    audience: str | None = field(doc="Whom the token is for. Default: the API server.")
    expiration_seconds: Int64 | None = field(
        3600,
        doc="Seconds it is valid, at least 600. Default: 3600.",
        rules=(AtLeast(600, "may not specify a duration less than 10 minutes"),),
    )
    path: str = field("", doc="The file, below the mount.", required=True)
    user: Int64 | None = field(doc="The file's owner, as a number. Default: the volume's.")


class VolumeProjection(Object):
    """One source among several; one of the fields is set."""

    cluster_trust_bundle: ClusterTrustBundleProjection | None = field(doc="Certificates of trusted authorities.")
    config_map: ConfigMapProjection | None = field(doc="A config map's keys.")
    downward_api: DownwardAPIProjection | None = field(doc="Fields of the pod.", alias="downwardAPI")
    pod_certificate: PodCertificateProjection | None = field(doc="A certificate for the pod.")
    secret: SecretProjection | None = field(doc="A Secret's keys.")
    service_account_token: ServiceAccountTokenProjection | None = field(doc="A token of the pod's account.")


class ProjectedVolumeSource(Object):
    """Several sources in one directory."""

    default_mode: Int32 | None = field(
        420, doc="Permission bits of the files, 0 to 0777. Default: 0644.", rules=(FILE_MODE,)
    )
    default_user: Int64 | None = field(doc="The files' owner, as a number.")
    sources: list[VolumeProjection] = field(
        doc="The sources; later files win over earlier ones.", default_factory=list, list_type="atomic"
    )


class SecretVolumeSource(Object):
    """A Secret's keys as files."""

    default_mode: Int32 | None = field(
        420, doc="Permission bits of the files, 0 to 0777. Default: 0644.", rules=(FILE_MODE,)
    )
    default_user: Int64 | None = field(doc="The files' owner, as a number.")
    items: list[KeyToPath] = field(
        doc="Which keys, and where to. Default: all, under their own names.", default_factory=list, list_type="atomic"
    )
    optional: bool | None = field(doc="Whether the Secret or its keys may be missing.")
    secret_name: str | None = field(doc="The Secret.")


class Volume(Object):
    """A volume of a pod. Beside name one field is set: what kind it is."""

    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = field(doc="An AWS disk. Deprecated.")
    azure_disk: AzureDiskVolumeSource | None = field(doc="An Azure disk. Deprecated.")
    azure_file: AzureFileVolumeSource | None = field(doc="An Azure share. Deprecated.")
    cephfs: CephFSVolumeSource | None = field(doc="A CephFS mount. Deprecated.")
    cinder: CinderVolumeSource | None = field(doc="A Cinder volume. Deprecated.")
    config_map: ConfigMapVolumeSource | None = field(doc="A config map's keys as files.")
    csi: CSIVolumeSource | None = field(doc="A short-lived volume of a CSI driver.")
    downward_api: DownwardAPIVolumeSource | None = field(doc="Fields of the pod as files.", alias="downwardAPI")
    empty_dir: EmptyDirVolumeSource | None = field(doc="An empty directory that lives as long as the pod.")
    ephemeral: EphemeralVolumeSource | None = field(doc="A claim that is made for the pod and goes with it.")
    fc: FCVolumeSource | None = field(doc="A Fibre Channel disk.")
    flex_volume: FlexVolumeSource | None = field(doc="A volume of a FlexVolume driver. Deprecated.")
    flocker: FlockerVolumeSource | None = field(doc="A Flocker volume. Deprecated.")
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = field(doc="A Google Cloud disk. Deprecated.")
    git_repo: GitRepoVolumeSource | None = field(doc="A clone of a git repository. Deprecated.")
    glusterfs: GlusterfsVolumeSource | None = field(doc="A Gluster mount. Deprecated.")
    host_path: HostPathVolumeSource | None = field(doc="A file or directory of the node. A danger to the node.")
    image: ImageVolumeSource | None = field(doc="An image's files.")
    iscsi: ISCSIVolumeSource | None = field(doc="An iSCSI disk.")
    name: str = field("", doc="Its name, unique in the pod.", required=True, rules=(DNS_LABEL,))
    nfs: NFSVolumeSource | None = field(doc="An NFS mount.")
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = field(doc="A claim in the same namespace.")
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = field(doc="A Photon disk. Deprecated.")
    portworx_volume: PortworxVolumeSource | None = field(doc="A Portworx volume. Deprecated.")
    projected: ProjectedVolumeSource | None = field(doc="Several sources in one directory.")
    quobyte: QuobyteVolumeSource | None = field(doc="A Quobyte mount. Deprecated.")
    rbd: RBDVolumeSource | None = field(doc="A Ceph block device. Deprecated.")
    scale_io: ScaleIOVolumeSource | None = field(doc="A ScaleIO volume. Deprecated.", alias="scaleIO")
    secret: SecretVolumeSource | None = field(doc="A Secret's keys as files, kept in memory.")
    storageos: StorageOSVolumeSource | None = field(doc="A StorageOS volume. Deprecated.")
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = field(doc="A vSphere disk. Deprecated.")
