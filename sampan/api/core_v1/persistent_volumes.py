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
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    path: str = field("", required=True)


class VolumeNodeAffinity(Object):
    """"""

    required: NodeSelector | None = field()


class PersistentVolumeSpec(Object):
    """"""

    access_modes: list[str] = field(default_factory=list, list_type="atomic")
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = field()
    azure_disk: AzureDiskVolumeSource | None = field()
    azure_file: AzureFilePersistentVolumeSource | None = field()
    capacity: dict[str, Quantity] = field(default_factory=dict)
    cephfs: CephFSPersistentVolumeSource | None = field()
    cinder: CinderPersistentVolumeSource | None = field()
    claim_ref: ObjectReference | None = field(map_type="granular")
    csi: CSIPersistentVolumeSource | None = field()
    fc: FCVolumeSource | None = field()
    flex_volume: FlexPersistentVolumeSource | None = field()
    flocker: FlockerVolumeSource | None = field()
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = field()
    glusterfs: GlusterfsPersistentVolumeSource | None = field()
    host_path: HostPathVolumeSource | None = field()
    iscsi: ISCSIPersistentVolumeSource | None = field()
    local: LocalVolumeSource | None = field()
    mount_options: list[str] = field(default_factory=list, list_type="atomic")
    nfs: NFSVolumeSource | None = field()
    node_affinity: VolumeNodeAffinity | None = field()
    persistent_volume_reclaim_policy: str | None = field("Retain")
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = field()
    portworx_volume: PortworxVolumeSource | None = field()
    quobyte: QuobyteVolumeSource | None = field()
    rbd: RBDPersistentVolumeSource | None = field()
    scale_io: ScaleIOPersistentVolumeSource | None = field(alias="scaleIO")
    storage_class_name: str | None = field()
    storageos: StorageOSPersistentVolumeSource | None = field()
    volume_attributes_class_name: str | None = field()
    volume_mode: str | None = field("Filesystem")
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = field()


class PersistentVolumeStatus(Object):
    """"""

    last_phase_transition_time: Time | None = field()
    message: str | None = field()
    phase: str | None = field()
    reason: str | None = field()


class PersistentVolume(KubeObject):
    """"""

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
