"""Seccomp profiles and their compilation to classic BPF (seccomp(2), the kernel's Documentation/userspace-api).

A profile is rules over system call names; a program is what the kernel runs at each call: the machine is checked, then
a binary search over call numbers leads to the verdict, so that 300 allowed calls cost eight comparisons.
"""

import errno
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_RET|K
_JUMP, _EQUAL, _GREATER, _AT_LEAST = 0x05, 0x15, 0x25, 0x35
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16

_ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}  # AUDIT_ARCH_* of linux/audit.h

ALLOW = 0x7FFF_0000
KILL_PROCESS = 0x8000_0000
KILL_THREAD = 0x0000_0000
LOG = 0x7FFC_0000
TRAP = 0x0003_0000


def fail_with(number: int) -> int:
    """The verdict that makes a call fail with an errno."""
    return 0x0005_0000 | (number & 0xFFFF)


class Comparison(Enum):
    """How an argument is compared with a value; MASKED has its mask too."""

    EQUAL = "SCMP_CMP_EQ"
    NOT_EQUAL = "SCMP_CMP_NE"
    LESS = "SCMP_CMP_LT"
    LESS_OR_EQUAL = "SCMP_CMP_LE"
    GREATER = "SCMP_CMP_GT"
    GREATER_OR_EQUAL = "SCMP_CMP_GE"
    MASKED = "SCMP_CMP_MASKED_EQ"


@dataclass(frozen=True, slots=True)
class Condition:
    """Argument `index` (0 to 5) compared with a 64-bit value."""

    index: int
    comparison: Comparison
    value: int
    mask: int = 0xFFFF_FFFF_FFFF_FFFF

    def holds(self, argument: int) -> bool:
        """What the kernel will say; the compiled form must agree."""
        match self.comparison:
            case Comparison.EQUAL:
                return argument == self.value
            case Comparison.NOT_EQUAL:
                return argument != self.value
            case Comparison.LESS:
                return argument < self.value
            case Comparison.LESS_OR_EQUAL:
                return argument <= self.value
            case Comparison.GREATER:
                return argument > self.value
            case Comparison.GREATER_OR_EQUAL:
                return argument >= self.value
            case Comparison.MASKED:
                return argument & self.mask == self.value & self.mask


