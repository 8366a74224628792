"""Storage that outlives pods."""

from sampan.api.base import KubeObject, Object, Quantity, Time, field
from sampan.api.core_v1.placement import NodeSelector
from sampan.api.core_v1.plugin_volumes import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFilePersistentVolumeSource,
    CephFSPersistentVolumeSource,
    CinderPersistentVolumeSource,
    CSIPersistentVolumeSource,
    FCVolumeSource,
    FlexPersistentVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GlusterfsPersistentVolumeSource,
    ISCSIPersistentVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDPersistentVolumeSource,
    ScaleIOPersistentVolumeSource,
    StorageOSPersistentVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from sampan.api.core_v1.references import ObjectReference
from sampan.api.core_v1.volumes import HostPathVolumeSource
from sampan.api.meta_v1 import ObjectMeta


class LocalVolumeSource(Object):
    """A disk or directory of one node."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    path: str = field("", doc="Where it is on the node.", required=True)


class VolumeNodeAffinity(Object):
    """From which nodes a volume can be reached."""

    required: NodeSelector | None = field(doc="Conditions that a node must meet.")


class PersistentVolumeSpec(Object):
    """What a volume is. One of the kinds of storage is set."""

    access_modes: list[str] = field(
        doc="Ways in which it can be mounted: ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod.",
        default_factory=list,
        list_type="atomic",
    )
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = field(doc="An AWS disk. Deprecated.")
    azure_disk: AzureDiskVolumeSource | None = field(doc="An Azure disk. Deprecated.")
    azure_file: AzureFilePersistentVolumeSource | None = field(doc="An Azure share. Deprecated.")
    capacity: dict[str, Quantity] = field(doc="Its size, under storage.", default_factory=dict)
    cephfs: CephFSPersistentVolumeSource | None = field(doc="A CephFS mount. Deprecated.")
    cinder: CinderPersistentVolumeSource | None = field(doc="A Cinder volume. Deprecated.")
    claim_ref: ObjectReference | None = field(doc="The claim it belongs to.", map_type="granular")
    csi: CSIPersistentVolumeSource | None = field(doc="A volume of a CSI driver.")
    fc: FCVolumeSource | None = field(doc="A Fibre Channel disk.")
    flex_volume: FlexPersistentVolumeSource | None = field(doc="A volume of a FlexVolume driver. Deprecated.")
    flocker: FlockerVolumeSource | None = field(doc="A Flocker volume. Deprecated.")
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = field(doc="A Google Cloud disk. Deprecated.")
    glusterfs: GlusterfsPersistentVolumeSource | None = field(doc="A Gluster mount. Deprecated.")
    host_path: HostPathVolumeSource | None = field(doc="A directory of a node. For single nodes only.")
    iscsi: ISCSIPersistentVolumeSource | None = field(doc="An iSCSI disk.")
    local: LocalVolumeSource | None = field(doc="A disk or directory of one node.")
    mount_options: list[str] = field(doc="Options of the mount; not checked.", default_factory=list, list_type="atomic")
    nfs: NFSVolumeSource | None = field(doc="An NFS mount.")
    node_affinity: VolumeNodeAffinity | None = field(doc="From which nodes it can be reached.")
    persistent_volume_reclaim_policy: str | None = field(
        "Retain", doc="What happens when its claim is gone: Retain, Delete or Recycle."
    )
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = field(doc="A Photon disk. Deprecated.")
    portworx_volume: PortworxVolumeSource | None = field(doc="A Portworx volume. Deprecated.")
    quobyte: QuobyteVolumeSource | None = field(doc="A Quobyte mount. Deprecated.")
    rbd: RBDPersistentVolumeSource | None = field(doc="A Ceph block device. Deprecated.")
    scale_io: ScaleIOPersistentVolumeSource | None = field(doc="A ScaleIO volume. Deprecated.", alias="scaleIO")
    storage_class_name: str | None = field(doc="Its storage class; empty for none.")
    storageos: StorageOSPersistentVolumeSource | None = field(doc="A StorageOS volume. Deprecated.")
    volume_attributes_class_name: str | None = field(doc="Its class of changeable attributes.")
    volume_mode: str | None = field("Filesystem", doc="Filesystem or Block. Default: Filesystem.")
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = field(doc="A vSphere disk. Deprecated.")


class PersistentVolumeStatus(Object):
    """What is known of a volume."""

    last_phase_transition_time: Time | None = field(doc="When its phase last changed.")
    message: str | None = field(doc="Details for people.")
    phase: str | None = field(doc="Pending, Available, Bound, Released or Failed.")
    reason: str | None = field(doc="Why it failed, as one CamelCase word.")


class PersistentVolume(KubeObject):
    """Storage that outlives pods."""

    API_VERSION = "v1"
    KIND = "PersistentVolume"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("PersistentVolume", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: PersistentVolumeSpec = field(doc="What is wanted.", default_factory=lambda: PersistentVolumeSpec())
    status: PersistentVolumeStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: PersistentVolumeStatus()
    )
