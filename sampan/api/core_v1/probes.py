"""What is asked of or done in a container: probes and lifecycle hooks."""

from sampan.api.base import Int32, Int64, IntOrString, Object, field
from sampan.api.rules import NON_NEGATIVE, PORT, AtLeast, MayBeEmpty, OneOf, PortOrName, ZeroIsUnset


class ExecAction(Object):
    """"""

    command: list[str] = field(default_factory=list, list_type="atomic")


class HTTPHeader(Object):
    """"""

    name: str = field("", required=True, rules=(MayBeEmpty(),))
    value: str = field("", required=True, rules=(MayBeEmpty(),))


class HTTPGetAction(Object):
    """"""

    host: str | None = field()
    http_headers: list[HTTPHeader] = field(default_factory=list, list_type="atomic")
    path: str | None = field("/")
    port: IntOrString | None = field(required=True, rules=(PortOrName(),))
    protocol: str | None = field()
    scheme: str | None = field("HTTP", rules=(OneOf("HTTP", "HTTPS"),))


class SleepAction(Object):
    """"""

    seconds: Int64 = field(0, required=True)


class TCPSocketAction(Object):
    """"""

    host: str | None = field()
    port: IntOrString | None = field(required=True, rules=(PortOrName(),))


class LifecycleHandler(Object):
    """"""

    exec: ExecAction | None = field()
    http_get: HTTPGetAction | None = field()
    sleep: SleepAction | None = field()
    tcp_socket: TCPSocketAction | None = field()


class Lifecycle(Object):
    """"""

    post_start: LifecycleHandler | None = field()
    pre_stop: LifecycleHandler | None = field()
    stop_signal: str | None = field()


class GRPCAction(Object):
    """"""

    mode: str | None = field()
    port: Int32 = field(0, required=True, rules=(PORT,))
    service: str | None = field("")


class Probe(Object):
    """"""

    exec: ExecAction | None = field()
    failure_threshold: Int32 | None = field(3, rules=(NON_NEGATIVE, ZeroIsUnset()))
    grpc: GRPCAction | None = field()
    http_get: HTTPGetAction | None = field()
    initial_delay_seconds: Int32 | None = field(rules=(NON_NEGATIVE,))
    period_seconds: Int32 | None = field(10, rules=(NON_NEGATIVE, ZeroIsUnset()))
    success_threshold: Int32 | None = field(1, rules=(NON_NEGATIVE, ZeroIsUnset()))
    tcp_socket: TCPSocketAction | None = field()
    termination_grace_period_seconds: Int64 | None = field(rules=(AtLeast(1, "must be greater than 0"),))
    timeout_seconds: Int32 | None = field(1, rules=(NON_NEGATIVE, ZeroIsUnset()))
