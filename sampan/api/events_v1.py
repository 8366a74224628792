"""Events, in the form of their own group."""

from sampan.api.base import Int32, KubeObject, MicroTime, Object, Time, field
from sampan.api.core_v1 import EventSource, ObjectReference
from sampan.api.meta_v1 import ObjectMeta


class EventSeries(Object):
    """How an event repeated."""

    count: Int32 = field(0, doc="How often it happened.", required=True)
    last_observed_time: MicroTime | None = field(doc="When it last happened.", required=True)


class Event(KubeObject):
    """Something that happened to an object. Kept for a limited time."""

    API_VERSION = "events.k8s.io/v1"
    KIND = "Event"
    api_version: str = field("events.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Event", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    action: str | None = field(doc="What was done, or failed.")
    deprecated_count: Int32 | None = field(doc="How often it happened, in the old form.")
    deprecated_first_timestamp: Time | None = field(doc="When it first happened, in the old form.")
    deprecated_last_timestamp: Time | None = field(doc="When it last happened, in the old form.")
    deprecated_source: EventSource | None = field(doc="Who reports it, in the old form.")
    event_time: MicroTime | None = field(doc="When it first happened, to the microsecond.", required=True)
    note: str | None = field(doc="What happened, for people; at most 1 kB.")
    reason: str | None = field(doc="Why, as one CamelCase word; at most 128 characters.")
    regarding: ObjectReference | None = field(doc="What it happened to.")
    related: ObjectReference | None = field(doc="Another object that has to do with it.")
    reporting_controller: str | None = field(doc="The controller that reports it.")
    reporting_instance: str | None = field(doc="The instance of the controller, such as its pod.")
    series: EventSeries | None = field(doc="How it repeated.")
    type: str | None = field(doc="Normal or Warning.")
