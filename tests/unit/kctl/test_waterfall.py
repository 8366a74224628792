"""A pod's start as a waterfall."""

from __future__ import annotations

from kctl.waterfall import lines, steps_of, to_json

POD = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"nodeName": "n1"},
    "status": {
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
        ],
        "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}],
    },
}


def step(name: str, begin: float, end: float, container: str = "") -> dict[str, str]:
    times = {"begin": f"2026-01-01T00:00:{begin:09.6f}Z", "end": f"2026-01-01T00:00:{end:09.6f}Z"}
    return {"step": name, **times} | ({"container": container} if container else {})


NOTED = [
    step("admitted", 0.1, 0.101),
    step("stored", 0.101, 0.104),
    step("scheduled", 0.104, 0.108),
    step("bound", 0.108, 0.112),
    step("seen", 0.12, 0.12),
    step("sandbox", 0.121, 0.141),
    step("image", 0.142, 0.143, "main"),
    step("created", 0.143, 0.150, "main"),
    step("started", 0.150, 0.160, "main"),
    step("ready", 0.170, 0.170),
    step("network", 0.125, 0.130),
]


def test_steps_are_in_order_and_waiting_counts() -> None:
    steps = steps_of(POD, NOTED)
    names = [one.name for one in steps]
    assert names == ["admitted", "stored", "scheduled", "bound", "seen", "sandbox", "network", "image", "created",
                     "started", "ready"]  # fmt: skip
    assert all(one.exact for one in steps)
    by_name = {one.name: one.milliseconds for one in steps}
    assert (by_name["sandbox"], by_name["network"]) == (20.0, 5.0)
    assert (by_name["seen"], by_name["ready"]) == (8.0, 10.0)  # since it was bound, since it was started
    assert to_json(POD, steps)["milliseconds"] == 70.0


def test_what_nobody_remembers_is_told_to_the_second() -> None:
    steps = steps_of(POD, [])
    assert [(one.name, one.exact) for one in steps] == [
        ("stored", False), ("bound", False), ("seen", False), ("started", False), ("ready", False),
    ]  # fmt: skip
    assert lines(steps)[-1].split() == ["first", "ready", "~1000.0", "ms"]


def test_bars_stay_within_the_width() -> None:
    shown = lines(steps_of(POD, NOTED))
    assert shown[0].split() == ["STEP", "AT", "TOOK"]
    assert max(map(len, shown)) <= len(shown[0]) + 2 + 40
    assert shown[-1].endswith("#")
