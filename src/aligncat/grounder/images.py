"""The candidates of images as arrays, one image for each expression."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from aligncat.grounder.features import ScaledColumn, found_features
from aligncat.types import Candidates


class Images(NamedTuple):
    """The candidates of B images, one image for each expression.

    Attributes:
        features: (B, O, d_v) float16, f_q and, if the grounder reads further columns, those.
        categories: (B, O) int64, c^V.
        valid: (B, O) bool, False for padding.
        confidences: (B, O) float32.
        boxes: (B, O, 4) float32, xyxy in shares of the photo's width and height.
    """

    features: NDArray[np.float16]
    categories: NDArray[np.int64]
    valid: NDArray[np.bool_]
    confidences: NDArray[np.float32]
    boxes: NDArray[np.float32]

    @classmethod
    def of(cls, candidates: Sequence[Candidates], columns: Sequence[ScaledColumn]) -> Self:
        """Return the candidates of the image of each of B expressions.

        Args:
            candidates: the candidates, B times, equally many each time. Those of one image follow one another.
            columns: the columns that the grounder reads beside f_q.

        Raises:
            StoreError: the candidates lack a column, or have it in another length.
        """
        groups = [list(group) for _, group in groupby(candidates, key=id)]
        each = [group[0] for group in groups]
        images = cls(
            np.stack([found_features(one, columns) for one in each]),
            np.stack([one.categories.astype(np.int64) for one in each]),
            np.ones((len(each), len(each[0])), bool),
            np.stack([one.confidences for one in each]),
            np.stack([one.relative_boxes for one in each]),
        )
        return images.rows(np.repeat(np.arange(len(each)), [len(group) for group in groups]))

    def rows(self, rows: NDArray[np.int64]) -> Self:
        """Return the images of the given rows, (n,)."""
        return type(self)(
            self.features[rows], self.categories[rows], self.valid[rows], self.confidences[rows], self.boxes[rows]
        )
