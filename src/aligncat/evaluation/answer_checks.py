"""Check the table of an answers file, which anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import DataError
from aligncat.evaluation.causes import CAUSES, RIGHT
from aligncat.files.table_file import blocks_of
from aligncat.geometry import MAX_PIXELS
from aligncat.run_lengths import cover_their_images

if TYPE_CHECKING:
    import pyarrow as pa

    from aligncat.evaluation.results import Result
    from aligncat.files.table_file import TableRows

_OPTIONAL = {"kind", "referent_category", "predicted_category", "mask_iou", "query_right", "same_category"}
_OPTIONAL |= {
    "match",
    "several",
    "truth_mask",
    "chosen_mask",
    *(f"{name}_scores" for name in ("class", "global", "coarse", "fine")),
}
_OF_CANDIDATES = ("confidences", "kept", "probabilities", "ious")
_SHARES = ("score", "match", "box_iou", "mask_iou", "confidences", "probabilities", "ious")
_FINITE = ("size", "truth_box", "boxes", "word_weights")
_BLOCK = 8192  # rows that are checked at once, so that the checks take little memory
_ROUNDING = 1e-3  # sums of float32 may exceed 1 by less


def check_answers(rows: TableRows, labels: Sequence[str], result: Result, where: str) -> None:
    """Check that the columns of rows of `answers.SCHEMA` fit each other and that their values are in their ranges.

    Args:
        rows: the rows.
        labels: the detector's category names.
        result: the metrics of the same answers.
        where: the file, for messages.

    Raises:
        DataError: a row is wrong. The message has its number, counted from 0.
    """
    if rows.num_rows != result.metrics.expressions:
        raise DataError(
            f"{where}: has {rows.num_rows} answers, but its metrics are of {result.metrics.expressions}; evaluate again"
        )
    given = {
        name: any(block[name].null_count < len(block) for block in blocks_of(rows, _BLOCK, [name]))
        for name in ("match", "several")
    }
    start = 0
    for block in blocks_of(rows, _BLOCK):
        checks = _Checks(block.combine_chunks(), where, start)
        _check_block(checks, labels, given, boxes_alone=result.boxes_alone)
        start += len(block)


def _check_block(checks: _Checks, labels: Sequence[str], given: Mapping[str, bool], *, boxes_alone: bool) -> None:
    """Check some rows.

    Args:
        checks: the rows.
        labels: the detector's category names.
        given: whether any row of the file has a match, and several objects.
        boxes_alone: whether the detector gives no masks.
    """
    checks.nulls()
    for name in _SHARES:
        checks.values(name, lambda values: (values >= 0) & (values <= 1 + _ROUNDING), "a number from 0 to 1")
    for name in _FINITE:
        checks.values(name, np.isfinite, "a finite number")
    for name in ("class_scores", "global_scores", "coarse_scores", "fine_scores"):
        checks.values(name, lambda values: ~np.isnan(values), "a number")
    checks.values("categories", lambda values: (values >= 0) & (values < len(labels)), "the number of a label")
    for name in ("size", "length", "same_category"):
        checks.values(name, lambda values: values >= 0, "zero or more")
    checks.values("cause", lambda values: np.isin(values, [RIGHT, *CAUSES]), "a cause of errors")
    _check_lists(checks, given)
    _check_masks(checks, boxes_alone=boxes_alone)


class _Checks:
    """Checks of a table's columns that say which row is wrong."""

    def __init__(self, table: pa.Table, where: str, start: int) -> None:
        self.table = table
        self._where = where
        self._start = start  # the number of the first row

    def all(self, fine: NDArray[np.bool_], what: str) -> None:
        """Check that all rows are fine."""
        if not fine.all():
            row = self._start + int(np.flatnonzero(~fine)[0])
            raise DataError(f"{self._where}: row {row}: {what}; the file is damaged, evaluate again")

    def nulls(self) -> None:
        """Check that only optional columns have nulls, and no list has one."""
        for name in self.table.schema.names:
            column = self.table[name]
            if name not in _OPTIONAL:
                self.all(column.is_valid().to_numpy(), f"{name!r} is missing")
            if _is_list(column):
                parents, valid = self.parents(name), self.flat(name).is_valid().to_numpy(zero_copy_only=False)
                fine = np.ones(len(self.table), np.bool_)
                fine[parents[~valid]] = False
                self.all(fine, f"{name!r} has an empty value")

    def values(self, name: str, is_fine: Any, kind: str) -> None:
        """Check each value of a column, or of its lists; nulls pass."""
        column = self.flat(name) if _is_list(self.table[name]) else self.table[name]
        rows = self.parents(name) if _is_list(self.table[name]) else np.arange(len(self.table))
        valid = np.asarray(column.is_valid())
        bad = ~np.asarray(is_fine(column.drop_null().to_numpy(zero_copy_only=False)), np.bool_)
        fine = np.ones(len(self.table), np.bool_)
        fine[rows[valid][bad]] = False
        self.all(fine, f"{name!r} must be {kind}")

    def lengths(self, name: str) -> NDArray[np.int64]:
        """Return the length of each row's list, -1 for none."""
        from pyarrow import compute

        return np.asarray(compute.list_value_length(self.table[name]).fill_null(-1), np.int64)

    def flat(self, name: str) -> pa.Array:
        """Return the values of all lists."""
        from pyarrow import compute

        return compute.list_flatten(self.table[name]).combine_chunks()

    def parents(self, name: str) -> NDArray[np.int64]:
        """Return the row of each value of all lists."""
        from pyarrow import compute

        return np.asarray(compute.list_parent_indices(self.table[name]), np.int64)


