"""A split's expressions and candidates as tensors, for training and inference alike: no boxes, no masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from aligncat.datasets.categories import category_index
from aligncat.datasets.split import Split
from aligncat.errors import DetectorError
from aligncat.language.tokens import Tokens
from aligncat.language.vocabulary import PAD
from aligncat.store.reader import Store


class Batch(NamedTuple):
    """B (image, expression) pairs.

    Attributes:
        features: (B, O, d_v) float16, f_q.
        categories: (B, O) int64, c^V.
        valid: (B, O) bool, candidates that exist.
        tokens: (B, L) int64.
        labels: (B,) int64, c*; -1 for unknown.
        image_index: (B,) int64, equal for pairs of one image.
        rows: (B,) int64, the expressions' places in their split.
    """

    features: Tensor
    categories: Tensor
    valid: Tensor
    tokens: Tensor
    labels: Tensor
    image_index: Tensor
    rows: Tensor

    def chunks(self, count: int) -> list[Batch]:
        """The batch in equal parts, in order; `count` divides B."""
        return [Batch(*part) for part in zip(*(tensor.chunk(count) for tensor in self), strict=True)]


class SplitTensors:
    """A split's expressions and candidates as tensors that batches are gathered from.

    Args:
        split: the expressions.
        store: holds the candidates of their images.
        vocabulary: gives the token ids.
        max_length: words kept of an expression.
        with_labels: whether c* is wanted; without, every label is -1.

    Raises:
        DataError: an expression has no words.
        DetectorError: a category that the dataset gives is none of the detector's.
        StoreError: the store lacks an image.
    """

    def __init__(self, split: Split, store: Store, vocabulary: Tokens, *, max_length: int, with_labels: bool) -> None:
        self.expressions = split.expressions
        images = list(dict.fromkeys(expression.image_id for expression in split.expressions))
        place = {image_id: index for index, image_id in enumerate(images)}
        self._candidates = store.tensors(images)
        self._image_index = torch.tensor([place[expression.image_id] for expression in split.expressions])
        self._tokens = vocabulary.encode([expression.text for expression in split.expressions], max_length)
        self._lengths = (self._tokens != PAD).sum(dim=1)
        self._labels = torch.full((len(split.expressions),), -1)
        if with_labels:
            index = _label_index(split, store.labels)
            self._labels = torch.tensor([index.get(expression.category, -1) for expression in split.expressions])

    def __len__(self) -> int:
        return len(self.expressions)

    @property
    def labelled(self) -> int:
        """How many expressions have a label, c*."""
        return int((self._labels >= 0).sum())

    def gather(self, rows: Sequence[int]) -> Batch:
        """The batch of some expressions, padded to the longest of them."""
        row = torch.tensor(rows)
        image = self._image_index[row]
        return Batch(
            features=self._candidates.features[image],
            categories=self._candidates.categories[image],
            valid=self._candidates.valid[image],
            tokens=self._tokens[row, : int(self._lengths[row].max())],
            labels=self._labels[row],
            image_index=image,
            rows=row,
        )

    def batches(self, size: int) -> Iterator[Batch]:
        """Every expression in order, in batches."""
        for start in range(0, len(self), size):
            yield self.gather(range(start, min(start + size, len(self))))


def _label_index(split: Split, labels: tuple[str, ...]) -> dict[str | None, int]:
    """Category -> the detector's index. One that was only read in the phrases, and that the detector lacks, is left
    out: such an expression has no c*."""
    index: dict[str | None, int] = {}
    for name, derived in dict.fromkeys((e.category, e.derived) for e in split.expressions):
        if name is not None:
            try:
                index[name] = category_index(name, labels)
            except DetectorError:
                if not derived:
                    raise
    return index
