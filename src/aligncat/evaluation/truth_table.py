"""The truth of many referents in arrays, which take a fifth of the memory of its Python objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from itertools import accumulate

import numpy as np
import pyarrow as pa

from aligncat.files.text_index import TextIndex
from aligncat.types import RLE, Truth

_UNKNOWN = -1


class TruthTable(Mapping[str, Truth]):
    """The truth of referents by their ids. Each is made when it is asked for.

    Args:
        truth: the same truth as Python objects.
    """

    def __init__(self, truth: Mapping[str, Truth]) -> None:
        values = truth.values()
        self._index = TextIndex(pa.array(list(truth), pa.large_string()))
        self._boxes = np.concatenate([np.zeros((0, 4)), *(each.boxes for each in values)])
        self._ends = np.array([0, *accumulate(len(each) for each in values)], np.int64)
        self._has_masks = np.array([each.masks is not None for each in values], np.bool_)
        masks = [mask for each in values for mask in each.masks or ()]
        self._mask_sizes = np.array([mask["size"] for mask in masks], np.int32).reshape(-1, 2)
        self._masks = pa.array((mask["counts"] for mask in masks), pa.large_binary())
        self._mask_ends = np.array([0, *accumulate(len(each.masks or ()) for each in values)], np.int64)
        names = dict.fromkeys(each.category for each in values)
        codes = {name: code for code, name in enumerate(names)}
        self._names, self._categories = tuple(names), array("i", (codes[each.category] for each in values))
        sizes = [(_UNKNOWN, _UNKNOWN) if each.size is None else each.size for each in values]
        self._sizes = np.array(sizes, np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[str]:
        return (each.as_py() for each in self._index.texts)

    def __contains__(self, referent_id: object) -> bool:
        return isinstance(referent_id, str) and self._index.find(referent_id) >= 0

    def __getitem__(self, referent_id: str) -> Truth:
        number = self._index.find(referent_id)
        if number < 0:
            raise KeyError(referent_id)
        masks = None
        if self._has_masks[number]:
            own = range(self._mask_ends[number], self._mask_ends[number + 1])
            masks = tuple(RLE(size=self._mask_sizes[each].tolist(), counts=self._masks[each].as_py()) for each in own)
        width, height = self._sizes[number].tolist()
        return Truth(
            self._boxes[self._ends[number] : self._ends[number + 1]],
            masks,
            self._names[self._categories[number]],
            None if width == _UNKNOWN else (width, height),
        )
