"""The model card of a detector that `aligncat detector train` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aligncat.detectors.known import started_from_credits
from aligncat.detectors.training.labelled import LabelledPhoto
from aligncat.detectors.training.recipe import DetectorRecipe, Optimisation
from aligncat.detectors.training.scores import Scores, best_of
from aligncat.detectors.training_record import HELD_OUT, TRAINED_ON, TrainingRecord

CARD = "README.md"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a detector was trained on.

    Attributes:
        name: the name of its folder.
        labels: its classes.
        new: those that the detector it started from did not have.
        photos: the photos that it was trained on.
        held_out: the photos that chose the best weights.
    """

    name: str
    labels: Sequence[str]
    new: Sequence[str]
    photos: Sequence[LabelledPhoto]
    held_out: Sequence[LabelledPhoto]


def card(
    contents: Contents,
    *,
    record: TrainingRecord,
    recipe: DetectorRecipe,
    settings: Optimisation,
    history: Sequence[Mapping[str, Any]],
) -> str:
    """Return a model card in Markdown. Names from data stand in code blocks, which they cannot close.

    Args:
        contents: what the detector was trained on.
        record: what it saw and started from.
        recipe: the settings as they were given.
        settings: the settings as they were used.
        history: the step and the scores of each measurement.
    """
    objects = [one for photo in contents.photos for one in photo.objects if not one.crowd]
    boxes = sum(one.mask is None for one in objects)
    trained = {
        "photos": len(contents.photos),
        "objects": len(objects),
        "with a box alone": boxes,
        "held out": len(contents.held_out),
    }
    parts = [
        "---\nlibrary_name: transformers\ntags: [instance-segmentation, aligncat]\n---",
        "# A detector for aligncat",
        _block({"name": contents.name, "started from": record.started_from}),
        f"It finds objects of {len(contents.labels)} categories, and was trained with boxes and masks of objects by "
        "`aligncat detector train`. No phrase was used. Categories, and those of them that were new to it:",
        _block(contents.labels),
        _block(contents.new),
        "## Training data",
        _block(trained),
        f"`{TRAINED_ON}` lists the photos that it has learned from, also in earlier trainings, and `{HELD_OUT}` those "
        "that only chose the best weights. `aligncat evaluate` counts the photos of a split among the former.",
    ]
    if boxes:
        parts.append("Where an object had a box alone, its whole box was taken as its mask; such masks are boxes.")
    parts += ["## Results on the held-out photos", _results(history)]
    parts += ["## Settings", _block({"recipe": asdict(recipe), "used": asdict(settings)}), "## Licence"]
    parts.append(
        "The licences of its training photos and of the detector that it started from apply. "
        + " ".join(_licences(record.started_from))
    )
    return "\n\n".join(parts).rstrip() + "\n"


def _results(history: Sequence[Mapping[str, Any]]) -> str:
    if not history:
        return "No photo was held out, so the weights are the last ones, and were not measured."
    rows = [(entry["step"], Scores(**entry["scores"])) for entry in history]
    best = best_of(history)
    lines = [
        f"{best[1].objects} objects. Found: the best of 20 candidates passes a box IoU of 0.5. Right: that candidate "
        f"has the right class. The weights of step {best[0]} are in this folder.",
        "",
        "| step | mask AP | box AP | found | right class, of the found |",
        "| --- | --- | --- | --- | --- |",
    ]
    for step, one in rows:
        mask = "" if one.mask_ap is None else f"{one.mask_ap:.1%}"
        lines.append(f"| {step} | {mask} | {one.box_ap:.1%} | {one.found:.1%} | {one.right:.1%} |")
    return "\n".join(lines)


def _licences(names: Sequence[str]) -> list[str]:
    """Return the credits and licences of the detectors that it started from, as far as they are known."""
    credits, bound = started_from_credits(names)
    return [*credits, *(f"The weights of {name} are CC BY-NC 4.0, and so are those in this folder." for name in bound)]


def _block(values: object) -> str:
    text = json.dumps(values, indent=2, ensure_ascii=True)
    return "\n".join(f"    {line}" for line in text.splitlines())
