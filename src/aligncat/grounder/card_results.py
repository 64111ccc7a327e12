"""The results in a model card: tables for people, and the metadata that the hub reads."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from huggingface_hub import EvalResult

from aligncat.datasets.known import known_dataset
from aligncat.grounder.card_text import detector_name, escaped, hub_name, markdown_table, one_line
from aligncat.wording import percent

_COLUMNS = {"rec": "REC", "rec_oracle": "oracle", "miou": "RES mIoU", "miou_oracle": "oracle", "category": "category"}


@dataclass(frozen=True, slots=True)
class CardResult:
    """The metrics of one evaluation on one split, as a model card shows them.

    The evaluated weights are those of the card, or come from the same training with another seed.
    `aligncat.report.card.card_results` converts the results of an evaluation.

    Attributes:
        dataset: the dataset's name.
        split: the split's name.
        split_by: who divided the data into splits; None if the dataset has only one division.
        config: the name of the trained config.
        detector: the name of the detector that made the candidates.
        seen: "clean", "leaked" or "unknown": whether the detector was trained on the images of the split.
        seen_claimed: whether `seen` is only the user's claim.
        seen_in_words: `seen` and `seen_claimed` as a phrase.
        seed: the training seed; None if it is not recorded, as for an imported QueryMatch.
        expressions: the number of expressions.
        rec: accuracy of the boxes, in [0, 1].
        rec_oracle: REC if the best candidate were always chosen.
        miou: mean IoU of the masks; None if the truth has no masks.
        miou_oracle: mean IoU of the masks if the best candidate were always chosen.
        category: accuracy of c^T; None if it is not defined.
        rec_by_kind: REC by the kind of attribute that expressions need.
        features: what the model reads: `alignment.features`, and `alignment.context` if there is one.
    """

    dataset: str
    split: str
    split_by: str | None
    config: str
    detector: str
    seen: str
    seen_claimed: bool
    seen_in_words: str
    seed: int | None
    expressions: int
    rec: float
    rec_oracle: float
    miou: float | None = None
    miou_oracle: float | None = None
    category: float | None = None
    rec_by_kind: Mapping[str, float] = field(default_factory=dict)
    features: str = "query"


def results_by_seed(results: Sequence[CardResult]) -> list[list[CardResult]]:
    """Return the results grouped by split and config; each group holds one result per seed."""
    groups: dict[tuple[object, ...], list[CardResult]] = {}
    for r in results:
        key = (r.dataset, r.split, r.split_by, r.config, r.detector, r.seen, r.seen_claimed, r.features)
        groups.setdefault(key, []).append(r)
    return list(groups.values())


def results_table(results: Sequence[CardResult], seed: int | None) -> str:
    """Return a table with a row for these weights and, if there are several seeds, a row for all of them."""
    lines = []
    for group in results_by_seed(results):
        first = group[0]
        shared = [first.dataset, first.split, first.split_by or "-", first.config, first.features, first.seen_in_words]
        own = [result for result in group if result.seed == seed]
        if own:
            lines.append([*shared, "none" if seed is None else f"{seed} (these weights)", *_metrics(own)])
        if len(group) > 1 or not own:
            lines.append([*shared, ", ".join(str(result.seed) for result in group), *_metrics(group)])
    headings = ["dataset", "split", "split by", "config", "features", "the detector", "seeds", "N", *_COLUMNS.values()]
    return markdown_table(headings, lines) if lines else ""


def _metrics(group: Sequence[CardResult]) -> Iterator[str]:
    """Yield the number of expressions, then each metric in percent: the mean over seeds, ± the deviation if several."""
    yield f"{group[0].expressions:,}"
    for name in _COLUMNS:
        values = [getattr(result, name) for result in group]
        if None in values:
            yield percent(None)
        else:
            deviation = statistics.stdev(values) if len(values) > 1 else None
            yield percent(statistics.fmean(values), deviation, plus_minus=" ± ")


def slices(own: Sequence[CardResult]) -> dict[str, str] | None:
    """Return a table of REC by needed attribute and its description; None if needed attributes are not recorded."""
    names = list(dict.fromkeys(kind for result in own for kind in result.rec_by_kind if "+" not in kind))
    lines = [
        [result.dataset, result.split, *(percent(result.rec_by_kind.get(name)) for name in names)] for result in own
    ]
    if not names:
        return None
    return {"by": _columns(names), "table": markdown_table(["dataset", "split", *map(escaped, names)], lines)}


def _columns(names: Sequence[str]) -> str:
    """Describe the slices: MojiRef records the attribute that a phrase needs, RefCOCO only whether it needs one."""
    if "attribute" not in names:
        return 'the attribute that a phrase needs to distinguish the referent ("category": it needs none)'
    return (
        'whether the referent is the only object of its category in the image ("category") or a phrase needs an '
        'attribute to distinguish it ("attribute"'
        + (", or the attribute's name where the data records it)" if set(names) - {"category", "attribute"} else ")")
    )


def eval_results(result: CardResult) -> list[EvalResult]:
    """Return the entries of the metadata for one split, in percent."""
    metrics = [("accuracy", "REC accuracy at IoU > 0.5, percent", result.rec)]
    if result.miou is not None:
        metrics.append(("mean_iou", "RES mean IoU, percent", result.miou))
    return [
        EvalResult(
            task_type="visual-grounding",
            task_name="Visual grounding",
            dataset_type=hub_name(result.dataset),
            dataset_name=known_dataset(result.dataset).title or one_line(result.dataset),
            dataset_config=result.split_by and one_line(result.split_by),
            dataset_split=one_line(result.split),
            metric_type=kind,
            metric_name=name,
            metric_value=round(100 * value, 2),
            metric_args={
                "expressions": result.expressions,
                "detector": one_line(detector_name(result.detector)),
                "detector_has_seen_the_images": _has_seen(result),
                "features": result.features,
                "seed": result.seed,
            },
        )
        for kind, name, value in metrics
    ]


def _has_seen(result: CardResult) -> bool | str:
    if result.seen == "unknown":
        return "unknown"
    leaked = result.seen == "leaked"
    return f"claimed to be {str(leaked).lower()}" if result.seen_claimed else leaked
