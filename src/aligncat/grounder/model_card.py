"""The README.md of a grounder's folder, in the form of the hub's model cards.

https://huggingface.co/docs/hub/model-cards says what the head may hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.constants import CONFIG_NAME, REPOCARD_NAME

from aligncat.alignment.config import PRESETS, AlignmentConfig
from aligncat.detectors.mask2former import MINI
from aligncat.errors import ConfigError
from aligncat.evaluation.leak import known_by_name
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.results import Result, Summary, summaries
from aligncat.files.atomic import write_atomic
from aligncat.report.terminal import detector_training

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
_PHOTO = "COCO_train2014_000000000009.jpg"  # all photos of RefCOCO and its kin are of train2014
_OPENMOJI = (
    "- OpenMoji: what it learned from is made of drawings of OpenMoji, changed in colour, size and surroundings. All "
    "emojis designed by [OpenMoji](https://openmoji.org), the open-source emoji and icon project. License: "
    "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/)."
)
_FIGURES: tuple[tuple[str, Callable[[Metrics], float | None]], ...] = (
    ("REC", lambda metrics: metrics.rec),
    ("oracle", lambda metrics: metrics.oracle_rec),
    ("RES mIoU", lambda metrics: metrics.res_miou),
    ("oracle", lambda metrics: metrics.oracle_res_miou),
    ("category", lambda metrics: metrics.category_accuracy),
)


def write_model_card(folder: Path, results: Sequence[Result] = ()) -> Path:
    """Write the card of a grounder's folder anew.

    Args:
        folder: that `aligncat train` wrote.
        results: as `model_card` takes them.

    Returns:
        The card's path.

    Raises:
        ConfigError: the folder is not a grounder.
        DataError: results of one config and split do not fit each other (`aligncat.evaluation.summarise`).
        OSError: the folder cannot be written.
    """
    try:
        card = model_card(json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8")), results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder} is not a grounder ({error!r}): give the folder that `aligncat train` wrote"
        ) from error
    path = folder / REPOCARD_NAME
    write_atomic(path, str(card).encode())
    return path


def model_card(config: Mapping[str, Any], results: Sequence[Result] = ()) -> ModelCard:
    """The card of a grounder: data, detector and leak verdict, results, limits, settings, licences.

    Args:
        config: what config.json holds.
        results: of these weights (those with the same seed) and, for the spread, of the same training with other
            seeds, under the same name; none where it has not been measured.

    Raises:
        DataError: results of one config and split do not fit each other (`aligncat.evaluation.summarise`).
    """
    provenance, detector = config["provenance"], config["detector"]
    data = provenance.get("data")
    alignment = AlignmentConfig(**config["alignment"])
    preset = next((name for name in PRESETS if alignment.with_stages(name) == alignment), "a config of its own")
    dataset = NAMES.get(data["dataset"], "own data") if data else "data that was not recorded"
    rows = summaries(results)
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
        "rows": _table(rows, seed),
        "spread": any(len(row.results) > 1 for row in rows),
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


def _leak(detector: str, data: Mapping[str, Any] | None, results: Sequence[Result]) -> dict[str, str]:
    """Whether the detector has seen the evaluation images: as counted or claimed, and else as its name says."""
    if results:
        verdicts = {f"said to be {result.seen}" if result.seen_claimed else result.seen for result in results}
        said = "; ".join(dict.fromkeys(f"{r.dataset} {r.split}: {detector_training(r)}" for r in results))
        return {"verdict": verdicts.pop() if len(verdicts) == 1 else "it depends on the split", "reason": _plain(said)}
    dataset = str(data["dataset"]) if data else ""
    known = known_by_name(detector, dataset)
    if known is not None and dataset.startswith("refco") and known.holds(_PHOTO):
        where = f"it was trained on {known.name}, which has the photos of every split of {NAMES[dataset]}"
        return {"verdict": "leaked", "reason": f"{where}: figures on val and test are too good"}
    if known is not None and known.holds(_PHOTO) is False:
        return {"verdict": "clean", "reason": f"it was trained on {known.name}, which are in no split"}
    return {"verdict": "unknown", "reason": "`aligncat audit` counts the photos, where the detector's list is at hand"}


def _table(rows: Sequence[Summary], seed: int | None) -> str:
    """A line for these weights, and one for the seeds together where there are several."""
    lines = []
    for row in rows:
        first = row.first
        said = [first.dataset, first.split, first.split_by or "-", first.config, detector_training(first)]
        if seed in row.seeds:
            one = Summary((row.results[row.seeds.index(seed)],))
            lines.append([*said, f"{seed} (these weights)" if seed is not None else "none", *_figures(one)])
        if len(row.results) > 1 or seed not in row.seeds:
            lines.append([*said, ", ".join(map(str, row.seeds)), *_figures(row)])
    headings = ["dataset", "split", "split by", "config", "the detector", "seeds", "N", *(name for name, _ in _FIGURES)]
    return _markdown(headings, lines) if lines else ""


def _figures(row: Summary) -> list[str]:
    cells = [f"{row.first.metrics.expressions:,}"]
    for _, read in _FIGURES:
        spread = row.metric(read)
        if spread is None:
            cells.append("-")
        else:
            deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.1f}"
            cells.append(f"{100 * spread.mean:.1f}{deviation}")
    return cells


def _slices(own: Sequence[Result]) -> dict[str, str] | None:
    """REC by what a phrase needs, a line a split, and what the columns are; None where the data does not say."""
    names = list(dict.fromkeys(kind for result in own for kind in result.metrics.by_kind if "+" not in kind))
    lines = [
        [result.dataset, result.split, *(_percent(result.metrics.by_kind.get(name)) for name in names)]
        for result in own
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


def _percent(metrics: Metrics | None) -> str:
    return "-" if metrics is None else f"{100 * metrics.rec:.1f}"


def _limits(config: Mapping[str, Any], own: Sequence[Result]) -> list[str]:
    data, text = config["provenance"].get("data"), config["text"]
    limits = [
        "- It chooses among what the detector found: what that misses, or gives a poor mask, cannot be answered.",
        "- It always answers, also where nothing in the image fits the phrase.",
        f"- It knows the detector's {len(config['labels'])} categories by name, and reads any other as one of these.",
        f"- It reads the first {text['max_length']} words of a phrase.",
    ]
    if text.get("encoder", "recurrent") == "recurrent" and not text.get("vector_words", 0):
        limits.append("- A word that its training phrases did not have is read as unknown.")
    if data and data["dataset"].startswith("mojiref"):
        limits.append(
            "- It knows drawings only: it learned from MojiRef's scenes, and answers nothing useful of photos."
        )
    if config["detector"].get("name") == MINI:
        limits.append(
            "- Colour is weak: the query features of the mini detector hold little of it, so that phrases that need it "
            "are answered worse than those that need a place or a size."
        )
    if any(result.seen == "leaked" for result in own):
        limits.append("- Its figures on splits whose images the detector has seen are too good.")
    return limits


def _licences(config: Mapping[str, Any]) -> list[str]:
    name, data = str(config["detector"].get("name")), config["provenance"].get("data")
    licences = ["- Code and the weights in this folder: Apache-2.0."]
    if name == MINI:
        licences.append("- The mini detector ships with aligncat and was trained on drawings of OpenMoji.")
    elif name.startswith("facebook/"):
        licences.append(
            f"- The detector {_plain(name)} is not in this folder; its weights are "
            "[CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/), so that both together serve "
            "non-commercial use only."
        )
    else:
        licences.append("- The detector has a licence of its own.")
    if name == MINI or (data and data["dataset"].startswith("mojiref")):
        licences.append(_OPENMOJI)
    return licences


def _eval_results(result: Result) -> list[EvalResult]:
    """The head's entries for one split; figures in percent."""
    figures = [("accuracy", "REC accuracy at IoU > 0.5, percent", result.metrics.rec)]
    if result.metrics.res_miou is not None:
        figures.append(("mean_iou", "RES mean IoU, percent", result.metrics.res_miou))
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
                "expressions": result.metrics.expressions,
                "detector": _one_line(_detector_name({"name": result.detector})),
                "detector_has_seen_the_images": _has_seen(result),
                "seed": result.seed,
            },
        )
        for kind, name, value in figures
    ]


def _has_seen(result: Result) -> bool | str:
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
