"""Read the protobuf field numbers of the API types out of a kubectl binary, for apiserver/protobuf/numbers.json.

    python tools/protobuf_numbers.py .venv/bin/kubectl > apiserver/protobuf/numbers.json

A Go binary carries its types' struct tags (`json:"..." protobuf:"bytes,1,opt,..."`) as reflection data. The layouts
read here are internal/abi.Type, StructType and Name of Go 1.2x, for a static 64-bit little-endian executable.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path
from typing import Any

POINTER, SLICE, MAP, STRUCT, UINT8 = 22, 23, 21, 25, 8
PACKAGES = re.compile(r"k8s\.io/(?:api/([a-z]+/v1)|apimachinery/pkg/apis/(meta/v1))$")
SPECIAL = {
    "k8s.io/apimachinery/pkg/apis/meta/v1.Time": "time",
    "k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime": "time",
    "k8s.io/apimachinery/pkg/apis/meta/v1.Duration": "duration",
    "k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1": "raw",
    "k8s.io/apimachinery/pkg/runtime.RawExtension": "raw",
    "k8s.io/apimachinery/pkg/api/resource.Quantity": "quantity",
    "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "int-or-string",
}
TAG = re.compile(rb'protobuf:"(bytes|varint|fixed64),(\d+),')


class Binary:
    """The loaded parts of an ELF file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        offset, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
        self.parts = []
        for at in range(offset, offset + 56 * count, 56):
            kind, _, where, address, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", data, at)
            if kind == 1:
                self.parts.append((address, address + size, where))

    def at(self, address: int) -> int:
        """The file offset of an address, -1 if it is none."""
        for low, high, where in self.parts:
            if low <= address < high:
                return int(address - low + where)
        return -1

    def address(self, offset: int) -> int:
        """The address of a file offset."""
        for low, high, where in self.parts:
            if where <= offset < where + high - low:
                return int(offset - where + low)
        return 0

    def word(self, address: int) -> int:
        """Eight bytes."""
        at = self.at(address)
        return int(struct.unpack_from("<Q", self.data, at)[0]) if at >= 0 else 0

    def text(self, at: int) -> tuple[str, int]:
        """A length-prefixed text at a file offset, and where it ends."""
        size, shift = 0, 0
        while True:
            byte = self.data[at]
            size |= (byte & 127) << shift
            shift, at = shift + 7, at + 1
            if byte < 128:
                return self.data[at : at + size].decode(errors="replace"), at + size


def names_with_tags(binary: Binary) -> dict[int, tuple[str, str]]:
    """Address of a Name -> (field, tag), for every field with a protobuf tag."""
    found = {}
    data = binary.data
    for match in TAG.finditer(data):
        start = match.start()
        json_at = data.rfind(b'json:"', start - 200, start)
        for tag_at in (start, json_at) if json_at >= 0 else (start,):
            head = tag_at - (2 if data[tag_at - 1] == 1 and data[tag_at - 2] >= 128 else 1)
            tag, end = binary.text(head)
            if end <= start or not tag.endswith('"') or not tag.startswith(("json:", "protobuf:")):
                continue
            name = next((n for n in range(1, 80) if data[head - n - 1] == n and data[head - n - 2] & 3 == 3), 0)
            field = data[head - name : head].decode(errors="replace")
            if name and field.isidentifier():
                found[binary.address(head - name - 2)] = (field, tag)
                break
    return found


def main(path: str) -> None:
    """Print the table."""
    binary = Binary(Path(path).read_bytes())
    data = binary.data
    names = names_with_tags(binary)
    low, high, where = next(part for part in binary.parts if part[0] <= min(names) < part[1])
    words = struct.unpack_from(f"<{(high - low) // 8}Q", data, where)
    uses = [low + 8 * index for index, word in enumerate(words) if word in names]
    use_set = set(uses)
    firsts = set()
    for use in uses:
        while use - 24 in use_set:
            use -= 24
        firsts.add(use)
    candidates = firsts | {use - 24 for use in firsts}
    types = [
        low + 8 * index - 56
        for index, word in enumerate(words)
        if word in candidates and index + 2 < len(words) and words[index + 1] == words[index + 2] < 200
    ]
    base = guess_base(binary, types, low)
    table: dict[str, Any] = {}
    for address in types:
        describe(binary, base, address, names, table)
    json.dump(dict(sorted(table.items())), sys.stdout, separators=(",", ":"), sort_keys=True)


