"""A cluster goes over to this kctl's code: upgrade."""

from __future__ import annotations

import time

from kctl.commands.cluster.printing import DEFAULT_NAME, only_name, say
from kctl.errors import UsageError
from kctl.flags import Flags, Values

VERBS = {
    "upgrade": "restart a cluster's processes with the Sampan that is installed, node by node",
}


def configure(flags: Flags, verb: str) -> None:
    """Declare the verb's flags."""
    flags.usage = f"[NAME, by default {DEFAULT_NAME}]"
    flags.switch("again", "restart also what has this version already")
    flags.switch("force", "go on although there are pods that nothing will make anew; they are lost")


def run(values: Values) -> int:
    """Upgrade one cluster."""
    from deploy import upgrade

    name = only_name(values)
    began = time.monotonic()
    count = upgrade.upgrade(name, _Drain(name, force=values.force), lambda text: say(values, text), again=values.again)
    if count:
        say(values, f"cluster {name} is upgraded after {time.monotonic() - began:.0f} s")
    else:
        say(values, f"cluster {name} has this version already; --again restarts it all the same")
    return 0


class _Drain:
    """kctl's own commands, as the cluster's administrator. Implements deploy.upgrade.Nodes."""

    def __init__(self, cluster: str, *, force: bool) -> None:
        from deploy.places import Places

        self._kubeconfig = str(Places.of(cluster).admin_kubeconfig)
        self._force = force

    def is_cordoned(self, name: str) -> bool:
        from kctl import target
        from kctl.session import Session

        found = Session(target.resolve({"kubeconfig": self._kubeconfig})).get(f"/api/v1/nodes/{name}")
        return bool(found.get("spec", {}).get("unschedulable"))

    def drain(self, name: str) -> None:
        more = ["--force"] if self._force else []
        self._run("drain", name, "--ignore-daemonsets", "--delete-emptydir-data", *more)

    def uncordon(self, name: str) -> None:
        self._run("uncordon", name)

    def _run(self, *words: str) -> None:
        from kctl.__main__ import dispatch

        if dispatch([*words, "--kubeconfig", self._kubeconfig]):
            raise UsageError(f"kctl {' '.join(words)} failed; the node stays cordoned, and the upgrade can be repeated")
