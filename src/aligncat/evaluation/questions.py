"""A split ready to be answered: its expressions, their truth, and how every candidate overlaps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_objects, load_split, load_truth
from aligncat.evaluation.overlaps import Overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.split import Split
    from aligncat.store.reader import Store
    from aligncat.types import Truth


@dataclass(frozen=True, eq=False)
class Questions:
    """What any number of grounders can be asked; made once, as it is most of the work of an evaluation.

    Attributes:
        split: the expressions.
        truth: by referent id.
        store: the candidates of the split's images.
        overlaps: of the three, with every annotated object where the data tells of them.
    """

    split: Split
    truth: Mapping[str, Truth]
    store: Store
    overlaps: Overlaps

    @classmethod
    def load(
        cls,
        data: DataConfig,
        store: Store,
        split_name: str,
        *,
        skip_bad_rows: bool = False,
        files: AnnotationFiles | None = None,
    ) -> Self:
        """Read a split and its truth.

        Args:
            data: the dataset.
            store: the candidates of its images.
            split_name: the split.
            skip_bad_rows: leave out bad rows and report them, instead of stopping.
            files: the annotation files parsed so far, where several splits are read.

        Raises:
            DataError: the dataset cannot be read, or the split has no expression.
            StoreError: the store lacks an image.
        """
        files = files or AnnotationFiles()
        split = load_split(data, split_name, skip_bad_rows=skip_bad_rows, check_images=False, files=files)
        truth = load_truth(data, split_name, skip_bad_rows=skip_bad_rows, files=files)
        overlaps = Overlaps.of(store, split, truth, objects=load_objects(data, split, files=files))
        return cls(split, truth, store, overlaps)
