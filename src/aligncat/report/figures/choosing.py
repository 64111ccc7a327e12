"""The rules that choose which expressions a figure shows, so that none is picked by hand."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncat.errors import DataError
from aligncat.evaluation.causes import CAUSES, Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from aligncat.evaluation.answers import Answers

UNRECORDED = "no kind recorded"


def row_of(table: pa.Table, row: int) -> dict[str, Any]:
    """One answer, by column."""
    return dict(table.slice(row, 1).to_pylist()[0])


def unevenness(weights: Sequence[float]) -> float:
    """1 minus the entropy of weights that sum to 1, over its maximum: 0 where all are equal, 1 where one has all."""
    if len(weights) < 2:
        return 0.0
    shares = np.asarray(weights, np.float64)
    positive = shares[shares > 0]
    return float(1 + (positive * np.log(positive)).sum() / math.log(len(shares)))


def most_uneven(table: pa.Table, per_kind: int) -> dict[str, list[int]]:
    """Right answers whose word weights differ most, for each kind of expression, by name of the kind.

    Of expressions of at least two words that were answered rightly, those of the greatest `unevenness`; of equals, the
    first by id; each text once.

    Returns:
        Rows of the table, at most `per_kind` a kind; kinds without any are left out.
    """
    columns = table.select(["expression_id", "kind", "right", "words", "word_weights"]).to_pydict()
    ranked: dict[str, list[tuple[float, str, int]]] = defaultdict(list)
    for row, (identity, kind, right, words, weights) in enumerate(zip(*columns.values(), strict=True)):
        if right and len(words) > 1:
            ranked[kind or UNRECORDED].append((-unevenness(weights), identity, row))
    found: dict[str, list[int]] = {}
    for kind in sorted(ranked):
        texts: dict[tuple[str, ...], int] = {}
        for _, _, row in sorted(ranked[kind]):
            texts.setdefault(tuple(columns["words"][row]), row)
        found[kind] = list(texts.values())[:per_kind]
    return found


def differing(runs: Sequence[Answers], count: int) -> list[tuple[int, tuple[int, ...]]]:
    """Expressions that some of the runs answer rightly and some wrongly.

    They are sorted by pattern (who is right, who is wrong). Patterns take turns, the most frequent first; inside a
    pattern the order is that of a hash of the expression's id, which is no more than a fixed shuffle; each image comes
    once.

    Args:
        runs: at least two, of the same split.
        count: how many expressions at most.

    Returns:
        For each expression how many share its pattern, and its row in each run's table.

    Raises:
        DataError: two runs know different expressions by one id.
    """
    places = _common_rows(runs)
    right = [run.table["right"].to_pylist() for run in runs]
    images = runs[0].table["image_id"].to_pylist()
    patterns: dict[tuple[bool, ...], list[tuple[str, tuple[int, ...]]]] = defaultdict(list)
    for identity, rows in places.items():
        pattern = tuple(answers[row] for answers, row in zip(right, rows, strict=True))
        if len(set(pattern)) > 1:
            patterns[pattern].append((hashlib.sha256(identity.encode()).hexdigest(), rows))
    queues = [sorted(patterns[p]) for p in sorted(patterns, key=lambda p: (-len(patterns[p]), p))]
    found: list[tuple[int, tuple[int, ...]]] = []
    seen: set[str] = set()
    for turn in range(max(map(len, queues), default=0)):
        for queue in queues:
            if len(found) < count and turn < len(queue) and images[queue[turn][1][0]] not in seen:
                rows = queue[turn][1]
                seen.add(images[rows[0]])
                found.append((len(queue), rows))
    return found


def _common_rows(runs: Sequence[Answers]) -> dict[str, tuple[int, ...]]:
    """The row in each run of the expressions that all have, by id."""
    tables = [run.table.select(["expression_id", "text", "image_id"]).to_pydict() for run in runs]
    rows = [{identity: row for row, identity in enumerate(table["expression_id"])} for table in tables]
    common = [identity for identity in rows[0] if all(identity in other for other in rows)]
    places = {identity: tuple(of[identity] for of in rows) for identity in common}
    for identity, own in places.items():
        said = {(t["text"][row], t["image_id"][row]) for t, row in zip(tables, own, strict=True)}
        if len(said) > 1:
            raise DataError(
                f"expression {identity!r} is not the same in two runs, so they are of different data under one name: "
                "draw them apart, or evaluate one again"
            )
    return places


def typical_failures(table: pa.Table) -> dict[Cause, tuple[int, int]]:
    """Return for each cause how many failures there are, and the row of a typical one; causes in their own order.

    The typical one is the median by probability (the lower of two; equals by id): neither the most striking nor the
    mildest.
    """
    columns = table.select(["expression_id", "score", "cause"]).to_pydict()
    found: dict[Cause, tuple[int, int]] = {}
    for cause in CAUSES:
        rows = [row for row, own in enumerate(columns["cause"]) if own == cause]
        rows.sort(key=lambda row: (columns["score"][row], columns["expression_id"][row]))
        if rows:
            found[cause] = (len(rows), rows[(len(rows) - 1) // 2])
    return found
