"""Check a dataset's files: what each split holds against what was published, every bad row, every missing photo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.layout import image_folder, likely_image_folder
from aligncat.datasets.formats.refer import REFER
from aligncat.datasets.formats.refs import refs_file
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.datasets.prepare.counts import Counts, published_counts
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError, DataError, ImageError


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """What a split holds.

    Attributes:
        split: by name.
        found: what can be read of it; None where nothing can.
        published: what was published; None where we know of no counts.
    """

    split: str
    found: Counts | None
    published: Counts | None

    @property
    def differs(self) -> bool:
        """Whether it holds something else than was published, or cannot be read."""
        return self.found is None or (self.published is not None and self.found != self.published)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of a dataset.

    Attributes:
        data: the dataset.
        splits: one check each; those published first, then what else the files hold.
        problems: every row that readers refuse, every id that two splits have, and every file that cannot be read, in
            words that name the place.
        photos: how many photos the expressions are said of, over all splits.
        photo_folder: where they were looked for.
        missing: the photos that are not there, or are empty files.
    """

    data: DataConfig
    splits: tuple[SplitCheck, ...]
    problems: tuple[str, ...]
    photos: int
    photo_folder: Path
    missing: tuple[str, ...]

    @property
    def as_published(self) -> bool:
        """Whether no count differs and no row is bad; photos may be missing."""
        return not self.problems and not any(split.differs for split in self.splits)


def check_dataset(data: DataConfig) -> Report:
    """Read all of a dataset with the readers that training and evaluation use, and note all that they refuse.

    Args:
        data: a dataset in REFER's layout.

    Returns:
        What was found. Nothing that is wrong with the files is raised.

    Raises:
        ConfigError: the dataset is not in REFER's layout.
    """
    if format_of(data) is not REFER:
        raise ConfigError(f"{data.path}: what can be checked is REFER's layout, not {data.file_format}")
    with AnnotationFiles() as files:
        return _check(data, files)


def _check(data: DataConfig, files: AnnotationFiles) -> Report:
    published = published_counts(data.dataset, data.split_by)
    problems: list[str] = []
    photos: dict[str, None] = {}
    checks = []
    referents: dict[str, str] = {}
    sentences: dict[str, str] = {}
    names = _split_names(data, tuple(published), problems, files)
    for name in track(names, f"checking {data.dataset}", console=Console(stderr=True), transient=True):
        split = _read(data, name, problems, files)
        found = None
        if split is not None:
            folder = likely_image_folder(data)
            photos |= dict.fromkeys(record.path.relative_to(folder).as_posix() for record in split.images.values())
            by_referent = split.sentences_by_referent()
            found = Counts(len(by_referent), len(split.expressions), len(split.images))
            problems += _used_before(data, "ref_id", by_referent, name, referents)
            problems += _used_before(data, "sent_id", (e.id for e in split.expressions), name, sentences)
        checks.append(SplitCheck(name, found, published.get(name)))
    folder, missing = _missing(data, sorted(photos))
    return Report(data, tuple(checks), tuple(dict.fromkeys(problems)), len(photos), folder, missing)


def _split_names(
    data: DataConfig, published: tuple[str, ...], problems: list[str], files: AnnotationFiles
) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys((*published, *split_names(data, files=files))))
    except DataError as error:
        problems.append(str(error))
        return published


def _read(data: DataConfig, name: str, problems: list[str], files: AnnotationFiles) -> Split | None:
    """Return the split as far as it can be read, and add what is wrong with it to the problems."""
    split = None
    bad_rows: list[DataError] = []
    try:
        split = load_split(data, name, collect_bad_rows=bad_rows, check_images=False, files=files)
        load_truth(data, name, collect_bad_rows=bad_rows, files=files)
    except DataError as error:
        problems.append(str(error))
    problems += map(str, bad_rows)
    return split


def _used_before(data: DataConfig, key: str, ids: Iterable[str], split: str, seen: dict[str, str]) -> list[str]:
    """A line for every id that an earlier split has too; the others are noted in `seen`, id -> its split."""
    return [
        f"{refs_file(data)}: {key} {value} is in {seen[value]} and again in {split}; every id must occur once"
        for value in ids
        if seen.setdefault(value, split) != split
    ]


def _missing(data: DataConfig, names: list[str]) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds photos of the dataset, and those that are not in it."""
    try:
        folder = image_folder(data, names)
    except ImageError:
        folder = likely_image_folder(data)
    return folder, tuple(name for name in names if not _has_content(folder / name))


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
