"""The README.md of a grounder's folder, in the form of the hub's model cards.

https://huggingface.co/docs/hub/model-cards says what the head may hold.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.constants import CONFIG_NAME, REPOCARD_NAME

from aligncat.alignment.config import PRESETS, AlignmentConfig
from aligncat.datasets.known import known_dataset
from aligncat.detectors.registry import OPENMOJI_CREDIT, known_detector
from aligncat.errors import ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.grounder.folder import current_config
from aligncat.wording import percent

TEMPLATE = Path(__file__).with_name("model_card.md")
TAGS = ["visual-grounding", "referring-expression-comprehension", "referring-expression-segmentation"]
NAMES = {
    "refcoco": "RefCOCO",
    "refcoco+": "RefCOCO+",
    "refcocog": "RefCOCOg",
    "refclef": "RefCLEF",
    "mojiref": "MojiRef",
    "mojiref+": "MojiRef+",
    "mojirefg": "MojiRefg",
}
_COLUMNS = {"rec": "REC", "rec_oracle": "oracle", "miou": "RES mIoU", "miou_oracle": "oracle", "category": "category"}


@dataclass(frozen=True, slots=True)
class CardResult:
    """What a card says of one measurement: these weights, or the same training with another seed, on one split.

    `aligncat.report.card.card_results` makes it of an evaluation's result.

    Attributes:
        dataset: by name.
        split: by name.
        split_by: who divided the data; None where the dataset has only one division.
        config: name of what was trained.
        detector: name of the detector whose candidates were chosen from.
        seen: "clean", "leaked" or "unknown": whether the detector was trained on the split's images.
        seen_claimed: whether `seen` is only what the user said.
        seen_in_words: the same as a phrase.
        seed: of the training; None where nothing random was trained.
        expressions: how many were asked.
        rec: accuracy of the boxes, in [0, 1].
        rec_oracle: REC if the best candidate were always chosen.
        miou: mean IoU of the masks; None where the truth has none.
        miou_oracle: RES mean IoU if the best candidate were always chosen.
        category: accuracy of c^T; None where it is not defined.
        rec_by_kind: REC by what an expression needs.
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
    """Write the card of a grounder's folder anew.

    Args:
        folder: that `aligncat train` wrote.
        results: as `model_card` takes them.

    Returns:
        The card's path.

    Raises:
        ConfigError: the folder is not a grounder.
        OSError: the folder cannot be written.
    """
    config = folder / CONFIG_NAME
    try:
        card = model_card(current_config(json.loads(config.read_text(encoding="utf-8")), str(config)), results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder} is not a grounder ({error!r}): give the folder that `aligncat train` wrote"
        ) from error
    path = folder / REPOCARD_NAME
    write_atomic(path, str(card).encode())
    return path


