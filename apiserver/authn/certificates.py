"""X.509: the common name is the user, the organizations are its groups ("X.509 client certificates")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kind import User

AUTHENTICATED = "system:authenticated"


def user_of(certificate: Mapping[str, Any]) -> User | None:
    """The user of a verified certificate, as `ssl` decodes it. None when it names nobody."""
    names = [(key, value) for part in certificate.get("subject", ()) for key, value in part]
    common = next((str(value) for key, value in names if key == "commonName"), "")
    if not common:
        return None
    groups = tuple(str(value) for key, value in names if key == "organizationName")
    return User(common, groups=(*groups, AUTHENTICATED))
