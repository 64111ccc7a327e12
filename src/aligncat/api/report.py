"""`aligncat.write_report`: a page that shows every answer of some runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_report(runs: Sequence[str | Path], *, out: Path = Path("report"), figures: bool = True) -> Path:
    """Make a folder with a page that shows every answer of some runs in pictures, and where they err, in tables.

    Args:
        runs: what `aligncat evaluate --out` or `aligncat ablate` wrote, as folders or single .parquet files. Several
            are shown side by side, those answers first that are right in one and wrong in another.
        out: the folder; one that holds an earlier report is replaced. Its index.html opens from disk.
        figures: whether to draw figures too, which needs matplotlib (extra [report]).

    Returns:
        The path of the page.

    Raises:
        DataError: a run holds no answers, two runs call different data or different stores by one name, or the folder
            holds something else than a report.
    """
    from aligncat.report.folder import write_folder
    from aligncat.report.runs import read_runs

    return write_folder(read_runs([Path(run) for run in runs]), out, figures=figures)
