"""aligncat data prepare, data check and data phrases: print their results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.errors import DataError
from aligncat.files.atomic import write_atomic
from aligncat.files.locks import remove_left
from aligncat.files.name_lists import write_names
from aligncat.files.writable import check_writable

if TYPE_CHECKING:
    from aligncat.datasets.prepare.check import Report
    from aligncat.phrases.making import MadePhrases


def show_prepared(report: Report) -> None:
    """Print the result of the check, and fail if no split can be read.

    Raises:
        DataError: no split can be read.
    """
    show(report)
    if all(split.found is None for split in report.splits):
        raise DataError(f"{report.data.path / report.data.dataset}: no split can be read; the reasons are above")


def check_data(
    *,
    data: DataConfig,
    detector: str | Path | None = None,
    missing: str | Path | None = None,
    out: str | Path | None = None,
) -> Report:
    """Check a dataset: counts against the published ones, every bad row, every missing photo.

    Args:
        data: the dataset.
        detector: a detector, as for `aligncat extract`; categories of the data that it lacks are then faults.
        missing: a file for the names of all missing photos, one per line; empty if none is missing.
        out: a JSON file for the counts and all findings. It is written whether or not there is a fault.

    Returns:
        The result of the check, if there is no fault.

    Raises:
        DataError: a count differs, a row is bad, or a photo is missing; the table and the list are printed first.
            Or the list of missing photos cannot be written.
        DetectorError: the detector cannot be loaded.
    """
    missing, out = (None if path is None else Path(path) for path in (missing, out))
    for path in (missing, out):
        if path is not None:
            check_writable(path.parent)
    from aligncat.datasets.prepare.check import check_dataset
    from aligncat.datasets.prepare.remarks import faults

    report = check_dataset(data, labels=None if detector is None else _labels(detector))
    show(report)
    found = faults(report)
    if missing is not None:
        _write(missing, "--missing", lambda path: write_names(path, report.missing))
    if out is not None:
        content = json.dumps({**report.to_json(), "faults": found}, indent=1, ensure_ascii=False)
        _write(out, "--out", lambda path: write_atomic(path, f"{content}\n".encode("utf-8", "backslashreplace")))
    if found:
        raise DataError(f"{data.path}: {', '.join(found)}")
    return report


def _labels(detector: str | Path) -> tuple[str, ...]:
    from aligncat.detectors.registry import open_detector

    return tuple(open_detector(detector).labels)


def show(report: Report) -> None:
    """Print the counts and the faults."""
    from aligncat.console import output_console, shown
    from aligncat.datasets.prepare.remarks import remarks
    from aligncat.report.dataset_tables import counts_table

    console = output_console()
    console.print(counts_table(report))
    for line in remarks(report):
        console.print(shown(line), soft_wrap=True)


def show_phrases(made: MadePhrases | None) -> None:
    """Print the number of phrases in each split, and why images have none; nothing if parts of them are missing."""
    if made is None:
        return
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


def _write(path: Path, option: str, write: Callable[[Path], None]) -> None:
    remove_left(path.parent)
    try:
        write(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); give {option} another path") from error
