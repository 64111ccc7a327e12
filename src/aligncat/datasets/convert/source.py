"""What of a dataset goes into another format: its referents with their sentences, photos and truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aligncat.datasets.config import DataConfig, Format
from aligncat.datasets.formats.as_written import AsWritten
from aligncat.datasets.formats.coco_csv import csv_as_written
from aligncat.datasets.formats.hub import hub_as_written
from aligncat.datasets.formats.jsonl import jsonl_as_written
from aligncat.datasets.formats.layout import image_folder, likely_image_folder
from aligncat.datasets.formats.refer import Instances
from aligncat.datasets.formats.refer_truth import refer_as_written
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.rows import gather_bad_rows
from aligncat.datasets.split import Split
from aligncat.errors import DataError, ImageError, MissingTruthError
from aligncat.types import Expression, Truth

_AS_WRITTEN: Mapping[Format, Callable[[DataConfig, str], dict[str, AsWritten]]] = {
    "refer": refer_as_written,
    "hub": hub_as_written,
    "coco-csv": csv_as_written,
    "jsonl": jsonl_as_written,
    "simrec": lambda config, split: {},
}


@dataclass(frozen=True, slots=True)
class Referent:
    """An object that is referred to, as any format can hold it.

    Attributes:
        id: unique in its split.
        image_id: the image that it is in.
        photo: that image's file, below the folder of the images.
        category: the label that the data gives it, by name.
        derived: the category that its phrases name, where the data gives none.
        sentences: what is said of it.
        truth: its box and mask, where the data has them.
        as_written: what else the source's files say of it.
    """

    id: str
    image_id: str
    photo: str
    category: str | None
    derived: str | None
    sentences: tuple[Expression, ...]
    truth: Truth | None
    as_written: AsWritten


@dataclass(frozen=True)
class Source:
    """A dataset to convert.

    Attributes:
        config: where it is.
        splits: its splits by name, as learners see them.
        photos: the folder of its images.
    """

    config: DataConfig
    splits: Mapping[str, Split]
    photos: Path

    @classmethod
    def read(cls, config: DataConfig, names: tuple[str, ...]) -> Source:
        """Read the expressions of the splits; the photos need not be there.

        Raises:
            DataError: a file, a row or an expression is not what the format asks for.
        """
        splits = {name: load_split(config, name, check_images=False) for name in names}
        folder = likely_image_folder(config)
        if config.file_format != "jsonl":
            files = {
                record.path.relative_to(folder).as_posix(): None
                for split in splits.values()
                for record in split.images.values()
            }
            try:
                folder = image_folder(config, files)
            except ImageError:  # none is there, and none is needed where the files tell of the images' sizes
                return cls(config, splits, folder)
        return cls(config, splits, folder)

    def instances(self) -> Instances | None:
        """Its instances.json, which REFER's layout can take over whole."""
        return Instances.read(self.config) if self.config.file_format in ("refer", "coco-csv") else None

    def referents(self, name: str) -> Iterator[Referent]:
        """The referents of a split, with their truth.

        Raises:
            DataError: a box or a mask is not what the format asks for; that there is none is no error.
        """
        split = self.splits[name]
        truths = _truths(self.config, name)
        written = _AS_WRITTEN[self.config.file_format](self.config, name)
        folder = likely_image_folder(self.config)
        for referent_id, sentences in split.sentences_by_referent().items():
            first = sentences[0]
            yield Referent(
                id=referent_id,
                image_id=first.image_id,
                photo=split.images[first.image_id].path.relative_to(folder).as_posix(),
                category=None if first.derived else first.category,
                derived=first.category if first.derived else None,
                sentences=tuple(sentences),
                truth=truths.get(referent_id),
                as_written=written.get(referent_id, AsWritten()),
            )


def _truths(config: DataConfig, split: str) -> dict[str, Truth]:
    with gather_bad_rows() as errors:
        truths = load_truth(config, split, skip_bad_rows=True)
    bad: list[DataError] = [error for error in errors if not isinstance(error, MissingTruthError)]
    if bad:
        raise bad[0]
    return truths
