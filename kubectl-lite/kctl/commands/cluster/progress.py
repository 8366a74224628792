"""How a long operation shows how far it is: a bar on a terminal, a line a step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kctl.flags import Values

Progress = Callable[[str, float], None]


@contextmanager
def shown(values: Values, title: str) -> Iterator[Progress]:
    """A function that is told what is done now and how much is behind it, 0 to 1."""
    if values.quiet:
        yield lambda what, share: None
        return
    if not sys.stdout.isatty():
        said = ""

        def line(what: str, share: float) -> None:
            nonlocal said
            if what != said:
                print(f"{title}: {what}", flush=True)
            said = what

        yield line
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"), TimeElapsedColumn())
    with Bar(*columns, transient=True) as bar:
        task = bar.add_task(title, total=1.0, now="", visible=False)

        def move(what: str, share: float) -> None:
            bar.update(task, completed=share, now=what, visible=share > 0)

        yield move
