"""Whether relations are read, or only their direction, on MojiRef: REC of the phrases that need a relation.

    python benchmarks/relations.py DATA ANSWERS [ANSWERS ...]

DATA is MojiRef's folder, ANSWERS are files of `aligncat evaluate` or `aligncat ablate` (.parquet), one for each seed.
"left of", "above" and the like give a direction, "next to", "beside" and "near" none. Who reads the direction alone and
not the object that it is from would choose the object of the category that lies farthest that way; how often that would
be right is shown too, and how often a choice at random among the objects of the category would be.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_objects, load_split
from aligncat.evaluation.answers import Answers
from aligncat.geometry import box_iou

VERTICAL = {"above": "above", "over": "above", "below": "below", "under": "below"}
AXES = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}  # image axis, sign
DIRECTED, FARTHEST, NEARER, ALWAYS, UNDIRECTED = ROWS = (
    "a direction",
    "  the referent lies farthest that way",
    "  another does",
    "  always taking the farthest",
    "no direction",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("answers", type=Path, nargs="+")
    arguments = parser.parse_args()
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    with AnnotationFiles() as files:
        for path in arguments.answers:
            add_answers(found, arguments.data, Answers.load(path), files)
    if not found:
        parser.error("no phrase of these answers needs a relation alone: give answers on MojiRef, which records it")
    shown = Table("relation", "phrases", "right, %", "at random, %")
    for name in filter(found.get, ROWS):
        right, chance = 100 * np.mean(found[name], axis=0)
        shown.add_row(name, str(len(found[name])), f"{right:.1f}", f"{chance:.1f}")
    Console().print(shown)


def add_answers(
    found: dict[str, list[tuple[bool, float]]], data: Path, answers: Answers, files: AnnotationFiles
) -> None:
    """Add to each of ROWS, for every phrase that needs a relation alone: is it right, and its chance at random."""
    config = DataConfig(data, answers.result.dataset)
    split = load_split(config, answers.result.split, check_images=False, files=files)
    objects = load_objects(config, split, files=files)
    for row in answers.table.to_pylist():
        if row["needed"] != ["relation"]:
            continue
        boxes, categories = objects[row["image_id"]]
        alike = boxes[[category == row["referent_category"] for category in categories]]
        right, chance = row["right"], 1 / len(alike)
        way = direction(row["text"].split())
        if way is None:
            found[UNDIRECTED].append((right, chance))
        else:
            farthest = lies_farthest(np.array(row["truth_box"]), alike, way)
            found[DIRECTED].append((right, chance))
            found[FARTHEST if farthest else NEARER].append((right, chance))
            found[ALWAYS].append((farthest, chance))


def direction(words: Sequence[str]) -> str | None:
    """The direction that a phrase's relation gives: a key of AXES, or None ("next to")."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word in VERTICAL:
            return VERTICAL[word]
        if word in ("left", "right") and after == "of":
            return word
    return None


def lies_farthest(box: NDArray[np.float64], alike: NDArray[np.float64], way: str) -> bool:
    """Whether of some boxes, (n, 4) xyxy, the one that is `box` has its centre farthest in a direction."""
    axis, sign = AXES[way]
    centres = sign * (alike[:, axis] + alike[:, axis + 2])
    return int(box_iou(box[None], alike)[0].argmax()) == int(centres.argmax())


if __name__ == "__main__":
    main()
