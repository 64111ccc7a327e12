"""The oracle staircase: the share of referents that are left after each stage of the selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aligncat.evaluation.answer_targets import chose_right, targets_of
from aligncat.files.table_file import blocks_of
from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    from aligncat.files.table_file import TableRows

_BLOCK = 8192  # rows


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


def staircase(rows: TableRows) -> Staircase:
    """Return the share of referents that are left after each stage.

    Args:
        rows: the rows of `Answers`, of which E >= 1 have a target; only ious, kept, right, box_iou, query_right,
            truth_box and fine_scores are read.

    Raises:
        ValueError: there is no such row.
    """
    counts, right = targets_of(rows) > 0, chose_right(rows)
    if not counts.any():
        raise ValueError("no answer to count")
    queries = candidates = kept = start = 0
    query_known, refined = True, False
    for block in blocks_of(rows, _BLOCK, ["ious", "kept", "query_right", "fine_scores"]):
        block = block.filter(pa.array(counts[start : (start := start + len(block))])).combine_chunks()
        passing = np.asarray(pc.list_flatten(block["ious"])) > SAME_OBJECT_IOU
        in_refined_set = np.asarray(pc.list_flatten(block["kept"]), dtype=bool)
        row = np.asarray(pc.list_parent_indices(block["ious"]))
        candidates += len(np.unique(row[passing]))
        kept += len(np.unique(row[passing & in_refined_set]))
        queries += pc.sum(block["query_right"]).as_py() or 0
        query_known &= not block["query_right"].null_count
        refined |= block["fine_scores"].null_count < len(block)
    of = int(counts.sum())
    return Staircase(
        expressions=of,
        queries=queries / of if query_known else None,
        candidates=candidates / of,
        kept=kept / of if refined else None,
        chosen=int(right[counts].sum()) / of,
    )
