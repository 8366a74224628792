""""""

from sampan.api.base import Int32, KubeObject, MicroTime, Object, Time, field
from sampan.api.core_v1 import EventSource, ObjectReference
from sampan.api.meta_v1 import ObjectMeta


class EventSeries(Object):
    """"""

    count: Int32 = field(0, required=True)
    last_observed_time: MicroTime | None = field(required=True)


class Event(KubeObject):
    """"""

    API_VERSION = "events.k8s.io/v1"
    KIND = "Event"
    api_version: str = field("events.k8s.io/v1")
    kind: str = field("Event")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    action: str | None = field()
    deprecated_count: Int32 | None = field()
    deprecated_first_timestamp: Time | None = field()
    deprecated_last_timestamp: Time | None = field()
    deprecated_source: EventSource | None = field()
    event_time: MicroTime | None = field(required=True)
    note: str | None = field()
    reason: str | None = field()
    regarding: ObjectReference | None = field()
    related: ObjectReference | None = field()
    reporting_controller: str | None = field()
    reporting_instance: str | None = field()
    series: EventSeries | None = field()
    type: str | None = field()
