"""The number of targets of each answer's expression, and whether the choice alone is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def targets_of(table: pa.Table) -> NDArray[np.int64]:
    """Return (E,) the number of objects that each expression means, from a table of `Answers`."""
    return np.asarray(pc.list_value_length(table["truth_box"]), np.int64) // 4


def chose_right(table: pa.Table) -> NDArray[np.bool_]:
    """Return (E,) bool: the choice alone is right. If every expression has one target, that is the column `right`."""
    if (targets_of(table) == 1).all():
        return np.asarray(table["right"], dtype=bool)
    return np.asarray(table["box_iou"]) > SAME_OBJECT_IOU
