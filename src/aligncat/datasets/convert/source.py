"""The source of a conversion: referents with their sentences, photos and truth."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.as_written import AsWritten
from aligncat.datasets.formats.instances import Instances
from aligncat.datasets.formats.layout import image_folder, likely_image_folder
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.split import Split
from aligncat.errors import DataError, ImageError, MissingTruthError
from aligncat.types import Expression, Truth

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Referent:
    """An object that expressions refer to, in a form that does not depend on a dataset format.

    Attributes:
        id: unique in its split.
        image_id: the image that shows it.
        photo: the image's file, relative to the folder of the images.
        category: its category's name in the data, or None.
        derived: the name of the category that its sentences mention if the data gives none, or None.
        sentences: the expressions that refer to it.
        truth: its box and mask, or None if the data has neither.
        as_written: further details from the source's files.
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
        config: the dataset's configuration.
        splits: its splits by name, without boxes and masks.
        photos: the folder of its images.
        files: its parsed annotation files.
        skip_bad_rows: whether to leave out rows that do not follow the format, and bad boxes and masks.
        default_category: the category of referents that have none and whose sentences mention none, or None.
    """

    config: DataConfig
    splits: Mapping[str, Split]
    photos: Path
    files: AnnotationFiles
    skip_bad_rows: bool = False
    default_category: str | None = None

    @classmethod
    def read(
        cls,
        config: DataConfig,
        names: tuple[str, ...],
        files: AnnotationFiles,
        *,
        skip_bad_rows: bool = False,
        default_category: str | None = None,
    ) -> Source:
        """Read the expressions of the given splits. The photos may be missing.

        Raises:
            DataError: a file, a row or an expression does not follow the format.
        """
        splits = {
            name: load_split(config, name, skip_bad_rows=skip_bad_rows, check_images=False, files=files)
            for name in names
        }
        folder = likely_image_folder(config)
        if not format_of(config).images_beside_files:
            file_names = {
                record.path.relative_to(folder).as_posix(): None
                for split in splits.values()
                for record in split.images.values()
            }
            # All images may be missing: they are not needed if the files give the images' sizes.
            with suppress(ImageError):
                folder = image_folder(config, file_names)
        return cls(config, splits, folder, files, skip_bad_rows, default_category)

    def instances(self) -> Instances | None:
        """Return the dataset's instances.json, which REFER's layout can copy, or None if its format has none."""
        read = format_of(self.config).instances
        return None if read is None else read(self.config, self.files)

    def referents(self, name: str) -> Iterator[Referent]:
        """Read the referents of a split, with their truth if the data has it.

        Raises:
            DataError: a box or a mask does not follow the format. A missing one is not an error.
        """
        split = self.splits[name]
        truths = self._truths(name)
        written = format_of(self.config).as_written(self.config, name, self.files)
        folder = likely_image_folder(self.config)
        for referent_id, sentences in split.sentences_by_referent().items():
            first = sentences[0]
            yield Referent(
                id=referent_id,
                image_id=first.image_id,
                photo=split.images[first.image_id].path.relative_to(folder).as_posix(),
                category=None if first.derived else first.category or self.default_category,
                derived=first.category if first.derived else None,
                sentences=tuple(sentences),
                truth=truths.get(referent_id),
                as_written=written.get(referent_id, AsWritten()),
            )

    def _truths(self, name: str) -> dict[str, Truth]:
        errors: list[DataError] = []
        truths = load_truth(self.config, name, collect_bad_rows=errors, files=self.files)
        if bad := [error for error in errors if not isinstance(error, MissingTruthError)]:
            if not self.skip_bad_rows:
                raise bad[0]
            # The reader of expressions has reported the rows that it leaves out.
            logger.warning("split %s: left out bad boxes and masks of %s rows, first %s", name, f"{len(bad):,}", bad[0])
        return truths
