"""Rules that choose which expressions a figure shows, so none is picked by hand."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncat.errors import DataError
from aligncat.evaluation.answer_targets import named_in
from aligncat.evaluation.causes import CAUSES, Cause

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from aligncat.evaluation.answers import Answers

UNRECORDED = "no kind recorded"


def row_of(answers: Answers, row: int) -> dict[str, Any]:
    """Return one row of a table of answers by column, and under "named" the numbers of the candidates that it names."""
    answer = answers.rows.slice(row, 1).to_pylist()[0]
    return {**answer, "named": named_in(answer, answers.result.metrics.sets)}


def unevenness(weights: Sequence[float]) -> float:
    """Return 1 - entropy / maximum entropy of weights that sum to 1: 0 if all are equal, 1 if one weight is 1."""
    if len(weights) < 2:
        return 0.0
    shares = np.asarray(weights, np.float64)
    positive = shares[shares > 0]
    return float(1 + (positive * np.log(positive)).sum() / math.log(len(shares)))


def most_uneven(answers: Answers, per_kind: int) -> dict[str, list[int]]:
    """Return the right answers with the most uneven word weights, for each kind of expression.

    Only expressions of at least two words qualify. They are ranked by `unevenness`, then by id, and each text occurs
    once.

    Returns:
        Numbers of rows by name of the kind, at most `per_kind` each; kinds without an answer are left out.
    """
    best: dict[str, dict[tuple[str, ...], tuple[float, str, int]]] = defaultdict(dict)  # kind -> text -> its place
    start = 0
    for block in answers.blocks(["expression_id", "kind", "right", "words", "word_weights"]):
        for row, (identity, kind, right, words, weights) in enumerate(zip(*block.to_pydict().values(), strict=True)):
            if right and len(words) > 1:
                place = -unevenness(weights), identity, start + row
                texts = best[kind or UNRECORDED]
                texts[tuple(words)] = min(place, texts.get(tuple(words), place))
        start += len(block)
        # The first ones of all blocks so far are the only ones that can be among the first of all.
        best = defaultdict(dict, {kind: dict(_first(texts, per_kind)) for kind, texts in best.items()})
    return {kind: [row for _, (_, _, row) in _first(best[kind], per_kind)] for kind in sorted(best)}


def _first(
    texts: Mapping[tuple[str, ...], tuple[float, str, int]], count: int
) -> list[tuple[tuple[str, ...], tuple[float, str, int]]]:
    """Return the texts with the smallest values."""
    return sorted(texts.items(), key=lambda item: item[1])[:count]


def differing(runs: Sequence[Answers], count: int) -> list[tuple[int, tuple[int, ...]]]:
    """Return expressions that some runs answer right and others wrong.

    A pattern tells which runs are right. Patterns take turns, the most frequent first. Within a pattern, a hash of the
    expression's id gives a fixed random order. Each image occurs once.

    Args:
        runs: at least two runs on the same split.
        count: the largest number of expressions.

    Returns:
        For each expression, the number of expressions with its pattern, and its row in each run's table.

    Raises:
        DataError: two runs have different expressions with the same id.
    """
    places = _common_rows(runs)
    right = [run.column("right").to_pylist() for run in runs]
    images = runs[0].column("image_id").to_pylist()
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
    """Return the row in each run's table of every expression that all runs answer, by id."""
    tables = [run.rows.select(["expression_id", "text", "image_id"]).to_pydict() for run in runs]
    rows = [{identity: row for row, identity in enumerate(table["expression_id"])} for table in tables]
    common = [identity for identity in rows[0] if all(identity in other for other in rows)]
    places = {identity: tuple(of[identity] for of in rows) for identity in common}
    for identity, own in places.items():
        contents = {(t["text"][row], t["image_id"][row]) for t, row in zip(tables, own, strict=True)}
        if len(contents) > 1:
            raise DataError(
                f"expression {identity!r} differs between two runs, so they answer different data of the same name; "
                "draw them separately, or evaluate one again"
            )
    return places


def typical_failures(table: pa.Table) -> dict[Cause, tuple[int, int]]:
    """Return the number of failures by each cause and the row of a typical one, in the order of CAUSES.

    The typical failure has the median probability (the lower of two; ties by id), so it is neither the worst nor the
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
