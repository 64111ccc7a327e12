"""Measure REC of the MojiRef phrases that need a relation, with and without a direction.

    python benchmarks/relations.py DATA ANSWERS [ANSWERS ...]

DATA is MojiRef's folder. ANSWERS are .parquet files of `aligncat evaluate` or `aligncat ablate`, one per seed.
"Left of", "above" and similar words give a direction; "next to", "beside" and "near" give none. A model that reads only
the direction, and not the object it starts from, would choose the object of the category that lies farthest in that
direction. The script also prints how often this rule would be right, and how often a random choice among the objects of
the category would be.
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("answers", type=Path, nargs="+")
    arguments = parser.parse_args()
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    with AnnotationFiles() as files:
        for path in arguments.answers:
            add_answers(found, arguments.data, Answers.load(path), files)
    if not found:
        parser.error("no phrase of these answers needs only a relation; give answers on MojiRef, which records needs")
    shown = Table("relation", "phrases", "right, %", "at random, %")
    for name in filter(found.get, ROWS):
        right, chance = 100 * np.mean(found[name], axis=0)
        shown.add_row(name, str(len(found[name])), f"{right:.1f}", f"{chance:.1f}")
    Console().print(shown)


def add_answers(
    found: dict[str, list[tuple[bool, float]]], data: Path, answers: Answers, files: AnnotationFiles
) -> None:
    """Add (right, chance of a random choice) to each of ROWS, for every phrase that needs only a relation."""
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
    """Return the direction of a phrase's relation: a key of AXES, or None (as for "next to")."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word in VERTICAL:
            return VERTICAL[word]
        if word in ("left", "right") and after == "of":
            return word
    return None


def lies_farthest(box: NDArray[np.float64], alike: NDArray[np.float64], way: str) -> bool:
    """Return whether `box` has the farthest centre in a direction among the boxes `alike`, (n, 4) xyxy."""
    axis, sign = AXES[way]
    centres = sign * (alike[:, axis] + alike[:, axis + 2])
    return int(box_iou(box[None], alike)[0].argmax()) == int(centres.argmax())


if __name__ == "__main__":
    main()
