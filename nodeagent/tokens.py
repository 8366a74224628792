"""Service account tokens of pods: asked from the API server, bound to the pod, renewed before they end.

A token is renewed after 80 % of its life, or after a day; a failure to renew keeps the old one while it lives.
Source: the Kubernetes documentation, "Managing Service Accounts", "Bound service account tokens".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from nodeagent.volumes.errors import VolumeError
from nodeagent.volumes.projection import TokenRequest, token_requests
from sampan.api import core_v1
from sampan.api.authentication_v1 import BoundObjectReference, TokenRequestSpec
from sampan.api.authentication_v1 import TokenRequest as TokenRequestObject
from sampan.client import Client, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.logs import fields
from sampan.resource import Resource

log = logging.getLogger(__name__)

TOKENS = Resource("", "v1", "TokenRequest", "serviceaccounts", TokenRequestObject)
SPENT = 0.8
MOST_AGE_SECONDS = 86_400.0
RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    expires: float
    renew: float


class Tokens:
    """The tokens of this node's pods, in memory only: after a restart of the agent they are asked for anew."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[str, dict[TokenRequest, _Token]] = {}

    async def of_pod(self, pod: core_v1.Pod) -> dict[TokenRequest, str]:
        """All tokens that the pod's volumes show, fresh enough. Raises VolumeError."""
        known = self._tokens.setdefault(pod.metadata.uid or "", {})
        for request in token_requests(pod):
            token = known.get(request)
            now = self._clock.now().timestamp()
            if token is not None and now < token.renew:
                continue
            try:
                known[request] = await self._ask(pod, request)
            except (ApiError, Unreachable) as error:
                if token is None or now >= token.expires:
                    raise VolumeError(f"failed to fetch token: {error}") from None
                log.warning("a token is not renewed yet", extra=fields(pod=pod.metadata.name, error=error))
                known[request] = _Token(token.text, token.expires, now + RETRY_SECONDS)
        return {request: token.text for request, token in known.items()}

    def next_renewal(self, uid: str) -> float | None:
        """When the pod's tokens need attention, in epoch seconds."""
        return min((one.renew for one in self._tokens.get(uid, {}).values()), default=None)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._tokens.pop(uid, None)

    async def _ask(self, pod: core_v1.Pod, request: TokenRequest) -> _Token:
        meta = pod.metadata
        answer = await self._client.create(
            TOKENS,
            TokenRequestObject(
                spec=TokenRequestSpec(
                    audiences=[request.audience] if request.audience else [],
                    expiration_seconds=request.seconds,
                    bound_object_ref=BoundObjectReference(kind="Pod", api_version="v1", name=meta.name, uid=meta.uid),
                )
            ),
            namespace=meta.namespace or "",
            name=pod.spec.service_account_name or "default",
            subresource="token",
        )
        now = self._clock.now().timestamp()
        expires = answer.status.expiration_timestamp
        if not answer.status.token or expires is None:
            raise VolumeError("failed to fetch token: the API server answered without one")
        end = expires.timestamp()
        return _Token(answer.status.token, end, min(now + (end - now) * SPENT, now + MOST_AGE_SECONDS))
