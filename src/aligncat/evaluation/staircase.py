"""The oracle staircase: how much of the referents is left after each stage of the selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Staircase:
    """Shares of the expressions, as fractions of 1, whose referent some box still passes IoU 0.5 with.

    Attributes:
        expressions: how many, E.
        queries: among all N queries of the detector; None where no store of every query was given.
        candidates: among the O candidates that the confidence filter left: the oracle of any choice.
        kept: among the refined set that the second stage chose from; None where one stage chose of all.
        chosen: the box chosen: REC accuracy.
    """

    expressions: int
    queries: float | None
    candidates: float
    kept: float | None
    chosen: float


def staircase(table: pa.Table) -> Staircase:
    """Count the steps.

    Args:
        table: of `Answers`, E >= 1 rows; read are ious, kept, right, query_right and fine_scores.

    Raises:
        ValueError: there is no row.
    """
    if not table.num_rows:
        raise ValueError("no answer, so no share of them")
    ious, kept = table["ious"].combine_chunks(), table["kept"].combine_chunks()
    rows = np.asarray(pc.list_parent_indices(ious))
    passing = np.asarray(pc.list_flatten(ious)) > SAME_OBJECT_IOU
    still = np.asarray(pc.list_flatten(kept), dtype=bool)
    found, fine = table["query_right"], table["fine_scores"]
    return Staircase(
        expressions=table.num_rows,
        queries=None if found.null_count else float(np.mean(np.asarray(found, dtype=bool))),
        candidates=_share(rows[passing], table.num_rows),
        kept=None if fine.null_count == len(fine) else _share(rows[passing & still], table.num_rows),
        chosen=float(np.mean(np.asarray(table["right"], dtype=bool))),
    )


def _share(rows: NDArray[np.int64], of: int) -> float:
    """The share of the rows that are named at least once."""
    return len(np.unique(rows)) / of
