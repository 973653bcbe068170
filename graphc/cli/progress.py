"""What is going on, on stderr, while a verb takes its time; silent unless stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graphc.errors import clean


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that says what begins now; what it said is wiped away at the end."""
    if not sys.stderr.isatty():
        yield lambda doing: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=None)
        yield lambda doing: shown.update(task, description=clean(doing))
