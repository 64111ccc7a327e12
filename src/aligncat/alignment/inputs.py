"""The inputs of the alignment model beside the text features: candidates of images, and labels of expressions."""

from __future__ import annotations

from typing import NamedTuple, Self

from torch import Tensor


class ImageTensors(NamedTuple):
    """The candidates of B images, one image for each expression.

    Attributes:
        features: (B, O, d_v), f_q and, if the model reads further columns, those; of any float type (a store contains
            float16).
        categories: (B, O) int64, c^V.
        valid: (B, O) bool, False at padding.
        confidences: (B, O) float32, the detector's, highest first; any values at padding.
        boxes: (B, O, 4) float32, xyxy in shares of the photo's width and height; any values at padding.
    """

    features: Tensor
    categories: Tensor
    valid: Tensor
    confidences: Tensor
    boxes: Tensor

    def rows(self, rows: Tensor | slice) -> Self:
        """Return the images of the given rows."""
        return type(self)(*(each[rows] for each in self))


class Labels(NamedTuple):
    """What B expressions mean, for training. At inference, classifiers of the text say it.

    Attributes:
        category: (B,) int64, c*, from the data; -1 if unknown, which makes S_class 0.
        second_category: (B,) int64, c2, the category of the second object that the expression names, as a lexicon reads
            it; -1 for none.
        order: (B,) int64, k, the place in an order that the expression gives its object, as rules read it
            (`aligncat.alignment.orders.order_index`); -1 for none.
    """

    category: Tensor
    second_category: Tensor
    order: Tensor

    def rows(self, rows: Tensor | slice) -> Self:
        """Return the labels of the given rows."""
        return type(self)(*(each[rows] for each in self))
