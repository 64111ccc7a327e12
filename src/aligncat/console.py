"""Consoles and progress bars of the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.progress import ProgressColumn

T = TypeVar("T")

PIPED_WIDTH = 120
"""Line width, in characters, for output to a file or a pipe."""


def output_console(*, piped_width: int = PIPED_WIDTH) -> Console:
    """Return a console for results, which writes to standard output.

    Args:
        piped_width: the line width, in characters, if standard output is not a terminal.
    """
    return Console(width=None if sys.stdout.isatty() else piped_width)


def error_console() -> Console:
    """Return a console for everything except results, which writes to standard error."""
    return Console(stderr=True)


def progress_bar(*details: ProgressColumn, speed_period: float = 30) -> Progress:
    """Return a progress bar on standard error.

    Args:
        details: columns to show after the description and the bar.
        speed_period: the speed is averaged over this many seconds.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), *details)
    return Progress(*columns, console=error_console(), speed_estimate_period=speed_period)


def track(
    steps: Iterable[T], description: str, *, total: int | None = None, transient: bool = False, shown: bool = True
) -> Iterable[T]:
    """Return an iterable over the same steps that shows a progress bar on standard error.

    Args:
        steps: the steps to iterate over.
        description: the text before the bar.
        total: the number of steps; by default the length of `steps`.
        transient: remove the bar at the end.
        shown: whether to show the bar at all.
    """
    return rich_progress.track(
        steps, description, total=total, console=error_console(), transient=transient, disable=not shown
    )
