"""Check of a dataset's files: counts against the published ones, bad rows, missing photos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aligncat.console import track
from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.layout import image_folder, likely_image_folder
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.datasets.photos import photo_size, size_difference
from aligncat.datasets.prepare.counts import Counts, published_counts
from aligncat.datasets.split import Split
from aligncat.errors import DataError, ImageError, MissingTruthError
from aligncat.types import Truth


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """The counts of one split.

    Attributes:
        split: the split's name.
        found: counts of the rows that can be read; None if the split cannot be read.
        published: published counts; None if none are known.
    """

    split: str
    found: Counts | None
    published: Counts | None

    @property
    def differs(self) -> bool:
        """Whether the split cannot be read, or its counts are not the published ones."""
        return self.found is None or (self.published is not None and self.found != self.published)


@dataclass(frozen=True, slots=True)
class Report:
    """The result of checking a dataset.

    Attributes:
        data: the dataset.
        splits: one check per split: published splits first, then further splits of the files.
        problems: one message with its place for each row that a reader refuses, each id that two splits share, each
            photo of another size than its annotations, and each file that cannot be read.
        photos: number of photos with at least one expression, over all splits.
        photo_folder: the folder that was searched for the photos.
        missing: names of the photos that do not exist or are empty files.
    """

    data: DataConfig
    splits: tuple[SplitCheck, ...]
    problems: tuple[str, ...]
    photos: int
    photo_folder: Path
    missing: tuple[str, ...]

    @property
    def as_published(self) -> bool:
        """Whether no count differs and no row is bad. Photos may be missing."""
        return not self.problems and not any(split.differs for split in self.splits)


def check_dataset(data: DataConfig) -> Report:
    """Read a whole dataset with the readers of training and evaluation, and collect everything that they refuse.

    Args:
        data: the dataset.

    Returns:
        The counts and the faults. A fault of the files does not raise an error.
    """
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
    for name in track(names, f"checking {data.dataset}", transient=True):
        split = _read_split(data, name, problems, files)
        found = None
        if split is not None:
            folder = likely_image_folder(data)
            photos |= dict.fromkeys(record.path.relative_to(folder).as_posix() for record in split.images.values())
            by_referent = split.sentences_by_referent()
            found = Counts(len(by_referent), len(split.expressions), len(split.images))
            problems += _ids_used_before(data, "referent", by_referent, name, referents)
            problems += _ids_used_before(data, "expression", (e.id for e in split.expressions), name, sentences)
        checks.append(SplitCheck(name, found, published.get(name)))
    folder, missing = _missing_photos(data, sorted(photos))
    return Report(data, tuple(checks), tuple(dict.fromkeys(problems)), len(photos), folder, missing)


def _split_names(
    data: DataConfig, published: tuple[str, ...], problems: list[str], files: AnnotationFiles
) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys((*published, *split_names(data, files=files))))
    except DataError as error:
        problems.append(str(error))
        return published


def _read_split(data: DataConfig, name: str, problems: list[str], files: AnnotationFiles) -> Split | None:
    """Read the good rows of a split, and add the errors of the others to `problems`; None if nothing can be read."""
    split = None
    bad_rows: list[DataError] = []
    try:
        split = load_split(data, name, collect_bad_rows=bad_rows, check_images=False, files=files)
        truths = load_truth(data, name, collect_bad_rows=bad_rows, files=files)
        problems += _other_sizes(split, truths)
    except DataError as error:
        problems.append(str(error))
    # Training needs no boxes, and phrases that no person wrote have none.
    needs_truth = name != "train" and (split is None or split.made is None)
    problems += [str(error) for error in bad_rows if needs_truth or not isinstance(error, MissingTruthError)]
    return split


def _other_sizes(split: Split, truths: Mapping[str, Truth]) -> list[str]:
    """Return a message for each photo whose size is not the one for which its referents are annotated."""
    sizes = {
        expression.image_id: truths[expression.referent_id].size
        for expression in split.expressions
        if expression.referent_id in truths
    }
    messages = []
    for image_id, size in sizes.items():
        path = split.images[image_id].path
        if size is not None and _has_content(path):
            try:
                difference = size_difference(size, photo_size(path, f"image {image_id}"))
            except ImageError as error:
                messages.append(str(error))
            else:
                messages += [f"{path}: {difference}"] if difference else []
    return messages


def _ids_used_before(data: DataConfig, key: str, ids: Iterable[str], split: str, seen: dict[str, str]) -> list[str]:
    """Return a message for each id that an earlier split has; add the new ids to `seen`, id -> split."""
    return [
        f"{data.path}: {key} {value} is in {seen[value]} and again in {split}; every id must occur once"
        for value in ids
        if seen.setdefault(value, split) != split
    ]


def _missing_photos(data: DataConfig, names: list[str]) -> tuple[Path, tuple[str, ...]]:
    """Return the folder with the dataset's photos, and the names of the photos that it lacks."""
    try:
        folder = data.path if _beside_files(data) else image_folder(data, names)
    except ImageError:
        folder = likely_image_folder(data)
    return folder, tuple(name for name in names if not _has_content(folder / name))


def _beside_files(data: DataConfig) -> bool:
    return data.images is None and format_of(data).images_beside_files


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
