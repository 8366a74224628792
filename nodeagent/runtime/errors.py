"""The runtime's own errors. server.py makes each a gRPC status, launch.py lets them through.

RuntimeFault
├── NotFound         what was named is not there
├── AlreadyThere     its name is taken
├── Invalid          the request makes no sense: the caller must change it
├── Precondition     not in this state
├── Unsupported      understood, and not offered here
└── TookTooLong      a command did not end in its time
"""


class RuntimeFault(RuntimeError):
    """Something that could not be done. Says what, on which container or sandbox, and the kernel's reason."""


class NotFound(RuntimeFault):
    """There is no such sandbox, container or image."""


class AlreadyThere(RuntimeFault):
    """A sandbox or container of that name and attempt is there already."""


class Invalid(RuntimeFault):
    """The request itself is wrong."""


class Precondition(RuntimeFault):
    """The sandbox or container is not in a state for that."""


class Unsupported(RuntimeFault):
    """This runtime does not offer it."""


class TookTooLong(RuntimeFault):
    """A command ran out of time and was killed."""