def guess_base(binary: Binary, types: list[int], low: int) -> int:
    """Where name offsets count from: the address at which most type names can be read."""

    def score(base: int) -> int:
        return sum(name_of(binary, base, one).startswith(("*v1.", "v1.")) for one in types[:300])

    candidates = [low, *(binary.parts[i][0] for i in range(len(binary.parts)))]
    sections = section_addresses(binary)
    best: int = max([*candidates, *sections], key=score)
    return best


def section_addresses(binary: Binary) -> list[int]:
    """The addresses of all ELF sections."""
    data = binary.data
    offset, count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    return [struct.unpack_from("<Q", data, offset + 64 * index + 16)[0] for index in range(count)]


def name_of(binary: Binary, base: int, address: int) -> str:
    """A type's name with its package's last part: `v1.Pod`."""
    at = binary.at(address + 40)
    if at < 0:
        return ""
    where = binary.at(base + struct.unpack_from("<i", binary.data, at)[0])
    if where < 0:
        return ""
    return binary.text(where + 1)[0].lstrip("*")


def package_of(binary: Binary, base: int, address: int) -> str:
    """A named struct type's package path."""
    at = binary.at(address + 80)
    where = binary.at(base + struct.unpack_from("<i", binary.data, at)[0])
    return binary.text(where + 1)[0] if where >= 0 else ""


def key_of(binary: Binary, base: int, address: int) -> str:
    """`core/v1.Pod`, or a word for a type with an encoding of its own."""
    name = name_of(binary, base, address).rpartition(".")[2]
    package = package_of(binary, base, address)
    full = f"{package}.{name}"
    short = PACKAGES.match(package)
    return SPECIAL.get(full) or (f"{short[1] or short[2]}.{name}" if short else full)


def kind_of(binary: Binary, address: int) -> int:
    """abi.Kind of a type."""
    return binary.data[binary.at(address + 23)] & 31


def describe(binary: Binary, base: int, address: int, names: dict[int, tuple[str, str]], table: dict[str, Any]) -> None:
    """Add a struct type to the table: number -> [JSON name, shape, what, is pointer]."""
    if kind_of(binary, address) != STRUCT or not PACKAGES.match(package_of(binary, base, address)):
        return
    fields = {}
    array, count = binary.word(address + 56), binary.word(address + 64)
    for one in range(array, array + 24 * count, 24):
        found = names.get(binary.word(one))
        if found is None:
            continue
        _, tag = found
        number = re.search(r'protobuf:"(\w+),(\d+),', tag)
        wire = re.search(r'json:"([^",]*)', tag)
        if number is None:
            continue
        name = wire[1] if wire else ""
        shape, what, pointer = shape_of(binary, base, binary.word(one + 8))
        fields[number[2]] = [name if name != "-" else "", shape, what, pointer]
    table[key_of(binary, base, address)] = fields


def shape_of(binary: Binary, base: int, address: int) -> tuple[str, str, bool]:
    """(one, list or map; what is in it; is a pointer) of a field's type."""
    kind = kind_of(binary, address)
    if kind == POINTER:
        shape, what, _ = shape_of(binary, base, binary.word(address + 48))
        return shape, what, True
    if kind == SLICE:
        inner = binary.word(address + 48)
        if kind_of(binary, inner) == UINT8:
            return "one", "base64", False
        return "list", shape_of(binary, base, inner)[1], False
    if kind == MAP:
        return "map", shape_of(binary, base, binary.word(address + 56))[1], False
    if kind == STRUCT:
        return "one", key_of(binary, base, address), False
    basic = {1: "bool", 24: "string", 13: "float", 14: "float"}
    return "one", basic.get(kind, "int"), False


if __name__ == "__main__":
    main(sys.argv[1])
