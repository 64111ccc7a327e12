"""`Split`: the images and expressions of one split, without boxes and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aligncat.types import JSON, Expression, ImageRecord


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
    images: dict[str, ImageRecord]
    expressions: tuple[Expression, ...]
    made: Mapping[str, JSON] | None = None

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
