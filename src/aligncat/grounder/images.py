"""The candidates of images as arrays, one image for each expression."""

from __future__ import annotations

from collections.abc import Sequence
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
    def repeated(cls, candidates: Candidates, columns: Sequence[ScaledColumn], count: int) -> Self:
        """Return the candidates of one image for each of `count` expressions.

        Args:
            candidates: the candidates.
            columns: the columns that the grounder reads beside f_q.
            count: B.

        Raises:
            StoreError: the candidates lack a column, or have it in another length.
        """
        one = cls(
            found_features(candidates, columns)[None],
            candidates.categories.astype(np.int64)[None],
            np.ones((1, len(candidates)), bool),
            candidates.confidences[None],
            candidates.relative_boxes[None],
        )
        return one.rows(np.zeros(count, np.int64))

    def rows(self, rows: NDArray[np.int64]) -> Self:
        """Return the images of the given rows, (n,)."""
        return type(self)(
            self.features[rows], self.categories[rows], self.valid[rows], self.confidences[rows], self.boxes[rows]
        )
