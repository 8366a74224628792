"""When certificates are renewed: in time, and at once when somebody sets the machine's clock.

One timer of the kernel's over the calendar; nothing polls. A machine that slept or whose clock jumped past the end of
all its certificates has new ones before it notices.
Elsewhere: which certificates there are and when one is due (pki.py), who takes up the new ones (sampan.serving,
sampan.handshake, etcd by itself).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from deploy import kubeconfig, ledger, pki, syscalls
from deploy.ledger import Made
from deploy.places import Places
from deploy.spec import Cluster
from sampan.errors import ClusterError

SOONEST_SECONDS = 1.0
RETRY_SECONDS = 10.0


def renew_kubeconfigs(cluster: Cluster, places: Places) -> None:
    """Give the administrator's kubeconfigs, which have the certificate inside, the one that is there now."""
    context, server = kubeconfig.context_name(places.name), f"https://127.0.0.1:{cluster.spec.api_port}"
    entry = pki.kubeconfig(places.pki, "admin", server, context)
    target = places.admin_kubeconfig
    if not target.exists() or target.read_text() == pki.as_yaml(entry):
        return
    pki.write_kubeconfig(target, entry)
    for made in ledger.read(places.ledger):
        if made.kind is Made.KUBECONFIG:
            kubeconfig.renew(entry, Path(made.what))


class Renewal:
    """Calls `ensure`, which renews what is due and returns when the next will be, whenever it is time."""

    def __init__(self, ensure: Callable[[], datetime], *, watch: Callable[[int, Callable[[], None]], None]) -> None:
        self._ensure = ensure
        self._alarm = syscalls.alarm_clock()
        watch(self._alarm, self._rang)

    def renew(self) -> None:
        """Now, and then whenever it is due. Raises ClusterError and OSError; the next alarm is set all the same."""
        moment = time.time() + RETRY_SECONDS
        try:
            moment = max(self._ensure().timestamp(), time.time() + SOONEST_SECONDS)
        finally:
            syscalls.set_alarm(self._alarm, moment)

    def _rang(self) -> None:
        with contextlib.suppress(OSError):  # ECANCELED: the clock was set
            os.read(self._alarm, 8)
        try:
            self.renew()
        except (ClusterError, OSError) as error:  # tried again soon
            print(f"certificates can't be renewed: {error}", file=sys.stderr, flush=True)
