"""The expressions and candidates of a split as tensors, for training and inference.

Boxes are those of the candidates. A referent's box or mask is never among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.orders import DIRECTIONS, order_index
from aligncat.datasets.categories import canonical_category, category_index
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.split import Split
from aligncat.datasets.tables import numbered, values_of
from aligncat.errors import DetectorError
from aligncat.grounder.features import ScaledColumn
from aligncat.language.attributes import order_of
from aligncat.language.tokens import Tokens
from aligncat.language.vocabulary import PAD
from aligncat.store.columns import further_column
from aligncat.store.reader import Store

_ENCODED = 65_536  # expressions


class Batch(NamedTuple):
    """A batch of B (image, expression) pairs.

    Attributes:
        images: the candidates; the features are float16, boxes and confidences are 0 for padding.
        tokens: (B, L) int64, the ids of the words, padded with PAD.
        labels: what the expressions mean.
        image_index: (B,) int64, a number that pairs have in common if they have the same image.
        rows: (B,) int64, the positions of the expressions in their split.
    """

    images: ImageTensors
    tokens: Tensor
    labels: Labels
    image_index: Tensor
    rows: Tensor

    def chunks(self, count: int) -> list[Batch]:
        """Return the batch as `count` equal parts, in order; B must be a multiple of `count`."""
        size = len(self.rows) // count
        parts = (slice(start, start + size) for start in range(0, len(self.rows), size))
        return [
            Batch(
                self.images.rows(part),
                self.tokens[part],
                self.labels.rows(part),
                self.image_index[part],
                self.rows[part],
            )
            for part in parts
        ]


class SplitTensors:
    """The expressions and candidates of a split as tensors, from which batches are gathered.

    Args:
        split: the expressions.
        store: the store with the candidates of their images.
        vocabulary: converts words to token ids.
        max_length: the number of words read from each expression.
        with_labels: whether to set c*; otherwise it is always -1.
        columns: the columns of the store that the grounder reads beside f_q.
        lexicon: reads c2 in the expressions. Without it, c2 and k are not read, and always -1.

    Raises:
        DataError: an expression has no words.
        DetectorError: the detector has no category with the name of a category in the dataset.
        StoreError: the store lacks an image or a column.
    """

    def __init__(
        self,
        split: Split,
        store: Store,
        vocabulary: Tokens,
        *,
        max_length: int,
        with_labels: bool,
        columns: Sequence[ScaledColumn] = (),
        lexicon: Lexicon | None = None,
    ) -> None:
        self.expressions = split.expressions
        images, image_index = numbered(split.expressions, "image_id")
        # They are put together for each batch, so that the store's tensors, which workers share, are not copied.
        self._columns = tuple(columns)
        self._candidates = store.rows(images, [each.column for each in columns])
        self._image_index = torch.from_numpy(image_index)
        del images
        self._tokens = _tokens(split, vocabulary, max_length)
        self._lengths = (self._tokens != PAD).sum(dim=1)
        unknown = torch.full((len(split.expressions),), -1)
        self._labels = Labels(
            category=_category_labels(split, store.labels) if with_labels else unknown,
            second_category=unknown if lexicon is None else _second_labels(split, lexicon, store.labels),
            order=unknown if lexicon is None else _order_labels(split),
        )

    def __len__(self) -> int:
        return len(self.expressions)

    @property
    def labelled(self) -> int:
        """The number of expressions with a label (c*)."""
        return int((self._labels.category >= 0).sum())

    @property
    def confidences(self) -> NDArray[np.float32]:
        """The confidences of the images' candidates, (images, O), highest first; 0 where there is none."""
        return self._candidates.confidences

    def gather(self, rows: Sequence[int]) -> Batch:
        """Return a batch of the given expressions, padded to the longest of them."""
        row = torch.tensor(rows)
        image = self._image_index[row]
        found = self._candidates.gather(image)
        further = {each.column.name: found[further_column(each.column.name)] for each in self._columns}
        return Batch(
            images=ImageTensors(
                features=_with_columns(found["features"], self._columns, further),
                categories=found["categories"],
                valid=found["valid"],
                confidences=found["confidences"],
                boxes=found["relative_boxes"],
            ),
            tokens=self._tokens[row, : int(self._lengths[row].max())],
            labels=self._labels.rows(row),
            image_index=image,
            rows=row,
        )

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of at most `size` expressions, in order."""
        for start in range(0, len(self), size):
            yield self.gather(range(start, min(start + size, len(self))))


def _with_columns(features: Tensor, columns: Sequence[ScaledColumn], values: Mapping[str, Tensor]) -> Tensor:
    """Return the same as `aligncat.grounder.features.with_columns`, of tensors, whose products are faster."""
    if not columns:
        return features
    return torch.cat([features, *(values[each.column.name] * each.scale for each in columns)], dim=-1)


def _tokens(split: Split, vocabulary: Tokens, max_length: int) -> Tensor:
    """Return the token ids of all expressions, (E, L), of which some are encoded at once to save memory."""
    texts = iter(values_of(split.expressions, "text"))
    parts: list[Tensor] = []
    while block := list(islice(texts, _ENCODED)):
        parts.append(torch.from_numpy(vocabulary.ids(block, max_length)))
    tokens = torch.full((len(split.expressions), max((part.shape[1] for part in parts), default=0)), PAD)
    for place, part in zip(range(0, len(tokens), _ENCODED), parts, strict=True):
        tokens[place : place + len(part), : part.shape[1]] = part
    return tokens


def _category_labels(split: Split, labels: tuple[str, ...]) -> Tensor:
    """Return c* of each expression as a class index, (E,); -1 if unknown."""
    label_of = _labels_by_category(split, labels)
    return torch.tensor([label_of.get(name, -1) for name in values_of(split.expressions, "category")])


def _second_labels(split: Split, lexicon: Lexicon, labels: Sequence[str]) -> Tensor:
    """Return the class index of the second object's category for each expression, (E,); -1 for none."""
    index = {canonical_category(name): place for place, name in enumerate(labels)}

    @cache
    def label(text: str) -> int:
        name = lexicon.second_category(text)
        return -1 if name is None else index.get(canonical_category(name), -1)

    return torch.tensor([label(text) for text in values_of(split.expressions, "text")])


def _order_labels(split: Split) -> Tensor:
    """Return the index of the place in an order that each expression gives its object, (E,); -1 for none."""

    @cache
    def label(text: str) -> int:
        said = order_of(text, DIRECTIONS)
        return -1 if said is None else order_index(*said)

    return torch.tensor([label(text) for text in values_of(split.expressions, "text")])


def _categories_of(split: Split) -> dict[tuple[str | None, bool], None]:
    """Return the categories of a split, each with whether it is derived, in order of first mention."""
    pairs = zip(values_of(split.expressions, "category"), values_of(split.expressions, "derived"), strict=True)
    return dict.fromkeys(pairs)


def _labels_by_category(split: Split, labels: tuple[str, ...]) -> dict[str | None, int]:
    """Return the detector's class index of each category in a split.

    A category that a lexicon derived from the phrase may be missing from the detector. It is left out, so that its
    expressions have no c*.
    """
    index: dict[str | None, int] = {}
    for name, derived in _categories_of(split):
        if name is not None:
            try:
                index[name] = category_index(name, labels)
            except DetectorError:
                if not derived:
                    raise
    return index
