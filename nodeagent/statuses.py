"""Pods' statuses on their way into the API: only what differs, the newest only, through pods/status.

Elsewhere: what a status says (status.py).
"""

from __future__ import annotations

from typing import Any

from sampan.api import core_v1

OTHERS = ("nominatedNodeName", "resourceClaimStatuses", "extendedResourceClaimStatus", "resize")
"""Fields of a status that the agent leaves alone."""


def patch_of(uid: str, old: core_v1.PodStatus, new: core_v1.PodStatus) -> dict[str, Any] | None:
    """The strategic merge patch from one status to another; None when nothing differs. Pure.

    It names the uid, so that it can't hit a later pod of the same name.
    """
    before, after = old.to_json(), new.to_json()
    change: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        if key in OTHERS or before.get(key) == after.get(key):
            continue
        match key:
            case "conditions":
                known = {one["type"]: one for one in before.get(key, ())}
                # a merge keeps what it is not told to drop: a message that is no more has to be said
                changed = [
                    dict.fromkeys(known.get(one["type"], {})) | one
                    for one in after.get(key, ())
                    if known.get(one["type"]) != one
                ]
                if changed:
                    change[key] = changed
            case "podIPs" | "hostIPs":
                gone = [one for one in before.get(key, ()) if one not in after.get(key, ())]
                dropped = [{"$patch": "delete", "ip": one["ip"]} for one in gone]
                change[key] = [*after.get(key, ()), *dropped]
            case _:
                change[key] = after.get(key)
    return {"metadata": {"uid": uid}, "status": change} if change else None


def is_urgent(old: core_v1.PodStatus, new: core_v1.PodStatus) -> bool:
    """Whether somebody may be waiting for this change: anything but a pod on its way to its first container."""
    if old.phase not in (None, "Pending") or new.phase != "Pending":
        return True
    return any(
        (state := one.state) is not None
        and (
            state.terminated is not None
            or (state.waiting is not None and state.waiting.reason not in ("ContainerCreating", "PodInitializing"))
        )
        for one in (*new.container_statuses, *new.init_container_statuses)
    )
