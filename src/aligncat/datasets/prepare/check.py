"""Check of a dataset's files: counts against the published ones, bad rows, missing photos, and more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aligncat.console import track
from aligncat.datasets.categories import category_index
from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.layout import image_folder, likely_image_folder
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.datasets.photos import photo_size, size_difference
from aligncat.datasets.prepare.counts import Counts, published_counts
from aligncat.datasets.prepare.findings import Finding, Findings
from aligncat.datasets.split import Split
from aligncat.errors import DataError, DetectorError, ImageError, MissingTruthError
from aligncat.types import JSON, Truth


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """The counts of one split.

    Attributes:
        split: the split's name.
        found: counts of the rows that can be read; None if the split cannot be read.
        published: published counts; None if none are known.
        missing: whether the files do not have the split.
    """

    split: str
    found: Counts | None
    published: Counts | None
    missing: bool = False

    @property
    def differs(self) -> bool:
        """Whether the split cannot be read, or its counts are not the published ones."""
        return self.found is None or (self.published is not None and self.found != self.published)

    def to_json(self) -> dict[str, JSON]:
        """Return the counts as a JSON object."""
        return {
            "found": None if self.found is None else asdict(self.found),
            "published": None if self.published is None else asdict(self.published),
            "missing": self.missing,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The result of checking a dataset.

    Attributes:
        data: the dataset.
        splits: one check per split: published splits first, then further splits of the files.
        findings: what was found, by kind: rows that a reader refuses, ids that two splits share, files that cannot be
            read, and so on.
        photos: number of photos with at least one expression, over all splits.
        photo_folder: the folder that was searched for the photos.
        missing: names of the photos that do not exist or are empty files.
    """

    data: DataConfig
    splits: tuple[SplitCheck, ...]
    findings: tuple[Finding, ...]
    photos: int
    photo_folder: Path
    missing: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """The messages of all findings that are faults."""
        return tuple(message for each in self.findings if each.kind.fault for message in each.messages)

    @property
    def as_published(self) -> bool:
        """Whether no count differs and no row is bad. Photos may be missing."""
        return not self.problems and not any(split.differs for split in self.splits)

    def to_json(self) -> dict[str, JSON]:
        """Return the report with every finding as a JSON object."""
        return {
            "dataset": self.data.dataset,
            "path": str(self.data.path),
            "splits": {each.split: each.to_json() for each in self.splits},
            "photos": self.photos,
            "photo_folder": str(self.photo_folder),
            "missing_photos": list(self.missing),
            "findings": {
                each.kind.name: {
                    "what": each.kind.many,
                    "fault": each.kind.fault,
                    "count": len(each.messages),
                    "messages": list(each.messages),
                }
                for each in self.findings
            },
        }


def check_dataset(data: DataConfig, *, labels: Sequence[str] | None = None) -> Report:
    """Read a whole dataset with the readers of training and evaluation, and collect everything that they refuse.

    Args:
        data: the dataset.
        labels: the labels of a detector. Categories that it lacks are then findings.

    Returns:
        The counts and the findings. A fault of the files does not raise an error.

    Raises:
        ConfigError: nothing says what the numbers of its boxes are.
    """
    with AnnotationFiles() as files:
        return _check(data, files, labels)


def _check(data: DataConfig, files: AnnotationFiles, labels: Sequence[str] | None) -> Report:
    published = published_counts(data.dataset, data.split_by)
    findings = Findings()
    photos: dict[str, None] = {}
    checks = []
    referents: dict[str, str] = {}
    sentences: dict[str, str] = {}
    categories: dict[str, list[str]] = defaultdict(list)
    there = _split_names(data, findings, files)
    for name in track(tuple(dict.fromkeys((*published, *there))), f"checking {data.dataset}", transient=True):
        split, found, places = None, None, dict[str, str]()
        if name in there or not there:
            split = _read_split(data, name, findings, files, places, labels or ())
        if split is not None:
            folder = likely_image_folder(data)
            photos |= dict.fromkeys(record.path.relative_to(folder).as_posix() for record in split.images.values())
            by_referent = split.sentences_by_referent()
            found = Counts(len(by_referent), len(split.expressions), len(split.images))
            for message in (
                *_ids_used_before(data, "referent", by_referent, name, referents),
                *_ids_used_before(data, "expression", (e.id for e in split.expressions), name, sentences),
            ):
                findings.add("row", message)
            _check_phrases(split, places, findings, categories)
        checks.append(SplitCheck(name, found, published.get(name), missing=bool(there) and name not in there))
    for category, where in categories.items() if labels is not None else ():
        if reason := _lacks(category, labels or ()):
            expressions = "expression" if len(where) == 1 else "expressions"
            findings.add("category", f"{where[0]}: {reason} ({len(where):,} {expressions} of this category)")
    folder, missing = _missing_photos(data, sorted(photos))
    return Report(data, tuple(checks), findings.all(), len(photos), folder, missing)


def _split_names(data: DataConfig, findings: Findings, files: AnnotationFiles) -> tuple[str, ...]:
    """Return the splits of the files; none if a file cannot be read."""
    try:
        return split_names(data, files=files)
    except DataError as error:
        findings.add("row", str(error))
        return ()


def _read_split(
    data: DataConfig,
    name: str,
    findings: Findings,
    files: AnnotationFiles,
    places: dict[str, str],
    labels: Sequence[str],
) -> Split | None:
    """Read the good rows of a split, and add the errors of the others to the findings; None if nothing can be read."""
    split = None
    bad_rows: list[DataError] = []
    try:
        split = load_split(
            data,
            name,
            collect_bad_rows=bad_rows,
            check_images=False,
            categories=labels,
            files=files,
            places=places,
        )
        truths = load_truth(data, name, collect_bad_rows=bad_rows, files=files)
        for message in _other_sizes(split, truths):
            findings.add("size", message)
    except DataError as error:
        findings.add("row", str(error))
    # Training needs no boxes, and phrases that no person wrote have none.
    needs_truth = name != "train" and (split is None or split.made is None)
    findings.add_errors(error for error in bad_rows if needs_truth or not isinstance(error, MissingTruthError))
    return split


def _check_phrases(
    split: Split, places: Mapping[str, str], findings: Findings, categories: dict[str, list[str]]
) -> None:
    """Find phrases without a category and phrases that occur twice for a photo, and list the places of categories."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for each in split.expressions:
        where = places.get(each.referent_id, f"{split.dataset}, split {split.split}, referent {each.referent_id}")
        if each.category is not None:
            categories[each.category].append(where)
        elif not each.no_target:
            findings.add("uncategorised", f"{where}: {each.text!r} names no category that is known")
        key = (each.image_id, " ".join(each.text.casefold().split()))
        first, place = seen.setdefault(key, (each.id, where))
        if first != each.id:
            findings.add("duplicate", f"{where}: {each.text!r} is there for its photo already: {place}")


def _lacks(category: str, labels: Sequence[str]) -> str | None:
    """Return why a category is none of a detector's labels, or None if it is one."""
    try:
        category_index(category, labels)
    except DetectorError as error:
        return str(error)
    return None


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
