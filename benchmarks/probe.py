"""What a linear classifier reads from the frozen query features of MojiRef: run it with --help.

For every annotated object that a candidate stands for (box IoU above 0.5, the best one), asks the
candidate's feature for the object's category, colour, place and size, by the same definitions as the
grammar's. Supervised, and tested on images that were held out: a ceiling for what a linear projection can
learn from phrases. It prints the share right, and what always naming the commonest label gives.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import cross_entropy

from aligncat.errors import DataError
from aligncat.geometry import SAME_OBJECT_IOU, box_iou, xywh_to_xyxy
from aligncat.mojiref.attributes import Attribute, Item
from aligncat.store.reader import Store

QUESTIONS = {
    "left or right": [Attribute("place", "left"), Attribute("place", "right")],
    "top or bottom": [Attribute("place", "top"), Attribute("place", "bottom")],
    "big or small": [Attribute("size", "big"), Attribute("size", "small")],
}

HELD_OUT = 0.3
"""Share of the groups that the probe is tested on."""

PENALTY = 1e-3
"""Weight of the squared norm: keeps separable classes from growing without bound."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("mojiref", type=Path, help="the folder that `aligncat data mojiref` wrote")
    parser.add_argument("store", type=Path, help="the folder that `aligncat extract` wrote for it")
    parser.add_argument("--images", type=int, default=2000, help="at most so many images, the store's first")
    parser.add_argument("--seed", type=int, default=0, help="picks the images that are held out")
    options = parser.parse_args()
    store = Store.open(options.store)
    examples: dict[str, list[tuple[NDArray[np.float16], str, str]]] = defaultdict(list)
    objects = found = 0
    for image_id, rows, names, size in annotated_images(options.mojiref, list(store.image_ids)[: options.images]):
        candidates = store.candidates(image_id)
        overlap = box_iou(xywh_to_xyxy(np.array([row["bbox"] for row in rows], dtype=float)), candidates.boxes)
        objects += len(rows)
        for row, ious in zip(rows, overlap, strict=True):
            if not len(ious) or ious.max() <= SAME_OBJECT_IOU:
                continue
            found += 1
            for question, answer in answers(row, names[row["category_id"]], size):
                examples[question].append((candidates.features[ious.argmax()], answer, image_id))
    table = Table(title=f"{found} of {objects} objects have a candidate")
    for heading in ("Question", "Answers", "Trained on", "Tested on", "Right %", "Commonest %"):
        table.add_column(heading, justify="left" if heading == "Question" else "right")
    for question, rows_of in examples.items():
        features, words, images = zip(*rows_of, strict=True)
        classes, labels = np.unique(words, return_inverse=True)
        probe = linear_probe(
            torch.from_numpy(np.stack(features)),
            torch.from_numpy(labels),
            images,
            classes=len(classes),
            seed=options.seed,
        )
        counts = (str(len(classes)), str(probe.trained_on), str(probe.tested_on))
        table.add_row(question, *counts, f"{100 * probe.accuracy:.1f}", f"{100 * probe.majority:.1f}")
    Console().print(table)


def annotated_images(
    mojiref: Path, image_ids: list[str]
) -> Iterator[tuple[str, list[dict[str, Any]], dict[int, str], tuple[int, int]]]:
    """Id, annotations, the categories' names and (width, height) of each image that has annotations."""
    instances = json.loads((mojiref / "mojiref" / "instances.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in instances["categories"]}
    sizes = {str(image["id"]): (image["width"], image["height"]) for image in instances["images"]}
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in instances["annotations"]:
        rows[str(row["image_id"])].append(row)
    for image_id in image_ids:
        if rows[image_id]:
            yield image_id, rows[image_id], names, sizes[image_id]


def answers(row: dict[str, Any], category: str, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """What is asked of an object, and the answer; a question with no strictly true answer is not asked."""
    color = row["attributes"]["color"]
    x, y, width, height = row["bbox"]
    item = Item(category, (), color, (x, y, x + width, y + height), size)
    yield "category", category
    if color is not None:
        yield "color", color
    for question, attributes in QUESTIONS.items():
        true = [attribute.value for attribute in attributes if attribute.holds(item)]
        if true:
            yield question, true[0]


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a linear probe.

    Attributes:
        accuracy: share of the held-out examples that it labels right.
        majority: the same for always naming the training part's commonest label, which takes no reading.
        trained_on: examples.
        tested_on: examples.
    """

    accuracy: float
    majority: float
    trained_on: int
    tested_on: int


def linear_probe(features: Tensor, labels: Tensor, groups: Sequence[str], *, classes: int, seed: int) -> Probe:
    """Train multinomial logistic regression on 70% of the groups and test it on the others.

    Args:
        features: (n, d) float, standardised here by the training part's mean and deviation.
        labels: (n,) int64 in [0, classes).
        groups: n names, such as image ids: examples of one group are never on both sides.
        classes: how many labels there are.
        seed: picks the groups that are held out.

    Raises:
        DataError: the groups are too few to hold one out.
    """
    held_out = torch.from_numpy(_held_out(groups, seed))
    train_x, test_x = features[~held_out].double(), features[held_out].double()
    train_y, test_y = labels[~held_out], labels[held_out]
    mean, deviation = train_x.mean(dim=0), train_x.std(dim=0, correction=0)
    # a feature that never varies says nothing, and must not divide by zero
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    weight, bias = _fit((train_x - mean) / scale, train_y, classes)
    predicted = ((test_x - mean) / scale @ weight + bias).argmax(dim=1)
    commonest = torch.bincount(train_y, minlength=classes).argmax()
    return Probe(
        accuracy=float((predicted == test_y).double().mean()),
        majority=float((test_y == commonest).double().mean()),
        trained_on=len(train_y),
        tested_on=len(test_y),
    )


def _held_out(groups: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """(n,) bool, True for the examples of the groups that are held out."""
    names = np.unique(np.array(groups, dtype=np.str_))
    count = round(HELD_OUT * len(names))
    if not 0 < count < len(names):
        raise DataError(
            f"a probe holds out {HELD_OUT:.0%} of the groups, and {len(names)} are too few: give more images"
        )
    chosen = np.random.default_rng(seed).permutation(names)[:count]
    return np.isin(np.array(groups, dtype=np.str_), chosen)


def _fit(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(d, classes) weight and (classes,) bias of L2-penalised multinomial logistic regression: convex."""
    weight = torch.zeros(features.shape[1], classes, dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = cross_entropy(features @ weight + bias, labels) + PENALTY * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch types neither this nor the step below
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


if __name__ == "__main__":
    main()
