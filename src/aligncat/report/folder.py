"""The report folder: the page's files, its data as scripts, copies of the pictures, and figures."""

from __future__ import annotations

import logging
import os
import shutil
from datetime import UTC, datetime
from functools import reduce
from importlib.metadata import version
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from aligncat.console import error_console
from aligncat.evaluation.causes import CAUSES, MEANING
from aligncat.files.new_folder import new_folder
from aligncat.report import tables
from aligncat.report.figures.draw import draw_all
from aligncat.report.figures.grouping import compared
from aligncat.report.images import copy_images, is_inside
from aligncat.report.rows import CHUNK, answer_details, expression_details, overview
from aligncat.report.runs import RunKey, in_order, run_key, run_names
from aligncat.report.scripts import write_script
from aligncat.report.splits import SplitRows, by_split
from aligncat.report.terminal import detector_training

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aligncat.evaluation.answers import Answers

PAGE = "index.html"
_SHOWN_AT_FIRST = 3  # runs; more would be too small side by side
_OURS = {PAGE, "page", "data", "images", "figures"}
_logger = logging.getLogger(__name__)


def write_folder(runs: Mapping[Path, Answers], out: Path, *, photos: Path = Path(), figures: bool = True) -> Path:
    """Write a report of runs to a folder, atomically.

    Args:
        runs: the answers, by the file that each was read from (`read_runs`).
        out: the folder. It must be missing, empty, or an earlier report, which is replaced.
        photos: pictures in this folder are shown, others are left out.
        figures: whether to draw figures too. If matplotlib is not installed, a warning says that there are none.

    Returns:
        The path of the page.

    Raises:
        DataError: two runs call different data by the same name, the folder holds something other than a report, or
            another process is writing it.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    runs = in_order(runs)
    splits = by_split(runs)
    names = run_names(answers.result for answers in runs.values())
    numbers = {key: number for number, key in enumerate(names)}
    # "." has no name to derive the temporary names from.
    with new_folder(out.resolve(), replaces=_is_report) as folder:
        copies = _copy_pictures(splits, photos, folder / "images")
        _write_page(folder / "page")
        data = folder / "data"
        data.mkdir()
        for number, split in enumerate(splits):
            write_script(data, f"split-{number}", overview(split, copies, numbers))
            for chunk, start in enumerate(range(0, split.expressions.num_rows, CHUNK)):
                write_script(data, f"expressions-{number}-{chunk}", expression_details(split, start))
                for key, run in split.runs.items():
                    write_script(data, f"answers-{number}-{numbers[key]}-{chunk}", answer_details(run, start))
        index = {
            "made": datetime.now(UTC).strftime("%Y-%m-%d"),
            "version": version("aligncat"),
            "chunk": CHUNK,
            "runs": [{"name": name, "detector": key[1], "seed": key[2]} for key, name in names.items()],
            "splits": [_split(split, numbers) for split in splits],
            "kinds": _values(splits, "kind"),
            "categories": _values(splits, "referent_category"),
            "causes": [{"name": cause, "meaning": MEANING[cause]} for cause in CAUSES],
            "results": tables.results([answers.result for answers in runs.values()]),
            "published": tables.published([split.first for split in splits]),
            "figures": _draw_figures(runs, photos, folder / "figures") if figures else [],
        }
        write_script(data, "index", index)
        (folder / "page" / PAGE).rename(folder / PAGE)
    return out / PAGE


def _split(split: SplitRows, numbers: Mapping[RunKey, int]) -> dict[str, Any]:
    """Return a split with the error tables of every run on it."""
    first = compared([run.answers for run in split.runs.values()], _SHOWN_AT_FIRST)
    return {
        "name": split.name,
        "dataset": split.first.dataset,
        "expressions": split.expressions.num_rows,
        # Whether an answer is what it names, and not its choice alone.
        "sets": split.first.metrics.sets is not None,
        "first": [numbers[run_key(answers.result)] for answers in first],
        "runs": [
            {
                "run": numbers[key],
                "training": detector_training(run.answers.result),
                "tables": tables.errors(run.answers),
            }
            for key, run in split.runs.items()
        ],
    }


def _draw_figures(runs: Mapping[Path, Answers], photos: Path, folder: Path) -> list[dict[str, str]]:
    if find_spec("matplotlib") is None:
        _logger.warning(
            "matplotlib is not installed, so the report has no figures; install it with pip install 'aligncat[report]'"
        )
        return []
    with error_console().status("drawing figures"):
        drawn = draw_all(list(runs.values()), folder, photos=photos)
    return [{"file": figure.path.name, "title": figure.title, "caption": figure.caption} for figure in drawn]


def _values(splits: list[SplitRows], column: str) -> list[str]:
    """Return the values of a column in all splits, as the options of a filter."""
    found = [split.expressions.select([column])[column].unique().to_pylist() for split in splits]
    return sorted({value for values in found for value in values if value is not None})


def _copy_pictures(splits: list[SplitRows], photos: Path, folder: Path) -> dict[str, str]:
    """Copy all pictures in `photos`; return the copies' names by picture path and warn about those left out.

    The paths are what a file of answers says, and the file may be a stranger's, who must not get other pictures of this
    disk into a report.
    """
    # As Python strings in lists and sets, the paths of many pictures would take more memory than all else.
    paths = pa.chunked_array([split.expressions.select(["image_path"])["image_path"] for split in splits]).unique()
    inside = pa.array((is_inside(Path(path), photos) for path in _texts(paths)), pa.bool_())
    ours, others = paths.filter(inside), paths.filter(pc.invert(inside))
    made = copy_images(map(Path, _texts(ours)), len(ours), folder)
    copies = {path: name for path, name in zip(_texts(ours), made, strict=True) if name is not None}
    if len(others):
        _logger.warning(
            "%s of %s pictures are not in %s, so the report shows only their boxes, such as %s. If these are your "
            "photos, make the report again with --photos %s",
            *(f"{len(others):,}", f"{len(paths):,}", photos.resolve(), min(_texts(others)), _folder_of(_texts(others))),
        )
    if missing := next((path for path in _texts(ours) if path not in copies), None):
        _logger.warning(
            "%s of %s pictures are missing or cannot be read, such as %s; the report shows only their boxes. "
            "Restore the pictures and make the report again",
            *(f"{len(ours) - len(copies):,}", f"{len(paths):,}", missing),
        )
    return copies


def _texts(texts: pa.StringArray) -> Iterator[str]:
    """Yield texts, of which few are Python objects at once."""
    return (text for start in range(0, len(texts), CHUNK) for text in texts[start : start + CHUNK].to_pylist())


def _folder_of(paths: Iterable[str]) -> str:
    """Return the folder that holds all of some absolute paths, at least one."""
    try:
        return reduce(lambda one, other: os.path.commonpath([one, other]), (str(Path(path).parent) for path in paths))
    except ValueError:  # relative paths beside absolute ones, or several drives
        return "FOLDER"


def _write_page(folder: Path) -> None:
    with as_file(files("aligncat.report") / "page") as ours:
        folder.mkdir()
        for path in ours.iterdir():
            if path.is_file():
                shutil.copyfile(path, folder / path.name)  # copytree would hide the reason of an error


def _is_report(folder: Path) -> bool:
    """Return whether a folder holds a report and nothing else, so it may be deleted."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    return {PAGE, "data", "page"} <= names <= _OURS
