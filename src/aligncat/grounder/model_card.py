"""Model cards: the README.md of a grounder's folder.

The format of the metadata is at https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.constants import REPOCARD_NAME

from aligncat.alignment.config import PRESETS, AlignmentConfig
from aligncat.datasets.known import known_dataset
from aligncat.detectors.registry import OPENMOJI_CREDIT, known_detector
from aligncat.errors import ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.files.locks import remove_left
from aligncat.grounder.folder import read_config
from aligncat.wording import percent


class _Card(ModelCard):
    """A model card whose file is written atomically, also by the hub's own `save_pretrained`."""

    def save(self, filepath: Path | str) -> None:
        """Write the card."""
        write_atomic(Path(filepath), str(self).encode())


TEMPLATE = Path(__file__).with_name("model_card.md")
TAGS = ["visual-grounding", "referring-expression-comprehension", "referring-expression-segmentation"]
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


def write_model_card(folder: Path, results: Sequence[CardResult] = ()) -> Path:
    """Write or replace the model card in a grounder's folder.

    Args:
        folder: the folder that `aligncat train` wrote.
        results: see `model_card`.

    Returns:
        The path of the card.

    Raises:
        ConfigError: the folder is not a grounder, or its config.json is damaged.
        OSError: the folder cannot be written.
    """
    config = read_config(folder)
    try:
        card = model_card(config, results)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder}: not a grounder ({error!r}); give the folder that `aligncat train` wrote"
        ) from error
    path = folder / REPOCARD_NAME
    remove_left(folder)
    write_atomic(path, str(card).encode())
    return path


def model_card(config: Mapping[str, Any], results: Sequence[CardResult] = ()) -> ModelCard:
    """Return the model card of a grounder: data, detector and leak verdict, results, limits, settings, licences.

    Args:
        config: the content of config.json.
        results: the results of this grounder, recognised by its seed, and results of the same config with other seeds,
            which add the spread. Empty if the grounder has not been evaluated.
    """
    provenance, detector = config["provenance"], config["detector"]
    data = provenance.get("data")
    alignment = AlignmentConfig(**config["alignment"])
    preset = next((name for name in PRESETS if alignment.with_stages(name) == alignment), "a custom config")
    title = known_dataset(data["dataset"]).title if data else None
    dataset = (title or ("pseudo-phrases" if data.get("made") else "custom data")) if data else "unrecorded data"
    seed = provenance.get("training", {}).get("seed")
    own = [result for result in results if result.seed == seed]
    trained = [data["dataset"]] if data and title else []
    head = ModelCardData(
        language="en" if trained else None,
        license="apache-2.0",
        library_name="aligncat",
        tags=TAGS,
        datasets=[_hub_name(name) for name in trained] or None,
        metrics=["accuracy", "mean_iou"] if own else None,
        model_name=_one_line(own[0].config) if own else None,
        eval_results=[each for result in own for each in _eval_results(result)] or None,
    )
    weights = detector.get("weights_sha256", "not recorded")
    card = {
        "title": f"{preset} on {dataset}",
        "learned_from": _learned_from(alignment, provenance),
        "data": data and _data(data, provenance),
        "origin": _code_block(provenance),
        "detector": {
            "name": _plain(_detector_name(detector)),
            "candidates": _plain(detector.get("candidates", "?")),
            "sha256": _plain(weights),
        },
        "leak": _leak(str(detector.get("name")), data, results),
        "rows": _table(results, seed),
        "spread": any(len(group) > 1 for group in _groups(results)),
        "slices": _slices(own),
        "limits": "\n".join(_limits(config, own)),
        "settings": _code_block(
            {
                "alignment": config["alignment"],
                "text": config["text"],
                "training": provenance.get("training"),
                "word_vectors": provenance.get("word_vectors"),
                "text_encoder": config.get("text_encoder"),
            }
        ),
        "versions": _plain(", ".join(f"{name} {number}" for name, number in provenance.get("versions", {}).items())),
        "licences": "\n".join(_licences(config)),
    }
    filled: ModelCard = _Card.from_template(head, template_path=str(TEMPLATE), card=card)
    return filled


