"""One split of a dataset, as a learner may see it: no boxes, no masks."""

from __future__ import annotations

from dataclasses import dataclass

from aligncat.types import Expression, ImageRecord


@dataclass(frozen=True)
class Split:
    """The images and expressions of one split.

    Attributes:
        dataset: the dataset's name.
        split: the split's name, as in the data.
        split_by: who divided the data; None where nobody said, "unknown" where that leaves open which of RefCOCOg's
            two divisions it is.
        images: image id -> record, the images that the expressions refer to, in the order they come up.
        expressions: every sentence, in the file's order.
    """

    dataset: str
    split: str
    split_by: str | None
    images: dict[str, ImageRecord]
    expressions: tuple[Expression, ...]

    def sentences_by_referent(self) -> dict[str, list[Expression]]:
        """Group the expressions by the object that they refer to.

        Returns:
            referent id -> its sentences; referents and sentences in the file's order.
        """
        groups: dict[str, list[Expression]] = {}
        for expression in self.expressions:
            groups.setdefault(expression.referent_id, []).append(expression)
        return groups
