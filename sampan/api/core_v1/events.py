"""Events, in the form of the core group."""

from sampan.api.base import Int32, KubeObject, MicroTime, Object, Time, field
from sampan.api.core_v1.references import ObjectReference
from sampan.api.meta_v1 import ObjectMeta


class EventSeries(Object):
    """"""

    count: Int32 | None = field()
    last_observed_time: MicroTime | None = field()


class EventSource(Object):
    """"""

    component: str | None = field()
    host: str | None = field()


class Event(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Event"
    api_version: str = field("v1")
    kind: str = field("Event")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta(), required=True)
    action: str | None = field()
    count: Int32 | None = field()
    event_time: MicroTime | None = field()
    first_timestamp: Time | None = field()
    involved_object: ObjectReference = field(default_factory=lambda: ObjectReference(), required=True)
    last_timestamp: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    related: ObjectReference | None = field()
    reporting_component: str | None = field()
    reporting_instance: str | None = field()
    series: EventSeries | None = field()
    source: EventSource | None = field()
    type: str | None = field()
