"""What is asked of or done in a container: probes and lifecycle hooks."""

from sampan.api.base import Int32, Int64, IntOrString, Object, field
from sampan.api.rules import NON_NEGATIVE, PORT, AtLeast, MayBeEmpty, OneOf, PortOrName, ZeroIsUnset


class ExecAction(Object):
    """A command to run in the container; no shell is put around it."""

    command: list[str] = field(doc="The program and its arguments.", default_factory=list, list_type="atomic")


class HTTPHeader(Object):
    """A header of a request."""

    name: str = field("", doc="Its name.", required=True, rules=(MayBeEmpty(),))
    value: str = field("", doc="Its value.", required=True, rules=(MayBeEmpty(),))


class HTTPGetAction(Object):
    """An HTTP request."""

    host: str | None = field(doc="Whom to connect to. Default: the pod's address.")
    http_headers: list[HTTPHeader] = field(doc="Headers to send.", default_factory=list, list_type="atomic")
    path: str | None = field("/", doc="The path. Default: /.")
    port: IntOrString | None = field(
        doc="The port, as a number or the name of a container port.", required=True, rules=(PortOrName(),)
    )
    protocol: str | None = field(doc="The version of HTTP that is spoken. Default: HTTP/1.1.")
    scheme: str | None = field(
        "HTTP", doc="HTTP or HTTPS; certificates are not checked. Default: HTTP.", rules=(OneOf("HTTP", "HTTPS"),)
    )


class SleepAction(Object):
    """A pause."""

    seconds: Int64 = field(0, doc="Its length in seconds.", required=True)


class TCPSocketAction(Object):
    """A connection to open."""

    host: str | None = field(doc="Whom to connect to. Default: the pod's address.")
    port: IntOrString | None = field(
        doc="The port, as a number or the name of a container port.", required=True, rules=(PortOrName(),)
    )


class LifecycleHandler(Object):
    """What to do at a point of a container's life. One of the fields is set."""

    exec: ExecAction | None = field(doc="Run a command in the container.")
    http_get: HTTPGetAction | None = field(doc="Make an HTTP request.")
    sleep: SleepAction | None = field(doc="Pause.")
    tcp_socket: TCPSocketAction | None = field(doc="Not supported, there for old objects.")


class Lifecycle(Object):
    """What to do at points of a container's life."""

    post_start: LifecycleHandler | None = field(doc="Right after it was started; if this fails, it is ended.")
    pre_stop: LifecycleHandler | None = field(doc="Before it is ended on purpose; counts against the grace period.")
    stop_signal: str | None = field(doc="The signal that ends it, if not the image's.")


class GRPCAction(Object):
    """A question to a gRPC health service."""

    mode: str | None = field(doc="Plaintext, or TLS without a check of the certificate. Default: Plaintext.")
    port: Int32 = field(0, doc="The port.", required=True, rules=(PORT,))
    service: str | None = field("", doc="The service to ask for. Default: the server as a whole.")


class Probe(Object):
    """A question that is put to a container again and again. One of exec, grpc, httpGet and tcpSocket is set."""

    exec: ExecAction | None = field(doc="Run a command in the container; exit code 0 is success.")
    failure_threshold: Int32 | None = field(
        3, doc="Failures in a row that count as failed. Default: 3.", rules=(NON_NEGATIVE, ZeroIsUnset())
    )
    grpc: GRPCAction | None = field(doc="Ask a gRPC health service.")
    http_get: HTTPGetAction | None = field(doc="Make an HTTP request; 200 to 399 is success.")
    initial_delay_seconds: Int32 | None = field(
        doc="Seconds from the container's start to the first question. Default: 0.", rules=(NON_NEGATIVE,)
    )
    period_seconds: Int32 | None = field(
        10, doc="Seconds between questions. Default: 10.", rules=(NON_NEGATIVE, ZeroIsUnset())
    )
    success_threshold: Int32 | None = field(
        1,
        doc="Successes in a row after a failure that count as succeeded. Default: 1.",
        rules=(NON_NEGATIVE, ZeroIsUnset()),
    )
    tcp_socket: TCPSocketAction | None = field(doc="Open a connection.")
    termination_grace_period_seconds: Int64 | None = field(
        doc="Seconds to end when this probe fails, if not as the pod says.",
        rules=(AtLeast(1, "must be greater than 0"),),
    )
    timeout_seconds: Int32 | None = field(
        1, doc="Seconds for an answer. Default: 1.", rules=(NON_NEGATIVE, ZeroIsUnset())
    )
