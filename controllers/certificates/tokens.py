"""Deletes bootstrap tokens some time after they have expired.

An expired token is of no use, but while it is there, whoever still has it is told that it expired, and when.
Source: "Authenticating with Bootstrap Tokens" (the token cleaner, which waits for nothing).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime

from controllers.certificates.views import SELECTORS, SYSTEM, TOKEN_TYPE, TOKENS
from sampan.actions import Action, Delete, RequeueAfter
from sampan.api.core_v1 import Secret
from sampan.loop import Controller
from sampan.world import World

REMEMBERED_SECONDS = 3600.0
LONGEST_SECONDS = 7 * 24 * 3600.0


def text(secret: Secret, key: str) -> str:
    """A key's text, empty when it is absent or no text."""
    try:
        return base64.b64decode(secret.data.get(key, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def expiration(secret: Secret) -> datetime | None:
    """When a token ends; None for one that never does, or whose time can't be read (nobody can use that one)."""
    try:
        found = datetime.fromisoformat(text(secret, "expiration"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def reconcile(secret: Secret, world: World) -> Iterator[Action]:
    """Delete the Secret when its time has come."""
    ends = expiration(secret)
    if secret.type != TOKEN_TYPE or secret.metadata.namespace != SYSTEM or ends is None:
        return
    left = (ends - world.now).total_seconds() + REMEMBERED_SECONDS
    if left <= 0:
        yield Delete(TOKENS, secret)
    else:
        yield RequeueAfter(min(left, LONGEST_SECONDS))


TOKEN_EXPIRY = Controller(
    name="bootstrap-token-cleaner",
    of=TOKENS,
    reconcile=reconcile,
    field_selectors={TOKENS: SELECTORS[TOKENS]},
    workers=1,
)
