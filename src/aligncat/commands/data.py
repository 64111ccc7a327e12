"""aligncat data prepare, data check and data phrases: print their results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.errors import DataError
from aligncat.files.locks import remove_left
from aligncat.files.name_lists import write_names
from aligncat.files.writable import check_writable

if TYPE_CHECKING:
    from aligncat.datasets.prepare.check import Report
    from aligncat.phrases.make import MadePhrases


def show_prepared(report: Report) -> None:
    """Print the result of the check, and fail if no split can be read.

    Raises:
        DataError: no split can be read.
    """
    show(report)
    if all(split.found is None for split in report.splits):
        raise DataError(f"{report.data.path / report.data.dataset}: no split can be read; the reasons are above")


def check_data(*, data: DataConfig, missing: str | Path | None = None) -> Report:
    """Check a dataset: counts against the published ones, every bad row, every missing photo.

    Args:
        data: the dataset.
        missing: a file for the names of all missing photos, one per line; empty if none is missing.

    Returns:
        The result of the check, if there is no fault.

    Raises:
        DataError: a count differs, a row is bad, or a photo is missing; the table and the list are printed first.
            Or the list of missing photos cannot be written.
    """
    missing = None if missing is None else Path(missing)
    if missing is not None:
        check_writable(missing.parent)
    from aligncat.datasets.prepare.check import check_dataset
    from aligncat.datasets.prepare.remarks import faults

    report = check_dataset(data)
    show(report)
    if missing is not None:
        _write_names(missing, report.missing)
    if found := faults(report):
        raise DataError(f"{data.path}: {', '.join(found)}")
    return report


def show(report: Report) -> None:
    """Print the counts and the faults."""
    from aligncat.console import output_console, shown
    from aligncat.datasets.prepare.remarks import remarks
    from aligncat.report.dataset_tables import counts_table

    console = output_console()
    console.print(counts_table(report))
    for line in remarks(report):
        console.print(shown(line), soft_wrap=True)


def show_phrases(made: MadePhrases) -> None:
    """Print the number of phrases in each split, and why images have none."""
    from rich.table import Table

    from aligncat.console import output_console, shown

    console = output_console()
    table = Table("split", "images", "objects", "phrases", "per image")
    for name, images in made.images.items():
        objects, phrases = made.objects[name], made.phrases[name]
        table.add_row(name, f"{images:,}", f"{objects:,}", f"{phrases:,}", f"{phrases / images:.1f}")
    console.print(table)
    for why, number in made.left_out.items():
        images_have = "image has" if number == 1 else "images have"
        console.print(shown(f"{number:,} {images_have} no phrase: {why}"), soft_wrap=True)


def _write_names(path: Path, names: tuple[str, ...]) -> None:
    remove_left(path.parent)
    try:
        write_names(path, names)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); give --missing another path") from error
