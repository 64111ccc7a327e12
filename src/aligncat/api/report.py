"""The public function `aligncat.write_report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aligncat.files.writable import check_writable


def write_report(
    runs: str | Path | Sequence[str | Path],
    *,
    out: str | Path = Path("report"),
    photos: str | Path = Path(),
    figures: bool = True,
) -> Path:
    """Write an HTML report that shows every answer of one or more runs and summarises their errors.

    Args:
        runs: the output of `aligncat evaluate --out` or `aligncat ablate`: folders or single .parquet files. Several
            runs are shown side by side, starting with the answers that are right in one run and wrong in another.
        out: the folder of the report; an earlier report in it is replaced. Its index.html opens from disk.
        photos: the folder of the data's photos. The report copies only pictures in it:
            the answers may be a stranger's and name any file.
        figures: also draw figures; needs matplotlib (extra [report]).

    Returns:
        The path of the HTML page.

    Raises:
        DataError: a run holds no answers, two runs use one name for different data or different stores, or the folder
            holds something other than a report.
    """
    check_writable(out)
    from aligncat.report.folder import write_folder
    from aligncat.report.runs import read_runs

    named = [runs] if isinstance(runs, str | Path) else runs
    return write_folder(read_runs([Path(run) for run in named]), Path(out), photos=Path(photos), figures=figures)
