"""Convert results for a grounder's model card."""

from __future__ import annotations

from collections.abc import Sequence

from aligncat.evaluation.results import Result, summaries
from aligncat.grounder.model_card import CardResult
from aligncat.report.terminal import detector_training


def card_results(results: Sequence[Result]) -> list[CardResult]:
    """Return what `aligncat.grounder.model_card.model_card` takes, one for each result, in their order.

    Raises:
        DataError: results of one config and split do not fit each other (`aligncat.evaluation.results.summarise`).
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
            seed=result.seed,
            expressions=result.scores.expressions,
            rec=result.scores.rec,
            rec_oracle=result.scores.oracle_rec,
            miou=result.scores.res_miou,
            miou_oracle=result.scores.oracle_res_miou,
            category=result.scores.category_accuracy,
            rec_by_kind={kind: scores.rec for kind, scores in result.scores.by_kind.items()},
        )
        for result in results
    ]
