"""What stored answers name, the number of targets of their expressions, and whether the choice alone is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from aligncat.evaluation.answer_sets import SetMetrics
    from aligncat.files.table_file import TableRows


def targets_of(rows: TableRows) -> NDArray[np.int64]:
    """Return (E,) the number of objects that each expression means, from the rows of `Answers`."""
    return np.asarray(pc.list_value_length(rows.select(["truth_box"])["truth_box"]), np.int64) // 4


def chose_right(rows: TableRows) -> NDArray[np.bool_]:
    """Return (E,) bool: the choice alone is right. If every expression has one target, that is the column `right`."""
    if (targets_of(rows) == 1).all():
        return np.asarray(rows.select(["right"])["right"], dtype=bool)
    return np.asarray(rows.select(["box_iou"])["box_iou"]) > SAME_OBJECT_IOU


def named_in(answer: Mapping[str, Any], sets: SetMetrics | None) -> list[int]:
    """Return the candidates that a stored answer names, by their number (see `answer_sets.named_candidates`).

    Args:
        answer: a row of `Answers.table`; only choice, match and several are read.
        sets: `Metrics.sets` of the same answers. None if every expression has one target: the choice alone counts.
    """
    if answer["choice"] < 0:
        return []
    if sets is None:
        return [answer["choice"]]
    if sets.min_match is not None and answer["match"] is not None and answer["match"] < sets.min_match:
        return []
    several = [place for place, is_named in enumerate(answer["several"] or ()) if is_named]
    return several or [answer["choice"]]
