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
    """Exit codes."""

    container_name: str | None = field(doc="The container. Default: any.")
    operator: str = field("", doc="In or NotIn.", required=True, rules=(OneOf("In", "NotIn"),))
    values: list[Int32] = field(
        doc="The exit codes; 0 is not allowed for In.", default_factory=list, required=True, list_type="set"
    )


class PodFailurePolicyOnPodConditionsPattern(Object):
    """A pod condition."""

    status: str | None = field(doc="Its status. Default: True.")
    type: str = field("", doc="Its type.", required=True, rules=(QUALIFIED_NAME,))


class PodFailurePolicyRule(Object):
    """What one sort of failure means. One of onExitCodes and onPodConditions is set."""

    action: str = field(
        "",
        doc="FailJob, FailIndex, Ignore or Count.",
        required=True,
        rules=(OneOf("Count", "FailIndex", "FailJob", "Ignore"),),
    )
    on_exit_codes: PodFailurePolicyOnExitCodesRequirement | None = field(doc="Which exit codes it is about.")
    on_pod_conditions: list[PodFailurePolicyOnPodConditionsPattern] = field(
        doc="Which pod conditions it is about.", default_factory=list, list_type="atomic"
    )


class PodFailurePolicy(Object):
    """What failures of pods mean."""

    rules: list[PodFailurePolicyRule] = field(
        doc="The first rule that fits counts; at most 20.", default_factory=list, required=True, list_type="atomic"
    )


class JobSchedulingConfiguration(Object):
    """How a job's pods are placed together."""

    disruption_mode: WorkloadPodGroupDisruptionMode | None = field(
        doc="Whether they may be disrupted one by one or only all together."
    )
    resource_claims: list[WorkloadPodGroupResourceClaim] = field(
        doc="Claims for devices that they share.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    scheduling_constraints: WorkloadPodGroupSchedulingConstraints | None = field(
        doc="How near to one another they must be."
    )
    scheduling_policy: WorkloadPodGroupSchedulingPolicy | None = field(
        doc="Whether they are placed one by one or all together."
    )


class SuccessPolicyRule(Object):
    """Indexes, or a number of them, that are enough."""

    succeeded_count: Int32 | None = field(doc="How many of the indexes.")
    succeeded_indexes: str | None = field(doc="Which indexes, such as 1,3-5. Default: all.")


class SuccessPolicy(Object):
    """When a job counts as done before all completions."""

    rules: list[SuccessPolicyRule] = field(
        doc="One rule that fits is enough; at most 20.", default_factory=list, required=True, list_type="atomic"
    )


class JobSpec(Object):
    """What a job is to be."""

    active_deadline_seconds: Int64 | None = field(
        doc="Seconds after its start at which it is ended and counts as failed.", rules=(NON_NEGATIVE,)
    )
    backoff_limit: Int32 | None = field(
        doc="Failures after which it counts as failed. Default: 6.", rules=(NON_NEGATIVE,)
    )
    backoff_limit_per_index: Int32 | None = field(
        doc="Failures of one index after which the index counts as failed.", rules=(NON_NEGATIVE,)
    )
    completion_mode: str | None = field(
        "NonIndexed",
        doc="NonIndexed, or Indexed: each completion has a number. Default: NonIndexed.",
        rules=(OneOf("Indexed", "NonIndexed"),),
    )
    completions: Int32 | None = field(
        doc="How many pods must succeed; if absent, one success is enough and no new pods follow.",
        rules=(NON_NEGATIVE,),
    )
    managed_by: str | None = field(doc="The controller that looks after it, if not the built-in one.")
    manual_selector: bool | None = field(False, doc="Whether selector is the user's own doing.")
    max_failed_indexes: Int32 | None = field(
        doc="Failed indexes beyond which the whole job fails.", rules=(NON_NEGATIVE,)
    )
    parallelism: Int32 | None = field(doc="The most pods that run at a time. Default: 1.", rules=(NON_NEGATIVE,))
    pod_failure_policy: PodFailurePolicy | None = field(doc="What failures of pods mean, by exit code or condition.")
    pod_replacement_policy: str | None = field(
        doc="TerminatingOrFailed, or Failed: replace a pod only when it has ended.",
        rules=(OneOf("Failed", "TerminatingOrFailed"),),
    )
    scheduling: JobSchedulingConfiguration | None = field(doc="How its pods are placed together.")
    selector: LabelSelector | None = field(doc="Labels of its pods; the server sets it.")
    success_policy: SuccessPolicy | None = field(doc="When it counts as done before all completions.")
    suspend: bool | None = field(False, doc="Whether it has no pods for now. Default: false.")
    template: PodTemplateSpec = field(
        doc="What its pods are made from.", default_factory=lambda: PodTemplateSpec(), required=True
    )
    ttl_seconds_after_finished: Int32 | None = field(
        doc="Seconds after its end at which it is deleted. Default: never.", rules=(NON_NEGATIVE,)
    )


