"""The oracle staircase: the share of referents that are left after each stage of the selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aligncat.evaluation.answer_targets import chose_right, targets_of
from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Staircase:
    """Shares of the expressions whose referent is left at each stage, as fractions of 1.

    A referent is left if one of the stage's boxes has an IoU above 0.5 with it; of several targets, if one of them is.
    Expressions without a target do not count.

    Attributes:
        expressions: the number of expressions, E.
        queries: left among all N queries of the detector; None if no store had all queries.
        candidates: left among the O candidates that the confidence filter kept (the oracle).
        kept: left in the refined set, from which the second stage chose; None if there was only one stage.
        chosen: left as the chosen box (REC accuracy).
    """

    expressions: int
    queries: float | None
    candidates: float
    kept: float | None
    chosen: float


def staircase(table: pa.Table) -> Staircase:
    """Return the share of referents that are left after each stage.

    Args:
        table: a table of `Answers` with E >= 1 rows that have a target; only ious, kept, right, box_iou, query_right,
            truth_box and fine_scores are read.

    Raises:
        ValueError: the table has no such row.
    """
    table = table.append_column("chosen", pa.array(chose_right(table)))
    table = table.filter(pa.array(targets_of(table) > 0))
    if not table.num_rows:
        raise ValueError("no answer to count")
    ious, kept = table["ious"].combine_chunks(), table["kept"].combine_chunks()
    rows = np.asarray(pc.list_parent_indices(ious))
    passing = np.asarray(pc.list_flatten(ious)) > SAME_OBJECT_IOU
    in_refined_set = np.asarray(pc.list_flatten(kept), dtype=bool)
    found, fine = table["query_right"], table["fine_scores"]
    return Staircase(
        expressions=table.num_rows,
        queries=None if found.null_count else float(np.mean(np.asarray(found, dtype=bool))),
        candidates=_share(rows[passing], table.num_rows),
        kept=None if fine.null_count == len(fine) else _share(rows[passing & in_refined_set], table.num_rows),
        chosen=float(np.mean(np.asarray(table["chosen"], dtype=bool))),
    )


def _share(rows: NDArray[np.int64], of: int) -> float:
    """Return the share of the `of` rows that occur at least once."""
    return len(np.unique(rows)) / of
