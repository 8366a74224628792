"""Jobs and cron jobs."""

from sampan.api.base import Int32, Int64, KubeObject, Object, Time, field
from sampan.api.core_v1 import ObjectReference, PodTemplateSpec
from sampan.api.meta_v1 import LabelSelector, ObjectMeta
from sampan.api.rules import NON_NEGATIVE, QUALIFIED_NAME, OneOf
from sampan.api.scheduling_v1alpha3 import (
    WorkloadPodGroupDisruptionMode,
    WorkloadPodGroupResourceClaim,
    WorkloadPodGroupSchedulingConstraints,
    WorkloadPodGroupSchedulingPolicy,
)


class PodFailurePolicyOnExitCodesRequirement(Object):
    """"""

    container_name: str | None = field()
    operator: str = field("", required=True, rules=(OneOf("In", "NotIn"),))
    values: list[Int32] = field(default_factory=list, required=True, list_type="set")


class PodFailurePolicyOnPodConditionsPattern(Object):
    """"""

    status: str | None = field()
    type: str = field("", required=True, rules=(QUALIFIED_NAME,))


class PodFailurePolicyRule(Object):
    """"""

    action: str = field("", required=True, rules=(OneOf("Count", "FailIndex", "FailJob", "Ignore"),))
    on_exit_codes: PodFailurePolicyOnExitCodesRequirement | None = field()
    on_pod_conditions: list[PodFailurePolicyOnPodConditionsPattern] = field(default_factory=list, list_type="atomic")


class PodFailurePolicy(Object):
    """"""

    rules: list[PodFailurePolicyRule] = field(default_factory=list, required=True, list_type="atomic")


class JobSchedulingConfiguration(Object):
    """"""

    disruption_mode: WorkloadPodGroupDisruptionMode | None = field()
    resource_claims: list[WorkloadPodGroupResourceClaim] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    scheduling_constraints: WorkloadPodGroupSchedulingConstraints | None = field()
    scheduling_policy: WorkloadPodGroupSchedulingPolicy | None = field()


class SuccessPolicyRule(Object):
    """"""

    succeeded_count: Int32 | None = field()
    succeeded_indexes: str | None = field()


class SuccessPolicy(Object):
    """"""

    rules: list[SuccessPolicyRule] = field(default_factory=list, required=True, list_type="atomic")


class JobSpec(Object):
    """"""

    active_deadline_seconds: Int64 | None = field(rules=(NON_NEGATIVE,))
    backoff_limit: Int32 | None = field(rules=(NON_NEGATIVE,))
    backoff_limit_per_index: Int32 | None = field(rules=(NON_NEGATIVE,))
    completion_mode: str | None = field("NonIndexed", rules=(OneOf("Indexed", "NonIndexed"),))
    completions: Int32 | None = field(rules=(NON_NEGATIVE,))
    managed_by: str | None = field()
    manual_selector: bool | None = field(False)
    max_failed_indexes: Int32 | None = field(rules=(NON_NEGATIVE,))
    parallelism: Int32 | None = field(rules=(NON_NEGATIVE,))
    pod_failure_policy: PodFailurePolicy | None = field()
    pod_replacement_policy: str | None = field(rules=(OneOf("Failed", "TerminatingOrFailed"),))
    scheduling: JobSchedulingConfiguration | None = field()
    selector: LabelSelector | None = field()
    success_policy: SuccessPolicy | None = field()
    suspend: bool | None = field(False)
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec(), required=True)
    ttl_seconds_after_finished: Int32 | None = field(rules=(NON_NEGATIVE,))


class JobTemplateSpec(Object):
    """"""

    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: JobSpec = field(default_factory=lambda: JobSpec())


class CronJobSpec(Object):
    """"""

    concurrency_policy: str | None = field("Allow", rules=(OneOf("Allow", "Forbid", "Replace"),))
    failed_jobs_history_limit: Int32 | None = field(1, rules=(NON_NEGATIVE,))
    job_template: JobTemplateSpec = field(default_factory=lambda: JobTemplateSpec(), required=True)
    schedule: str = field("", required=True)
    starting_deadline_seconds: Int64 | None = field(rules=(NON_NEGATIVE,))
    successful_jobs_history_limit: Int32 | None = field(3, rules=(NON_NEGATIVE,))
    suspend: bool | None = field(False)
    time_zone: str | None = field()


class CronJobStatus(Object):
    """"""

    active: list[ObjectReference] = field(default_factory=list, list_type="atomic")
    last_schedule_time: Time | None = field()
    last_successful_time: Time | None = field()


class CronJob(KubeObject):
    """"""

    API_VERSION = "batch/v1"
    KIND = "CronJob"
    api_version: str = field("batch/v1", doc="Group and version of this representation of the object.")
    kind: str = field("CronJob", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: CronJobSpec = field(doc="What is wanted.", default_factory=lambda: CronJobSpec(), required=True)
    status: CronJobStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: CronJobStatus()
    )


class JobCondition(Object):
    """"""

    last_probe_time: Time | None = field(doc="When the condition was last checked.")
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class UncountedTerminatedPods(Object):
    """"""

    failed: list[str] = field(default_factory=list, list_type="set")
    succeeded: list[str] = field(default_factory=list, list_type="set")


class JobStatus(Object):
    """"""

    active: Int32 | None = field()
    completed_indexes: str | None = field()
    completion_time: Time | None = field()
    conditions: list[JobCondition] = field(default_factory=list, merge_key="type", patch="merge", list_type="atomic")
    failed: Int32 | None = field()
    failed_indexes: str | None = field()
    ready: Int32 | None = field()
    start_time: Time | None = field()
    succeeded: Int32 | None = field()
    terminating: Int32 | None = field()
    uncounted_terminated_pods: UncountedTerminatedPods | None = field()


class Job(KubeObject):
    """"""

    API_VERSION = "batch/v1"
    KIND = "Job"
    api_version: str = field("batch/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Job", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: JobSpec = field(doc="What is wanted.", default_factory=lambda: JobSpec())
    status: JobStatus = field(doc="What was last observed; written by the system.", default_factory=lambda: JobStatus())