class JobTemplateSpec(Object):
    """What jobs are made from."""

    metadata: ObjectMeta = field(
        doc="Labels, annotations and the like of the jobs.", default_factory=lambda: ObjectMeta()
    )
    spec: JobSpec = field(doc="What the jobs are to be.", default_factory=lambda: JobSpec())


class CronJobSpec(Object):
    """What a cron job is to be."""

    concurrency_policy: str | None = field(
        "Allow",
        doc="Allow, Forbid or Replace: what happens when the last job still runs. Default: Allow.",
        rules=(OneOf("Allow", "Forbid", "Replace"),),
    )
    failed_jobs_history_limit: Int32 | None = field(
        1, doc="How many failed jobs are kept. Default: 1.", rules=(NON_NEGATIVE,)
    )
    job_template: JobTemplateSpec = field(
        doc="What its jobs are made from.", default_factory=lambda: JobTemplateSpec(), required=True
    )
    schedule: str = field("", doc="The timetable, in cron's form.", required=True)
    starting_deadline_seconds: Int64 | None = field(
        doc="Seconds after its time at which a missed job is given up.", rules=(NON_NEGATIVE,)
    )
    successful_jobs_history_limit: Int32 | None = field(
        3, doc="How many succeeded jobs are kept. Default: 3.", rules=(NON_NEGATIVE,)
    )
    suspend: bool | None = field(False, doc="Whether no jobs are made for now. Default: false.")
    time_zone: str | None = field(doc="The timetable's time zone, such as Europe/Berlin. Default: the controller's.")


class CronJobStatus(Object):
    """What was observed of a cron job."""

    active: list[ObjectReference] = field(doc="Jobs that run.", default_factory=list, list_type="atomic")
    last_schedule_time: Time | None = field(doc="When a job was last made.")
    last_successful_time: Time | None = field(doc="When a job last succeeded.")


class CronJob(KubeObject):
    """Jobs that are made by a timetable."""

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
    """One aspect of a job's state."""

    last_probe_time: Time | None = field(doc="When the condition was last checked.")
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class UncountedTerminatedPods(Object):
    """Pods that have ended and are not counted yet."""

    failed: list[str] = field(doc="UIDs of those that failed.", default_factory=list, list_type="set")
    succeeded: list[str] = field(doc="UIDs of those that succeeded.", default_factory=list, list_type="set")


class JobStatus(Object):
    """What was observed of a job."""

    active: Int32 | None = field(doc="Pods that are pending or running and not terminating.")
    completed_indexes: str | None = field(doc="Indexes that have succeeded, such as 1,3-5.")
    completion_time: Time | None = field(doc="When it succeeded.")
    conditions: list[JobCondition] = field(
        doc="Its state in single aspects: Complete, Failed, Suspended ...",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="atomic",
    )
    failed: Int32 | None = field(doc="Pods that have failed.")
    failed_indexes: str | None = field(doc="Indexes that have failed, such as 1,3-5.")
    ready: Int32 | None = field(doc="Active pods that are ready.")
    start_time: Time | None = field(doc="When it was begun; again when it is resumed.")
    succeeded: Int32 | None = field(doc="Pods that have succeeded.")
    terminating: Int32 | None = field(doc="Pods that are terminating.")
    uncounted_terminated_pods: UncountedTerminatedPods | None = field(
        doc="Pods that have ended and are not counted above yet."
    )


class Job(KubeObject):
    """Pods that run until a number of them has succeeded."""

    API_VERSION = "batch/v1"
    KIND = "Job"
    api_version: str = field("batch/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Job", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: JobSpec = field(doc="What is wanted.", default_factory=lambda: JobSpec())
    status: JobStatus = field(doc="What was last observed; written by the system.", default_factory=lambda: JobStatus())
