"""Events, in the form of the core group."""

from sampan.api.base import Int32, KubeObject, MicroTime, Object, Time, field
from sampan.api.core_v1.references import ObjectReference
from sampan.api.meta_v1 import ObjectMeta


class EventSeries(Object):
    """How an event repeated."""

    count: Int32 | None = field(doc="How often it happened.")
    last_observed_time: MicroTime | None = field(doc="When it last happened.")


class EventSource(Object):
    """Who reports an event."""

    component: str | None = field(doc="The component.")
    host: str | None = field(doc="The node it runs on.")


class Event(KubeObject):
    """Something that happened to an object. Kept for a limited time."""

    API_VERSION = "v1"
    KIND = "Event"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Event", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta(), required=True
    )
    action: str | None = field(doc="What was done, or failed.")
    count: Int32 | None = field(doc="How often it happened.")
    event_time: MicroTime | None = field(doc="When it first happened, to the microsecond.")
    first_timestamp: Time | None = field(doc="When it first happened.")
    involved_object: ObjectReference = field(
        doc="What it happened to.", default_factory=lambda: ObjectReference(), required=True
    )
    last_timestamp: Time | None = field(doc="When it last happened.")
    message: str | None = field(doc="What happened, for people.")
    reason: str | None = field(doc="Why, as one CamelCase word.")
    related: ObjectReference | None = field(doc="Another object that has to do with it.")
    reporting_component: str | None = field(doc="The controller that reports it.")
    reporting_instance: str | None = field(doc="The instance of the controller, such as its pod.")
    series: EventSeries | None = field(doc="How it repeated.")
    source: EventSource | None = field(doc="Who reports it, in the old form.")
    type: str | None = field(doc="Normal or Warning.")
