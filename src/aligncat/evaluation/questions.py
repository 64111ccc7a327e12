"""A split prepared for evaluation: expressions, truth, candidates, and their overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_objects, load_split, load_truth
from aligncat.evaluation.baselines import measure_floors
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.measurable import measurable
from aligncat.evaluation.overlaps import Overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.split import Split
    from aligncat.store.reader import Store
    from aligncat.types import Truth


@dataclass(frozen=True, eq=False)
class Questions:
    """A split's expressions with their truth, candidates and overlaps.

    Preparing them is most of the work of an evaluation, so prepare them once and reuse them for all grounders.

    Attributes:
        split: the expressions.
        truth: the truth by referent id.
        store: the candidates of the split's images.
        overlaps: the overlaps of candidates and truth, with all annotated objects if the data lists them.
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
        """Read a split and its truth, and compare its candidates with the truth.

        Args:
            data: the dataset.
            store: the candidates of its images.
            split_name: the split.
            skip_bad_rows: report bad rows and leave them out, instead of stopping.
            files: a cache of parsed annotation files; share one when reading several splits.

        Raises:
            DataError: the dataset cannot be read, the split has no expression, or an image's annotations are of another
                size than the image in the store.
            StoreError: the store lacks an image.
        """
        files = files or AnnotationFiles()
        split = load_split(data, split_name, skip_bad_rows=skip_bad_rows, check_images=False, files=files)
        truth = load_truth(data, split_name, skip_bad_rows=skip_bad_rows, files=files)
        if skip_bad_rows:
            split = measurable(split, truth, store)
        overlaps = Overlaps.of(store, split, truth, objects=load_objects(data, split, files=files))
        return cls(split, truth, store, overlaps)

    @cached_property
    def floors(self) -> Floors:
        """The metrics of the baselines that need no training, measured at first use."""
        return measure_floors(self.split, self.store, self.overlaps)