def model_card(config: Mapping[str, Any], results: Sequence[CardResult] = ()) -> ModelCard:
    """The card of a grounder: data, detector and leak verdict, results, limits, settings, licences.

    Args:
        config: what config.json holds.
        results: of these weights (those with the same seed) and, for the spread, of the same training with other
            seeds, under the same name; none where it has not been measured.
    """
    provenance, detector = config["provenance"], config["detector"]
    data = provenance.get("data")
    alignment = AlignmentConfig(**config["alignment"])
    preset = next((name for name in PRESETS if alignment.with_stages(name) == alignment), "a config of its own")
    dataset = NAMES.get(data["dataset"], "own data") if data else "data that was not recorded"
    seed = provenance.get("training", {}).get("seed")
    own = [result for result in results if result.seed == seed]
    trained = [data["dataset"]] if data and data["dataset"] in NAMES else []
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
        "origin": _indented(provenance),
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
        "settings": _indented(
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
    filled: ModelCard = ModelCard.from_template(head, template_path=str(TEMPLATE), card=card)
    return filled


def _learned_from(alignment: AlignmentConfig, provenance: Mapping[str, Any]) -> str:
    if "querymatch" in provenance:
        return "It was imported from a trained QueryMatch."
    if not provenance.get("data"):
        return "What it learned from was not recorded."
    labels = alignment.category_train == "label" or alignment.classifier
    what = "images, phrases and the category that each phrase refers to" if labels else "images and phrases alone"
    return f"It learned from {what}; no box and no mask of a referent was shown to it."


def _data(data: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, str]:
    val = provenance.get("val_split")
    kept = (
        "those of the last epoch"
        if val is None
        else f"those of the epoch with the best REC on {val}, whose boxes serve for that"
    )
    return {
        "dataset": _plain(NAMES.get(data["dataset"], data["dataset"])),
        "split": _plain(data["split"]),
        "split_by": _plain(data["split_by"] or "nobody: there is one division"),
        "expressions": f"{data['expressions']:,}",
        "images": f"{data['images']:,}",
        "sha256": _plain(data["sha256"]),
        "kept": _plain(kept),
    }


def _detector_name(detector: Mapping[str, Any]) -> str:
    """The name that a stranger can use: of a local folder its last part, as the rest says how a disk is laid out."""
    name = str(detector.get("name"))
    return f"{Path(name).name} (a local folder)" if Path(name).is_absolute() else name


def _leak(detector: str, data: Mapping[str, Any] | None, results: Sequence[CardResult]) -> dict[str, str]:
    """Whether the detector has seen the evaluation images: as counted or claimed, and else as its name says."""
    if results:
        verdicts = {f"said to be {result.seen}" if result.seen_claimed else result.seen for result in results}
        said = "; ".join(dict.fromkeys(f"{r.dataset} {r.split}: {r.seen_in_words}" for r in results))
        return {"verdict": verdicts.pop() if len(verdicts) == 1 else "it depends on the split", "reason": _plain(said)}
    dataset = str(data["dataset"]) if data else ""
    known = known_detector(detector)
    if known is not None and dataset in known.seen:
        where = f"it was trained on {known.trained_on}, which has the photos of every split of {NAMES[dataset]}"
        return {"verdict": "leaked", "reason": f"{where}: figures on val and test are too good"}
    if known is not None and known.unseen is not None and fnmatchcase(dataset, known.unseen):
        return {"verdict": "clean", "reason": f"it was trained on {known.trained_on}, which are in no split"}
    return {"verdict": "unknown", "reason": "`aligncat audit` counts the photos, where the detector's list is at hand"}


def _groups(results: Sequence[CardResult]) -> list[list[CardResult]]:
    """The results of each split and config, over their seeds."""
    groups: dict[tuple[object, ...], list[CardResult]] = {}
    for r in results:
        key = (r.dataset, r.split, r.split_by, r.config, r.detector, r.seen, r.seen_claimed)
        groups.setdefault(key, []).append(r)
    return list(groups.values())


def _table(results: Sequence[CardResult], seed: int | None) -> str:
    """A line for these weights, and one for the seeds together where there are several."""
    lines = []
    for group in _groups(results):
        first = group[0]
        said = [first.dataset, first.split, first.split_by or "-", first.config, first.seen_in_words]
        own = [result for result in group if result.seed == seed]
        if own:
            lines.append([*said, "none" if seed is None else f"{seed} (these weights)", *_metrics(own)])
        if len(group) > 1 or not own:
            lines.append([*said, ", ".join(str(result.seed) for result in group), *_metrics(group)])
    headings = ["dataset", "split", "split by", "config", "the detector", "seeds", "N", *_COLUMNS.values()]
    return _markdown(headings, lines) if lines else ""


def _metrics(group: Sequence[CardResult]) -> Iterator[str]:
    """The number of expressions, then the mean of each metric in percent, with its deviation over several seeds."""
    yield f"{group[0].expressions:,}"
    for name in _COLUMNS:
        values = [getattr(result, name) for result in group]
        if None in values:
            yield percent(None)
        else:
            deviation = statistics.stdev(values) if len(values) > 1 else None
            yield percent(statistics.fmean(values), deviation, plus_minus=" ± ")


def _slices(own: Sequence[CardResult]) -> dict[str, str] | None:
    """REC by what a phrase needs, a line a split, and what the columns are; None where the data does not say."""
    names = list(dict.fromkeys(kind for result in own for kind in result.rec_by_kind if "+" not in kind))
    lines = [
        [result.dataset, result.split, *(percent(result.rec_by_kind.get(name)) for name in names)] for result in own
    ]
    if not names:
        return None
    return {"by": _columns(names), "table": _markdown(["dataset", "split", *map(_plain, names)], lines)}


def _columns(names: Sequence[str]) -> str:
    """What the slices are: MojiRef records which attribute a phrase needs; of RefCOCO we know whether it needs one."""
    if "attribute" not in names:
        return 'the one attribute that a phrase needs to tell the referent from others ("category": none)'
    return (
        'whether the referent is the only object of its category in the image ("category"), or a phrase needs an '
        'attribute to tell it from others of that category ("attribute"'
        + ("; under its name, where the data records which)" if set(names) - {"category", "attribute"} else ")")
    )


def _limits(config: Mapping[str, Any], own: Sequence[CardResult]) -> list[str]:
    data, text = config["provenance"].get("data"), config["text"]
    limits = [
        "- It chooses among what the detector found: what that misses, or gives a poor mask, cannot be answered.",
        "- It always answers, also where nothing in the image fits the phrase.",
        f"- It knows the detector's {len(config['labels'])} categories by name, and reads any other as one of these.",
        f"- It reads the first {text['max_length']} words of a phrase.",
    ]
    if text.get("encoder", "recurrent") == "recurrent" and not text.get("vector_words", 0):
        limits.append("- A word that its training phrases did not have is read as unknown.")
    if data and known_dataset(data["dataset"]).photos == "mojiref":
        limits.append(
            "- It knows drawings only: it learned from MojiRef's scenes, and answers nothing useful of photos."
        )
    known = known_detector(str(config["detector"].get("name")))
    if known is not None and known.limit is not None:
        limits.append(f"- {known.limit}")
    if any(result.seen == "leaked" for result in own):
        limits.append("- Its figures on splits whose images the detector has seen are too good.")
    return limits


def _licences(config: Mapping[str, Any]) -> list[str]:
    name, data = str(config["detector"].get("name")), config["provenance"].get("data")
    known = known_detector(name)
    licence = "The detector has a licence of its own."
    if known is not None and known.licence is not None:
        licence = known.licence.format(name=_plain(name))
    credits = [known.credit] if known is not None and known.credit is not None else []
    if data and known_dataset(data["dataset"]).photos == "mojiref" and OPENMOJI_CREDIT not in credits:
        credits.append(OPENMOJI_CREDIT)
    lines = ["Code and the weights in this folder: Apache-2.0.", licence, *credits]
    return [f"- {line}" for line in lines]


def _eval_results(result: CardResult) -> list[EvalResult]:
    """The head's entries for one split; figures in percent."""
    figures = [("accuracy", "REC accuracy at IoU > 0.5, percent", result.rec)]
    if result.miou is not None:
        figures.append(("mean_iou", "RES mean IoU, percent", result.miou))
    return [
        EvalResult(
            task_type="visual-grounding",
            task_name="Visual grounding",
            dataset_type=_hub_name(result.dataset),
            dataset_name=NAMES.get(result.dataset, _one_line(result.dataset)),
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
        for kind, name, value in figures
    ]


def _has_seen(result: CardResult) -> bool | str:
    if result.seen == "unknown":
        return "unknown"
    leaked = result.seen == "leaked"
    return f"said to be {str(leaked).lower()}" if result.seen_claimed else leaked


def _hub_name(dataset: str) -> str:
    """The name in letters that the hub takes for a dataset."""
    return re.sub(r"[^\w.-]+", "-", dataset.replace("+", "plus"), flags=re.ASCII).strip("-.") or "own"


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [[_plain(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in ([*headings], ["---"] * len(headings), *rows))


def _indented(values: object) -> str:
    """JSON as an indented block, which nothing in it can end."""
    text = json.dumps(values, indent=2, ensure_ascii=True, default=str)
    return "\n".join(f"    {line}" for line in text.splitlines())


def _one_line(value: object) -> str:
    """Printable characters alone, on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def _plain(value: object) -> str:
    """Text that Markdown shows as it is, in a sentence or in a cell of a table."""
    text = re.sub(r"([\\`*\[\]|~])", r"\\\1", _one_line(value))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
