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
    """"""

    label_selector: LabelSelector | None = field()
    name: str | None = field()
    optional: bool | None = field()
    path: str = field("", required=True)
    signer_name: str | None = field()
    user: Int64 | None = field()


class KeyToPath(Object):
    """"""

    key: str = field("", required=True)
    mode: Int32 | None = field(rules=(FILE_MODE,))
    path: str = field("", required=True)
    user: Int64 | None = field()


class ConfigMapProjection(Object):
    """"""

    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    name: str | None = field()
    optional: bool | None = field()


class ConfigMapVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    name: str | None = field()
    optional: bool | None = field()


class DownwardAPIVolumeFile(Object):
    """"""

    field_ref: ObjectFieldSelector | None = field()
    mode: Int32 | None = field(rules=(FILE_MODE,))
    path: str = field("", required=True)
    resource_field_ref: ResourceFieldSelector | None = field()
    user: Int64 | None = field()


class DownwardAPIProjection(Object):
    """"""

    items: list[DownwardAPIVolumeFile] = field(default_factory=list, list_type="atomic")


class DownwardAPIVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    items: list[DownwardAPIVolumeFile] = field(default_factory=list, list_type="atomic")


class EmptyDirVolumeSource(Object):
    """"""

    medium: str | None = field()
    mode: Int32 | None = field()
    size_limit: Quantity | None = field(rules=(Amount(),))


class EphemeralVolumeSource(Object):
    """"""

    volume_claim_template: PersistentVolumeClaimTemplate | None = field()


class HostPathVolumeSource(Object):
    """"""

    path: str = field("", required=True)
    type: str | None = field(
        "",
        rules=(
            OneOf("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"),
        ),
    )


class ImageVolumeSource(Object):
    """"""

    pull_policy: str | None = field(rules=(OneOf("Always", "IfNotPresent", "Never"),))
    reference: str | None = field()


class PersistentVolumeClaimVolumeSource(Object):
    """"""

    claim_name: str = field("", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class PodCertificateProjection(Object):
    """"""

    certificate_chain_path: str | None = field()
    credential_bundle_path: str | None = field()
    key_path: str | None = field()
    key_type: str = field("", required=True)
    max_expiration_seconds: Int32 | None = field()
    signer_name: str = field("", required=True)
    user: Int64 | None = field()
    user_annotations: dict[str, str] = field(default_factory=dict)


class SecretProjection(Object):
    """"""

    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    name: str | None = field()
    optional: bool | None = field()


class ServiceAccountTokenProjection(Object):
    """"""

    audience: str | None = field()
    expiration_seconds: Int64 | None = field(
        3600, rules=(AtLeast(600, "may not specify a duration less than 10 minutes"),)
    )
    path: str = field("", required=True)
    user: Int64 | None = field()


class VolumeProjection(Object):
    """"""

    cluster_trust_bundle: ClusterTrustBundleProjection | None = field()
    config_map: ConfigMapProjection | None = field()
    downward_api: DownwardAPIProjection | None = field(alias="downwardAPI")
    pod_certificate: PodCertificateProjection | None = field()
    secret: SecretProjection | None = field()
    service_account_token: ServiceAccountTokenProjection | None = field()


class ProjectedVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    sources: list[VolumeProjection] = field(default_factory=list, list_type="atomic")


class SecretVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    optional: bool | None = field()
    secret_name: str | None = field()


class Volume(Object):
    """"""

    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = field()
    azure_disk: AzureDiskVolumeSource | None = field()
    azure_file: AzureFileVolumeSource | None = field()
    cephfs: CephFSVolumeSource | None = field()
    cinder: CinderVolumeSource | None = field()
    config_map: ConfigMapVolumeSource | None = field()
    csi: CSIVolumeSource | None = field()
    downward_api: DownwardAPIVolumeSource | None = field(alias="downwardAPI")
    empty_dir: EmptyDirVolumeSource | None = field()
    ephemeral: EphemeralVolumeSource | None = field()
    fc: FCVolumeSource | None = field()
    flex_volume: FlexVolumeSource | None = field()
    flocker: FlockerVolumeSource | None = field()
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = field()
    git_repo: GitRepoVolumeSource | None = field()
    glusterfs: GlusterfsVolumeSource | None = field()
    host_path: HostPathVolumeSource | None = field()
    image: ImageVolumeSource | None = field()
    iscsi: ISCSIVolumeSource | None = field()
    name: str = field("", required=True, rules=(DNS_LABEL,))
    nfs: NFSVolumeSource | None = field()
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = field()
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = field()
    portworx_volume: PortworxVolumeSource | None = field()
    projected: ProjectedVolumeSource | None = field()
    quobyte: QuobyteVolumeSource | None = field()
    rbd: RBDVolumeSource | None = field()
    scale_io: ScaleIOVolumeSource | None = field(alias="scaleIO")
    secret: SecretVolumeSource | None = field()
    storageos: StorageOSVolumeSource | None = field()
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = field()
