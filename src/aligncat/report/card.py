"""Results in the form that a grounder's model card takes."""

from __future__ import annotations

from collections.abc import Sequence

from aligncat.evaluation.results import Result, summaries
from aligncat.grounder.card_results import CardResult
from aligncat.report.terminal import detector_training


def card_results(results: Sequence[Result]) -> list[CardResult]:
    """Convert results for `aligncat.grounder.model_card.model_card`, in the same order.

    Raises:
        DataError: the results of a config and split cannot be summarised (`aligncat.evaluation.results.summarise`).
    """
    summaries(results)
    return [
        CardResult(
            dataset=result.dataset,
            split=result.split,
            split_by=result.split_by,
            config=result.config,
            detector=result.detector,
            seen=result.seen,
            seen_claimed=result.seen_claimed,
            seen_in_words=detector_training(result),
            features=result.reads,
            seed=result.seed,
            expressions=result.metrics.expressions,
            rec=result.metrics.rec,
            rec_oracle=result.metrics.oracle_rec,
            miou=result.metrics.res_miou,
            miou_oracle=result.metrics.oracle_res_miou,
            category=result.metrics.category_accuracy,
            rec_by_kind={kind: metrics.rec for kind, metrics in result.metrics.by_kind.items()},
        )
        for result in results
    ]