def _is_list(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(column.type))


def _check_lists(checks: _Checks, given: Mapping[str, bool]) -> None:
    table = checks.table
    count = checks.lengths("categories")
    for name in _OF_CANDIDATES:
        checks.all(checks.lengths(name) == count, f"{name!r} has another length than 'categories'")
    checks.all(checks.lengths("boxes") == 4 * count, "'boxes' must have four numbers for each candidate")
    targets, rest = np.divmod(checks.lengths("truth_box"), 4)
    checks.all(rest == 0, "'truth_box' must have four numbers for each target")
    checks.all((targets > 0) | ~np.asarray(table["truth_mask"].is_valid()), "'truth_mask' and 'truth_box' contradict")
    for name, in_any in given.items():
        checks.all(np.asarray(table[name].is_valid()) | (not in_any), f"{name!r} is missing, but other rows have it")
    checks.all((checks.lengths("several") == count) | (checks.lengths("several") < 0), "'several' has another length")
    for name in ("class_scores", "global_scores", "coarse_scores", "fine_scores"):
        checks.all((checks.lengths(name) == count) | (checks.lengths(name) < 0), f"{name!r} has another length")
    checks.all(checks.lengths("words") == checks.lengths("word_weights"), "'word_weights' has another length")
    choice = table["choice"].to_numpy()
    fine = np.where(count > 0, (choice >= 0) & (choice < count), choice == -1)
    checks.all(fine, "'choice' is not the number of a candidate")
    right = table["right"].to_numpy()
    checks.all(right == (np.asarray(table["cause"]) == RIGHT), "'right' and 'cause' contradict each other")


def _check_masks(checks: _Checks, *, boxes_alone: bool) -> None:
    table = checks.table
    width, height = (table[name].to_numpy().astype(np.int64) for name in ("width", "height"))
    pixels = width * height
    checks.all((width > 0) & (height > 0) & (pixels <= MAX_PIXELS), "'width' or 'height' is not a photo's")
    has_choice = (table["choice"].to_numpy() >= 0) & (not boxes_alone)
    checks.all(np.asarray(table["chosen_mask"].is_valid()) == has_choice, "'chosen_mask' and 'choice' contradict")
    for name in ("truth_mask", "chosen_mask"):
        given = np.flatnonzero(np.asarray(table[name].is_valid()))
        fine = np.ones(len(table), np.bool_)
        fine[given] = cover_their_images(table[name].drop_null().to_pylist(), pixels[given].tolist())
        checks.all(fine, f"{name!r} is not a mask of its photo's size")
