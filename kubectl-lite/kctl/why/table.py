"""The table: for each kind, its situations in the order in which causes come first."""

from __future__ import annotations

from kctl.why import ending, jobs, namespaces, nodes, pending, running, services, starting, workloads
from kctl.why.facts import Facts, Value
from kctl.why.situation import Diagnosis, Entry, PassOn, Situation, Tables, diagnose

TABLES: Tables = {
    "Pod": (
        *ending.POD_ENDING,
        *pending.PENDING,
        pending.UNKNOWN_NODE,
        *starting.REFUSED,
        *starting.STARTING,
        *running.RUNNING[:-1],
        *starting.CREATING,
        running.RUNNING[-1],
    ),
    "Deployment": (*ending.ENDING, *workloads.DEPLOYMENTS),
    "ReplicaSet": (*ending.ENDING, *workloads.REPLICA_SETS),
    "DaemonSet": (*ending.ENDING, *workloads.DAEMON_SETS),
    "Job": (*ending.ENDING, *jobs.JOBS),
    "Service": (*ending.ENDING, *services.SERVICES),
    "Node": (*ending.ENDING, *nodes.NODES),
    "Namespace": namespaces.NAMESPACES,
    "": (
        *ending.ENDING,
        Situation("there", lambda facts, one: {}, "nothing is wrong that kctl knows of: it is there", "nothing to do",
                  healthy=True),
    ),
}  # fmt: skip
"""Kind -> its situations; any other kind has those under the empty name."""


def explain(facts: Facts, value: Value) -> Diagnosis:
    """The one cause and the one next step."""
    return diagnose(TABLES, facts, value)


def situations() -> list[Situation]:
    """All that the table knows, each once."""
    entries: list[Entry] = [one for table in TABLES.values() for one in table]
    return list({(one.name, one.cause): one for one in entries if not isinstance(one, PassOn)}.values())