def _learned_from(alignment: AlignmentConfig, provenance: Mapping[str, Any]) -> str:
    if "querymatch" in provenance:
        index = provenance["querymatch"].get("relative_position_index")
        note = f" The detector's relative_position_index was {_plain(index)}." if index else ""
        return f"It was imported from a trained QueryMatch.{note}"
    data, init = provenance.get("data"), provenance.get("init")
    if not data:
        return "Its training data was not recorded."
    start = f" {_started_from(init)}" if init else ""
    if data.get("made"):
        return (
            "It was trained on images and on phrases that a grammar made from the detector's candidates: no person "
            f"wrote a phrase, named a category or drew a box.{start}"
        )
    labels = alignment.category_train == "label" or alignment.classifier
    inputs = "images, phrases and the category of each referent" if labels else "images and phrases only"
    return f"It was trained on {inputs}, without boxes or masks of the referents.{start}"


def _started_from(init: Mapping[str, Any]) -> str:
    """Return a sentence on the grounder whose weights training started from, and on those that it started from."""
    data = init.get("data")
    learned = "whose training data was not recorded"
    if data:
        learned = f"which was trained on {data['dataset']}, split {data['split']}"
        learned += ", whose phrases a grammar made" if data.get("made") else ""
    earlier = f" {_started_from(init['init'])}" if init.get("init") else ""
    return (
        f"Training started from {_plain(init['name'])} (SHA-256 {_plain(init['sha256'])}), {_plain(learned)}.{earlier}"
    )


def _data(data: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, str]:
    val = provenance.get("val_split")
    checkpoint = (
        "the last epoch"
        if val is None
        else f"the epoch with the best REC on {val}, whose boxes are used only for this selection"
    )
    dataset = f"{known_dataset(data['dataset']).title or data['dataset']}, split {data['split']}"
    return {
        "dataset": _plain(f"{dataset}, split by {data['split_by']}" if data["split_by"] else dataset),
        "expressions": f"{data['expressions']:,}",
        "images": f"{data['images']:,}",
        "sha256": _plain(data["sha256"]),
        "checkpoint": _plain(checkpoint),
    }


def _detector_name(detector: Mapping[str, Any]) -> str:
    """Return the detector's name. A local folder is reduced to its last part: the rest describes a private disk."""
    name = str(detector.get("name"))
    return f"{Path(name).name} (a local folder)" if Path(name).is_absolute() else name


def _leak(detector: str, data: Mapping[str, Any] | None, results: Sequence[CardResult]) -> dict[str, str]:
    """Return a verdict on whether the detector was trained on the evaluation images, and the reason.

    The verdict comes from the results if there are any, and otherwise from the detector's name.
    """
    if results:
        verdicts = {f"claimed to be {result.seen}" if result.seen_claimed else result.seen for result in results}
        reason = "; ".join(dict.fromkeys(f"{r.dataset} {r.split}: {r.seen_in_words}" for r in results))
        return {"verdict": verdicts.pop() if len(verdicts) == 1 else "depends on the split", "reason": _plain(reason)}
    dataset = str(data["dataset"]) if data else ""
    known = known_detector(detector)
    if known is not None and dataset in known.seen:
        title = known_dataset(dataset).title or dataset
        reason = f"it was trained on {known.trained_on}, which contains the photos of every split of {title}"
        return {"verdict": "leaked", "reason": f"{reason}, so results on val and test are too good"}
    if known is not None and known.has_not_seen(dataset):
        return {"verdict": "clean", "reason": f"it was trained on {known.trained_on}, which are not part of any split"}
    return {"verdict": "unknown", "reason": "`aligncat audit` can count shared photos, given a list of its images"}


def _groups(results: Sequence[CardResult]) -> list[list[CardResult]]:
    """Return the results grouped by split and config; each group holds one result per seed."""
    groups: dict[tuple[object, ...], list[CardResult]] = {}
    for r in results:
        key = (r.dataset, r.split, r.split_by, r.config, r.detector, r.seen, r.seen_claimed)
        groups.setdefault(key, []).append(r)
    return list(groups.values())


def _table(results: Sequence[CardResult], seed: int | None) -> str:
    """Return a table with a row for these weights and, if there are several seeds, a row for all of them."""
    lines = []
    for group in _groups(results):
        first = group[0]
        shared = [first.dataset, first.split, first.split_by or "-", first.config, first.seen_in_words]
        own = [result for result in group if result.seed == seed]
        if own:
            lines.append([*shared, "none" if seed is None else f"{seed} (these weights)", *_metrics(own)])
        if len(group) > 1 or not own:
            lines.append([*shared, ", ".join(str(result.seed) for result in group), *_metrics(group)])
    headings = ["dataset", "split", "split by", "config", "the detector", "seeds", "N", *_COLUMNS.values()]
    return _markdown(headings, lines) if lines else ""


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


