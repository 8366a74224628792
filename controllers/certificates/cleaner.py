"""Deletes certificate requests that nobody needs any more.

Ages as upstream's: approved or denied an hour ago, undecided for a day, issued and expired.
Source: "Certificates and Certificate Signing Requests", request life cycle.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from controllers.certificates.requests import APPROVED, DENIED, FAILED, condition, expires
from sampan.actions import Action, Delete, RequeueAfter
from sampan.api.certificates_v1 import CertificateSigningRequest
from sampan.kinds import CERTIFICATE_SIGNING_REQUESTS
from sampan.loop import Controller
from sampan.world import World

DECIDED = timedelta(hours=1)
PENDING = timedelta(hours=24)
FOREVER_SECONDS = 7 * 24 * 3600.0


def goes_at(request: CertificateSigningRequest, now: datetime) -> datetime:
    """When a request is no use any more."""
    born = request.metadata.creation_timestamp or now
    moments = []
    for kind in (APPROVED, DENIED, FAILED):
        found = condition(request, kind)
        if found is not None and (kind != APPROVED or request.status.certificate):
            moments.append((found.last_update_time or born) + DECIDED)
    ends = expires(request.status.certificate)
    if ends is not None:
        moments.append(ends)
    return min(moments, default=born + PENDING)


def reconcile(request: CertificateSigningRequest, world: World) -> Iterator[Action]:
    """Delete it when it is time, and look again then."""
    left = (goes_at(request, world.now) - world.now).total_seconds()
    if left <= 0:
        yield Delete(CERTIFICATE_SIGNING_REQUESTS, request)
    else:
        yield RequeueAfter(min(left, FOREVER_SECONDS))


CLEANER = Controller(name="certificate-cleaner", of=CERTIFICATE_SIGNING_REQUESTS, reconcile=reconcile, workers=1)
