"""Which maps of users are taken, and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.errors import Invalid
from nodeagent.runtime.idmaps import FIRST_HOST_ID, IdMaps, Range, mapped_mount, maps_of
from sampan.cri import api_pb2 as cri


def options(ranges: list[Range]) -> cri.NamespaceOption:
    made = [cri.IDMapping(container_id=r.inside, host_id=r.outside, length=r.length) for r in ranges]
    return cri.NamespaceOption(userns_options=cri.UserNamespace(mode=cri.NamespaceMode.POD, uids=made, gids=made))


IDS = st.one_of(st.integers(0, 200), st.integers(FIRST_HOST_ID - 100, FIRST_HOST_ID + 300), st.integers(0, 2**32 - 1))
RANGES = st.lists(st.builds(Range, inside=IDS, outside=IDS, length=st.integers(0, 300)), max_size=4)


def plain(ranges: list[Range]) -> dict[int, int] | None:
    """The obvious form: each user on its own; None if the map must be refused."""
    found: dict[int, int] = {}
    for one in ranges:
        if not one.length:
            return None
        for step in range(one.length):
            inside, outside = one.inside + step, one.outside + step
            if inside in found or outside in found.values() or outside < FIRST_HOST_ID:
                return None
            if max(inside, outside) >= 2**32 - 1:
                return None
            found[inside] = outside
    return found if 0 in found else None


@given(RANGES)
def test_a_map_agrees_with_each_user_looked_at_alone(ranges: list[Range]) -> None:
    expected = plain(ranges)
    if expected is None:
        with pytest.raises(Invalid, match="userns_options"):
            maps_of(options(ranges))
        return
    maps = maps_of(options(ranges))
    assert maps is not None
    for inside, outside in list(expected.items())[:50]:
        assert maps.host_uid(inside) == maps.host_gid(inside) == outside
    assert maps.root == (expected[0], expected[0])


def test_the_machine_s_users_need_no_map() -> None:
    assert maps_of(cri.NamespaceOption()) is None
    node = cri.UserNamespace(mode=cri.NamespaceMode.NODE)
    assert maps_of(cri.NamespaceOption(userns_options=node)) is None
    node.uids.add(host_id=FIRST_HOST_ID, length=1)
    with pytest.raises(Invalid, match="mode NODE takes no mappings"):
        maps_of(cri.NamespaceOption(userns_options=node))


def test_a_mount_is_mapped_as_its_pod_or_not_at_all() -> None:
    pod = options([Range(0, FIRST_HOST_ID, 100)])
    assert not mapped_mount(cri.Mount(container_path="/v"), pod)
    mine = cri.Mount(uidMappings=pod.userns_options.uids, gidMappings=pod.userns_options.gids)
    assert mapped_mount(mine, pod)
    with pytest.raises(Invalid, match="the pod no user namespace"):
        mapped_mount(mine, cri.NamespaceOption())
    with pytest.raises(Invalid, match="gidMappings: mode POD needs a mapping"):
        mapped_mount(cri.Mount(uidMappings=pod.userns_options.uids), pod)


def test_who_is_in_no_range_is_said() -> None:
    maps = IdMaps((Range(0, FIRST_HOST_ID, 10),), (Range(0, FIRST_HOST_ID, 10),))
    with pytest.raises(Invalid, match="user 10 is not in the map"):
        maps.host_uid(10)
