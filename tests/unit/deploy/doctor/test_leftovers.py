"""What is a leftover, and by which command it goes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from deploy.doctor.leftovers import Context, Directory, Home, Kind, Namespace, Owned, Process, Sighted, judge

USUAL = Home(Path("/var/lib/sampan"), Path("/run/sampan"), usual=True)
OTHER = Home(Path("/o t"), Path("/run/o"))


def test_a_cluster_that_exists_is_one_line_whatever_it_has() -> None:
    seen = Sighted(
        owned=[Owned("dev", "dev", USUAL)],
        processes=[Process(7, "etcd", "dev")],
        mounts=[("/run/sampan/dev/x", "dev")],
        namespaces=[Namespace(4, (7,), (), ("nodes",))],
        cgroups=[("dev", ("/sys/fs/cgroup/sampan/dev",))],
        directories=[Directory("/run/sampan/dev", "dev", "dev", USUAL)],
        contexts=[Context("/k", "sampan-dev", "dev", "dev")],
    )
    assert [(one.kind, one.what, one.remedy) for one in judge(seen)] == [
        (Kind.CLUSTER, "dev", "kctl cluster delete dev")
    ]


def test_the_same_without_its_description() -> None:
    seen = Sighted(
        processes=[Process(7, "etcd", "dev")],
        mounts=[("/run/sampan/dev/a b", "dev")],
        namespaces=[Namespace(4, (7, 9), ("/p",), ("nodes",)), Namespace(5, (9,), (), ("nodes",))],
        interfaces=["sampan-pods"],
        tables=["ip sampan"],
        cgroups=[("dev", ("/sys/fs/cgroup/pids/sampan/dev", "/sys/fs/cgroup/cpu/sampan/dev"))],
        directories=[Directory("/run/sampan/dev", "dev", "dev", USUAL), Directory("/o/x_", "x_", "k", OTHER)],
        contexts=[Context("/k", "sampan-dev", "dev", "dev")],
    )
    assert [one.remedy for one in judge(seen)] == [
        "kill -9 7",
        "umount '/run/sampan/dev/a b'",
        "umount /p && kill -9 7",
        "ip link delete sampan-pods",
        "nft delete table ip sampan",
        "find /sys/fs/cgroup/*/sampan/dev -depth -type d -delete",
        "kctl cluster delete dev",
        "rm -r --one-file-system /o/x_",
        "kctl --kubeconfig /k config delete-context sampan-dev && kctl --kubeconfig /k config delete-cluster sampan-dev"
        " && kctl --kubeconfig /k config delete-user sampan-dev",
    ]


def test_a_cluster_of_another_home_is_named_with_it() -> None:
    (one,) = judge(Sighted(owned=[Owned("dev-1", "dev", OTHER)]))
    assert one.remedy == "SAMPAN_HOME='/o t' SAMPAN_RUN=/run/o kctl cluster delete dev"


def test_a_joined_machine_keeps_its_network_until_it_leaves() -> None:
    seen = Sighted(
        owned=[Owned("machine", "this machine", USUAL, joined=True)], interfaces=["sampan-pods"], tables=["ip sampan"]
    )
    assert [(one.kind, one.remedy) for one in judge(seen)] == [(Kind.NODE, "sampan leave")]


KEYS = st.sampled_from(["a", "b", "c"])


@given(st.sets(KEYS), st.lists(st.tuples(st.integers(1, 9), KEYS), unique_by=lambda one: one[0]), st.sets(KEYS))
def test_exactly_what_belongs_to_no_cluster_is_left(
    living: set[str], processes: list[tuple[int, str]], cgroups: set[str]
) -> None:
    seen = Sighted(
        owned=[Owned(key, key, USUAL) for key in living],
        processes=[Process(pid, "x", key) for pid, key in processes],
        cgroups=[(key, (f"/sys/fs/cgroup/sampan/{key}",)) for key in cgroups],
    )
    found = judge(seen)
    assert {one.key for one in found if one.kind is Kind.CLUSTER} == living
    assert [one.key for one in found if one.kind is Kind.PROCESS] == [key for _, key in processes if key not in living]
    assert {one.key for one in found if one.kind is Kind.CGROUP} == cgroups - living
