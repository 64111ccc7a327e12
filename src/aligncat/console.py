"""The consoles that verbs print to, and their progress bars."""

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
"""Columns of text where the output is a file or a pipe, which have no width of their own."""


def output_console(*, piped_width: int = PIPED_WIDTH) -> Console:
    """Return a console for results, on standard output.

    Args:
        piped_width: columns of text where standard output is not a terminal.
    """
    return Console(width=None if sys.stdout.isatty() else piped_width)


def error_console() -> Console:
    """Return a console for everything that is not a result, on standard error."""
    return Console(stderr=True)


def progress_bar(*details: ProgressColumn, speed_period: float = 30) -> Progress:
    """Return a progress bar on standard error.

    Args:
        details: what stands behind the description and the bar.
        speed_period: seconds over which the speed is a mean.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), *details)
    return Progress(*columns, console=error_console(), speed_estimate_period=speed_period)


def track(
    steps: Iterable[T], description: str, *, total: int | None = None, transient: bool = False, shown: bool = True
) -> Iterable[T]:
    """Return the same steps, with a progress bar on standard error while they are taken.

    Args:
        steps: what to go through.
        description: of the work.
        total: how many steps; by default their length.
        transient: remove the bar at the end.
        shown: False for no bar.
    """
    return rich_progress.track(
        steps, description, total=total, console=error_console(), transient=transient, disable=not shown
    )