def _slices(own: Sequence[CardResult]) -> dict[str, str] | None:
    """Return a table of REC by needed attribute and its description; None if needed attributes are not recorded."""
    names = list(dict.fromkeys(kind for result in own for kind in result.rec_by_kind if "+" not in kind))
    lines = [
        [result.dataset, result.split, *(percent(result.rec_by_kind.get(name)) for name in names)] for result in own
    ]
    if not names:
        return None
    return {"by": _columns(names), "table": _markdown(["dataset", "split", *map(_plain, names)], lines)}


def _columns(names: Sequence[str]) -> str:
    """Describe the slices: MojiRef records the attribute that a phrase needs, RefCOCO only whether it needs one."""
    if "attribute" not in names:
        return 'the attribute that a phrase needs to distinguish the referent ("category": it needs none)'
    return (
        'whether the referent is the only object of its category in the image ("category") or a phrase needs an '
        'attribute to distinguish it ("attribute"'
        + (", or the attribute's name where the data records it)" if set(names) - {"category", "attribute"} else ")")
    )


def _limits(config: Mapping[str, Any], own: Sequence[CardResult]) -> list[str]:
    data, text = config["provenance"].get("data"), config["text"]
    limits = [
        "- It chooses among the objects that the detector proposes, and cannot find others or improve their masks.",
        "- It always returns an object, even if nothing in the image fits the phrase.",
        f"- It knows the {len(config['labels'])} categories of the detector and maps any other to one of them.",
        f"- It reads only the first {text['max_length']} words of a phrase.",
    ]
    if text.get("encoder", "recurrent") == "recurrent" and not text.get("vector_words", 0):
        limits.append("- It does not know words that are missing from the training phrases.")
    if data and data.get("made") and not config["provenance"].get("init"):
        limits.append("- It has learned only the words and the kinds of phrase of aligncat's grammar.")
    if data and known_dataset(data["dataset"]).photos == "mojiref":
        limits.append("- It was trained on the drawings of MojiRef and does not work on photos.")
    known = known_detector(str(config["detector"].get("name")))
    if known is not None and known.limit is not None:
        limits.append(f"- {known.limit}")
    if any(result.seen == "leaked" for result in own):
        limits.append("- Results on splits whose images the detector was trained on are too good.")
    return limits


def _licences(config: Mapping[str, Any]) -> list[str]:
    name, data = str(config["detector"].get("name")), config["provenance"].get("data")
    known = known_detector(name)
    licence = "The detector has its own licence."
    if known is not None and known.licence is not None:
        licence = known.licence.format(name=_plain(name))
    credits = [known.credit] if known is not None and known.credit is not None else []
    if data and known_dataset(data["dataset"]).photos == "mojiref" and OPENMOJI_CREDIT not in credits:
        credits.append(OPENMOJI_CREDIT)
    lines = ["The code and the weights in this folder: Apache-2.0.", licence, *credits]
    return [f"- {line}" for line in lines]


def _eval_results(result: CardResult) -> list[EvalResult]:
    """Return the entries of the metadata for one split, in percent."""
    metrics = [("accuracy", "REC accuracy at IoU > 0.5, percent", result.rec)]
    if result.miou is not None:
        metrics.append(("mean_iou", "RES mean IoU, percent", result.miou))
    return [
        EvalResult(
            task_type="visual-grounding",
            task_name="Visual grounding",
            dataset_type=_hub_name(result.dataset),
            dataset_name=known_dataset(result.dataset).title or _one_line(result.dataset),
            dataset_config=result.split_by and _one_line(result.split_by),
            dataset_split=_one_line(result.split),
            metric_type=kind,
            metric_name=name,
            metric_value=round(100 * value, 2),
            metric_args={
                "expressions": result.expressions,
                "detector": _one_line(_detector_name({"name": result.detector})),
                "detector_has_seen_the_images": _has_seen(result),
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


def _hub_name(dataset: str) -> str:
    """Return a dataset's name in the characters that the hub accepts."""
    return re.sub(r"[^\w.-]+", "-", dataset.replace("+", "plus"), flags=re.ASCII).strip("-.") or "own"


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [[_plain(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in ([*headings], ["---"] * len(headings), *rows))


def _code_block(values: object) -> str:
    """Return JSON as an indented code block, which no value can close."""
    text = json.dumps(values, indent=2, ensure_ascii=True, default=str)
    return "\n".join(f"    {line}" for line in text.splitlines())


def _one_line(value: object) -> str:
    """Return the printable characters of a value, on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def _plain(value: object) -> str:
    """Escape text so that Markdown shows it unchanged in a sentence or a table cell."""
    text = re.sub(r"([\\`*_\[\]|~])", r"\\\1", _one_line(value))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
