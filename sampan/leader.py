"""Which replica of a component acts: the holder of a Lease.

Always: whoever acts renewed the lease less than `renew_within` seconds ago, by its own monotonic clock counted from
before the request was sent; whoever takes it over has seen it unchanged for `lease_seconds`, which is longer. So two
never act at once, whatever their calendars say. `fence` is to be asked before every write (Client.fenced).
Source: the Lease API (coordination.k8s.io/v1) as client-go's leader election uses it; its holders understand ours.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from sampan.api.coordination_v1 import Lease, LeaseSpec
from sampan.api.meta_v1 import ObjectMeta
from sampan.client import Client
from sampan.clock import Clock
from sampan.errors import ApiError, SampanError
from sampan.kinds import LEASES
from sampan.logs import fields

log = logging.getLogger(__name__)

LEASE_SECONDS = 15
RENEW_WITHIN = 10.0
RENEW_EVERY = 5.0


class LeadershipLost(SampanError):
    """Another replica may act now, so this one must not."""


class Leadership:
    """One replica's claim to a lease. `identity` names the replica: two that run at once must differ."""

    def __init__(
        self,
        client: Client,
        name: str,
        identity: str,
        *,
        namespace: str = "kube-system",
        clock: Clock | None = None,
        lease_seconds: int = LEASE_SECONDS,
        renew_within: float = RENEW_WITHIN,
        renew_every: float = RENEW_EVERY,
    ) -> None:
        if not renew_every < renew_within < lease_seconds:
            raise ValueError(f"{renew_every=} must be below {renew_within=}, and that below {lease_seconds=}")
        self._client = client
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._clock = clock or Clock()
        self._lease_seconds = lease_seconds
        self._renew_within = renew_within
        self._renew_every = renew_every
        self._held: Lease | None = None
        self._valid_until = float("-inf")
        self._observed: tuple[str | None, float] = (None, 0.0)
        self._patience = renew_every

    @property
    def leading(self) -> bool:
        """Whether this replica may act now."""
        return self._clock.monotonic() < self._valid_until

    def fence(self) -> None:
        """Raise LeadershipLost unless this replica may act now."""
        if not self.leading:
            raise LeadershipLost(f"lease {self._namespace}/{self._name}: not renewed in time, so not acting")

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run `lead` while it is held, and give the lease back at the end.

        Raises LeadershipLost after `lead` has been cancelled because the lease could not be renewed.
        """
        await self._acquire()
        log.info("leading", extra=fields(lease=self._name, identity=self._identity))
        acting = asyncio.ensure_future(lead())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((acting, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (acting, renewing):
                task.cancel()
            ended = await asyncio.gather(acting, renewing, return_exceptions=True)
            await self._release()
        for end in ended:
            if isinstance(end, Exception):
                raise end

    async def _acquire(self) -> None:
        while True:
            try:
                if await self._try():
                    return
            except Exception as error:  # the edge: no lease, no leader, so try on
                log.warning("can't ask for the lease", extra=fields(lease=self._name, error=error))
            # Not later than the moment at which the present holder's time is up.
            wait = min(self._renew_every * random.uniform(1.0, 1.2), max(0.2, self._patience))
            await self._clock.sleep(wait)

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._renew_every)
            attempt = 0
            while True:
                attempt += 1
                try:
                    async with asyncio.timeout(self._renew_within):
                        if not await self._try():
                            raise LeadershipLost(f"lease {self._namespace}/{self._name}: taken by another replica")
                    break
                except LeadershipLost:
                    self._valid_until = float("-inf")
                    raise
                except Exception as error:
                    if not self.leading:
                        raise LeadershipLost(
                            f"lease {self._namespace}/{self._name}: not renewed for {self._renew_within:g} s: {error}"
                        ) from error
                    log.warning("can't renew the lease", extra=fields(lease=self._name, error=error))
                await self._clock.sleep(min(2.0, 0.25 * 2**attempt))

    async def _try(self) -> bool:
        """Create, take over or renew the lease; False when another replica holds it."""
        began = self._clock.monotonic()
        now = self._clock.now()
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except ApiError as error:
            if not error.is_not_found:
                raise
            spec = LeaseSpec(acquire_time=now, lease_transitions=0)
            lease = Lease(metadata=ObjectMeta(name=self._name, namespace=self._namespace), spec=spec)
        spec = lease.spec
        ours = spec.holder_identity == self._identity
        version = lease.metadata.resource_version
        if not ours and spec.holder_identity:
            if self._observed[0] != version:
                self._observed = (version, began)
            patience = max(spec.lease_duration_seconds or self._lease_seconds, 1)
            self._patience = self._observed[1] + patience - began
            if self._patience > 0:
                return False
        wanted = spec.model_copy(
            update={
                "holder_identity": self._identity,
                "lease_duration_seconds": self._lease_seconds,
                "renew_time": now,
                "acquire_time": spec.acquire_time if ours and spec.acquire_time else now,
                "lease_transitions": (spec.lease_transitions or 0) + (0 if ours or not version else 1),
            }
        )
        lease = lease.model_copy(update={"spec": wanted})
        try:
            if version:
                self._held = await self._client.update(LEASES, lease)
            else:
                self._held = await self._client.create(LEASES, lease)
        except ApiError as error:
            if error.is_conflict or error.is_already_exists:
                return False if not ours else await self._still_ours()
            raise
        self._valid_until = began + self._renew_within
        return True

    async def _still_ours(self) -> bool:
        """After a conflict: whether the holder is still this replica (then the next try renews)."""
        lease = await self._client.get(LEASES, self._name, self._namespace)
        if lease.spec.holder_identity != self._identity:
            return False
        raise SampanError("the lease changed while it was renewed")

    async def _release(self) -> None:
        """Let the next replica start at once. Only a courtesy: failing is fine."""
        held, self._held = self._held, None
        if held is None or not self.leading:
            return
        self._valid_until = float("-inf")
        spec = held.spec.model_copy(update={"holder_identity": "", "lease_duration_seconds": 1})
        try:
            async with asyncio.timeout(2):
                await self._client.update(LEASES, held.model_copy(update={"spec": spec}))
        except Exception as error:
            log.info("can't give the lease back", extra=fields(lease=self._name, error=error))
