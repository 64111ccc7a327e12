"""A split prepared for evaluation: expressions, truth, candidates, and their overlaps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_objects, load_split, load_truth
from aligncat.evaluation.baselines import measure_floors
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.measurable import measurable
from aligncat.evaluation.overlaps import Overlaps, overlap_cells
from aligncat.evaluation.truth_table import TruthTable
from aligncat.files.write_errors import named_write_errors
from aligncat.store.rows import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.split import Split
    from aligncat.store.reader import Store
    from aligncat.types import Truth

BLOCK = 8192
"""The most expressions that are answered at once, so that memory hardly depends on their number.

A multiple of the size of a forward pass: the passes are the same as for all expressions together.
"""


class OverlapsFile:
    """Overlaps of many expressions in a temporary file without a name, which is gone with the process.

    Args:
        blocks: the cells of each block of expressions (`overlap_cells`).
        folder: the folder of the file.

    Raises:
        WriteError: the file cannot be written, for example because the disk is full.
    """

    def __init__(self, blocks: Iterable[NDArray[np.void]], folder: Path) -> None:
        with named_write_errors(folder, always=True):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # as long as this
        self._places: list[int] = []
        for cells in blocks:
            self._places.append(self._file.tell())
            with named_write_errors(folder, always=True):
                np.save(self._file, cells, allow_pickle=False)
        with named_write_errors(folder, always=True):
            self._file.flush()

    def __iter__(self) -> Iterator[NDArray[np.void]]:
        for place in self._places:
            self._file.seek(place)
            yield np.load(self._file, allow_pickle=False)


@dataclass(frozen=True, eq=False)
class Questions:
    """A split's expressions with their truth, candidates and overlaps.

    Preparing them is most of the work of an evaluation, so prepare them once and reuse them for all grounders.

    Attributes:
        split: the expressions.
        truth: the truth by referent id.
        store: the candidates of the split's images.
        measured: the overlaps of candidates and truth, with all annotated objects if the data lists them; those of more
            than BLOCK expressions in a file.
    """

    split: Split
    truth: Mapping[str, Truth]
    store: Store
    measured: Overlaps | OverlapsFile

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
            WriteError: there are many expressions, and the temporary file of their overlaps cannot be written.
        """
        files = files or AnnotationFiles()
        split = load_split(data, split_name, skip_bad_rows=skip_bad_rows, check_images=False, files=files)
        truth: Mapping[str, Truth] = load_truth(data, split_name, skip_bad_rows=skip_bad_rows, files=files)
        if skip_bad_rows:
            split = measurable(split, truth, store)
        objects = load_objects(data, split, files=files)
        if len(split.expressions) <= BLOCK:
            return cls(split, truth, store, Overlaps.of(store, split, truth, objects=objects))
        truth = TruthTable(truth)
        cells = (overlap_cells(store, part, truth, objects) for part in _parts(split))
        return cls(split, truth, store, OverlapsFile(cells, temporary_folder(store.folder)))

    @cached_property
    def overlaps(self) -> Overlaps:
        """The overlaps of all expressions, in memory."""
        if isinstance(self.measured, Overlaps):
            return self.measured
        blocks = [*self.measured]
        widest = max(cells.shape[1] for cells in blocks)
        # The last column is padding, and so is what follows it.
        cells = [np.concatenate([each, *[each[:, -1:]] * (widest - each.shape[1])], axis=1) for each in blocks]
        return Overlaps.of_cells(self.split, self.truth, np.concatenate(cells))

    @cached_property
    def has_sets(self) -> bool:
        """Whether some expression means no object or several, so that an answer is what it names."""
        return any(len(self.truth[each.referent_id]) != 1 for each in self.split.expressions)

    def blocks(self) -> Iterator[Questions]:
        """Yield the questions at most BLOCK at a time, in order, with their overlaps."""
        if isinstance(self.measured, Overlaps):
            yield self
            return
        for part, cells in zip(_parts(self.split), self.measured, strict=True):
            yield Questions(part, self.truth, self.store, Overlaps.of_cells(part, self.truth, cells))

    @cached_property
    def floors(self) -> Floors:
        """The metrics of the baselines that need no training, measured at first use."""
        return measure_floors(self)


def _parts(split: Split) -> Iterator[Split]:
    """Yield the split as parts of BLOCK expressions, in order, with the images that they mention."""
    for start in range(0, len(split.expressions), BLOCK):
        expressions = split.expressions[start : start + BLOCK]
        shown = dict.fromkeys(each.image_id for each in expressions)
        yield replace(split, expressions=expressions, images={each: split.images[each] for each in shown})
