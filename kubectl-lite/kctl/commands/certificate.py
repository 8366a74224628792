"""Approve or deny certificate signing requests."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.writes import Write
from sampan.api_error import ApiError

VERBS = {
    "approve": "let a signer sign a request",
    "deny": "refuse a request for good",
}
MADE = {"approve": ("Approved", "KubectlApprove", "approved"), "deny": ("Denied", "KubectlDeny", "denied")}
OPPOSITE = {"Approved": "Denied", "Denied": "Approved"}
ATTEMPTS = 10


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    flags.usage = "(NAME ... | -f FILE)"
    flags.texts("filename", "files that name the requests", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")
    flags.switch("force", "write the decision again even if it is made")
    flags.text("output", "name|yaml|json|jsonpath=...|custom-columns=...", short="o")
    flags.switch("show-managed-fields", "show managedFields in JSON and YAML")


def run(values: Values) -> int:
    """Decide about each request."""
    if not values.words and not values.filename:
        raise UsageError("one or more CSRs must be specified as <name> or -f <filename>")
    values.selector, values.all, values.dry_run, values.field_manager = "", False, "none", ""
    if values.words:
        values.words = ["certificatesigningrequests", *values.words]
    session = flags.session(values)
    write = Write(values, f"kubectl-certificate-{values.verb}")
    kind, reason, done = MADE[values.verb]
    message = f"This CSR was {done} by kubectl certificate {values.verb}."
    decision = {"type": kind, "status": "True", "reason": reason, "message": message}
    failed = False
    for found in targets.targets(session, values):
        if found.resource.kind != "CertificateSigningRequest":
            raise UsageError(f"can only {values.verb} certificate signing requests, not a {found.resource.kind}")
        try:
            request = _decided(session, found, decision, force=values.force)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        write.report(found.resource, request, done)
    return 1 if failed else 0


def _decided(session: Any, found: targets.Found, decision: dict[str, str], *, force: bool) -> Any:
    """The request with the decision; after somebody else's write it looks again. Raises ApiError."""
    for attempt in range(ATTEMPTS):
        live = targets.read(session, found)
        conditions = (live.get("status") or {}).get("conditions") or []
        made = [one for one in conditions if one.get("type") == decision["type"]]
        if made and not force:
            return live
        against = OPPOSITE[decision["type"]]
        if any(one.get("type") == against for one in conditions):
            raise UsageError(f'certificate signing request "{found.name}" is already {against}')
        kept = [one for one in conditions if one.get("type") != decision["type"]]
        live["status"] = (live.get("status") or {}) | {"conditions": [*kept, decision]}
        try:
            return session.call("PUT", found.path("approval"), None, live)
        except ApiError as error:
            if error.reason != "Conflict" or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")
