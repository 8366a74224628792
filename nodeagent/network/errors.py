"""What can go wrong in the node's network, said as where, what and remedy."""


class NetworkError(Exception):
    """A network step failed. `where` names the object, `what` the fault, `remedy` what a person can do."""

    def __init__(self, *, where: str, what: str, remedy: str = "") -> None:
        self.where = where
        self.what = what
        self.remedy = remedy
        super().__init__(f"{where}: {what}" + (f"; {remedy}" if remedy else ""))


class AddressesExhausted(NetworkError):
    """Every address of the node's pod range is in use."""
