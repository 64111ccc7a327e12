"""aligncat data prepare and data check: print the result of a dataset check."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aligncat.console import output_console
from aligncat.datasets.config import DataConfig
from aligncat.datasets.prepare.check import Report, SplitCheck, check_dataset
from aligncat.datasets.prepare.remarks import faults, remarks
from aligncat.errors import DataError
from aligncat.files.atomic import write_atomic

_COUNTS = ("referents", "sentences", "images")


def show_prepared(report: Report) -> None:
    """Print the result of the check, and fail if no split can be read.

    Raises:
        DataError: no split can be read.
    """
    show(report)
    if all(split.found is None for split in report.splits):
        raise DataError(f"{report.data.path / report.data.dataset}: no split can be read; the reasons are above")


def check_data(*, data: DataConfig, missing: Path | None = None) -> Report:
    """Check a dataset: counts against the published ones, every bad row, every missing photo.

    Args:
        data: the dataset.
        missing: a file for the names of all missing photos, one per line; empty if none is missing.

    Returns:
        The result of the check, if there is no fault.

    Raises:
        ConfigError: the dataset is not in REFER's layout.
        DataError: a count differs, a row is bad, or a photo is missing; the table and the list are printed first.
            Or the list of missing photos cannot be written.
    """
    report = check_dataset(data)
    show(report)
    if missing is not None:
        _write_names(missing, report.missing)
    if found := faults(report):
        raise DataError(f"{data.path / data.dataset}: {', '.join(found)}")
    return report


def show(report: Report) -> None:
    """Print the counts and the faults."""
    console = output_console()
    console.print(counts_table(report))
    for line in remarks(report):
        console.print(Text(line), soft_wrap=True)


def counts_table(report: Report) -> Table:
    """Return a table with one row per split; a count that differs from the published one shows both."""
    title = f"{report.data.dataset}, split by {report.data.split_by}, in {report.data.path / report.data.dataset}"
    table = Table(title=Text(title), box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Split")
    for name in _COUNTS:
        table.add_column(name.capitalize(), justify="right", overflow="fold")
    table.add_column("Against the published counts")
    for split in report.splits:
        table.add_row(split.split, *(_count(split, name) for name in _COUNTS), _verdict(split))
    return table


def _write_names(path: Path, names: tuple[str, ...]) -> None:
    try:
        write_atomic(path, "".join(f"{name}\n" for name in names).encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); give --missing another path") from error


def _count(split: SplitCheck, name: str) -> Text:
    found = None if split.found is None else int(getattr(split.found, name))
    published = None if split.published is None else int(getattr(split.published, name))
    if found is None:
        return Text("none" if published is None else f"none, not {published:,}", style="red")
    if published is None or found == published:
        return Text(f"{found:,}")
    return Text(f"{found:,}, not {published:,} ({found - published:+,})", style="red")


def _verdict(split: SplitCheck) -> Text:
    if split.found is None:
        return Text("cannot be read", style="red")
    if split.published is None:
        return Text("none known")
    return Text("differs", style="red") if split.differs else Text("equal")
