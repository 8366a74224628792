"""Volumes of storage systems and clouds; most are in the API for old objects only."""

from sampan.api.base import Int32, Object, field
from sampan.api.core_v1.references import LocalObjectReference, ObjectReference, SecretReference


class AWSElasticBlockStoreVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    partition: Int32 | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class AzureDiskVolumeSource(Object):
    """"""

    caching_mode: str | None = field("ReadWrite")
    disk_name: str = field("", required=True)
    disk_uri: str = field("", alias="diskURI", required=True)
    fs_type: str | None = field("ext4", doc="Type of the file system to mount, such as ext4.")
    kind: str | None = field("Shared")
    read_only: bool | None = field(False, doc="Whether it is mounted for reading only.")


class AzureFilePersistentVolumeSource(Object):
    """"""

    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_name: str = field("", required=True)
    secret_namespace: str | None = field()
    share_name: str = field("", required=True)


class AzureFileVolumeSource(Object):
    """"""

    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_name: str = field("", required=True)
    share_name: str = field("", required=True)


class CSIPersistentVolumeSource(Object):
    """"""

    controller_expand_secret_ref: SecretReference | None = field()
    controller_publish_secret_ref: SecretReference | None = field()
    driver: str = field("", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    node_expand_secret_ref: SecretReference | None = field()
    node_publish_secret_ref: SecretReference | None = field()
    node_stage_secret_ref: SecretReference | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_attributes: dict[str, str] = field(default_factory=dict)
    volume_handle: str = field("", required=True)


class CSIVolumeSource(Object):
    """"""

    driver: str = field("", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    node_publish_secret_ref: LocalObjectReference | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_attributes: dict[str, str] = field(default_factory=dict)


class CephFSPersistentVolumeSource(Object):
    """"""

    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    path: str | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_file: str | None = field()
    secret_ref: SecretReference | None = field()
    user: str | None = field()


class CephFSVolumeSource(Object):
    """"""

    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    path: str | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_file: str | None = field()
    secret_ref: LocalObjectReference | None = field()
    user: str | None = field()


class CinderPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field()
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class CinderVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field()
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class FCVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    lun: Int32 | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    target_wwns: list[str] = field(default_factory=list, alias="targetWWNs", list_type="atomic")
    wwids: list[str] = field(default_factory=list, list_type="atomic")


class FlexPersistentVolumeSource(Object):
    """"""

    driver: str = field("", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    options: dict[str, str] = field(default_factory=dict)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field()


class FlexVolumeSource(Object):
    """"""

    driver: str = field("", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    options: dict[str, str] = field(default_factory=dict)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field()


class FlockerVolumeSource(Object):
    """"""

    dataset_name: str | None = field()
    dataset_uuid: str | None = field()


class GCEPersistentDiskVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    partition: Int32 | None = field()
    pd_name: str = field("", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class GitRepoVolumeSource(Object):
    """"""

    directory: str | None = field()
    repository: str = field("", required=True)
    revision: str | None = field()


class GlusterfsPersistentVolumeSource(Object):
    """"""

    endpoints: str = field("", required=True)
    endpoints_namespace: str | None = field()
    path: str = field("", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class GlusterfsVolumeSource(Object):
    """"""

    endpoints: str = field("", required=True)
    path: str = field("", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class ISCSIPersistentVolumeSource(Object):
    """"""

    chap_auth_discovery: bool | None = field()
    chap_auth_session: bool | None = field()
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    initiator_name: str | None = field()
    iqn: str = field("", required=True)
    iscsi_interface: str | None = field()
    lun: Int32 = field(0, required=True)
    portals: list[str] = field(default_factory=list, list_type="atomic")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field()
    target_portal: str = field("", required=True)


class ISCSIVolumeSource(Object):
    """"""

    chap_auth_discovery: bool | None = field()
    chap_auth_session: bool | None = field()
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    initiator_name: str | None = field()
    iqn: str = field("", required=True)
    iscsi_interface: str | None = field("default")
    lun: Int32 = field(0, required=True)
    portals: list[str] = field(default_factory=list, list_type="atomic")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field()
    target_portal: str = field("", required=True)


class NFSVolumeSource(Object):
    """"""

    path: str = field("", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    server: str = field("", required=True)


class PhotonPersistentDiskVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    pd_id: str = field("", required=True)


class PortworxVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class QuobyteVolumeSource(Object):
    """"""

    group: str | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    registry: str = field("", required=True)
    tenant: str | None = field()
    user: str | None = field()
    volume: str = field("", required=True)


class RBDPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    image: str = field("", required=True)
    keyring: str | None = field()
    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    pool: str | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field()
    user: str | None = field()


class ScaleIOPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    gateway: str = field("", required=True)
    protection_domain: str | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference = field(default_factory=lambda: SecretReference(), required=True)
    ssl_enabled: bool | None = field()
    storage_mode: str | None = field()
    storage_pool: str | None = field()
    system: str = field("", required=True)
    volume_name: str | None = field()


class StorageOSPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: ObjectReference | None = field()
    volume_name: str | None = field()
    volume_namespace: str | None = field()


class VsphereVirtualDiskVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    storage_policy_id: str | None = field()
    storage_policy_name: str | None = field()
    volume_path: str = field("", required=True)


class RBDVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    image: str = field("", required=True)
    keyring: str | None = field("/etc/ceph/keyring")
    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    pool: str | None = field("rbd")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field()
    user: str | None = field("admin")


class ScaleIOVolumeSource(Object):
    """"""

    fs_type: str | None = field("xfs", doc="Type of the file system to mount, such as ext4.")
    gateway: str = field("", required=True)
    protection_domain: str | None = field()
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference = field(default_factory=lambda: LocalObjectReference(), required=True)
    ssl_enabled: bool | None = field()
    storage_mode: str | None = field("ThinProvisioned")
    storage_pool: str | None = field()
    system: str = field("", required=True)
    volume_name: str | None = field()


class StorageOSVolumeSource(Object):
    """"""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field()
    volume_name: str | None = field()
    volume_namespace: str | None = field()