@dataclass(frozen=True, slots=True)
class Rule:
    """Calls by name, a verdict, and what must all hold of the arguments for it. The first rule that holds decides."""

    names: tuple[str, ...]
    verdict: int
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Rules, and the verdict for what none of them decides."""

    default: int
    rules: tuple[Rule, ...]


class ProfileError(Exception):
    """A profile that cannot be compiled: says which part and why."""


# An instruction before its jumps are known: code, k, label if true, label if false; or a label itself.
_Instruction = tuple[int, int, str | None, str | None]
_Line = _Instruction | str


class _Program:
    def __init__(self) -> None:
        self.lines: list[_Line] = []
        self._labels = 0

    def label(self) -> str:
        self._labels += 1
        return f"L{self._labels}"

    def add(self, code: int, k: int = 0, true: str | None = None, false: str | None = None) -> None:
        self.lines.append((code, k, true, false))

    def here(self, label: str) -> None:
        self.lines.append(label)

    def assembled(self) -> bytes:
        """Jumps become distances. Conditional ones reach 255 instructions, which the blocks here stay below."""
        where: dict[str, int] = {}
        instructions: list[_Instruction] = []
        for line in self.lines:
            if isinstance(line, str):
                where[line] = len(instructions)
            else:
                instructions.append(line)
        if len(instructions) > 4096:
            raise ProfileError(f"seccomp profile: {len(instructions)} instructions, the kernel takes 4096")
        encoded = []
        for at, (code, k, true, false) in enumerate(instructions):
            if code == _JUMP:
                assert true is not None
                encoded.append(struct.pack("=HBBI", code, 0, 0, where[true] - at - 1))
                continue
            jumps = [where[label] - at - 1 if label else 0 for label in (true, false)]
            if max(jumps) > 255:
                raise ProfileError("seccomp profile: too many conditions on one system call")
            encoded.append(struct.pack("=HBBI", code, jumps[0], jumps[1], k))
        return b"".join(encoded)


def compile_profile(profile: Profile, machine: str, numbers: Mapping[str, int]) -> bytes:
    """The program for a machine. Names that it does not have are skipped; calls newer than all it has are ENOSYS."""
    by_number: dict[int, list[Rule]] = {}
    for rule in profile.rules:
        for name in rule.names:
            if name in numbers:
                by_number.setdefault(numbers[name], []).append(rule)
    segments = _segments(by_number, profile.default, max(numbers.values()))
    program = _Program()
    foreign = program.label()
    program.add(_LOAD, _ARCH_AT)
    native = program.label()
    program.add(_EQUAL, _ARCHITECTURES[machine], native, foreign)
    program.here(foreign)
    program.add(_RETURN, fail_with(errno.ENOSYS))
    program.here(native)
    program.add(_LOAD, _NUMBER_AT)
    _search(program, segments)
    return program.assembled()


_Decision = tuple[tuple[Rule, ...], int]


def _segments(by_number: Mapping[int, list[Rule]], default: int, newest: int) -> list[tuple[int, _Decision]]:
    """Ranges of call numbers with one decision each: (first number, decision), in order."""
    unknown: _Decision = ((), fail_with(errno.ENOSYS))
    segments: list[tuple[int, _Decision]] = []
    for number in range(newest + 1):
        rules = by_number.get(number, [])
        last = next((i for i, rule in enumerate(rules) if not rule.conditions), None)
        if last is None:
            decision: _Decision = (tuple(rules), default)
        else:
            decision = (tuple(rules[:last]), rules[last].verdict)
        if not segments or segments[-1][1] != decision or decision[0]:
            segments.append((number, decision))
    segments.append((newest + 1, unknown))  # on x86_64 this has the x32 calls too, which have a high bit set
    return segments


def _search(program: _Program, segments: Sequence[tuple[int, _Decision]]) -> None:
    if len(segments) == 1:
        _decide(program, *segments[0][1])
        return
    middle = len(segments) // 2
    right, near, left = program.label(), program.label(), program.label()
    program.add(_AT_LEAST, segments[middle][0], near, left)
    program.here(near)
    program.add(_JUMP, 0, right)
    program.here(left)
    _search(program, segments[:middle])
    program.here(right)
    _search(program, segments[middle:])


def _decide(program: _Program, rules: Sequence[Rule], otherwise: int) -> None:
    for rule in rules:
        next_rule = program.label()
        for condition in rule.conditions:
            _test(program, condition, next_rule)
        program.add(_RETURN, rule.verdict)
        program.here(next_rule)
    program.add(_RETURN, otherwise)


def _test(program: _Program, condition: Condition, fails: str) -> None:
    """Fall through if the condition holds, else jump to `fails`. Arguments are two 32-bit words, the low one first."""
    low, high = _ARGUMENTS_AT + 8 * condition.index, _ARGUMENTS_AT + 8 * condition.index + 4
    mask = condition.mask if condition.comparison is Comparison.MASKED else 0xFFFF_FFFF_FFFF_FFFF
    value = condition.value & mask
    value_low, value_high = value & 0xFFFF_FFFF, value >> 32
    holds, low_word, above = program.label(), program.label(), program.label()
    match condition.comparison:
        case Comparison.EQUAL | Comparison.MASKED:
            program.add(_LOAD, high)
            program.add(_AND, mask >> 32)
            program.add(_EQUAL, value_high, low_word, fails)
            program.here(low_word)
            program.add(_LOAD, low)
            program.add(_AND, mask & 0xFFFF_FFFF)
            program.add(_EQUAL, value_low, holds, fails)
        case Comparison.NOT_EQUAL:
            program.add(_LOAD, high)
            program.add(_EQUAL, value_high, low_word, holds)
            program.here(low_word)
            program.add(_LOAD, low)
            program.add(_EQUAL, value_low, fails, holds)
        case Comparison.GREATER | Comparison.GREATER_OR_EQUAL:
            code = _GREATER if condition.comparison is Comparison.GREATER else _AT_LEAST
            program.add(_LOAD, high)
            program.add(_GREATER, value_high, holds, above)
            program.here(above)
            program.add(_EQUAL, value_high, low_word, fails)
            program.here(low_word)
            program.add(_LOAD, low)
            program.add(code, value_low, holds, fails)
        case Comparison.LESS | Comparison.LESS_OR_EQUAL:
            code = _AT_LEAST if condition.comparison is Comparison.LESS else _GREATER
            program.add(_LOAD, high)
            program.add(_GREATER, value_high, fails, above)
            program.here(above)
            program.add(_EQUAL, value_high, low_word, holds)
            program.here(low_word)
            program.add(_LOAD, low)
            program.add(code, value_low, fails, holds)
    program.here(holds)
