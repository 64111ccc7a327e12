"""Model cards: the README.md of a grounder's folder.

The format of the metadata is at https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.constants import REPOCARD_NAME

from aligncat.alignment.config import ALL_PRESETS, AlignmentConfig
from aligncat.datasets.known import known_dataset
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.known import OPENMOJI_CREDIT, known_detector, started_from_credits
from aligncat.detectors.training_record import STARTED_FROM_KEY
from aligncat.errors import ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.files.locks import remove_left
from aligncat.grounder.card_results import CardResult, eval_results, results_by_seed, results_table, slices
from aligncat.grounder.card_text import code_block, detector_name, escaped, hub_name, one_line
from aligncat.grounder.features import COLUMNS_KEY
from aligncat.grounder.folder import read_config
from aligncat.grounder.match_file import KEY as MATCH


class _Card(ModelCard):
    """A model card whose file is written atomically, also by the hub's own `save_pretrained`."""

    def save(self, filepath: Path | str) -> None:
        """Write the card."""
        write_atomic(Path(filepath), str(self).encode())


TEMPLATE = Path(__file__).with_name("model_card.md")
TAGS = ["visual-grounding", "referring-expression-comprehension", "referring-expression-segmentation"]


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
    preset = next((name for name in ALL_PRESETS if alignment.with_stages(name) == alignment), "a custom config")
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
        datasets=[hub_name(name) for name in trained] or None,
        metrics=["accuracy", "mean_iou"] if own else None,
        model_name=one_line(own[0].config) if own else None,
        eval_results=[each for result in own for each in eval_results(result)] or None,
    )
    weights = detector.get("weights_sha256", "not recorded")
    card = {
        "title": f"{preset} on {dataset}",
        "learned_from": _learned_from(alignment, provenance),
        "data": data and _data(data, provenance),
        "origin": code_block(provenance),
        "detector": {
            "name": escaped(detector_name(str(detector.get("name")))),
            "candidates": escaped(detector.get("candidates", "?")),
            "sha256": escaped(weights),
            "features": _features(config),
        },
        "leak": _leak(detector, data, results),
        "rows": results_table(results, seed),
        "spread": any(len(group) > 1 for group in results_by_seed(results)),
        "slices": slices(own),
        "limits": "\n".join(_limits(config, own)),
        "settings": code_block(
            {
                "alignment": config["alignment"],
                "text": config["text"],
                "training": provenance.get("training"),
                "word_vectors": provenance.get("word_vectors"),
                "text_encoder": config.get("text_encoder"),
            }
        ),
        "versions": escaped(", ".join(f"{name} {number}" for name, number in provenance.get("versions", {}).items())),
        "licences": "\n".join(_licences(config)),
    }
    filled: ModelCard = _Card.from_template(head, template_path=str(TEMPLATE), card=card)
    return filled


def _learned_from(alignment: AlignmentConfig, provenance: Mapping[str, Any]) -> str:
    if "querymatch" in provenance:
        index = provenance["querymatch"].get("relative_position_index")
        note = f" The detector's relative_position_index was {escaped(index)}." if index else ""
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
    name, sha256 = escaped(init["name"]), escaped(init["sha256"])
    return f"Training started from {name} (SHA-256 {sha256}), {escaped(learned)}.{earlier}"


