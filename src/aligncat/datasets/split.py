"""`Split`: the images and expressions of one split, without boxes and masks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aligncat.datasets.tables import ExpressionTable, values_of
from aligncat.errors import DataError
from aligncat.types import JSON, Expression, ImageRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """The images and expressions of one split.

    Attributes:
        dataset: the dataset's name.
        split: the split's name, as in the data.
        split_by: the division of the data into splits; None if it is not known, "unknown" if it is not known which of
            RefCOCOg's two divisions it is.
        images: image id -> record for each image with an expression, in order of first appearance.
        expressions: all expressions, in the file's order.
        made: what made the expressions, if no person wrote them (`aligncat.datasets.made`); otherwise None.
    """

    dataset: str
    split: str
    split_by: str | None
    images: Mapping[str, ImageRecord]
    expressions: Sequence[Expression]
    made: Mapping[str, JSON] | None = None

    def with_targets(self) -> Split:
        """Return the split without the expressions of which the data says that their image shows nothing they mean.

        Such an expression and its image are no pair to learn from. One log line says how many were left out.

        Raises:
            DataError: no expression is left.
        """
        stays = ~np.fromiter(values_of(self.expressions, "no_target"), np.bool_)
        if stays.all():
            return self
        if not stays.any():
            raise DataError(
                f"{self.dataset}, split {self.split}: every expression is said to mean nothing in its image, so there "
                "is nothing to learn; if the boxes are only unknown, leave out the keys of the boxes"
            )
        logger.info(
            "%s, split %s: left out %s of %s expressions, whose images are said to show nothing that they mean",
            self.dataset,
            self.split,
            f"{int((~stays).sum()):,}",
            f"{len(self.expressions):,}",
        )
        kept: Sequence[Expression]
        if isinstance(self.expressions, ExpressionTable):
            kept = self.expressions.where(stays)
        else:
            kept = tuple(each for each, stay in zip(self.expressions, stays.tolist(), strict=True) if stay)
        shown = set(values_of(kept, "image_id"))
        images = {image_id: record for image_id, record in self.images.items() if image_id in shown}
        return replace(self, images=images, expressions=kept)

    def sentences_by_referent(self) -> dict[str, list[Expression]]:
        """Group the expressions by the object that they refer to.

        Returns:
            referent id -> its expressions, both in the file's order.
        """
        groups: dict[str, list[Expression]] = {}
        for expression in self.expressions:
            groups.setdefault(expression.referent_id, []).append(expression)
        return groups


def split_tuple(splits: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of splits, none if None is given. A text is one name, not one for each of its letters."""
    return (splits,) if isinstance(splits, str) else tuple(splits or ())
