"""Consoles, tables and progress bars of the command line. What comes from data is shown as it is, never as markup."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from aligncat.wording import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import RenderableType

T = TypeVar("T")

PIPED_WIDTH = 120
"""Line width, in characters, for output to a file or a pipe."""


def shown(*lines: str, style: str = "") -> Text:
    """Return text, which may come from data, as rich shows it: without markup, with control characters escaped.

    Args:
        lines: the lines; a line break inside one is escaped too.
        style: rich's name of a style.
    """
    return Text("\n".join(map(visible, lines)), style=style)


class DataTable(Table):
    """A table whose title, caption, headings and cells may come from data: strings go through `shown`."""

    def __init__(self, title: str | Text, *, caption: str | Text | None = None, **looks: Any) -> None:
        """Make a table without columns.

        Args:
            title: the text above the table.
            caption: the text below the table.
            looks: further arguments of rich's Table.
        """
        super().__init__(
            title=shown(title, style="table.title") if isinstance(title, str) else title,
            caption=shown(caption, style="table.caption") if isinstance(caption, str) else caption,
            box=SIMPLE_HEAD,
            pad_edge=False,
            **looks,
        )

    def add_column(self, header: RenderableType = "", *args: Any, **options: Any) -> None:
        """Add a column as rich's Table does."""
        super().add_column(shown(header) if isinstance(header, str) else header, *args, **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row as rich's Table does."""
        super().add_row(*(shown(cell) if isinstance(cell, str) else cell for cell in cells), **options)


class _DataConsole(Console):
    """A console that prints every string as `shown` does."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})


class _Description(ProgressColumn):
    def render(self, task: Task) -> Text:
        return shown(task.description)


def output_console(*, piped_width: int = PIPED_WIDTH) -> Console:
    """Return a console for results, which writes to standard output.

    Args:
        piped_width: the line width, in characters, if standard output is not a terminal.
    """
    return _DataConsole(width=None if sys.stdout.isatty() else piped_width)


def error_console() -> Console:
    """Return a console for everything except results, which writes to standard error."""
    return _DataConsole(stderr=True)


class ProgressLines(Progress):
    """A progress bar for a file or a pipe: it prints a line every so often, where rich prints one at the end only.

    Attributes:
        period: the time between two lines, in seconds.
    """

    period = 30.0

    def __init__(self, *columns: ProgressColumn, **named: Any) -> None:
        super().__init__(*columns, **named)
        self._printed = time.monotonic()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task, and print its line if it is time."""
        super().advance(task_id, advance)
        self._print(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Update a task, and print its line if it is time."""
        super().update(task_id, **changes)
        self._print(task_id)

    def _print(self, task_id: TaskID) -> None:
        with self._lock:
            ended = self.disable or self._tasks[task_id].finished
            due = time.monotonic() - self._printed >= self.period and not ended
            if due:
                self._printed = time.monotonic()
        if due:
            self.console.print(self.make_tasks_table([self._tasks[task_id]]))


_FURTHER: ContextVar[Callable[[], ProgressColumn] | None] = ContextVar(
    "a further column of progress bars", default=None
)


@contextmanager
def in_every_bar(column: Callable[[], ProgressColumn]) -> Iterator[None]:
    """Show a further column, at the end of each progress bar that is made in the block.

    Args:
        column: makes the column.
    """
    before = _FURTHER.set(column)
    try:
        yield
    finally:
        _FURTHER.reset(before)


def further_columns() -> list[ProgressColumn]:
    """Return the columns that a progress bar shows after its own."""
    column = _FURTHER.get()
    return [] if column is None else [column()]


def progress_bar(
    *details: ProgressColumn, speed_period: float = 30, transient: bool = False, shown: bool = True
) -> Progress:
    """Return a progress bar on standard error, or lines of progress if that is not a terminal.

    Args:
        details: columns to show after the description and the bar.
        speed_period: the speed is averaged over this many seconds.
        transient: remove the bar at the end.
        shown: whether to show the bar at all.
    """
    console = error_console()
    if not (console.is_jupyter or sys.stderr.isatty()):
        console = _DataConsole(stderr=True, force_terminal=False)  # FORCE_COLOR wants colours, not a bar in a file
    kind = Progress if console.is_terminal else ProgressLines
    return kind(
        *(_Description(), BarColumn(), *details, *further_columns()),
        console=console,
        speed_estimate_period=speed_period,
        transient=transient,
        disable=not shown,
    )


def track(
    steps: Iterable[T], description: str, *, total: int | None = None, transient: bool = False, shown: bool = True
) -> Iterator[T]:
    """Yield the same steps while a progress bar on standard error shows how many are done.

    Args:
        steps: the steps to iterate over.
        description: the text before the bar.
        total: the number of steps; by default the length of `steps`.
        transient: remove the bar at the end.
        shown: whether to show the bar at all.
    """
    details = (TaskProgressColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    with progress_bar(*details, transient=transient, shown=shown) as progress:
        yield from progress.track(steps, total=total, description=description)
