"""The core group, v1: a file an idea; everything is to be had from here.

Annotations are types here, not text (no `from __future__ import annotations`): compiling a thousand texts cost a fifth
of the import, and every component starts with it. So in a file what is used comes before what uses it.
"""

from sampan.api.core_v1.accounts import (
    ServiceAccount as ServiceAccount,
)
from sampan.api.core_v1.configuration import (
    ConfigMap as ConfigMap,
)
from sampan.api.core_v1.configuration import (
    Secret as Secret,
)
from sampan.api.core_v1.container_status import (
    ContainerState as ContainerState,
)
from sampan.api.core_v1.container_status import (
    ContainerStateRunning as ContainerStateRunning,
)
from sampan.api.core_v1.container_status import (
    ContainerStateTerminated as ContainerStateTerminated,
)
from sampan.api.core_v1.container_status import (
    ContainerStateWaiting as ContainerStateWaiting,
)
from sampan.api.core_v1.container_status import (
    ContainerStatus as ContainerStatus,
)
from sampan.api.core_v1.container_status import (
    ContainerUser as ContainerUser,
)
from sampan.api.core_v1.container_status import (
    ImageVolumeStatus as ImageVolumeStatus,
)
from sampan.api.core_v1.container_status import (
    LinuxContainerUser as LinuxContainerUser,
)
from sampan.api.core_v1.container_status import (
    ResourceHealth as ResourceHealth,
)
from sampan.api.core_v1.container_status import (
    ResourceStatus as ResourceStatus,
)
from sampan.api.core_v1.container_status import (
    VolumeMountStatus as VolumeMountStatus,
)
from sampan.api.core_v1.container_status import (
    VolumeStatus as VolumeStatus,
)
from sampan.api.core_v1.containers import (
    Container as Container,
)
from sampan.api.core_v1.containers import (
    ContainerPort as ContainerPort,
)
from sampan.api.core_v1.containers import (
    ContainerResizePolicy as ContainerResizePolicy,
)
from sampan.api.core_v1.containers import (
    ContainerRestartRule as ContainerRestartRule,
)
from sampan.api.core_v1.containers import (
    ContainerRestartRuleOnExitCodes as ContainerRestartRuleOnExitCodes,
)
from sampan.api.core_v1.containers import (
    EphemeralContainer as EphemeralContainer,
)
from sampan.api.core_v1.containers import (
    ResourceClaim as ResourceClaim,
)
from sampan.api.core_v1.containers import (
    ResourceRequirements as ResourceRequirements,
)
from sampan.api.core_v1.containers import (
    VolumeDevice as VolumeDevice,
)
from sampan.api.core_v1.containers import (
    VolumeMount as VolumeMount,
)
from sampan.api.core_v1.endpoints import (
    EndpointAddress as EndpointAddress,
)
from sampan.api.core_v1.endpoints import (
    EndpointPort as EndpointPort,
)
from sampan.api.core_v1.endpoints import (
    Endpoints as Endpoints,
)
from sampan.api.core_v1.endpoints import (
    EndpointSubset as EndpointSubset,
)
from sampan.api.core_v1.environment import (
    ConfigMapEnvSource as ConfigMapEnvSource,
)
from sampan.api.core_v1.environment import (
    ConfigMapKeySelector as ConfigMapKeySelector,
)
from sampan.api.core_v1.environment import (
    EnvFromSource as EnvFromSource,
)
from sampan.api.core_v1.environment import (
    EnvVar as EnvVar,
)
from sampan.api.core_v1.environment import (
    EnvVarSource as EnvVarSource,
)
from sampan.api.core_v1.environment import (
    FileKeySelector as FileKeySelector,
)
from sampan.api.core_v1.environment import (
    ObjectFieldSelector as ObjectFieldSelector,
)
from sampan.api.core_v1.environment import (
    ResourceFieldSelector as ResourceFieldSelector,
)
from sampan.api.core_v1.environment import (
    SecretEnvSource as SecretEnvSource,
)
from sampan.api.core_v1.environment import (
    SecretKeySelector as SecretKeySelector,
)
from sampan.api.core_v1.events import (
    Event as Event,
)
from sampan.api.core_v1.events import (
    EventSeries as EventSeries,
)
from sampan.api.core_v1.events import (
    EventSource as EventSource,
)
from sampan.api.core_v1.namespaces import (
    Namespace as Namespace,
)
from sampan.api.core_v1.namespaces import (
    NamespaceCondition as NamespaceCondition,
)
from sampan.api.core_v1.namespaces import (
    NamespaceSpec as NamespaceSpec,
)
from sampan.api.core_v1.namespaces import (
    NamespaceStatus as NamespaceStatus,
)
from sampan.api.core_v1.nodes import (
    AttachedVolume as AttachedVolume,
)
from sampan.api.core_v1.nodes import (
    ConfigMapNodeConfigSource as ConfigMapNodeConfigSource,
)
from sampan.api.core_v1.nodes import (
    ContainerImage as ContainerImage,
)
from sampan.api.core_v1.nodes import (
    DaemonEndpoint as DaemonEndpoint,
)
from sampan.api.core_v1.nodes import (
    Node as Node,
)
from sampan.api.core_v1.nodes import (
    NodeAddress as NodeAddress,
)
from sampan.api.core_v1.nodes import (
    NodeCondition as NodeCondition,
)
from sampan.api.core_v1.nodes import (
    NodeConfigSource as NodeConfigSource,
)
from sampan.api.core_v1.nodes import (
    NodeConfigStatus as NodeConfigStatus,
)
from sampan.api.core_v1.nodes import (
    NodeDaemonEndpoints as NodeDaemonEndpoints,
)
from sampan.api.core_v1.nodes import (
    NodeFeatures as NodeFeatures,
)
from sampan.api.core_v1.nodes import (
    NodePodPreemptionPolicy as NodePodPreemptionPolicy,
)
from sampan.api.core_v1.nodes import (
    NodeRuntimeHandler as NodeRuntimeHandler,
)
from sampan.api.core_v1.nodes import (
    NodeRuntimeHandlerFeatures as NodeRuntimeHandlerFeatures,
)
from sampan.api.core_v1.nodes import (
    NodeSpec as NodeSpec,
)
from sampan.api.core_v1.nodes import (
    NodeStatus as NodeStatus,
)
from sampan.api.core_v1.nodes import (
    NodeSwapStatus as NodeSwapStatus,
)
from sampan.api.core_v1.nodes import (
    NodeSystemInfo as NodeSystemInfo,
)
from sampan.api.core_v1.persistent_volume_claims import (
    ModifyVolumeStatus as ModifyVolumeStatus,
)
from sampan.api.core_v1.persistent_volume_claims import (
    PersistentVolumeClaim as PersistentVolumeClaim,
)
from sampan.api.core_v1.persistent_volume_claims import (
    PersistentVolumeClaimCondition as PersistentVolumeClaimCondition,
)
from sampan.api.core_v1.persistent_volume_claims import (
    PersistentVolumeClaimSpec as PersistentVolumeClaimSpec,
)
from sampan.api.core_v1.persistent_volume_claims import (
    PersistentVolumeClaimStatus as PersistentVolumeClaimStatus,
)
from sampan.api.core_v1.persistent_volume_claims import (
    PersistentVolumeClaimTemplate as PersistentVolumeClaimTemplate,
)
from sampan.api.core_v1.persistent_volume_claims import (
    VolumeHealthCondition as VolumeHealthCondition,
)
from sampan.api.core_v1.persistent_volume_claims import (
    VolumeHealthStatus as VolumeHealthStatus,
)
from sampan.api.core_v1.persistent_volume_claims import (
    VolumeResourceRequirements as VolumeResourceRequirements,
)
from sampan.api.core_v1.persistent_volumes import (
    LocalVolumeSource as LocalVolumeSource,
)
from sampan.api.core_v1.persistent_volumes import (
    PersistentVolume as PersistentVolume,
)
from sampan.api.core_v1.persistent_volumes import (
    PersistentVolumeSpec as PersistentVolumeSpec,
)
from sampan.api.core_v1.persistent_volumes import (
    PersistentVolumeStatus as PersistentVolumeStatus,
)
from sampan.api.core_v1.persistent_volumes import (
    VolumeNodeAffinity as VolumeNodeAffinity,
)
from sampan.api.core_v1.placement import (
    Affinity as Affinity,
)
from sampan.api.core_v1.placement import (
    NodeAffinity as NodeAffinity,
)
from sampan.api.core_v1.placement import (
    NodeSelector as NodeSelector,
)
from sampan.api.core_v1.placement import (
    NodeSelectorRequirement as NodeSelectorRequirement,
)
from sampan.api.core_v1.placement import (
    NodeSelectorTerm as NodeSelectorTerm,
)
from sampan.api.core_v1.placement import (
    PodAffinity as PodAffinity,
)
from sampan.api.core_v1.placement import (
    PodAffinityTerm as PodAffinityTerm,
)
from sampan.api.core_v1.placement import (
    PodAntiAffinity as PodAntiAffinity,
)
from sampan.api.core_v1.placement import (
    PreferredSchedulingTerm as PreferredSchedulingTerm,
)
from sampan.api.core_v1.placement import (
    Taint as Taint,
)
from sampan.api.core_v1.placement import (
    Toleration as Toleration,
)
from sampan.api.core_v1.placement import (
    TopologySpreadConstraint as TopologySpreadConstraint,
)
from sampan.api.core_v1.placement import (
    WeightedPodAffinityTerm as WeightedPodAffinityTerm,
)
from sampan.api.core_v1.plugin_volumes import (
    AWSElasticBlockStoreVolumeSource as AWSElasticBlockStoreVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    AzureDiskVolumeSource as AzureDiskVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    AzureFilePersistentVolumeSource as AzureFilePersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    AzureFileVolumeSource as AzureFileVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    CephFSPersistentVolumeSource as CephFSPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    CephFSVolumeSource as CephFSVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    CinderPersistentVolumeSource as CinderPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    CinderVolumeSource as CinderVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    CSIPersistentVolumeSource as CSIPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    CSIVolumeSource as CSIVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    FCVolumeSource as FCVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    FlexPersistentVolumeSource as FlexPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    FlexVolumeSource as FlexVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    FlockerVolumeSource as FlockerVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    GCEPersistentDiskVolumeSource as GCEPersistentDiskVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    GitRepoVolumeSource as GitRepoVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    GlusterfsPersistentVolumeSource as GlusterfsPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    GlusterfsVolumeSource as GlusterfsVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    ISCSIPersistentVolumeSource as ISCSIPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    ISCSIVolumeSource as ISCSIVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    NFSVolumeSource as NFSVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    PhotonPersistentDiskVolumeSource as PhotonPersistentDiskVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    PortworxVolumeSource as PortworxVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    QuobyteVolumeSource as QuobyteVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    RBDPersistentVolumeSource as RBDPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    RBDVolumeSource as RBDVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    ScaleIOPersistentVolumeSource as ScaleIOPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    ScaleIOVolumeSource as ScaleIOVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    StorageOSPersistentVolumeSource as StorageOSPersistentVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    StorageOSVolumeSource as StorageOSVolumeSource,
)
from sampan.api.core_v1.plugin_volumes import (
    VsphereVirtualDiskVolumeSource as VsphereVirtualDiskVolumeSource,
)
from sampan.api.core_v1.pod_status import (
    ContainerExtendedResourceRequest as ContainerExtendedResourceRequest,
)
from sampan.api.core_v1.pod_status import (
    HostIP as HostIP,
)
from sampan.api.core_v1.pod_status import (
    NodeAllocatableMappedResources as NodeAllocatableMappedResources,
)
from sampan.api.core_v1.pod_status import (
    NodeAllocatableOverheadResources as NodeAllocatableOverheadResources,
)
from sampan.api.core_v1.pod_status import (
    NodeAllocatableResourceClaimStatus as NodeAllocatableResourceClaimStatus,
)
from sampan.api.core_v1.pod_status import (
    PodCondition as PodCondition,
)
from sampan.api.core_v1.pod_status import (
    PodExtendedResourceClaimStatus as PodExtendedResourceClaimStatus,
)
from sampan.api.core_v1.pod_status import (
    PodIP as PodIP,
)
from sampan.api.core_v1.pod_status import (
    PodResourceClaimStatus as PodResourceClaimStatus,
)
from sampan.api.core_v1.pod_status import (
    PodStatus as PodStatus,
)
from sampan.api.core_v1.pod_status import (
    PodVolumeHealth as PodVolumeHealth,
)
from sampan.api.core_v1.pods import (
    Binding as Binding,
)
from sampan.api.core_v1.pods import (
    EvictionResponder as EvictionResponder,
)
from sampan.api.core_v1.pods import (
    HostAlias as HostAlias,
)
from sampan.api.core_v1.pods import (
    Pod as Pod,
)
from sampan.api.core_v1.pods import (
    PodDNSConfig as PodDNSConfig,
)
from sampan.api.core_v1.pods import (
    PodDNSConfigOption as PodDNSConfigOption,
)
from sampan.api.core_v1.pods import (
    PodOS as PodOS,
)
from sampan.api.core_v1.pods import (
    PodReadinessGate as PodReadinessGate,
)
from sampan.api.core_v1.pods import (
    PodResourceClaim as PodResourceClaim,
)
from sampan.api.core_v1.pods import (
    PodSchedulingGate as PodSchedulingGate,
)
from sampan.api.core_v1.pods import (
    PodSchedulingGroup as PodSchedulingGroup,
)
from sampan.api.core_v1.pods import (
    PodSpec as PodSpec,
)
from sampan.api.core_v1.pods import (
    PodTemplate as PodTemplate,
)
from sampan.api.core_v1.pods import (
    PodTemplateSpec as PodTemplateSpec,
)
from sampan.api.core_v1.probes import (
    ExecAction as ExecAction,
)
from sampan.api.core_v1.probes import (
    GRPCAction as GRPCAction,
)
from sampan.api.core_v1.probes import (
    HTTPGetAction as HTTPGetAction,
)
from sampan.api.core_v1.probes import (
    HTTPHeader as HTTPHeader,
)
from sampan.api.core_v1.probes import (
    Lifecycle as Lifecycle,
)
from sampan.api.core_v1.probes import (
    LifecycleHandler as LifecycleHandler,
)
from sampan.api.core_v1.probes import (
    Probe as Probe,
)
from sampan.api.core_v1.probes import (
    SleepAction as SleepAction,
)
from sampan.api.core_v1.probes import (
    TCPSocketAction as TCPSocketAction,
)
from sampan.api.core_v1.quotas import (
    LimitRange as LimitRange,
)
from sampan.api.core_v1.quotas import (
    LimitRangeItem as LimitRangeItem,
)
from sampan.api.core_v1.quotas import (
    LimitRangeSpec as LimitRangeSpec,
)
from sampan.api.core_v1.quotas import (
    ResourceQuota as ResourceQuota,
)
from sampan.api.core_v1.quotas import (
    ResourceQuotaSpec as ResourceQuotaSpec,
)
from sampan.api.core_v1.quotas import (
    ResourceQuotaStatus as ResourceQuotaStatus,
)
from sampan.api.core_v1.quotas import (
    ScopedResourceSelectorRequirement as ScopedResourceSelectorRequirement,
)
from sampan.api.core_v1.quotas import (
    ScopeSelector as ScopeSelector,
)
from sampan.api.core_v1.references import (
    LocalObjectReference as LocalObjectReference,
)
from sampan.api.core_v1.references import (
    ObjectReference as ObjectReference,
)
from sampan.api.core_v1.references import (
    SecretReference as SecretReference,
)
from sampan.api.core_v1.references import (
    TypedLocalObjectReference as TypedLocalObjectReference,
)
from sampan.api.core_v1.references import (
    TypedObjectReference as TypedObjectReference,
)
from sampan.api.core_v1.replication import (
    ReplicationController as ReplicationController,
)
from sampan.api.core_v1.replication import (
    ReplicationControllerCondition as ReplicationControllerCondition,
)
from sampan.api.core_v1.replication import (
    ReplicationControllerSpec as ReplicationControllerSpec,
)
from sampan.api.core_v1.replication import (
    ReplicationControllerStatus as ReplicationControllerStatus,
)
from sampan.api.core_v1.security import (
    AppArmorProfile as AppArmorProfile,
)
from sampan.api.core_v1.security import (
    Capabilities as Capabilities,
)
from sampan.api.core_v1.security import (
    PodSecurityContext as PodSecurityContext,
)
from sampan.api.core_v1.security import (
    SeccompProfile as SeccompProfile,
)
from sampan.api.core_v1.security import (
    SecurityContext as SecurityContext,
)
from sampan.api.core_v1.security import (
    SELinuxOptions as SELinuxOptions,
)
from sampan.api.core_v1.security import (
    Sysctl as Sysctl,
)
from sampan.api.core_v1.security import (
    WindowsSecurityContextOptions as WindowsSecurityContextOptions,
)
from sampan.api.core_v1.services import (
    ClientIPConfig as ClientIPConfig,
)
from sampan.api.core_v1.services import (
    LoadBalancerIngress as LoadBalancerIngress,
)
from sampan.api.core_v1.services import (
    LoadBalancerStatus as LoadBalancerStatus,
)
from sampan.api.core_v1.services import (
    PortStatus as PortStatus,
)
from sampan.api.core_v1.services import (
    Service as Service,
)
from sampan.api.core_v1.services import (
    ServicePort as ServicePort,
)
from sampan.api.core_v1.services import (
    ServiceSpec as ServiceSpec,
)
from sampan.api.core_v1.services import (
    ServiceStatus as ServiceStatus,
)
from sampan.api.core_v1.services import (
    SessionAffinityConfig as SessionAffinityConfig,
)
from sampan.api.core_v1.volumes import (
    ClusterTrustBundleProjection as ClusterTrustBundleProjection,
)
from sampan.api.core_v1.volumes import (
    ConfigMapProjection as ConfigMapProjection,
)
from sampan.api.core_v1.volumes import (
    ConfigMapVolumeSource as ConfigMapVolumeSource,
)
from sampan.api.core_v1.volumes import (
    DownwardAPIProjection as DownwardAPIProjection,
)
from sampan.api.core_v1.volumes import (
    DownwardAPIVolumeFile as DownwardAPIVolumeFile,
)
from sampan.api.core_v1.volumes import (
    DownwardAPIVolumeSource as DownwardAPIVolumeSource,
)
from sampan.api.core_v1.volumes import (
    EmptyDirVolumeSource as EmptyDirVolumeSource,
)
from sampan.api.core_v1.volumes import (
    EphemeralVolumeSource as EphemeralVolumeSource,
)
from sampan.api.core_v1.volumes import (
    HostPathVolumeSource as HostPathVolumeSource,
)
from sampan.api.core_v1.volumes import (
    ImageVolumeSource as ImageVolumeSource,
)
from sampan.api.core_v1.volumes import (
    KeyToPath as KeyToPath,
)
from sampan.api.core_v1.volumes import (
    PersistentVolumeClaimVolumeSource as PersistentVolumeClaimVolumeSource,
)
from sampan.api.core_v1.volumes import (
    PodCertificateProjection as PodCertificateProjection,
)
from sampan.api.core_v1.volumes import (
    ProjectedVolumeSource as ProjectedVolumeSource,
)
from sampan.api.core_v1.volumes import (
    SecretProjection as SecretProjection,
)
from sampan.api.core_v1.volumes import (
    SecretVolumeSource as SecretVolumeSource,
)
from sampan.api.core_v1.volumes import (
    ServiceAccountTokenProjection as ServiceAccountTokenProjection,
)
from sampan.api.core_v1.volumes import (
    Volume as Volume,
)
from sampan.api.core_v1.volumes import (
    VolumeProjection as VolumeProjection,
)