def _all_data(provenance: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the recorded training data of a grounder and of those that its training started from."""
    origin: Mapping[str, Any] | None = provenance
    while origin:
        if origin.get("data"):
            yield origin["data"]
        origin = origin.get("init")


def _features(config: Mapping[str, Any]) -> str:
    """Return a sentence about what the model reads of a candidate."""
    columns = [f"{each['name']} (version {each['version']})" for each in config.get(COLUMNS_KEY, [])]
    further = f", and columns of the store: {', '.join(columns)}" if columns else " only"
    related = (
        " It compares each candidate with its neighbours and looks at where it lies."
        if config["alignment"].get("context") == "relations"
        else ""
    )
    return escaped(f"It reads the query feature of each candidate{further}.{related}")


def _data(data: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, str]:
    val = provenance.get("val_split")
    checkpoint = (
        "the last epoch"
        if val is None
        else f"the epoch with the best REC on {val}, whose boxes are used only for this selection"
    )
    dataset = f"{known_dataset(data['dataset']).title or data['dataset']}, split {data['split']}"
    return {
        "dataset": escaped(f"{dataset}, split by {data['split_by']}" if data["split_by"] else dataset),
        "expressions": f"{data['expressions']:,}",
        "images": f"{data['images']:,}",
        "sha256": escaped(data["sha256"]),
        "checkpoint": escaped(checkpoint),
    }


def _leak(detector: Mapping[str, Any], data: Mapping[str, Any] | None, results: Sequence[CardResult]) -> dict[str, str]:
    """Return a verdict on whether the detector was trained on the evaluation images, and the reason.

    The verdict comes from the results if there are any, and otherwise from what is known of the detector.
    """
    if results:
        verdicts = {f"claimed to be {result.seen}" if result.seen_claimed else result.seen for result in results}
        reason = "; ".join(dict.fromkeys(f"{r.dataset} {r.split}: {r.seen_in_words}" for r in results))
        return {"verdict": verdicts.pop() if len(verdicts) == 1 else "depends on the split", "reason": escaped(reason)}
    dataset = str(data["dataset"]) if data else ""
    known = known_detector(str(detector.get("name")), detector.get("weights_sha256"))
    if known is not None and dataset in known.seen:
        title = known_dataset(dataset).title or dataset
        reason = f"it was trained on {known.trained_on}, which contains the photos of every split of {title}"
        return {"verdict": "leaked", "reason": f"{reason}, so results on val and test are too good"}
    if known is not None and known.has_not_seen(dataset):
        return {"verdict": "clean", "reason": f"it was trained on {known.trained_on}, which are not part of any split"}
    return {"verdict": "unknown", "reason": "`aligncat audit` can count shared photos, given a list of its images"}


def _limits(config: Mapping[str, Any], own: Sequence[CardResult]) -> list[str]:
    data, text = config["provenance"].get("data"), config["text"]
    limits = [
        "- It chooses among the objects that the detector proposes, and cannot find others or improve their masks.",
        "- It always returns an object, even if nothing in the image fits the phrase."
        + (
            " `match` says how probable it is that something fits, where half of the phrases fit nothing."
            if MATCH in config
            else ""
        ),
        f"- It knows the {len(config['labels'])} categories of the detector and maps any other to one of them.",
        f"- It reads only the first {text['max_length']} words of a phrase.",
    ]
    if text.get("encoder", "recurrent") == "recurrent" and not text.get("vector_words", 0):
        limits.append("- It does not know words that are missing from the training phrases.")
    if data and data.get("made") and not config["provenance"].get("init"):
        limits.append("- It has learned only the words and the kinds of phrase of aligncat's grammar.")
    if data and known_dataset(data["dataset"]).photos == "mojiref":
        limits.append("- It was trained on the drawings of MojiRef and does not work on photos.")
    known = known_detector(str(config["detector"].get("name")), config["detector"].get("weights_sha256"))
    sees_colour = any(each["name"] == COLOUR.name for each in config.get(COLUMNS_KEY, []))
    if known is not None and known.limit is not None and not sees_colour:
        limits.append(f"- {known.limit}")
    if any(result.seen == "leaked" for result in own):
        limits.append("- Results on splits whose images the detector was trained on are too good.")
    return limits


def _licences(config: Mapping[str, Any]) -> list[str]:
    name = str(config["detector"].get("name"))
    known = known_detector(name, config["detector"].get("weights_sha256"))
    licence = "The detector has its own licence."
    if known is not None and known.licence is not None:
        licence = known.licence.format(name=escaped(name))
    credits = [known.credit] if known is not None and known.credit is not None else []
    further, bound = started_from_credits(config["provenance"].get(STARTED_FROM_KEY) or [])
    credits += further
    credits += [
        f"The detector's training started from {escaped(each)}, whose weights are CC BY-NC 4.0, so the detector may "
        "only be used for non-commercial purposes."
        for each in bound
    ]
    of_mojiref = any(known_dataset(each["dataset"]).photos == "mojiref" for each in _all_data(config["provenance"]))
    if of_mojiref and OPENMOJI_CREDIT not in credits:
        credits.append(OPENMOJI_CREDIT)
    lines = ["The code and the weights in this folder: Apache-2.0.", licence, *credits]
    return [f"- {line}" for line in lines]
