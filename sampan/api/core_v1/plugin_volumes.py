"""Volumes of storage systems and clouds; most are in the API for old objects only."""

from sampan.api.base import Int32, Object, field
from sampan.api.core_v1.references import LocalObjectReference, ObjectReference, SecretReference


class AWSElasticBlockStoreVolumeSource(Object):
    """An AWS disk. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    partition: Int32 | None = field(doc="The partition's number; 0 for the whole disk.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class AzureDiskVolumeSource(Object):
    """An Azure disk. Deprecated."""

    caching_mode: str | None = field("ReadWrite", doc="None, ReadOnly or ReadWrite.")
    disk_name: str = field("", doc="The disk's name.", required=True)
    disk_uri: str = field("", doc="The disk's URI.", alias="diskURI", required=True)
    fs_type: str | None = field("ext4", doc="Type of the file system to mount, such as ext4.")
    kind: str | None = field("Shared", doc="Shared, Dedicated or Managed.")
    read_only: bool | None = field(False, doc="Whether it is mounted for reading only.")


class AzureFilePersistentVolumeSource(Object):
    """An Azure share. Deprecated."""

    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_name: str = field("", doc="The Secret with the account's name and key.", required=True)
    secret_namespace: str | None = field(doc="The Secret's namespace.")
    share_name: str = field("", doc="The share.", required=True)


class AzureFileVolumeSource(Object):
    """An Azure share. Deprecated."""

    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_name: str = field("", doc="The Secret with the account's name and key.", required=True)
    share_name: str = field("", doc="The share.", required=True)


class CSIPersistentVolumeSource(Object):
    """A volume of a CSI driver."""

    controller_expand_secret_ref: SecretReference | None = field(
        doc="Secret for making it bigger, on the controller's side."
    )
    controller_publish_secret_ref: SecretReference | None = field(doc="Secret for attaching it.")
    driver: str = field("", doc="The driver's name.", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    node_expand_secret_ref: SecretReference | None = field(doc="Secret for making it bigger, on the node.")
    node_publish_secret_ref: SecretReference | None = field(doc="Secret for mounting it.")
    node_stage_secret_ref: SecretReference | None = field(doc="Secret for preparing it on the node.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_attributes: dict[str, str] = field(doc="What the driver needs to know.", default_factory=dict)
    volume_handle: str = field("", doc="The volume's identifier in the driver.", required=True)


class CSIVolumeSource(Object):
    """A short-lived volume of a CSI driver."""

    driver: str = field("", doc="The driver's name.", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    node_publish_secret_ref: LocalObjectReference | None = field(doc="Secret for mounting it.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_attributes: dict[str, str] = field(doc="What the driver needs to know.", default_factory=dict)


class CephFSPersistentVolumeSource(Object):
    """A CephFS mount. Deprecated."""

    monitors: list[str] = field(doc="Ceph's monitors.", default_factory=list, required=True, list_type="atomic")
    path: str | None = field(doc="The directory to mount. Default: /.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_file: str | None = field(doc="A key file on the node.")
    secret_ref: SecretReference | None = field(doc="The Secret with the key.")
    user: str | None = field(doc="The user. Default: admin.")


class CephFSVolumeSource(Object):
    """A CephFS mount. Deprecated."""

    monitors: list[str] = field(doc="Ceph's monitors.", default_factory=list, required=True, list_type="atomic")
    path: str | None = field(doc="The directory to mount. Default: /.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_file: str | None = field(doc="A key file on the node.")
    secret_ref: LocalObjectReference | None = field(doc="The Secret with the key.")
    user: str | None = field(doc="The user. Default: admin.")


class CinderPersistentVolumeSource(Object):
    """A Cinder volume. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field(doc="The Secret with the credentials.")
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class CinderVolumeSource(Object):
    """A Cinder volume. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field(doc="The Secret with the credentials.")
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class FCVolumeSource(Object):
    """A Fibre Channel disk."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    lun: Int32 | None = field(doc="The unit's number.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    target_wwns: list[str] = field(
        doc="The target's world wide names.", default_factory=list, alias="targetWWNs", list_type="atomic"
    )
    wwids: list[str] = field(
        doc="World wide identifiers, instead of targetWWNs and lun.", default_factory=list, list_type="atomic"
    )


