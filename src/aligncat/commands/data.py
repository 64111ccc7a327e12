"""aligncat data prepare and data check: RefCOCO and its kin, brought into place and held against what was published."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aligncat.console import output_console
from aligncat.datasets.config import DataConfig
from aligncat.datasets.known import known_dataset
from aligncat.datasets.prepare.check import Report, SplitCheck, check_dataset
from aligncat.errors import DataError
from aligncat.files.atomic import write_atomic

_SHOWN = 10
_COUNTS = ("referents", "sentences", "images")
_PHOTOS = {
    "saiapr": "its photos are the subset of SAIAPR TC-12 that REFER calls saiapr_tc-12.zip",
    "mojiref": "make the scenes again with `aligncat data mojiref`",
    "coco": "its photos are COCO train2014: fetch and unzip http://images.cocodataset.org/zips/train2014.zip (13 GB)",
}


def show_prepared(report: Report) -> None:
    """Print what was found, and fail where that is nothing.

    Raises:
        DataError: no split can be read.
    """
    show(report)
    if all(split.found is None for split in report.splits):
        raise DataError(f"{report.data.path / report.data.dataset}: no split can be read, see above")


def check_data(*, data: DataConfig, missing: Path | None = None) -> Report:
    """Check a dataset: counts against the published ones, every bad row, every missing photo.

    Args:
        data: the dataset.
        missing: a file to write the names of all missing photos to, one a line; empty where none is missing.

    Returns:
        What was found, where all is well.

    Raises:
        ConfigError: the dataset is not in REFER's layout.
        DataError: a count differs, a row is bad, or a photo is missing; the table and the list are printed before.
            Or the list of missing photos cannot be written.
    """
    report = check_dataset(data)
    show(report)
    if missing is not None:
        _write_names(missing, report.missing)
    faults = [
        f"{count:,} {what}"
        for count, what in (
            (sum(split.differs for split in report.splits), "splits with other counts than published"),
            (len(report.problems), "bad rows"),
            (len(report.missing), "photos missing"),
        )
        if count
    ]
    if faults:
        raise DataError(f"{data.path / data.dataset}: {', '.join(faults)}")
    return report


def _write_names(path: Path, names: tuple[str, ...]) -> None:
    try:
        write_atomic(path, "".join(f"{name}\n" for name in names).encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); choose another place for --missing") from error


def show(report: Report) -> None:
    """Print what was found: the table, then what is wrong."""
    console = output_console()
    console.print(counts_table(report))
    for line in remarks(report):
        console.print(Text(line), soft_wrap=True)


def counts_table(report: Report) -> Table:
    """One line a split; where a count is another than the published one, both and their difference."""
    title = f"{report.data.dataset}, split by {report.data.split_by}, in {report.data.path / report.data.dataset}"
    table = Table(title=Text(title), box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Split")
    for name in _COUNTS:
        table.add_column(name.capitalize(), justify="right", overflow="fold")
    table.add_column("Against the published counts")
    for split in report.splits:
        table.add_row(split.split, *(_count(split, name) for name in _COUNTS), _verdict(split))
    return table


def remarks(report: Report) -> list[str]:
    """What is wrong beside the counts, one line each: bad rows, missing photos and where to get them."""
    lines = _first("bad row", report.problems)
    if report.missing:
        more = ", ... (all: data check --missing FILE)" if len(report.missing) > 3 else ""
        how = _PHOTOS.get(known_dataset(report.data.dataset).photos or "", "give the folder that they are in")
        lines += [
            f"{len(report.missing):,} of {report.photos:,} photos are not in {report.photo_folder}: "
            f"{', '.join(report.missing[:3])}{more}",
            f"  {how}; then name their folder with --images (prepare) or --data.images (every other verb)",
        ]
    elif report.photos:
        lines.append(f"all {report.photos:,} photos are in {report.photo_folder}")
    return lines


def _first(what: str, problems: tuple[str, ...]) -> list[str]:
    more = [f"and {len(problems) - _SHOWN:,} more {what}s"] if len(problems) > _SHOWN else []
    return [*(f"{what}: {problem}" for problem in problems[:_SHOWN]), *more]


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
