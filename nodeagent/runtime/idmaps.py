"""Which users of the machine a pod's users are: CRI's user namespace options, checked. Pure.

Source: CRI v1, UserNamespace; user_namespaces(7), "Defining user and group ID mappings". The machine's own users, 0 to
65535, are never given to a pod (KEP-127).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodeagent.runtime.errors import Invalid
from sampan.cri import api_pb2 as cri

FIRST_HOST_ID = 65536
_IDS = 2**32 - 1  # the last number means "no user"
_MOST_RANGES = 340


@dataclass(frozen=True, slots=True)
class Range:
    """`length` users from `inside` on, which are those of the machine from `outside` on."""

    inside: int
    outside: int
    length: int


@dataclass(frozen=True, slots=True)
class IdMaps:
    """A pod's users and groups."""

    uids: tuple[Range, ...]
    gids: tuple[Range, ...]

    @property
    def root(self) -> tuple[int, int]:
        """Who the pod's root is on the machine: (user, group)."""
        return self.host_uid(0), self.host_gid(0)

    def host_uid(self, uid: int) -> int:
        """A user's number on the machine. Raises Invalid if it is not in the map."""
        return _outside(self.uids, uid, "user")

    def host_gid(self, gid: int) -> int:
        """A group's number on the machine. Raises Invalid if it is not in the map."""
        return _outside(self.gids, gid, "group")


def _outside(ranges: Sequence[Range], id: int, what: str) -> int:
    for one in ranges:
        if one.inside <= id < one.inside + one.length:
            return one.outside + id - one.inside
    raise Invalid(f"user namespace: {what} {id} is not in the map")


def maps_of(options: cri.NamespaceOption) -> IdMaps | None:
    """A sandbox's maps, None if it is to use the machine's users. Raises Invalid."""
    if not options.HasField("userns_options"):
        return None
    wish = options.userns_options
    if wish.mode == cri.NamespaceMode.NODE:
        if wish.uids or wish.gids:
            raise Invalid("userns_options: mode NODE takes no mappings")
        return None
    if wish.mode != cri.NamespaceMode.POD:
        raise Invalid(f"unsupported user namespace mode: {cri.NamespaceMode.Name(wish.mode)!r}; known are POD and NODE")
    for field, mode in (("network", options.network), ("pid", options.pid), ("ipc", options.ipc)):
        if mode == cri.NamespaceMode.NODE:
            raise Invalid(f"userns_options: mode POD can't go with the machine's own {field} namespace ({field} NODE)")
    maps = IdMaps(_checked("uids", wish.uids), _checked("gids", wish.gids))
    for name, ranges in (("uids", maps.uids), ("gids", maps.gids)):
        if not any(one.inside <= 0 < one.inside + one.length for one in ranges):
            raise Invalid(f"userns_options.{name}: 0 is not mapped, and a container needs a root")
    return maps


def _checked(field: str, mappings: Sequence[cri.IDMapping]) -> tuple[Range, ...]:
    where = f"userns_options.{field}"
    if not mappings:
        raise Invalid(f"{where}: mode POD needs a mapping")
    if len(mappings) > _MOST_RANGES:
        raise Invalid(f"{where}: {len(mappings)} mappings are more than the kernel's {_MOST_RANGES}")
    found = tuple(Range(one.container_id, one.host_id, one.length) for one in mappings)
    for one in found:
        if one.length < 1:
            raise Invalid(f"{where}: invalid mapping length: {one.length}")
        if max(one.inside, one.outside) + one.length > _IDS:
            raise Invalid(f"{where}: {_shown(one)} goes beyond the last id, {_IDS - 1}")
        if one.outside < FIRST_HOST_ID:
            raise Invalid(f"{where}: {_shown(one)} overlaps the machine's own ids, 0-{FIRST_HOST_ID - 1}")
    for side in ("inside", "outside"):
        _must_not_overlap(where, side, found)
    return found


def _must_not_overlap(where: str, side: str, ranges: Iterable[Range]) -> None:
    ordered = sorted(ranges, key=lambda one: int(getattr(one, side)))
    for first, second in itertools.pairwise(ordered):
        if getattr(first, side) + first.length > getattr(second, side):
            which = "container" if side == "inside" else "host"
            raise Invalid(f"{where}: {_shown(first)} and {_shown(second)} overlap in {which} ids")


def _shown(one: Range) -> str:
    return f"mapping (container {one.inside}, host {one.outside}, length {one.length})"


def must_be_the_sandbox_s(container: cri.NamespaceOption, sandbox: cri.NamespaceOption) -> None:
    """A pod has one user namespace. Raises Invalid if a container asks for another than its sandbox has."""
    if _plain(container) != _plain(sandbox):
        raise Invalid(
            "user namespace config for sandbox is different from container. "
            f"Sandbox userns config: {_told(sandbox)} - Container userns config: {_told(container)}"
        )


def mapped_mount(mount: cri.Mount, options: cri.NamespaceOption) -> bool:
    """Whether a mount is shown through the pod's map. Raises Invalid for any other map than the pod's."""
    if not mount.uidMappings and not mount.gidMappings:
        return False
    maps = maps_of(options)
    if maps is None:
        raise Invalid(f"mount {mount.container_path}: it has uidMappings, and the pod no user namespace")
    asked = IdMaps(_checked("uidMappings", mount.uidMappings), _checked("gidMappings", mount.gidMappings))
    if asked != maps:
        raise Invalid(f"mount {mount.container_path}: its uidMappings and gidMappings must be those of the pod")
    return True


def _plain(options: cri.NamespaceOption) -> bytes:
    """What counts in a comparison: no options are the machine's users."""
    wish = options.userns_options
    if wish.mode == cri.NamespaceMode.NODE or not options.HasField("userns_options"):
        return b""
    return bytes(wish.SerializeToString(deterministic=True))


def _told(options: cri.NamespaceOption) -> str:
    if not _plain(options):
        return "none"
    wish = options.userns_options
    uids = ", ".join(f"{one.container_id} {one.host_id} {one.length}" for one in wish.uids)
    gids = ", ".join(f"{one.container_id} {one.host_id} {one.length}" for one in wish.gids)
    return f"uids [{uids}] gids [{gids}]"
