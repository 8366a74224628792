"""RUN: one command in one of our own containers over the stage's layers (nodeagent.runtime.launch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.images.build.dockerfile import Instruction
from nodeagent.runtime.images.build.stage import DEFAULT_SHELL, Config, command
from nodeagent.runtime.images.store import Progress


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, as whom and where."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    user: str
    directory: str


def argv_of(instruction: Instruction, config: Config) -> tuple[str, ...]:
    """The argument vector of RUN; a here-document is the script, or follows it as the shell's own here-document."""
    if not instruction.heredocs:
        return tuple(command(instruction, config))
    shell = tuple(config.get("Shell") or DEFAULT_SHELL)
    document = instruction.heredocs[0]
    if len(instruction.heredocs) == 1 and instruction.rest.lstrip("<-").strip("\"'") == document.name:
        return (*shell, document.text)
    bodies = "".join(f"{h.text}{h.name}\n" for h in instruction.heredocs)
    return (*shell, f"{instruction.rest}\n{bodies}")


def run(instruction: Instruction, what: Command, layers: Sequence[Path], room: Path, say: Progress) -> Path:
    """Run the command to its end; returns overlayfs's upper directory with what it changed. Raises BuildError."""
    # A build without RUN, or with all its steps cached, starts faster without these.
    import asyncio

    from nodeagent.runtime.launch import run_once

    upper, scratch = room / "upper", room / "scratch"
    for path in (room, upper, scratch):
        path.mkdir(mode=0o755)
    lines = _Output(say)
    try:
        ended = asyncio.run(
            run_once(
                layers=layers,
                upper=upper,
                argv=what.argv,
                env=what.environment,
                cwd=what.directory,
                user=what.user,
                output=lines.take,
                scratch=scratch,
            )
        )
    except Exception as error:  # whatever stops a container from starting is this line's trouble
        raise instruction.wrong(f"{what.argv[0]!r} could not be run: {error or type(error).__name__}") from error
    lines.end()
    if ended.code != 0:
        how = "ran out of memory" if ended.oom_killed else f"ended with exit code {ended.code}"
        said = f" and said: {' | '.join(lines.last)}" if lines.last else ""
        raise instruction.wrong(f"the command {how}{said}")
    return upper


class _Output:
    """A command's output as progress lines; the last few are kept for the error."""

    def __init__(self, say: Progress) -> None:
        self._say = say
        self._open: dict[str, bytes] = {}
        self.last: list[str] = []

    def take(self, stream: str, chunk: bytes) -> None:
        *lines, rest = (self._open.get(stream, b"") + chunk).split(b"\n")
        self._open[stream] = rest[-4096:]
        for line in lines:
            self._line(line)

    def end(self) -> None:
        for rest in self._open.values():
            if rest:
                self._line(rest)

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        self.last = [*self.last[-4:], text]
        self._say(f"  {text}")