class FlexPersistentVolumeSource(Object):
    """A volume of a FlexVolume driver. Deprecated."""

    driver: str = field("", doc="The driver's name.", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    options: dict[str, str] = field(doc="What the driver needs to know.", default_factory=dict)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field(doc="The Secret with the credentials.")


class FlexVolumeSource(Object):
    """A volume of a FlexVolume driver. Deprecated."""

    driver: str = field("", doc="The driver's name.", required=True)
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    options: dict[str, str] = field(doc="What the driver needs to know.", default_factory=dict)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field(doc="The Secret with the credentials.")


class FlockerVolumeSource(Object):
    """A Flocker volume. Deprecated."""

    dataset_name: str | None = field(doc="The dataset's name. Deprecated.")
    dataset_uuid: str | None = field(doc="The dataset's UUID.")


class GCEPersistentDiskVolumeSource(Object):
    """A Google Cloud disk. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    partition: Int32 | None = field(doc="The partition's number; 0 for the whole disk.")
    pd_name: str = field("", doc="The disk's name.", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class GitRepoVolumeSource(Object):
    """A clone of a git repository. Deprecated."""

    directory: str | None = field(doc="Where to, below the volume's root.")
    repository: str = field("", doc="The repository's URL.", required=True)
    revision: str | None = field(doc="The commit.")


class GlusterfsPersistentVolumeSource(Object):
    """A Gluster mount. Deprecated."""

    endpoints: str = field("", doc="The Endpoints object with the servers.", required=True)
    endpoints_namespace: str | None = field(doc="Its namespace. Default: the claim's.")
    path: str = field("", doc="The volume.", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class GlusterfsVolumeSource(Object):
    """A Gluster mount. Deprecated."""

    endpoints: str = field("", doc="The Endpoints object with the servers.", required=True)
    path: str = field("", doc="The volume.", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")


class ISCSIPersistentVolumeSource(Object):
    """An iSCSI disk."""

    chap_auth_discovery: bool | None = field(doc="Whether discovery uses CHAP.")
    chap_auth_session: bool | None = field(doc="Whether sessions use CHAP.")
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    initiator_name: str | None = field(doc="The initiator's name, if not the node's.")
    iqn: str = field("", doc="The target's name.", required=True)
    iscsi_interface: str | None = field(doc="The interface. Default: default.")
    lun: Int32 = field(0, doc="The unit's number.", required=True)
    portals: list[str] = field(doc="Further portals, as host:port.", default_factory=list, list_type="atomic")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field(doc="The Secret with the CHAP credentials.")
    target_portal: str = field("", doc="The portal, as host:port.", required=True)


class ISCSIVolumeSource(Object):
    """An iSCSI disk."""

    chap_auth_discovery: bool | None = field(doc="Whether discovery uses CHAP.")
    chap_auth_session: bool | None = field(doc="Whether sessions use CHAP.")
    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    initiator_name: str | None = field(doc="The initiator's name, if not the node's.")
    iqn: str = field("", doc="The target's name.", required=True)
    iscsi_interface: str | None = field("default", doc="The interface. Default: default.")
    lun: Int32 = field(0, doc="The unit's number.", required=True)
    portals: list[str] = field(doc="Further portals, as host:port.", default_factory=list, list_type="atomic")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field(doc="The Secret with the CHAP credentials.")
    target_portal: str = field("", doc="The portal, as host:port.", required=True)


class NFSVolumeSource(Object):
    """An NFS mount."""

    path: str = field("", doc="The exported directory.", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    server: str = field("", doc="The server's name or address.", required=True)


class PhotonPersistentDiskVolumeSource(Object):
    """A Photon disk. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    pd_id: str = field("", doc="The disk's identifier.", required=True)


class PortworxVolumeSource(Object):
    """A Portworx volume. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    volume_id: str = field("", doc="The volume's identifier in the storage system.", required=True)


class QuobyteVolumeSource(Object):
    """A Quobyte mount. Deprecated."""

    group: str | None = field(doc="The group that owns it.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    registry: str = field("", doc="The registries, as host:port, separated by commas.", required=True)
    tenant: str | None = field(doc="The tenant.")
    user: str | None = field(doc="The user that owns it.")
    volume: str = field("", doc="The volume's name.", required=True)


class RBDPersistentVolumeSource(Object):
    """A Ceph block device. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    image: str = field("", doc="The image.", required=True)
    keyring: str | None = field(doc="A key ring on the node. Default: /etc/ceph/keyring.")
    monitors: list[str] = field(doc="Ceph's monitors.", default_factory=list, required=True, list_type="atomic")
    pool: str | None = field(doc="The pool. Default: rbd.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference | None = field(doc="The Secret with the key.")
    user: str | None = field(doc="The user. Default: admin.")


class ScaleIOPersistentVolumeSource(Object):
    """A ScaleIO volume. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    gateway: str = field("", doc="The gateway's URL.", required=True)
    protection_domain: str | None = field(doc="The protection domain.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: SecretReference = field(
        doc="The Secret with the credentials.", default_factory=lambda: SecretReference(), required=True
    )
    ssl_enabled: bool | None = field(doc="Whether TLS is used.")
    storage_mode: str | None = field(doc="ThickProvisioned or ThinProvisioned.")
    storage_pool: str | None = field(doc="The storage pool.")
    system: str = field("", doc="The system's name.", required=True)
    volume_name: str | None = field(doc="The volume's name.")


class StorageOSPersistentVolumeSource(Object):
    """A StorageOS volume. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: ObjectReference | None = field(doc="The Secret with the credentials.")
    volume_name: str | None = field(doc="The volume's name.")
    volume_namespace: str | None = field(doc="Its namespace in StorageOS.")


class VsphereVirtualDiskVolumeSource(Object):
    """A vSphere disk. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    storage_policy_id: str | None = field(doc="The storage policy's identifier.")
    storage_policy_name: str | None = field(doc="The storage policy's name.")
    volume_path: str = field("", doc="The disk's path.", required=True)


class RBDVolumeSource(Object):
    """A Ceph block device. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    image: str = field("", doc="The image.", required=True)
    keyring: str | None = field("/etc/ceph/keyring", doc="A key ring on the node. Default: /etc/ceph/keyring.")
    monitors: list[str] = field(doc="Ceph's monitors.", default_factory=list, required=True, list_type="atomic")
    pool: str | None = field("rbd", doc="The pool. Default: rbd.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field(doc="The Secret with the key.")
    user: str | None = field("admin", doc="The user. Default: admin.")


class ScaleIOVolumeSource(Object):
    """A ScaleIO volume. Deprecated."""

    fs_type: str | None = field("xfs", doc="Type of the file system to mount, such as ext4.")
    gateway: str = field("", doc="The gateway's URL.", required=True)
    protection_domain: str | None = field(doc="The protection domain.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference = field(
        doc="The Secret with the credentials.", default_factory=lambda: LocalObjectReference(), required=True
    )
    ssl_enabled: bool | None = field(doc="Whether TLS is used.")
    storage_mode: str | None = field("ThinProvisioned", doc="ThickProvisioned or ThinProvisioned.")
    storage_pool: str | None = field(doc="The storage pool.")
    system: str = field("", doc="The system's name.", required=True)
    volume_name: str | None = field(doc="The volume's name.")


class StorageOSVolumeSource(Object):
    """A StorageOS volume. Deprecated."""

    fs_type: str | None = field(doc="Type of the file system to mount, such as ext4.")
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    secret_ref: LocalObjectReference | None = field(doc="The Secret with the credentials.")
    volume_name: str | None = field(doc="The volume's name.")
    volume_namespace: str | None = field(doc="Its namespace in StorageOS.")
